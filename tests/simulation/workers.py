"""Scheduler, kubelet and the worker inside the pod: what happens to a pod by itself, and what can be done to it.

A worker knows of its job what its pod mounts, and speaks to GitHub through the real run-service client. Sources: the
marks of evicted, preempted, drained and lost pods as in `actions_gateway.agent.recovery.causes`; exit codes as in
`actions_gateway.agent.jobs.outcome`; a worker that gets SIGTERM reports its job as failed (`Runner.Worker`, shutdown).
"""

import asyncio
import base64
import json
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from actions_gateway.agent.jobs.outcome import WRONG_JOB
from actions_gateway.api import labels
from actions_gateway.api.names import RUNNER_CONTAINER
from actions_gateway.engine.clock import Clock
from actions_gateway.github.broker import RunnerPlatform
from actions_gateway.github.errors import GitHubError
from actions_gateway.github.http import Api, GitHubHttp
from actions_gateway.github.messages import JobRequest
from actions_gateway.github.runservice import AcquiredJob, Conclusion, RunService, parse_job
from simulation.cluster import Cluster, Event, Json
from simulation.loop import Process

_TOLERATION_SECONDS = 300.0
_POD_GC_SECONDS = 20.0
_ATTEMPTS = 8
_ATTEMPT_PAUSE_SECONDS = 5.0
_EXIT_CODES = {Conclusion.SUCCEEDED: 0, Conclusion.FAILED: 102, Conclusion.CANCELED: 103}


class Blow(StrEnum):
    """What befalls a pod."""

    EVICTION = "eviction"
    PREEMPTION = "preemption"
    DRAIN = "drain"
    DELETION = "deletion"
    FORCED_DELETION = "forced deletion"
    NODE_LOSS = "node loss"
    CRASH = "crash"
    """The worker dies by itself: no disruption."""


@dataclass(eq=False)
class Execution:
    """One worker that ran, or runs, a plan."""

    plan_id: str
    pod: str
    pod_uid: str
    group: str
    started: float
    ended: float | None = None
    reported: Conclusion | None = None
    """What GitHub accepted from it."""
    blow: Blow | None = None
    was_cancelled: bool = False
    was_terminated: bool = False
    """It got SIGTERM."""

    @property
    def was_disrupted(self) -> bool:
        """Whether its end says nothing of its job."""
        return self.blow is not None or self.was_terminated


@dataclass(eq=False)
class Playing:
    """One pod on its node."""

    name: str
    uid: str
    group: str
    rng: random.Random
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    blow: Blow | None = None
    is_gone: bool = False
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a job does when it is left alone."""

    seconds: float
    conclusion: Conclusion


class Truth(Protocol):
    """What the world decides about jobs, and hears of their executions."""

    def work_of(self, plan_id: str) -> Work:
        """How the job goes."""

    def began(self, execution: Execution) -> None:
        """A worker has begun a plan."""

    def ended(self, execution: Execution) -> None:
        """It has ended."""


class Kubelet:
    """Plays every pod."""

    def __init__(
        self, cluster: Cluster, http: GitHubHttp, base_url: str, truth: Truth, clock: Clock, seed: str
    ) -> None:
        self._cluster = cluster
        self._http = http
        self._run_service = RunService(http, RunnerPlatform("2.335.1"))
        self._base_url = base_url
        self._truth = truth
        self._clock = clock
        self._seed = seed
        self._process = Process("node")
        self.pods: dict[str, Playing] = {}
        """By uid."""
        self.is_full = False
        """No node has room."""
        self.pull_trouble: dict[str, float] = {}
        """By group: the share of pods whose image does not come, for some minutes."""
        self.bad_image: set[str] = set()
        """Groups whose image name is invalid."""
        cluster.listeners.append(self._follow)

    def _follow(self, event: Event) -> None:
        if event.plural != "pods":
            return
        metadata = event.object["metadata"]
        if event.type == "ADDED":
            group, uid = metadata["labels"][labels.RUNNER_GROUP], metadata["uid"]
            playing = Playing(metadata["name"], uid, group, random.Random(f"{self._seed}/{uid}"))
            self.pods[uid] = playing
            self._process.start(self._play(playing), name=f"pod {playing.name}")
        elif (found := self.pods.get(metadata["uid"])) is not None:
            found.is_gone = event.type == "DELETED"
            found.changed.set()

    # -- what can be done to a pod -------------------------------------------------------------------------------

    def running(self) -> list[Playing]:
        """Pods whose worker runs now."""
        return [one for one in self.pods.values() if one.execution is not None and one.execution.ended is None]

    def strike(self, playing: Playing, blow: Blow) -> None:
        """Does it."""
        if playing.is_gone or playing.blow is not None:
            return
        playing.blow = blow
        if playing.execution is not None and playing.execution.ended is None:
            playing.execution.blow = blow
        pod = self._cluster.get("pods", playing.name, playing.uid)
        assert pod is not None
        match blow:
            case Blow.PREEMPTION:
                self._mark(playing, "PreemptionByScheduler")
                self._cluster.delete("pods", self._pod(playing))
            case Blow.DRAIN:
                self._mark(playing, "EvictionByEvictionAPI")
                self._cluster.delete("pods", self._pod(playing))
            case Blow.DELETION:
                self._cluster.delete("pods", pod)
            case Blow.FORCED_DELETION:
                self._cluster.delete("pods", pod, 0)
        playing.changed.set()

    def _pod(self, playing: Playing) -> Json:
        found = self._cluster.get("pods", playing.name, playing.uid)
        assert found is not None
        return found

    def _mark(self, playing: Playing, reason: str) -> None:
        found = self._cluster.get("pods", playing.name, playing.uid)
        if found is not None:
            conditions = [
                *((found.get("status") or {}).get("conditions") or []),
                _condition("DisruptionTarget", "True", reason),
            ]
            self._show(playing, {"conditions": conditions})

    # -- a pod's life --------------------------------------------------------------------------------------------

    async def _play(self, playing: Playing) -> None:
        try:
            if await self._schedule(playing) and (mounted := await self._mount(playing)) is not None:
                await self._run(playing, mounted)
            await self._end(playing)
        finally:
            if playing.execution is not None and playing.execution.ended is None:
                self._finish(playing.execution)
            del self.pods[playing.uid]

    async def _schedule(self, playing: Playing) -> bool:
        await self._pause(playing, playing.rng.uniform(0.05, 1.5))
        while self.is_full and not self._is_ending(playing):
            self._show(playing, {"conditions": [_condition("PodScheduled", "False", "Unschedulable")]})
            await self._pause(playing, 10.0)
        if self._is_ending(playing):
            return False
        self._cluster.change("pods", playing.name, {"spec": {"nodeName": "node-1"}}, uid=playing.uid)
        self._show(playing, {"conditions": [_condition("PodScheduled", "True", "")]})
        return True

    async def _mount(self, playing: Playing) -> dict[str, bytes] | None:
        """The mounted files once image and volumes are there; None when the pod ends before."""
        await self._pause(playing, playing.rng.uniform(0.3, 4.0))
        if playing.group in self.bad_image:
            self._show(playing, _waiting("InvalidImageName", 'Failed to apply default image tag "??"'))
            while not self._is_ending(playing):
                await self._pause(playing, 600.0)
        until = self._clock.monotonic() + playing.rng.uniform(60, 400)
        is_stuck = playing.rng.random() < self.pull_trouble.get(playing.group, 0.0)
        while is_stuck and self._clock.monotonic() < until and not self._is_ending(playing):
            self._show(playing, _waiting("ImagePullBackOff", "Back-off pulling image"))
            await self._pause(playing, 30.0)
        while not self._is_ending(playing):
            if (mounted := self._mounted(playing)) is not None:
                return mounted
            self._show(playing, _waiting("ContainerCreating", ""))
            await self._pause(playing, 5.0)
        return None

    def _mounted(self, playing: Playing) -> dict[str, bytes] | None:
        pod = self._pod(playing)
        volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "job-payload")["secret"]
        secret = self._cluster.get("secrets", volume["secretName"])
        data = (secret or {}).get("data") or {}
        if any(item["key"] not in data for item in volume["items"]):
            return None
        return {item["path"]: base64.b64decode(data[item["key"]]) for item in volume["items"]}

    async def _run(self, playing: Playing, mounted: dict[str, bytes]) -> None:
        plan_id = mounted["plan-id"].decode()
        if _ordered_plan(self._pod(playing)) != plan_id:
            # The slot has become another job's: the wrapper starts nothing.
            ended = {"exitCode": WRONG_JOB, "startedAt": self._stamp(), "finishedAt": self._stamp(), "reason": "Error"}
            self._show(playing, {"phase": "Failed", **_container({"terminated": ended})})
            return
        execution = Execution(
            plan_id, playing.name, playing.uid, playing.group, self._clock.monotonic(), blow=playing.blow
        )
        playing.execution = execution
        started = self._stamp()
        self._show(playing, {"phase": "Running", **_container({"running": {"startedAt": started}}, started=True)})
        self._truth.began(execution)
        job = parse_job(
            mounted["payload"], JobRequest(_request_id(mounted), f"{self._base_url}/run/1"), plan_id=plan_id
        )
        code = await self._carry_out(playing, execution, job)
        self._finish(execution)
        if code is None:
            return
        ended = {
            "exitCode": code,
            "startedAt": started,
            "finishedAt": self._stamp(),
            "reason": "Error" if code else "Completed",
        }
        self._show(playing, {"phase": "Failed" if code else "Succeeded", **_container({"terminated": ended})})

    async def _carry_out(self, playing: Playing, execution: Execution, job: AcquiredJob) -> int | None:
        """The worker's exit code; None when nobody is left to tell it."""
        work = self._truth.work_of(job.plan_id)
        await self._tell_start(playing, job)
        ends = self._clock.monotonic() + work.seconds
        notices = None
        while (left := ends - self._clock.monotonic()) > 0:
            if playing.is_gone or playing.blow in (Blow.EVICTION, Blow.NODE_LOSS):
                return None
            if playing.blow is Blow.CRASH:
                return 137
            pod = self._pod(playing)
            if "deletionTimestamp" in pod["metadata"]:
                return await self._terminate(playing, execution, job)
            if pod["metadata"]["annotations"].get(labels.CANCELLATION):
                # The kubelet refreshes the file that the wrapper reads once in its sync period.
                notices = notices or self._clock.monotonic() + playing.rng.uniform(1, 60)
                if self._clock.monotonic() >= notices:
                    execution.was_cancelled = True
                    return await self._report(playing, execution, job, Conclusion.CANCELED)
                left = min(left, notices - self._clock.monotonic())
            await self._pause(playing, left)
        return await self._report(playing, execution, job, work.conclusion)

    async def _terminate(self, playing: Playing, execution: Execution, job: AcquiredJob) -> int:
        """SIGTERM: some workers come to report, others are killed first."""
        execution.was_terminated = True
        if playing.rng.random() < 0.4:
            await asyncio.sleep(25.0)
            return 137
        await asyncio.sleep(playing.rng.uniform(0.2, 10.0))
        return await self._report(playing, execution, job, Conclusion.FAILED)

    async def _tell_start(self, playing: Playing, job: AcquiredJob) -> None:
        steps = {"steps": [{"number": 1, "name": "Set up job", "status": "completed"}]}
        for _ in range(_ATTEMPTS):
            try:
                url = f"{self._base_url}/results/jobs/{job.plan_id}/steps"
                await self._http.send(Api.RUN_SERVICE, "POST", url, token=job.job_token, body=steps)
            except GitHubError:
                await self._pause(playing, _ATTEMPT_PAUSE_SECONDS)
            else:
                return

    async def _report(self, playing: Playing, execution: Execution, job: AcquiredJob, conclusion: Conclusion) -> int:
        for _ in range(_ATTEMPTS):
            if playing.blow in (Blow.EVICTION, Blow.NODE_LOSS, Blow.CRASH) or playing.is_gone:
                return 137
            try:
                if not await self._run_service.complete(job, conclusion):
                    return 1
            except GitHubError:
                await self._pause(playing, _ATTEMPT_PAUSE_SECONDS)
            else:
                execution.reported = conclusion
                return _EXIT_CODES[conclusion]
        return 1

    async def _end(self, playing: Playing) -> None:
        """From the end of the containers to the end of the object."""
        if playing.blow is Blow.EVICTION:
            self._mark(playing, "TerminationByKubelet")
            self._show(
                playing, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
            )
        if playing.blow is Blow.NODE_LOSS:
            await asyncio.sleep(_TOLERATION_SECONDS)
            self._mark(playing, "DeletionByTaintManager")
            if (pod := self._cluster.get("pods", playing.name, playing.uid)) is not None:
                self._cluster.delete("pods", pod)
            await asyncio.sleep(_POD_GC_SECONDS)
            self._cluster.remove("pods", playing.name, playing.uid)
        while not playing.is_gone:
            if "deletionTimestamp" in self._pod(playing)["metadata"]:
                await asyncio.sleep(playing.rng.uniform(0.1, 1.0))
                self._cluster.remove("pods", playing.name, playing.uid)
                return
            await self._pause(playing, 3600.0)

    # -- small things --------------------------------------------------------------------------------------------

    def _finish(self, execution: Execution) -> None:
        execution.ended = self._clock.monotonic()
        self._truth.ended(execution)

    def _is_ending(self, playing: Playing) -> bool:
        if playing.is_gone or playing.blow in (Blow.EVICTION, Blow.NODE_LOSS):
            return True
        return "deletionTimestamp" in self._pod(playing)["metadata"]

    async def _pause(self, playing: Playing, seconds: float) -> None:
        """Until then, or until something happens to the pod."""
        playing.changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await playing.changed.wait()
        except TimeoutError:
            pass

    def _show(self, playing: Playing, status: Json) -> None:
        self._cluster.change("pods", playing.name, {"status": status}, uid=playing.uid)
        playing.changed.clear()

    def _stamp(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _ordered_plan(pod: Json) -> str:
    """The only plan that a pod's wrapper runs."""
    variables = [one for container in pod["spec"]["containers"] for one in container.get("env") or ()]
    return next(str(one["value"]) for one in variables if one["name"] == "JOB_PLAN_ID")


def _request_id(mounted: dict[str, bytes]) -> str:
    """The worker completes under the payload's own job id, as `Runner.Worker` does."""
    return str(json.loads(mounted["payload"])["jobId"])


def _condition(kind: str, status: str, reason: str) -> Json:
    return {"type": kind, "status": status, "reason": reason}


def _container(state: dict[str, Any], *, started: bool = False) -> Json:
    return {"containerStatuses": [{"name": RUNNER_CONTAINER, "restartCount": 0, "started": started, "state": state}]}


def _waiting(reason: str, message: str) -> Json:
    return _container({"waiting": {"reason": reason, "message": message}})
