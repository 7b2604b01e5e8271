"""The Deployment controller: one ReplicaSet per pod template, replicas moved between them by the rollout's arithmetic.

Source: kubernetes pkg/controller/deployment (sync.go, recreate.go, rolling.go). Left out: adoption by selector, and
proportional scaling of a rollout that is under way (the new ReplicaSet takes the difference instead).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actions_gateway.engine.clock import Clock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import AlreadyExists, NotFound
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.listwatch import Key
from gateway_sandbox.controllers.cache import ObjectCache, controller_reference
from gateway_sandbox.controllers.conditions import same_fields
from gateway_sandbox.controllers.replicasets import wanted_replicas
from gateway_sandbox.controllers.rollout import (
    HASH_LABEL,
    Share,
    Strategy,
    plan_recreate,
    plan_rolling,
    same_template,
    strategy_of,
    template_hash,
)
from gateway_sandbox.controllers.rollout_status import RolloutFacts, build_status, seconds_until_deadline

Manifest = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
_CHANGE_CAUSE = "kubernetes.io/change-cause"
_DEFAULT_HISTORY = 10


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A Deployment with its ReplicaSets, as last seen."""

    deployment: Manifest
    new: Manifest | None
    """The ReplicaSet of the present template."""
    olds: Sequence[Manifest]
    """The others, oldest first."""
    old_pods_remain: bool
    """Whether a pod of an old ReplicaSet may still run."""


class DeploymentController:
    """Reconciles one Deployment at a time by key."""

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        events: EventRecorder,
        deployments: ObjectCache,
        replica_sets: ObjectCache,
        pods: ObjectCache,
    ) -> None:
        self._client = client
        self._clock = clock
        self._events = events
        self._deployments = deployments
        self._replica_sets = replica_sets
        self._pods = pods

    async def reconcile(self, key: Key) -> float | None:
        """Takes the next step of one Deployment's rollout; raises KubeError."""
        deployment = self._deployments.objects.get(key)
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return None
        snapshot = self._gather(deployment)
        found_new = await self._ensure_new(snapshot)
        if snapshot.new is not None:
            await self._scale(snapshot, decide_scales(snapshot))
            await self._trim_history(snapshot)
        return await self._write_status(snapshot, found_new)

    def _gather(self, deployment: Manifest) -> Snapshot:
        owned = self._replica_sets.owned_by(deployment)
        template = deployment["spec"]["template"]
        new = next((item for item in owned if same_template(item["spec"]["template"], template)), None)
        olds = [item for item in owned if item is not new]
        remain = any(_may_run(old, self._pods.owned_by(old)) for old in olds)
        return Snapshot(deployment, new, olds, remain)

    async def _ensure_new(self, snapshot: Snapshot) -> tuple[str, str] | None:
        """Creates the new ReplicaSet or gives a found one the newest revision; reason and message of what it did."""
        metadata = snapshot.deployment["metadata"]
        newest = max((_revision(old) for old in snapshot.olds), default=0)
        if snapshot.new is None:
            if snapshot.deployment["spec"].get("paused"):
                return None
            replica_set = build_replica_set(snapshot.deployment, newest + 1)
            name = replica_set["metadata"]["name"]
            try:
                await self._client.create(r.REPLICASETS, replica_set)
            except AlreadyExists:
                # Created by an earlier look that the cache does not show yet.
                return None
            return "NewReplicaSetCreated", f'Created new replica set "{name}"'
        revision = max(_revision(snapshot.new), newest + 1)
        name = snapshot.new["metadata"]["name"]
        is_found = _revision(snapshot.new) != revision
        if is_found:
            await self._annotate(r.REPLICASETS, name, metadata["namespace"], revision)
        if (metadata.get("annotations") or {}).get(REVISION) != str(revision):
            await self._annotate(r.DEPLOYMENTS, metadata["name"], metadata["namespace"], revision)
        return ("FoundNewReplicaSet", f'Found new replica set "{name}"') if is_found else None

    async def _annotate(self, resource: r.Resource, name: str, namespace: str, revision: int) -> None:
        patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
        await self._client.patch(resource, name, patch, namespace=namespace)

    async def _scale(self, snapshot: Snapshot, scales: dict[str, int]) -> None:
        everyone = [item for item in (*snapshot.olds, snapshot.new) if item is not None]
        wanted_before = {item["metadata"]["name"]: wanted_replicas(item) for item in everyone}
        for name, replicas in scales.items():
            before = wanted_before[name]
            namespace = snapshot.deployment["metadata"]["namespace"]
            await self._client.patch(r.REPLICASETS, name, {"spec": {"replicas": replicas}}, namespace=namespace)
            verb = "up" if replicas > before else "down"
            message = f"Scaled {verb} replica set {name} from {before} to {replicas}"
            await self._events.record(snapshot.deployment, "ScalingReplicaSet", message, action="Scale")

    async def _trim_history(self, snapshot: Snapshot) -> None:
        limit = snapshot.deployment["spec"].get("revisionHistoryLimit")
        idle = [old for old in snapshot.olds if _is_idle(old)]
        surplus = len(idle) - (_DEFAULT_HISTORY if limit is None else int(limit))
        for old in sorted(idle, key=_revision)[: max(0, surplus)]:
            metadata = old["metadata"]
            try:
                await self._client.delete(
                    r.REPLICASETS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"]
                )
            except NotFound:
                continue

    async def _write_status(self, snapshot: Snapshot, found_new: tuple[str, str] | None) -> float | None:
        deployment, desired, now = snapshot.deployment, wanted_replicas(snapshot.deployment), self._clock.now()
        strategy = strategy_of(deployment, desired)
        facts = RolloutFacts(deployment, desired, strategy, snapshot.new, snapshot.olds, found_new, now)
        status = build_status(facts)
        if not same_fields(deployment.get("status") or {}, status):
            metadata = deployment["metadata"]
            await self._client.patch(
                r.DEPLOYMENTS,
                metadata["name"],
                {"status": status},
                namespace=metadata["namespace"],
                subresource="status",
            )
        return seconds_until_deadline(status, deployment, now)


def decide_scales(snapshot: Snapshot) -> dict[str, int]:
    """The next replica counts by ReplicaSet name; empty when nothing is to be done."""
    desired = wanted_replicas(snapshot.deployment)
    olds = [_share(old) for old in snapshot.olds]
    assert snapshot.new is not None
    new = _share(snapshot.new)
    if snapshot.deployment["spec"].get("paused"):
        # A paused Deployment still scales, but only what runs: the rollout itself stands still.
        running = next((share for share in [new, *reversed(olds)] if share.replicas), new)
        return {} if running.replicas == desired else {running.name: desired}
    strategy: Strategy = strategy_of(snapshot.deployment, desired)
    if strategy.is_recreate:
        return plan_recreate(desired, new, olds, old_pods_remain=snapshot.old_pods_remain)
    return plan_rolling(desired, strategy, new, olds)


def build_replica_set(deployment: Manifest, revision: int) -> Manifest:
    """The ReplicaSet of the Deployment's present template, with no replicas yet: scaling it is the next step."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    digest = template_hash(spec["template"])
    template = copy.deepcopy(spec["template"])
    pod_metadata = template.setdefault("metadata", {})
    pod_metadata["labels"] = {**(pod_metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    annotations = {REVISION: str(revision)}
    if cause := (metadata.get("annotations") or {}).get(_CHANGE_CAUSE):
        annotations[_CHANGE_CAUSE] = cause
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": dict(pod_metadata["labels"]),
            "annotations": annotations,
            "ownerReferences": [controller_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": int(spec.get("minReadySeconds") or 0),
            "selector": selector,
            "template": template,
        },
    }


def _share(replica_set: Manifest) -> Share:
    available = (replica_set.get("status") or {}).get("availableReplicas") or 0
    return Share(replica_set["metadata"]["name"], wanted_replicas(replica_set), int(available))


def _revision(replica_set: Manifest) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION) or 0)


def _is_settled_at_zero(replica_set: Manifest) -> bool:
    """Whether the ReplicaSet controller has seen that no replica is wanted, and none is left."""
    status = replica_set.get("status") or {}
    is_observed = (status.get("observedGeneration") or 0) >= (replica_set["metadata"].get("generation") or 0)
    return wanted_replicas(replica_set) == 0 and is_observed and not status.get("replicas")


def _may_run(replica_set: Manifest, pods: Sequence[Manifest]) -> bool:
    """A pod counts until it is gone or has ended: one that is being deleted still runs."""
    ended = ("Succeeded", "Failed")
    return not _is_settled_at_zero(replica_set) or any(
        (pod.get("status") or {}).get("phase") not in ended for pod in pods
    )


def _is_idle(replica_set: Manifest) -> bool:
    return _is_settled_at_zero(replica_set) and not replica_set["metadata"].get("deletionTimestamp")
