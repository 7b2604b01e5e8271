"""One pod from its binding to its end: volumes, containers in order, status, and a termination that leaves nothing.

One `PodWorker` per pod. Its containers' loops run under `_work`, which can be cancelled at any moment; processes
are supervised beside it, so that a pod that is being deleted still gets its grace. The phases and their causes follow
Kubernetes "Pod Lifecycle" and kubernetes pkg/kubelet (pod_workers.go, kubelet_pods.go, active_deadline.go).
"""

import asyncio
import shutil
from datetime import datetime
from typing import Any

from actions_gateway.engine.supervision import cancel_and_wait
from gateway_sandbox.nodes.admission import mounts_api_access, unsupported_feature, wants_api_access, with_api_access
from gateway_sandbox.nodes.containers import Container
from gateway_sandbox.nodes.host import Host
from gateway_sandbox.nodes.mounting import keep_volumes
from gateway_sandbox.nodes.ports import PodPorts
from gateway_sandbox.nodes.processes import kill_pod
from gateway_sandbox.nodes.records import SIGKILL_EXIT_CODE, Terminated, Waiting
from gateway_sandbox.nodes.requests import PodRequests
from gateway_sandbox.nodes.restarts import RestartPolicy
from gateway_sandbox.nodes.scope import DEFAULT_GRACE_SECONDS, PodScope
from gateway_sandbox.nodes.sources import Sources, references_of
from gateway_sandbox.nodes.statuses import FAILED, RUNNING, SUCCEEDED, TERMINAL_PHASES, Status, Verdict, build_status
from gateway_sandbox.nodes.waiting import Pulse, happens_within

UNSUPPORTED = "UnsupportedBySandbox"
_SHOWN = ("labels", "annotations")


class PodWorker:
    """Runs one pod; the node feeds it with what the API server says."""

    def __init__(self, host: Host, pod: dict[str, Any]) -> None:
        self._host = host
        self._pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.references = references_of(pod)
        self.containers: list[Container] = []
        self._shows_metadata = any(
            "downwardAPI" in source
            for volume in pod["spec"].get("volumes") or []
            for source in (volume, *((volume.get("projected") or {}).get("sources") or []))
        )
        self._folder = host.folder / self.uid
        self._volumes: list[dict[str, Any]] = []
        self._ports = PodPorts()
        self._address = str((pod.get("status") or {}).get("podIP") or "")
        self._holds_address = False
        self._requests = PodRequests(host.client, host.clock, pod)
        self._news = Pulse()
        self._records_changed = Pulse()
        self._sources_changed = Pulse()
        self._verdict: Verdict | None = None
        self._status: Status = pod.get("status") or {}
        self._work_task: asyncio.Task[None] | None = None
        self._reporting = asyncio.Lock()
        self._started_at = _parse_time(self._status.get("startTime")) or host.clock.now()

    @property
    def pod(self) -> dict[str, Any]:
        """The newest manifest, with addresses that the pod's processes can listen on."""
        addresses = {"podIP": self._host.address, "hostIP": self._host.address}
        return self._pod | {"status": (self._pod.get("status") or {}) | addresses}

    @property
    def labels(self) -> dict[str, str]:
        return self._pod["metadata"].get("labels") or {}

    @property
    def ports(self) -> PodPorts:
        """What its processes really listen on."""
        return self._ports

    @property
    def is_in_service(self) -> bool:
        """Whether Services send connections to it: ready, and not told to end."""
        ready = [container.record.is_ready for container in self.containers]
        return bool(ready) and all(ready) and not self._is_leaving

    @property
    def key(self) -> tuple[str, str]:
        return self._pod["metadata"]["namespace"], self._pod["metadata"]["name"]

    def observe(self, pod: dict[str, Any]) -> None:
        """Takes a newer manifest."""
        before, self._pod = self._pod["metadata"], pod
        if self._shows_metadata and any(before.get(field) != pod["metadata"].get(field) for field in _SHOWN):
            self._sources_changed.fire()
        self._news.fire()

    def vanish(self) -> None:
        """The API server has deleted the pod: what still runs of it is killed."""
        self._requests.is_pod_gone = True
        self._news.fire()

    def evict(self, message: str) -> None:
        """Ends the pod as a kubelet under pressure does; `message` says of what."""
        self._verdict = Verdict(FAILED, "Evicted", message)
        self._host.events.tell(self._pod, "Evicted", message, warning=True)
        self._news.fire()

    def look_at_sources(self) -> None:
        """A Secret or ConfigMap that the pod names has changed."""
        self._sources_changed.fire()

    async def run(self) -> None:
        """Lives with the pod until it is gone; on cancellation its processes are ended first."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reporter = tasks.create_task(self._keep_reporting(), name="pod status")
                try:
                    await self._live(tasks)
                finally:
                    await self._end_processes()
                    reporter.cancel()
        finally:
            self._host.ports.release(self._ports)
            self._release_address()
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # -- life ----------------------------------------------------------------------------------------------------

    async def _live(self, tasks: asyncio.TaskGroup) -> None:
        if self._status.get("phase") in TERMINAL_PHASES:
            self._verdict = Verdict(self._status["phase"])
        else:
            scope = await self._create_containers(tasks)
            if self._can_run():
                await self._run_until_stopped(scope)
            await self._report()
            # Like a pod's sandbox, its address goes with its last container; the status keeps showing it.
            self._release_address()
        while not self._is_leaving:
            await self._wait_for_news()
        await self._remove()

    async def _run_until_stopped(self, scope: PodScope) -> None:
        mounted = asyncio.Event()
        volumes = scope.tasks.create_task(keep_volumes(self._volumes, scope, mounted), name="pod volumes")
        self._work_task = scope.tasks.create_task(self._work(mounted), name="pod containers")
        stopped = scope.tasks.create_task(self._until_stopped(), name="pod stop")
        await asyncio.wait({self._work_task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await cancel_and_wait(self._work_task, stopped)
        self._records_changed.fire()
        await self._stop_containers(self._grace_seconds())
        await cancel_and_wait(volumes)
        if self._verdict is None and self._is_leaving:
            ends = [container.record.has_succeeded for container in self.containers]
            self._verdict = Verdict(SUCCEEDED if all(ends) else FAILED)
        await asyncio.to_thread(self._forget_files)

    async def _work(self, mounted: asyncio.Event) -> None:
        if published := self._ports.published():
            await self._requests.publish_ports(published)
        await mounted.wait()
        for container in self.containers:
            if container.record.is_init:
                await container.run()
                if not container.record.has_succeeded:
                    return
        async with asyncio.TaskGroup() as group:
            for container in self.containers:
                if not container.record.is_init:
                    group.create_task(container.run(), name=f"container loop {container.record.name}")

    async def _until_stopped(self) -> None:
        while not self._is_leaving and self._verdict is None:
            news, left_seconds = self._news.next, self._seconds_left()
            if left_seconds is None:
                await news.wait()
            elif left_seconds > 0:
                await happens_within(news, left_seconds, self._host.clock)
            else:
                message = "Pod was active on the node longer than the specified deadline"
                self._verdict = Verdict(FAILED, "DeadlineExceeded", message)
                self._host.events.tell(self._pod, "DeadlineExceeded", message)
                return

    def _seconds_left(self) -> float | None:
        deadline_seconds = self._pod["spec"].get("activeDeadlineSeconds")
        if deadline_seconds is None:
            return None
        return float(deadline_seconds) - (self._host.clock.now() - self._started_at).total_seconds()

    # -- beginning -----------------------------------------------------------------------------------------------

    async def _create_containers(self, tasks: asyncio.TaskGroup) -> PodScope:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ports = self._host.ports.allocate(self._pod)
        self._address, self._holds_address = self._host.pod_addresses.take(self._address), True
        wants_token = wants_api_access(self._pod, await self._service_account())
        spec = (with_api_access(self._pod) if wants_token else self._pod)["spec"]
        scope = PodScope(
            host=self._host,
            sources=Sources(self._host.client, self._host.api, self._pod),
            ports=self._ports,
            folder=self._folder,
            tasks=tasks,
            current=lambda: self.pod,
            records_changed=self._records_changed,
            sources_changed=self._sources_changed,
        )
        self._volumes = spec.get("volumes") or []
        inits = spec.get("initContainers") or []
        for number, container in enumerate(inits + spec["containers"]):
            self.containers.append(Container(container, scope, is_init=number < len(inits)))
        for created in self.containers:
            created.record.state = Waiting("PodInitializing" if inits else "ContainerCreating")
        return scope

    def _can_run(self) -> bool:
        """Whether the containers may start; says in the status why not."""
        if problem := unsupported_feature(self._pod):
            for container in self.containers:
                container.record.state = Waiting(UNSUPPORTED, problem)
            self._host.events.tell(self._pod, UNSUPPORTED, problem, warning=True)
            return False
        if self._status.get("phase") == RUNNING:
            return self._take_over()
        return True

    def _take_over(self) -> bool:
        """A pod that ran under an earlier life of this node: its processes are gone, its policy says what follows."""
        if self._pod["spec"].get("restartPolicy") == RestartPolicy.NEVER:
            text = "The container could not be located when the node started"
            for container in self.containers:
                container.record.state = Terminated(
                    SIGKILL_EXIT_CODE, "ContainerStatusUnknown", self._host.clock.now(), message=text
                )
            self._verdict = Verdict(FAILED)
            return False
        counts = {status["name"]: status["restartCount"] for status in self._status.get("containerStatuses") or []}
        for container in self.containers:
            container.record.restart_count = counts.get(container.record.name, -1) + 1
        return True

    async def _service_account(self) -> dict[str, Any] | None:
        """The pod's service account, or None; not asked for when the pod has settled the question itself."""
        if self._pod["spec"].get("automountServiceAccountToken") is False or mounts_api_access(self._pod):
            return None
        name = self._pod["spec"].get("serviceAccountName") or "default"
        return await self._requests.service_account(name)

    # -- end -----------------------------------------------------------------------------------------------------

    def _release_address(self) -> None:
        if self._holds_address:
            self._host.pod_addresses.give_back(self._address)
            self._holds_address = False

    def _forget_files(self) -> None:
        """An ended pod keeps its logs only: its Secrets leave the disk with it."""
        for name in ("volumes", "containers"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    @property
    def _is_leaving(self) -> bool:
        return self._requests.is_pod_gone or bool(self._pod["metadata"].get("deletionTimestamp"))

    def _grace_seconds(self) -> float:
        if self._requests.is_pod_gone:
            return 0.0
        asked = self._pod["metadata"].get("deletionGracePeriodSeconds")
        if asked is None:
            asked = self._pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
        return float(asked)

    async def _stop_containers(self, grace_seconds: float, *, runs_hooks: bool = True) -> None:
        async with asyncio.TaskGroup() as group:
            hurry = group.create_task(self._hurry(grace_seconds), name="pod grace")
            stops = [group.create_task(one.stop(grace_seconds, runs_hook=runs_hooks)) for one in self.containers]
            if stops:
                await asyncio.wait(stops)
            hurry.cancel()

    async def _hurry(self, grace_seconds: float) -> None:
        """Kills early when a second deletion shortens the grace, or the object is deleted by force."""
        while True:
            news, shorter_seconds = self._news.next, self._grace_seconds()
            if shorter_seconds < grace_seconds:
                await self._host.clock.sleep(shorter_seconds)
                for container in self.containers:
                    container.kill()
                return
            await news.wait()

    async def _end_processes(self) -> None:
        """What must hold however `run` ends: no process of the pod is left."""
        if self._work_task is not None:
            await cancel_and_wait(self._work_task)
        if any(container.is_running for container in self.containers):
            try:
                # No hook: it would hold up the end of the whole cluster for connections that end with it.
                grace_seconds = min(self._grace_seconds(), self._host.stop_grace_seconds)
                await self._stop_containers(grace_seconds, runs_hooks=False)
            finally:
                await kill_pod(self.uid)

    async def _remove(self) -> None:
        await self._requests.delete()
        while not self._requests.is_pod_gone:
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        await self._news.next.wait()

    # -- status --------------------------------------------------------------------------------------------------

    async def _keep_reporting(self) -> None:
        while True:
            changed = self._records_changed.next
            if self.containers:
                await self._report()
            await changed.wait()

    async def _report(self) -> None:
        async with self._reporting:
            status = build_status(
                self._pod,
                [container.record for container in self.containers],
                host=self._host.address,
                address=self._address,
                started_at=self._started_at,
                verdict=self._verdict,
                before=self._status,
                now=self._host.clock.now(),
            )
            if status == self._status or self._requests.is_pod_gone:
                return
            await self._requests.write_status(status)
            self._status = status


def _parse_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
