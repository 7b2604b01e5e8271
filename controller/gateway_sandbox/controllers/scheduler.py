"""The scheduler: binds pending pods to nodes, most important first.

It looks at readiness, cordons, node selectors and the number of pods; CPU, memory, affinity and taints are not weighed.
Source of reasons and messages: kubernetes pkg/scheduler (FailedScheduling, fitError) and the Binding API.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from actions_gateway.engine.clock import Clock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, PatchType
from actions_gateway.kube.errors import Conflict, KubeError, NotFound
from actions_gateway.kube.events import EventRecorder
from gateway_sandbox.controllers.cache import ObjectCache, age_order
from gateway_sandbox.controllers.conditions import condition, find_condition

log = structlog.get_logger(__name__)

Manifest = dict[str, Any]
_PARALLEL_BINDINGS = 8
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a pod goes, or why nowhere."""

    pod: Manifest
    node: str | None
    message: str = ""


class Scheduler:
    """Looks at all pending pods whenever a pod or a node changes."""

    def __init__(
        self, client: KubeClient, clock: Clock, events: EventRecorder, pods: ObjectCache, nodes: ObjectCache
    ) -> None:
        self._client = client
        self._clock = clock
        self._events = events
        self._pods = pods
        self._nodes = nodes
        self._assumed: dict[str, str] = {}
        """Node by uid of the pods that were bound and are not seen so yet."""
        self._changed = asyncio.Event()

    def wake(self, _: Manifest) -> None:
        """Something changed that a decision may depend on."""
        self._changed.set()

    async def run(self) -> None:
        """Schedules until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._schedule()
            except KubeError as problem:
                log.warning("scheduling interrupted", problem=problem.message)
                await self._clock.sleep(_RETRY_SECONDS)
                self._changed.set()

    async def _schedule(self) -> None:
        pods = list(self._pods.objects.values())
        unbound = {pod["metadata"]["uid"] for pod in pods if not pod["spec"].get("nodeName")}
        self._assumed = {uid: node for uid, node in self._assumed.items() if uid in unbound}
        decisions = decide(pods, list(self._nodes.objects.values()), self._assumed)
        limit = asyncio.Semaphore(_PARALLEL_BINDINGS)
        results = await asyncio.gather(
            *(self._carry_out(decision, limit) for decision in decisions), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _carry_out(self, decision: Decision, limit: asyncio.Semaphore) -> None:
        async with limit:
            try:
                if decision.node is None:
                    await self._refuse(decision)
                else:
                    await self._bind(decision.pod, decision.node)
            except (NotFound, Conflict):
                # Deleted or bound by somebody else meanwhile; its own change brings it back if it still waits.
                return

    async def _bind(self, pod: Manifest, node: str) -> None:
        namespace, name, uid = (pod["metadata"][field] for field in ("namespace", "name", "uid"))
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._client.request("POST", r.PODS.path(namespace, name, "binding"), body=binding)
        self._assumed[uid] = node
        message = f"Successfully assigned {namespace}/{name} to {node}"
        await self._events.record(pod, "Scheduled", message, action="Binding")

    async def _refuse(self, decision: Decision) -> None:
        metadata = decision.pod["metadata"]
        before = find_condition(decision.pod, "PodScheduled")
        told = condition(
            "PodScheduled",
            is_true=False,
            reason="Unschedulable",
            message=decision.message,
            now=self._clock.now(),
            before=before,
        )
        if before == told:
            return
        await self._client.patch(
            r.PODS,
            metadata["name"],
            {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [told]}},
            namespace=metadata["namespace"],
            kind=PatchType.STRATEGIC,
            subresource="status",
        )
        await self._events.record(decision.pod, "FailedScheduling", decision.message, action="Scheduling", warning=True)


def decide(pods: Sequence[Manifest], nodes: Sequence[Manifest], assumed: Mapping[str, str]) -> list[Decision]:
    """A decision for every pod that waits for a node, the highest priority and then the oldest first."""
    load = Counter(node for pod in pods if (node := _node_of(pod, assumed)) and not _has_ended(pod))
    waiting = [pod for pod in pods if not _node_of(pod, assumed) and not _has_ended(pod) and not _is_leaving(pod)]
    decisions = []
    for pod in sorted(waiting, key=_rank):
        refusals = {node["metadata"]["name"]: _refusal(pod, node, load) for node in nodes}
        fitting = [name for name, refusal in refusals.items() if refusal is None]
        if fitting:
            chosen = min(fitting, key=lambda name: (load[name], name))
            load[chosen] += 1
            decisions.append(Decision(pod, chosen))
        else:
            decisions.append(Decision(pod, None, _message(list(refusals.values()))))
    return decisions


def _rank(pod: Manifest) -> tuple[int, tuple[str, str]]:
    return -int(pod["spec"].get("priority") or 0), age_order(pod)


def _refusal(pod: Manifest, node: Manifest, load: Counter[str]) -> str | None:
    ready = find_condition(node, "Ready")
    if ready is None or ready["status"] != "True":
        return "node(s) were not ready"
    if (node.get("spec") or {}).get("unschedulable"):
        return "node(s) were unschedulable"
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (pod["spec"].get("nodeSelector") or {}).items()):
        return "node(s) didn't match Pod's node affinity/selector"
    room = int(((node.get("status") or {}).get("allocatable") or {}).get("pods") or 0)
    return None if load[node["metadata"]["name"]] < room else "Too many pods"


def _message(refusals: Sequence[str | None]) -> str:
    if not refusals:
        return "no nodes available to schedule pods"
    counts = Counter(refusal for refusal in refusals if refusal)
    causes = ", ".join(sorted(f"{count} {refusal}" for refusal, count in counts.items()))
    return f"0/{len(refusals)} nodes are available: {causes}."


def _node_of(pod: Manifest, assumed: Mapping[str, str]) -> str | None:
    return pod["spec"].get("nodeName") or assumed.get(pod["metadata"]["uid"])


def _has_ended(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _is_leaving(pod: Manifest) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
