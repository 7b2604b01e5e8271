"""Rollouts of our Deployments as facts: what was ordered, how far it is, and which pods are of the order.

How far: kubectl's own reading of a Deployment's status (staging/src/k8s.io/kubectl/pkg/polymorphichelpers/
rollout_status.go). Whose pods: a template's annotations are on every pod that is made of it, so the mark of a restart
tells the pods made after it from all others, whatever any clock says.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from actions_gateway.api import labels
from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster, one_line
from gw.sources.gateways import parse_time
from gw.sources.pods import PodFact, PodRole, parse_pod

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodInstance:
    """One pod, told from its successors of the same name."""

    uid: str
    restarted_at: str
    """The mark of the restart that it was made after, as written; empty without one."""
    is_leaving: bool
    fact: PodFact

    @property
    def name(self) -> str:
        return self.fact.name

    @property
    def created_at(self) -> datetime | None:
        return self.fact.created_at

    @property
    def blockers(self) -> Iterator[str]:
        """What keeps it from starting, in the words of scheduler and kubelet."""
        if self.fact.unscheduled_message:
            yield one_line(self.fact.unscheduled_message)
        for container in self.fact.containers:
            if container.waiting_reason and container.waiting_reason != "ContainerCreating":
                yield f"{container.waiting_reason}: {one_line(container.waiting_message)}".rstrip(": ")


@dataclass(frozen=True, slots=True)
class RolloutFact:
    """One Deployment and its pods."""

    namespace: str
    name: str
    wanted: int
    is_paused: bool
    """Whether its controller makes no new pods by somebody's will."""
    restarted_at: str
    """The mark of the last restart, as written."""
    pods: tuple[PodInstance, ...]
    manifest: Manifest = field(default_factory=dict, repr=False)

    def awaited(self, mark: str) -> str:
        """What of the restart with that mark is still to come; empty when every pod is new and ready."""
        return next(self._open_ends(mark), "")

    def made_after(self, mark: str) -> tuple[PodInstance, ...]:
        """The pods of the restart with that mark."""
        return tuple(pod for pod in self.pods if pod.restarted_at == mark and not pod.is_leaving)

    def _open_ends(self, mark: str) -> Iterator[str]:
        metadata, status = self.manifest["metadata"], self.manifest.get("status") or {}
        replicas, updated, available = (
            int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", "availableReplicas")
        )
        if int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0):
            yield "the Deployment's controller has not seen the order yet"
        if updated < self.wanted:
            yield f"{updated} of {self.wanted} new pods made"
        if replicas > updated:
            yield "the old pods are ending"
        new = self.made_after(mark)
        if available < updated or sum(pod.fact.is_ready for pod in new) < self.wanted:
            words = "; ".join(dict.fromkeys(blocker for pod in new for blocker in pod.blockers))
            yield f"the new pods are not all ready{f' ({words})' if words else ''}"
        if any(pod.restarted_at != mark for pod in self.pods):
            yield "the old pods are ending"


async def gather_rollout(cluster: Cluster, namespace: str, name: str, selector: str, role: PodRole) -> RolloutFact:
    """A Deployment with its pods; raises KubeError, NotFound when it does not exist."""
    manifest = await cluster.get(r.DEPLOYMENTS, name, namespace)
    return parse_rollout(manifest, await gather_instances(cluster, namespace, selector, role))


async def gather_instances(cluster: Cluster, namespace: str, selector: str, role: PodRole) -> tuple[PodInstance, ...]:
    """The pods of a namespace by name; raises KubeError."""
    found = await cluster.list(r.PODS, namespace, label_selector=selector)
    return tuple(sorted((parse_instance(item, role) for item in found.items), key=lambda pod: pod.name))


def parse_rollout(manifest: Manifest, pods: tuple[PodInstance, ...]) -> RolloutFact:
    """The facts of a stored Deployment; pods that have ended are none of it any more."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    wanted = spec.get("replicas")
    return RolloutFact(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata["name"]),
        wanted=int(1 if wanted is None else wanted),
        is_paused=bool(spec.get("paused")),
        restarted_at=str((template.get("annotations") or {}).get(labels.RESTARTED_AT) or ""),
        pods=tuple(pod for pod in pods if pod.fact.phase not in ("Succeeded", "Failed")),
        manifest={"apiVersion": r.DEPLOYMENTS.api_version, "kind": r.DEPLOYMENTS.kind, **manifest},
    )


def parse_instance(manifest: Manifest, role: PodRole) -> PodInstance:
    """The facts of a stored pod."""
    metadata = manifest.get("metadata") or {}
    return PodInstance(
        uid=str(metadata.get("uid") or ""),
        restarted_at=str((metadata.get("annotations") or {}).get(labels.RESTARTED_AT) or ""),
        is_leaving=parse_time(metadata.get("deletionTimestamp")) is not None,
        fact=parse_pod(manifest, role),
    )
