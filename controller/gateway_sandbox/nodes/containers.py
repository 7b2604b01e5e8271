"""One container of a pod: started, probed, logged and restarted by its policy.

It owns the container's record and its process. The pod decides when containers run and when they stop; stopping is
safe at any moment, with `run` cancelled first.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

from actions_gateway.kube.errors import KubeError
from gateway_sandbox.nodes.health import Health
from gateway_sandbox.nodes.images import Image
from gateway_sandbox.nodes.launching import Prepared, prepare
from gateway_sandbox.nodes.logs import ContainerLog
from gateway_sandbox.nodes.problems import ConfigProblem
from gateway_sandbox.nodes.processes import ContainerProcess
from gateway_sandbox.nodes.records import ContainerRecord, Running, Terminated, Waiting
from gateway_sandbox.nodes.restarts import (
    CAP_SECONDS,
    INITIAL_SECONDS,
    RestartPolicy,
    next_delay_seconds,
    wants_restart,
)
from gateway_sandbox.nodes.scope import PodScope
from gateway_sandbox.nodes.waiting import happens_within

RETRY_SECONDS = 2.0
_MESSAGE_BYTES = 4096
_LOG_MESSAGE_BYTES = 2048


class Container:
    """A container and the record of it."""

    def __init__(self, spec: dict[str, Any], scope: PodScope, *, is_init: bool) -> None:
        self.spec = spec
        self.record = ContainerRecord(spec["name"], spec.get("image") or "", is_init)
        self.log: ContainerLog | None = None
        self.previous_log: ContainerLog | None = None
        self._scope = scope
        self._host = scope.host
        self._policy = RestartPolicy(scope.current()["spec"].get("restartPolicy") or "Always")
        self._process: ContainerProcess | None = None
        self._kill_reason: str | None = None
        self._runs = 0

    @property
    def is_running(self) -> bool:
        """Whether a process of it may be alive."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """The main process while it runs; it leads a session of its own."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Runs the container until it has ended for good."""
        delay_seconds: float | None = None
        while True:
            ended = await self._run_once(await self._prepare_when_possible())
            if not wants_restart(self._policy, ended.exit_code, is_init=self.record.is_init):
                return
            ran_seconds = (ended.finished_at - (ended.started_at or ended.finished_at)).total_seconds()
            delay_seconds = next_delay_seconds(delay_seconds, ran_seconds)
            self.record.last = ended
            if delay_seconds > 0:
                await self._back_off(delay_seconds)
            self.record.restart_count += 1

    async def stop(self, grace_seconds: float, *, runs_hook: bool = True) -> None:
        """Ends the process, if one runs; `run` has to be cancelled before, or it starts the next one."""
        if self._process is not None:
            self._scope.tell("Killing", f"Stopping container {self.record.name}")
            await self._process.stop(grace_seconds, self._host.clock, runs_hook=runs_hook)

    def kill(self, reason: str | None = None) -> None:
        """SIGKILL now; `reason` is what the record gives as the cause (the kernel's "OOMKilled")."""
        if self._process is not None:
            self._kill_reason = reason
            self._process.kill()

    # -- before a run --------------------------------------------------------------------------------------------

    async def _prepare_when_possible(self) -> Prepared:
        image = await self._image()
        while True:
            changed = self._scope.sources_changed.next
            try:
                return await prepare(self.spec, image, self._scope)
            except (ConfigProblem, KubeError) as problem:
                self._wait_as(Waiting("CreateContainerConfigError", str(problem)), event="Failed")
            except OSError as problem:
                self._wait_as(Waiting("CreateContainerError", str(problem)), event="Failed")
            await happens_within(changed, RETRY_SECONDS, self._host.clock)

    async def _image(self) -> Image:
        delay_seconds = INITIAL_SECONDS
        while True:
            image = self._host.images.find(self.record.image)
            if image is not None:
                self.record.image_id = f"sandbox://{self.record.image}"
                return image
            problem = f'failed to pull image "{self.record.image}": the sandbox has no command for it'
            self._wait_as(Waiting("ErrImagePull", problem), event="Failed")
            await self._host.clock.sleep(RETRY_SECONDS)
            back_off = f'Back-off pulling image "{self.record.image}"'
            self._wait_as(Waiting("ImagePullBackOff", f"{back_off}: ErrImagePull: {problem}"))
            self._scope.tell("BackOff", back_off)
            await self._host.clock.sleep(delay_seconds)
            delay_seconds = min(CAP_SECONDS, 2 * delay_seconds)

    # -- a run ---------------------------------------------------------------------------------------------------

    async def _run_once(self, prepared: Prepared) -> Terminated:
        record, log = self.record, self._next_log()
        record.container_id = f"sandbox://{self._scope.current()['metadata']['uid']}/{record.name}/{self._runs}"
        try:
            process = await ContainerProcess.start(prepared.launch, log.append)
        except OSError as problem:
            message = f'exec: "{prepared.launch.argv[0]}": {problem.strerror or problem}'
            self._end(Terminated(128, "StartError", self._host.clock.now(), message=message))
            self._scope.tell("Failed", f"Error: {message}", warning=True)
        else:
            self._process, self._kill_reason = process, None
            started_at = self._host.clock.now()
            supervision = process.supervise(lambda code: self._on_exit(code, started_at, prepared.termination_log))
            self._scope.tasks.create_task(supervision, name=f"container {record.name}")
            record.state = Running(started_at)
            health = Health(self.spec, record, process, self._scope)
            self._scope.records_changed.fire()
            self._scope.tell("Created", f"Created container: {record.name}")
            self._scope.tell("Started", f"Started container {record.name}")
            await health.watch(prepared.target)
        assert isinstance(record.state, Terminated)
        return record.state

    def _on_exit(self, exit_code: int, started_at: datetime, termination_log: Path) -> None:
        message = _read_end(termination_log, _MESSAGE_BYTES)
        falls_back = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not message and falls_back and exit_code != 0 and self.log is not None:
            message = self.log.last_bytes(_LOG_MESSAGE_BYTES).decode("utf-8", "replace")
        reason = self._kill_reason or ("Completed" if exit_code == 0 else "Error")
        self._process = None
        self._end(
            Terminated(
                exit_code, reason, self._host.clock.now(), started_at, message, container_id=self.record.container_id
            )
        )

    def _end(self, terminated: Terminated) -> None:
        if self.log is not None:
            self.log.close()
        self.record.state = terminated
        # An init container that succeeded counts as ready (kubernetes pkg/kubelet/prober/prober_manager.go).
        self.record.is_ready = self.record.is_init and terminated.exit_code == 0
        self.record.has_started = False
        self._scope.records_changed.fire()

    def _next_log(self) -> ContainerLog:
        self._runs += 1
        path = self._scope.folder / "logs" / self.record.name / f"{self._runs % 2}.log"
        self.previous_log, self.log = self.log, ContainerLog(path, self._host.clock)
        return self.log

    async def _back_off(self, delay_seconds: float) -> None:
        metadata = self._scope.current()["metadata"]
        where = f"container={self.record.name} pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        text = f"back-off {delay_seconds:g}s restarting failed {where}"
        self._wait_as(Waiting("CrashLoopBackOff", text))
        self._scope.tell("BackOff", f"Back-off restarting failed {where}", warning=True)
        await self._host.clock.sleep(delay_seconds)

    def _wait_as(self, waiting: Waiting, *, event: str = "") -> None:
        if self.record.state != waiting:
            self.record.state = waiting
            self._scope.records_changed.fire()
            if event:
                self._scope.tell(event, f"Error: {waiting.message}", warning=True)


def _read_end(path: Path, limit: int) -> str:
    try:
        return path.read_bytes()[-limit:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
