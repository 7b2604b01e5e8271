"""One container of a pod: started, probed, logged and restarted by its policy.

It owns the container's record and its process. The pod decides when containers run and when they stop; stopping is
safe at any moment, with `run` cancelled first.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from actions_gateway.kube.errors import KubeError
from gateway_sandbox.nodes.admission import SERVICE_ACCOUNT_PATH, render_kubeconfig
from gateway_sandbox.nodes.environment import Setting, build_argv, gather_environment
from gateway_sandbox.nodes.host import Host
from gateway_sandbox.nodes.images import Image
from gateway_sandbox.nodes.logs import ContainerLog
from gateway_sandbox.nodes.ports import PodPorts
from gateway_sandbox.nodes.probes import Answer, ProbeKind, ProbeTarget, keep_probing
from gateway_sandbox.nodes.problems import ConfigProblem
from gateway_sandbox.nodes.processes import ContainerProcess, Launch, markers
from gateway_sandbox.nodes.records import ContainerRecord, Running, Terminated, Waiting
from gateway_sandbox.nodes.restarts import (
    CAP_SECONDS,
    INITIAL_SECONDS,
    RestartPolicy,
    next_delay_seconds,
    wants_restart,
)
from gateway_sandbox.nodes.rewriting import PathMap, expand
from gateway_sandbox.nodes.sources import Sources
from gateway_sandbox.nodes.volumes import link_nested_mounts
from gateway_sandbox.nodes.waiting import Pulse, happens_within

RETRY_SECONDS = 2.0
_MESSAGE_BYTES = 4096
_LOG_MESSAGE_BYTES = 2048
_DEFAULT_GRACE_SECONDS = 30.0
_PROBES = {
    ProbeKind.STARTUP: "startupProbe",
    ProbeKind.LIVENESS: "livenessProbe",
    ProbeKind.READINESS: "readinessProbe",
}


@dataclass(frozen=True, slots=True)
class PodScope:
    """What a container needs of its pod."""

    host: Host
    sources: Sources
    ports: PodPorts
    folder: Path
    tasks: asyncio.TaskGroup
    """Where processes are supervised; it outlives the containers' own loops."""
    current: Callable[[], dict[str, Any]]
    """The pod's newest manifest."""
    changed: Callable[[], None]
    """Tells that a record changed."""
    sources_changed: Pulse
    """Fires when a Secret or ConfigMap of the pod changed."""

    def volume_folder(self, name: str) -> Path:
        return self.folder / "volumes" / name


@dataclass(frozen=True, slots=True)
class _Prepared:
    launch: Launch
    target: ProbeTarget
    termination_log: Path


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
        self._folder = scope.folder / "containers" / self.record.name
        self._process: ContainerProcess | None = None
        self._kill_reason: str | None = None
        self._runs = 0

    @property
    def is_running(self) -> bool:
        """Whether a process of it may be alive."""
        return self._process is not None

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

    async def stop(self, grace_seconds: float) -> None:
        """Ends the process, if one runs; `run` has to be cancelled before, or it starts the next one."""
        if self._process is not None:
            self._tell("Killing", f"Stopping container {self.record.name}")
            await self._process.stop(grace_seconds, self._host.clock)

    def kill(self, reason: str | None = None) -> None:
        """SIGKILL now; `reason` is what the record gives as the cause (the kernel's "OOMKilled")."""
        if self._process is not None:
            self._kill_reason = reason
            self._process.kill()

    # -- before a run --------------------------------------------------------------------------------------------

    async def _prepare_when_possible(self) -> _Prepared:
        image = await self._image()
        while True:
            changed = self._scope.sources_changed.next
            try:
                return await self._prepare(image)
            except (ConfigProblem, KubeError) as problem:
                self._wait_as(Waiting("CreateContainerConfigError", str(problem)))
                self._tell("Failed", f"Error: {problem}", warning=True)
            await happens_within(changed, RETRY_SECONDS, self._host.clock)

    async def _image(self) -> Image:
        delay_seconds = INITIAL_SECONDS
        while True:
            image = self._host.images.find(self.record.image)
            if image is not None:
                self.record.image_id = f"sandbox://{self.record.image}"
                return image
            problem = f'failed to pull image "{self.record.image}": the sandbox has no command for it'
            self._wait_as(Waiting("ErrImagePull", problem))
            self._tell("Failed", problem, warning=True)
            await self._host.clock.sleep(RETRY_SECONDS)
            back_off = f'Back-off pulling image "{self.record.image}"'
            self._wait_as(Waiting("ImagePullBackOff", f"{back_off}: ErrImagePull: {problem}"))
            self._tell("BackOff", back_off)
            await self._host.clock.sleep(delay_seconds)
            delay_seconds = min(CAP_SECONDS, 2 * delay_seconds)

    async def _prepare(self, image: Image) -> _Prepared:
        targets = await asyncio.to_thread(self._lay_out, image)
        paths = PathMap({prefix: str(target) for prefix, target in targets.items()})
        pod = self._scope.current()
        setting = Setting(
            image=image,
            paths=paths,
            ports=self._scope.ports,
            given=self._given_variables(pod, targets),
            markers=markers(pod["metadata"]["uid"], self.record.name),
        )
        env = await gather_environment(self.spec, pod, setting, self._scope.sources)
        argv = build_argv(self.spec, setting, env)
        cwd = self._working_dir(image, paths)
        target = ProbeTarget(
            self._host.address, self._scope.ports, env, cwd, lambda text: expand(paths.rewrite(text), env)
        )
        return _Prepared(Launch(argv, env, cwd), target, targets[self._termination_path()])

    def _lay_out(self, image: Image) -> dict[str, Path]:
        """Gives the run a fresh folder and returns the container's paths; mounts cover the image's own."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ("root", "home", "tmp"):
            (self._folder / name).mkdir(parents=True)
        targets = {"/tmp": self._folder / "tmp", self._termination_path(): self._folder / "termination-log"}  # noqa: S108
        targets |= {prefix: lay_out(self._folder) for prefix, lay_out in image.rootfs.items()}
        for mount in self.spec.get("volumeMounts") or []:
            source = self._scope.volume_folder(mount["name"]) / (mount.get("subPath") or "")
            if not source.exists():
                source.mkdir(parents=True)
            targets[mount["mountPath"].rstrip("/")] = source
        link_nested_mounts(targets)
        return targets

    def _given_variables(self, pod: Mapping[str, Any], targets: Mapping[str, Path]) -> dict[str, str]:
        given = {
            "HOSTNAME": pod["metadata"]["name"],
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(targets["/tmp"]),  # noqa: S108
        }
        access = targets.get(SERVICE_ACCOUNT_PATH)
        if access is not None:
            kubeconfig = self._folder / "kubeconfig"
            text = render_kubeconfig(
                api_url=self._host.api.url,
                ca_path=access / "ca.crt",
                token_path=access / "token",
                namespace=pod["metadata"]["namespace"],
            )
            kubeconfig.touch(mode=0o600)
            kubeconfig.write_text(text)
            given["KUBECONFIG"] = str(kubeconfig)
        return given

    def _working_dir(self, image: Image, paths: PathMap) -> Path:
        wanted = self.spec.get("workingDir") or image.working_dir
        local = paths.rewrite(wanted)
        if local == wanted:
            return self._folder / "root"
        Path(local).mkdir(parents=True, exist_ok=True)
        return Path(local)

    def _termination_path(self) -> str:
        return self.spec.get("terminationMessagePath") or "/dev/termination-log"

    # -- a run ---------------------------------------------------------------------------------------------------

    async def _run_once(self, prepared: _Prepared) -> Terminated:
        record, log = self.record, self._next_log()
        record.container_id = f"sandbox://{self._scope.current()['metadata']['uid']}/{record.name}/{self._runs}"
        try:
            process = await ContainerProcess.start(prepared.launch, log.append)
        except OSError as problem:
            message = f'exec: "{prepared.launch.argv[0]}": {problem.strerror or problem}'
            self._end(Terminated(128, "StartError", self._host.clock.now(), message=message))
            self._tell("Failed", f"Error: {message}", warning=True)
        else:
            self._process, self._kill_reason = process, None
            started_at = self._host.clock.now()
            supervision = process.supervise(lambda code: self._on_exit(code, started_at, prepared.termination_log))
            self._scope.tasks.create_task(supervision, name=f"container {record.name}")
            record.state = Running(started_at)
            record.has_started = "startupProbe" not in self.spec
            record.is_ready = record.has_started and "readinessProbe" not in self.spec
            self._scope.changed()
            self._tell("Started", f"Started container {record.name}")
            await self._probe_while_running(process, prepared.target)
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
        self._scope.changed()

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
        self._tell("BackOff", f"Back-off restarting failed {where}", warning=True)
        await self._host.clock.sleep(delay_seconds)

    # -- probes --------------------------------------------------------------------------------------------------

    async def _probe_while_running(self, process: ContainerProcess, target: ProbeTarget) -> None:
        probes = {kind: self.spec[name] for kind, name in _PROBES.items() if name in self.spec}
        if not probes or self.record.is_init:
            await process.ended.wait()
            return
        startup_passed = asyncio.Event()
        if ProbeKind.STARTUP not in probes:
            startup_passed.set()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._probe(kind, probe, process, target, startup_passed), name=f"{kind} probe")
                for kind, probe in probes.items()
            ]
            await process.ended.wait()
            for task in tasks:
                task.cancel()

    async def _probe(
        self,
        kind: ProbeKind,
        probe: Mapping[str, Any],
        process: ContainerProcess,
        target: ProbeTarget,
        startup_passed: asyncio.Event,
    ) -> None:
        if kind is not ProbeKind.STARTUP:
            await startup_passed.wait()

        async def on_answer(answer: Answer, verdict: bool | None) -> bool:
            if not answer.is_success:
                self._tell("Unhealthy", f"{kind} probe failed: {answer.message}", warning=True)
            if verdict is False and kind is not ProbeKind.READINESS:
                await self._stop_unhealthy(kind, probe, process)
                return False
            if verdict is not None:
                self._take(kind, verdict, startup_passed)
            return not (verdict and kind is ProbeKind.STARTUP)

        await keep_probing(probe, target, self._host.clock, on_answer)

    def _take(self, kind: ProbeKind, is_success: bool, startup_passed: asyncio.Event) -> None:
        before = self.record.has_started, self.record.is_ready
        if kind is ProbeKind.STARTUP:
            startup_passed.set()
            self.record.has_started = True
            self.record.is_ready = "readinessProbe" not in self.spec
        elif kind is ProbeKind.READINESS:
            self.record.is_ready = is_success
        if before != (self.record.has_started, self.record.is_ready):
            self._scope.changed()

    async def _stop_unhealthy(self, kind: ProbeKind, probe: Mapping[str, Any], process: ContainerProcess) -> None:
        follow_up = "container will be stopped" if self._policy is RestartPolicy.NEVER else "will be restarted"
        self._tell("Killing", f"Container {self.record.name} failed {kind.lower()} probe, {follow_up}")
        pod_grace = self._scope.current()["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        await process.stop(float(probe.get("terminationGracePeriodSeconds") or pod_grace), self._host.clock)

    # -- reporting -----------------------------------------------------------------------------------------------

    def _wait_as(self, waiting: Waiting) -> None:
        if self.record.state != waiting:
            self.record.state = waiting
            self._scope.changed()

    def _tell(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._host.events.tell(self._scope.current(), reason, message, warning=warning)


def _read_end(path: Path, limit: int) -> str:
    try:
        return path.read_bytes()[-limit:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
