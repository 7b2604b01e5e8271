"""What the probes of a running container change: started, ready, or stopped to be restarted."""

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway_sandbox.nodes.probes import Answer, ProbeKind, ProbeTarget, keep_probing
from gateway_sandbox.nodes.processes import ContainerProcess
from gateway_sandbox.nodes.records import ContainerRecord
from gateway_sandbox.nodes.scope import PodScope

_FIELDS = {
    ProbeKind.STARTUP: "startupProbe",
    ProbeKind.LIVENESS: "livenessProbe",
    ProbeKind.READINESS: "readinessProbe",
}


class Health:
    """The health of one run of a container; `watch` ends with the run."""

    def __init__(
        self, spec: Mapping[str, Any], record: ContainerRecord, process: ContainerProcess, scope: PodScope
    ) -> None:
        self._probes = {kind: spec[field] for kind, field in _FIELDS.items() if field in spec}
        self._record = record
        self._process = process
        self._scope = scope
        self._startup_passed = asyncio.Event()
        if ProbeKind.STARTUP not in self._probes:
            self._on_started()

    async def watch(self, target: ProbeTarget) -> None:
        """Probes until the process has ended."""
        async with asyncio.TaskGroup() as group:
            probes = [
                group.create_task(self._probe(kind, probe, target), name=f"{kind} probe")
                for kind, probe in self._probes.items()
            ]
            await self._process.ended.wait()
            for probe in probes:
                probe.cancel()

    def _on_started(self) -> None:
        self._startup_passed.set()
        self._record.has_started = True
        self._record.is_ready = ProbeKind.READINESS not in self._probes

    async def _probe(self, kind: ProbeKind, probe: Mapping[str, Any], target: ProbeTarget) -> None:
        if kind is not ProbeKind.STARTUP:
            await self._startup_passed.wait()

        async def on_answer(answer: Answer, verdict: bool | None) -> bool:
            if not answer.is_success:
                self._scope.tell("Unhealthy", f"{kind} probe failed: {answer.message}", warning=True)
            match kind, verdict:
                case _, None:
                    return True
                case ProbeKind.READINESS, _:
                    self._record.is_ready = bool(verdict)
                case ProbeKind.STARTUP, True:
                    self._on_started()
                case _, False:
                    await self._stop(kind, probe)
            self._scope.records_changed.fire()
            return kind is not ProbeKind.STARTUP

        await keep_probing(probe, target, self._scope.host.clock, on_answer)

    async def _stop(self, kind: ProbeKind, probe: Mapping[str, Any]) -> None:
        never = self._scope.current()["spec"].get("restartPolicy") == "Never"
        follow_up = "container will be stopped" if never else "will be restarted"
        self._scope.tell("Killing", f"Container {self._record.name} failed {kind.lower()} probe, {follow_up}")
        grace_seconds = probe.get("terminationGracePeriodSeconds") or self._scope.spec_grace_seconds()
        await self._process.stop(float(grace_seconds), self._scope.host.clock)
