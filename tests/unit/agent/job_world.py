"""The services of one job, as doubles on a clock of their own that remember."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.jobs.job import Job
from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.agent.jobs.plans import Plans
from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.slots import Slot
from actions_gateway.agent.recovery.rerunning import Loss
from actions_gateway.agent.signals import Signal
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.runnergroup import RunnerGroupSpec
from actions_gateway.github.errors import GitHubError
from actions_gateway.github.payload import RunIdentity
from actions_gateway.kube.errors import (
    AlreadyExists,
    KubeError,
    NotFound,
    QuotaExceeded,
    Unreachable,
)
from actions_gateway.metrics.catalog import (
    Component,
)
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

Manifest = dict[str, Any]


class World:
    """The services of one job, as doubles that remember."""

    def __init__(self, pending_deadline: str = "10m") -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(Component.AGENT, "test")
        self.pod: Manifest | None = None
        self.meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None
        """What happens while the API server answers with the pod as it was."""
        self.is_unseen = False
        """The watch does not show the pod."""
        self.create_problems: list[KubeError] = []
        self.answers_are_lost = False
        """Pods are created, and nobody hears of it."""
        self.complete_failure: Exception | None = None
        self.deleted_at: float | None = None
        self.filled: set[str] = set()
        self.slot_freed = False
        self.is_disowned = False
        self.told: list[str] = []
        self.renew_problem: GitHubError | None = None
        self.complete_problems: list[GitHubError] = []
        self.completed: list[tuple[str, str]] = []
        admission = Admission(self._basics(), cast("Any", SimpleNamespace(limit_ranges=())))
        admission.configure(ceiling=1, tiers=(), is_open=True)
        self.admission = admission
        reservation = admission.reserve()
        assert reservation is not None
        self.lost: list[Loss] = []
        self.owned: list[str] = []
        self.ended: list[str] = []
        self.quota = Signal()
        self.dry_runs = self.renewals = 0
        self.marks: list[str] = []
        self.claimed = ClaimedJob(
            plan_id="plan-1",
            job_id="job-a",
            request_id="job-a",
            runner_name="ci-cpu-1",
            identity=RunIdentity("octo/demo", 7, 1, 11, "build"),
            worker_keys={"payload": b"{}"},
            slot=Slot(1, "job-0001", "uid-slot"),
            reservation=reservation,
            service=self,
            claimed=0.0,
            first_delivered=-10.0,
            held_seconds=4.0,
        )
        settings = RunnerGroupSpec(runner_labels=["linux"], pending_pod_deadline=pending_deadline)
        group = SimpleNamespace(name="ci-cpu", uid="uid-group", settings=settings, manifest={})
        self.group = group
        self.plans = Plans(self._basics(), cast("Any", None))
        self.plans.claim("plan-1")
        self.job = Job(self.claimed, cast("Any", group), self._services(), on_change=lambda: None)

    def adopt(self, found: PodView | None) -> None:
        """The job is one that an earlier agent claimed."""
        claimed = replace(self.claimed, is_adopted=True)
        self.job = Job(claimed, cast("Any", self.group), self._services(), on_change=lambda: None, found=found)

    def _basics(self) -> Basics:
        return Basics("team-a", "agent-1", self.clock, random.Random(1), self.metrics, Tunables())

    def _services(self) -> JobServices:
        return JobServices(
            basics=self._basics(),
            client=cast("Any", self),
            pods=cast(
                "Any", SimpleNamespace(get=lambda _: view_of(self.pod) if self.pod and not self.is_unseen else None)
            ),
            slots=cast(
                "Any", SimpleNamespace(fill=self._fill, mark=self._mark, release=self._release, disown=self._disown)
            ),
            plans=self.plans,
            reruns=cast("Any", SimpleNamespace(lost=self._lose, never_started=self._own, end_unstarted=self._end)),
            repositories=cast("Any", None),
            headroom=cast("Any", SimpleNamespace(changed=self.quota)),
            site=WorkerSite("team-a", "controller:1", "runner:1", "worker", SecurityProfile.BASELINE),
            events=cast("Any", SimpleNamespace(record=self._record)),
        )

    # -- Kubernetes

    def _watched(self, _: str) -> PodView | None:
        return view_of(self.pod) if self.pod is not None and not self.is_unseen else None

    async def create(self, _: Any, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        self.dry_runs += dry_run
        if self.create_problems:
            raise self.create_problems.pop(0)
        if dry_run:
            return manifest
        self.pod = manifest
        manifest["metadata"]["uid"] = "uid-pod"
        if self.answers_are_lost:
            raise Unreachable("no answer")
        return manifest

    async def get(self, _: Any, name: str, namespace: str) -> Manifest:
        if self.pod is None:
            raise NotFound("gone", status=404)
        answer = self.pod
        if (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            await meanwhile()
        return answer

    async def patch(self, _: Any, name: str, patch: Manifest, *, namespace: str) -> Manifest:
        assert self.pod is not None
        self.pod["metadata"]["annotations"] |= patch["metadata"]["annotations"]
        return self.pod

    async def delete(self, _: Any, name: str, *, namespace: str, uid: str) -> None:
        assert uid == "uid-pod"
        self.deleted_at = self.clock.monotonic()

    async def _fill(self, slot: Slot, keys: dict[str, bytes]) -> None:
        self.filled |= set(keys)

    async def _mark(self, slot: Slot, request: str) -> None:
        self.marks.append(request)

    async def _release(self, slot: Slot) -> None:
        self.slot_freed = True

    def _disown(self, slot: Slot) -> None:
        self.is_disowned = True

    async def _record(self, _: Manifest, reason: str, message: str, **__: Any) -> None:
        self.told.append(reason)

    # -- recovery

    async def _lose(self, loss: Loss) -> None:
        assert not self.slot_freed, "the ledger knows before the slot is freed"
        self.lost.append(loss)

    async def _own(self, identity: RunIdentity, runner: str) -> None:
        self.owned.append(runner)

    async def _end(self, identity: RunIdentity, runner: str) -> bool:
        self.ended.append(runner)
        return True

    # -- GitHub

    async def renew(self) -> None:
        self.renewals += 1
        if self.renew_problem is not None:
            raise self.renew_problem

    async def complete(self, conclusion: str, *, title: str, message: str) -> bool:
        if self.complete_failure is not None:
            raise self.complete_failure
        if self.complete_problems:
            raise self.complete_problems.pop(0)
        self.completed.append((conclusion, message))
        return True

    # -- the pod's life

    async def show(self, phase: str, state: Manifest | None = None, *, is_gone: bool = False, **status: Any) -> None:
        """What the watch brings next."""
        assert self.pod is not None
        scheduled = [{"type": "PodScheduled", "status": "True"}]
        containers = [{"name": "runner", "state": state}] if state else []
        shown = {"phase": phase, "containerStatuses": containers, **status}
        shown["conditions"] = scheduled + status.get("conditions", [])
        pod = self.pod | {"status": shown}
        self.pod = None if is_gone else pod
        self.job.pod_changed(view_of(pod, is_gone=is_gone))
        await settle()

    async def run_worker(self) -> None:
        await self.show("Running", {"running": {"startedAt": "2026-01-05T09:00:00Z"}})

    def other_pod(self, state: str) -> Manifest:
        """A pod of the job's name that belongs to another agent's slot."""
        name = self.job.worker.name
        marks = {labels.JOB_SLOT: "job-0001", labels.SLOT_UID: "uid-other-slot"}
        metadata = {"name": name, "uid": "uid-other-pod", "annotations": marks}
        details = {"startedAt": "2026-01-05T09:00:00Z", "exitCode": 1}
        containers = [{"name": "runner", "state": {state: details if state != "waiting" else {}}}]
        return {"metadata": metadata, "status": {"containerStatuses": containers}}

    def running_pod(self, phase: str = "Running", **status: Any) -> Manifest:
        """The pod with a runner that has started."""
        assert self.pod is not None
        containers = [{"name": "runner", "state": {"running": {"startedAt": "2026-01-05T09:00:00Z"}}}]
        return self.pod | {"status": {"phase": phase, "containerStatuses": containers, **status}}

    async def end_worker(self, exit_code: int, **status: Any) -> None:
        ended = {"exitCode": exit_code, "startedAt": "2026-01-05T09:00:00Z", "message": "last words"}
        await self.show("Failed" if exit_code else "Succeeded", {"terminated": ended}, **status)

    def value(self, metric: Any, **extra: str) -> float:
        return self.metrics.value(metric, namespace="team-a", runner_group="ci-cpu", **extra) or 0


def playing(
    body: Callable[[World], Coroutine[Any, Any, None]],
    *,
    ends: bool = True,
    lost_answers: bool = False,
    pending_deadline: str = "10m",
    other: str = "",
) -> None:
    """Plays a job's task; `other` is the state of a pod of its name that is another agent's."""

    async def main() -> None:
        world = World(pending_deadline)
        world.answers_are_lost = lost_answers
        if other:
            world.create_problems = [AlreadyExists("it exists", status=409)]
            world.pod = world.other_pod(other)
        task = asyncio.create_task(world.job.run())
        try:
            await settle()
            await body(world)
            await settle()
            assert task.done() is ends
            if ends:
                task.result()
                assert world.admission.in_use == 0
                assert world.claimed.line.ended.is_set()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def quota_refuses(times: int) -> list[KubeError]:
    return [QuotaExceeded("exceeded quota", status=403) for _ in range(times)]


def adopting(found: Callable[[World], PodView | None], body: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World()
        await world.create(None, {"metadata": {"name": "p", "annotations": {labels.SLOT_UID: "uid-slot"}}})
        world.adopt(found(world))
        task = asyncio.create_task(world.job.run())
        await settle()
        await body(world)
        await settle()
        assert task.done()
        task.result()

    run(main())
