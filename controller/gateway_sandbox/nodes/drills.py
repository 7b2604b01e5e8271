"""What a node does when an annotation of it asks for that: workers end as by a kernel or a kubelet, readings cease.

Pods' processes are not confined here, so memory never runs out by itself. One annotation per tenant:
`evict.sandbox.actions-gateway.github.com/NAMESPACE` or `oom.…/NAMESPACE`, whatever its value; one for the node,
which the autoscaling controller heeds: `sandbox.…/no-metrics`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from actions_gateway.api import labels
from actions_gateway.api.names import RUNNER_CONTAINER
from actions_gateway.engine.clock import Clock
from gateway_sandbox.nodes.containers import Container
from gateway_sandbox.nodes.pods import PodWorker
from gateway_sandbox.nodes.records import Running

_DOMAIN = "sandbox.actions-gateway.github.com"
EVICT, OOM = f"evict.{_DOMAIN}", f"oom.{_DOMAIN}"
NO_METRICS = f"{_DOMAIN}/no-metrics"
EVICTION_MESSAGE = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51200Ki. "
    f"Container {RUNNER_CONTAINER} was using 7Gi, request is 1Gi, has larger consumption of memory. "
)
"""The kubelet's sentence (kubernetes pkg/kubelet/eviction/helpers.go, evictionMessage)."""
_LOOK_SECONDS = 0.25
_RUNS_FOR_SECONDS = 1.5
"""A worker has begun its job by then."""


@dataclass(slots=True)
class NodeDrills:
    """Looks at the workers of a node, whose annotations `annotations` gives."""

    annotations: Callable[[], Mapping[str, str]]
    pods: Callable[[], Iterable[PodWorker]]
    clock: Clock
    _done: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Ends workers of the tenants that the annotations name, until cancelled."""
        while True:
            if any(name.partition("/")[0] in (EVICT, OOM) for name in self.annotations()):
                self._look()
            await self.clock.sleep(_LOOK_SECONDS)

    def _look(self) -> None:
        workers = [pod for pod in self.pods() if labels.RUNNER_GROUP in pod.labels]
        self._done &= {pod.uid for pod in workers}
        for pod in workers:
            runner = next((one for one in pod.containers if one.record.name == RUNNER_CONTAINER), None)
            if pod.uid in self._done or runner is None or not self._has_begun(runner):
                continue
            namespace, _ = pod.key
            if f"{EVICT}/{namespace}" in self.annotations():
                pod.evict(EVICTION_MESSAGE)
            elif f"{OOM}/{namespace}" in self.annotations():
                runner.kill("OOMKilled")
            else:
                continue
            self._done.add(pod.uid)

    def _has_begun(self, container: Container) -> bool:
        state = container.record.state
        now = self.clock.now()
        return isinstance(state, Running) and (now - state.started_at).total_seconds() >= _RUNS_FOR_SECONDS
