"""The ReplicaSet controller: as many pods as wanted.

Source: kubernetes pkg/controller/replicaset (replica_set.go, replica_set_utils.go) and pkg/controller/
controller_utils.go (expectations, which surplus pods go). Pods are matched by owner reference; nothing is adopted.
"""

import copy
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from actions_gateway.engine.clock import Clock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import KubeError, NotFound
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.listwatch import Key
from gateway_sandbox.controllers.cache import ObjectCache, controller_reference
from gateway_sandbox.controllers.conditions import (
    condition,
    find_condition,
    is_active,
    is_ready,
    same_fields,
    seconds_until_available,
)

Manifest = dict[str, Any]
_EXPECTATION_SECONDS = 30.0
# Kubernetes' own alphabet for generated names: no vowels, nothing that looks like a digit (apimachinery util/rand).
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class ReplicaSetController:
    """Reconciles one ReplicaSet at a time by key."""

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        rng: random.Random,
        events: EventRecorder,
        replica_sets: ObjectCache,
        pods: ObjectCache,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._events = events
        self._replica_sets = replica_sets
        self._pods = pods
        self._expected: dict[Key, dict[str, tuple[bool, float]]] = {}
        """Per ReplicaSet the pods not yet seen as created (True) or going (False), with their expiry."""

    async def reconcile(self, key: Key) -> float | None:
        """Brings the pods of one ReplicaSet closer to what it asks for; raises KubeError when that is refused."""
        replica_set = self._replica_sets.objects.get(key)
        if replica_set is None:
            self._expected.pop(key, None)
            return None
        if replica_set["metadata"].get("deletionTimestamp"):
            return None
        pods = self._pods.owned_by(replica_set)
        if (unsettled_seconds := self._seconds_unsettled(key, pods)) is not None:
            return unsettled_seconds
        active = [pod for pod in pods if is_active(pod)]
        failure = await self._scale(key, replica_set, active)
        status = build_status(replica_set, active, failure=failure, now=self._clock.now())
        if not same_fields(replica_set.get("status") or {}, status):
            await self._client.patch(r.REPLICASETS, key[1], {"status": status}, namespace=key[0], subresource="status")
        if failure is not None:
            raise failure
        min_ready_seconds = int(replica_set["spec"].get("minReadySeconds") or 0)
        waits = [seconds_until_available(pod, min_ready_seconds, self._clock.now()) for pod in active]
        return min((wait for wait in waits if wait is not None and wait > 0), default=None)

    async def _scale(self, key: Key, replica_set: Manifest, active: list[Manifest]) -> KubeError | None:
        missing = wanted_replicas(replica_set) - len(active)
        try:
            for _ in range(missing):
                await self._create_pod(key, replica_set)
            for pod in surplus(active, -missing):
                await self._delete_pod(key, replica_set, pod)
        except KubeError as failure:
            if failure.status == 0:
                raise
            await self._events.record(
                replica_set, "FailedCreate", f"Error creating: {failure.message}", action="Create", warning=True
            )
            return failure
        return None

    async def _create_pod(self, key: Key, replica_set: Manifest) -> None:
        suffix = "".join(self._rng.choices(_NAME_LETTERS, k=5))
        pod = build_pod(replica_set, suffix)
        await self._client.create(r.PODS, pod)
        name = pod["metadata"]["name"]
        self._expect(key, name, is_creation=True)
        await self._events.record(replica_set, "SuccessfulCreate", f"Created pod: {name}", action="Create")

    async def _delete_pod(self, key: Key, replica_set: Manifest, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        self._expect(key, name, is_creation=False)
        try:
            await self._client.delete(r.PODS, name, namespace=key[0], uid=pod["metadata"]["uid"])
        except NotFound:
            return
        await self._events.record(replica_set, "SuccessfulDelete", f"Deleted pod: {name}", action="Delete")

    def _seconds_unsettled(self, key: Key, pods: Sequence[Manifest]) -> float | None:
        """None when every expected creation and deletion is visible, else how long to wait for it at most."""
        now, seen = self._clock.monotonic(), {pod["metadata"]["name"]: pod for pod in pods}
        self._expected[key] = {
            name: (is_creation, expires_at)
            for name, (is_creation, expires_at) in self._expected.get(key, {}).items()
            if expires_at > now and not _is_visible(seen.get(name), is_creation=is_creation)
        }
        return min((expires_at - now for _, expires_at in self._expected[key].values()), default=None)

    def _expect(self, key: Key, pod_name: str, *, is_creation: bool) -> None:
        expires_at = self._clock.monotonic() + _EXPECTATION_SECONDS
        self._expected.setdefault(key, {})[pod_name] = (is_creation, expires_at)


def wanted_replicas(workload: Manifest) -> int:
    """`spec.replicas` of a ReplicaSet or Deployment with the API's default."""
    replicas = workload["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def build_pod(replica_set: Manifest, suffix: str) -> Manifest:
    """A pod from the ReplicaSet's template."""
    template = copy.deepcopy(replica_set["spec"]["template"])
    owner = replica_set["metadata"]
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{owner['name']}-{suffix}",
            "generateName": f"{owner['name']}-",
            "namespace": owner["namespace"],
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [controller_reference(replica_set, "apps/v1", "ReplicaSet")],
        },
        "spec": template["spec"],
    }


def surplus(active: Sequence[Manifest], count: int) -> list[Manifest]:
    """The `count` pods to delete: unbound, then not running, then not ready, then the youngest."""

    def worth(pod: Manifest) -> tuple[bool, bool, bool]:
        phase = (pod.get("status") or {}).get("phase")
        return bool(pod["spec"].get("nodeName")), phase == "Running", is_ready(pod)

    youngest_first = sorted(active, key=lambda pod: pod["metadata"].get("creationTimestamp") or "", reverse=True)
    return sorted(youngest_first, key=worth)[: max(0, count)]


def build_status(
    replica_set: Manifest, active: Sequence[Manifest], *, failure: KubeError | None, now: datetime
) -> Manifest:
    """The ReplicaSet's status from its active pods and the refusal of the last attempt to change them."""
    min_ready_seconds = int(replica_set["spec"].get("minReadySeconds") or 0)
    waits = [seconds_until_available(pod, min_ready_seconds, now) for pod in active]
    conditions = []
    if failure is not None:
        conditions.append(
            condition(
                "ReplicaFailure",
                is_true=True,
                reason="FailedCreate",
                message=failure.message,
                now=now,
                before=find_condition(replica_set, "ReplicaFailure"),
            )
        )
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": len(active),
        "readyReplicas": sum(is_ready(pod) for pod in active),
        "availableReplicas": sum(wait is not None and wait <= 0 for wait in waits),
        "observedGeneration": replica_set["metadata"].get("generation"),
        "conditions": conditions,
    }


def _is_visible(pod: Manifest | None, *, is_creation: bool) -> bool:
    if is_creation:
        return pod is not None
    return pod is None or bool(pod["metadata"].get("deletionTimestamp"))
