"""One job's task on a clock of its own: start, cancellation, lost lock, and what is told to GitHub."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.jobs.job import Job
from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.slots import Slot
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.runnergroup import RunnerGroupSpec
from actions_gateway.github.errors import GitHubError, LockLost, NotAuthorizedForJob, ServerError
from actions_gateway.kube.errors import KubeError, NotFound, QuotaExceeded, Unreachable
from actions_gateway.metrics.catalog import (
    JOB_DURATION,
    POD_CREATION_LATENCY,
    RENEW_JOB_TEARDOWNS,
    WORKER_PODS_REAPED,
    Component,
)
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

Manifest = dict[str, Any]


class World:
    """The services of one job, as doubles that remember."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(Component.AGENT, "test")
        self.pod: Manifest | None = None
        self.is_unseen = False
        """The watch does not show the pod."""
        self.create_problems: list[KubeError] = []
        self.answers_are_lost = False
        """Pods are created, and nobody hears of it."""
        self.complete_failure: Exception | None = None
        self.deleted_at: float | None = None
        self.filled: set[str] = set()
        self.slot_freed = False
        self.told: list[str] = []
        self.renew_problem: GitHubError | None = None
        self.complete_problems: list[GitHubError] = []
        self.completed: list[tuple[str, str]] = []
        admission = Admission()
        admission.configure(ceiling=1, tiers=(), is_open=True)
        self.admission = admission
        reservation = admission.reserve()
        assert reservation is not None
        self.claimed = ClaimedJob(
            plan_id="plan-1",
            job_id="job-a",
            request_id="job-a",
            runner_name="ci-cpu-1",
            annotations={},
            worker_keys={"payload": b"{}"},
            slot=Slot(1, "job-0001", "uid-slot"),
            reservation=reservation,
            service=self,
            claimed=0.0,
            first_delivered=-10.0,
            held_seconds=4.0,
        )
        group = SimpleNamespace(
            name="ci-cpu", uid="uid-group", settings=RunnerGroupSpec(runner_labels=["linux"]), manifest={}
        )
        self.job = Job(self.claimed, cast("Any", group), self._services(), on_change=lambda: None)

    def _services(self) -> JobServices:
        basics = Basics("team-a", "agent-1", self.clock, random.Random(1), self.metrics, Tunables())
        return JobServices(
            basics=basics,
            client=cast("Any", self),
            pods=cast(
                "Any", SimpleNamespace(get=lambda _: view_of(self.pod) if self.pod and not self.is_unseen else None)
            ),
            slots=cast("Any", SimpleNamespace(fill=self._fill, release=self._release)),
            plans=set(),
            site=WorkerSite("team-a", "controller:1", "runner:1", "worker", SecurityProfile.BASELINE),
            events=cast("Any", SimpleNamespace(record=self._record)),
        )

    # -- Kubernetes

    def _watched(self, _: str) -> PodView | None:
        return view_of(self.pod) if self.pod is not None and not self.is_unseen else None

    async def create(self, _: Any, manifest: Manifest) -> Manifest:
        if self.create_problems:
            raise self.create_problems.pop(0)
        self.pod = manifest
        manifest["metadata"]["uid"] = "uid-pod"
        if self.answers_are_lost:
            raise Unreachable("no answer")
        return manifest

    async def get(self, _: Any, name: str, namespace: str) -> Manifest:
        if self.pod is None:
            raise NotFound("gone", status=404)
        return self.pod

    async def patch(self, _: Any, name: str, patch: Manifest, *, namespace: str) -> Manifest:
        assert self.pod is not None
        self.pod["metadata"]["annotations"] |= patch["metadata"]["annotations"]
        return self.pod

    async def delete(self, _: Any, name: str, *, namespace: str, uid: str) -> None:
        assert uid == "uid-pod"
        self.deleted_at = self.clock.monotonic()

    async def _fill(self, slot: Slot, keys: dict[str, bytes]) -> None:
        self.filled |= set(keys)

    async def _release(self, slot: Slot) -> None:
        self.slot_freed = True

    async def _record(self, _: Manifest, reason: str, message: str, **__: Any) -> None:
        self.told.append(reason)

    # -- GitHub

    async def renew(self) -> None:
        if self.renew_problem is not None:
            raise self.renew_problem

    async def complete(self, conclusion: str, *, title: str, message: str) -> None:
        if self.complete_failure is not None:
            raise self.complete_failure
        if self.complete_problems:
            raise self.complete_problems.pop(0)
        self.completed.append((conclusion, message))

    # -- the pod's life

    async def show(self, phase: str, state: Manifest | None = None, *, is_gone: bool = False) -> None:
        """What the watch brings next."""
        assert self.pod is not None
        scheduled = [{"type": "PodScheduled", "status": "True"}]
        containers = [{"name": "runner", "state": state}] if state else []
        pod = self.pod | {"status": {"phase": phase, "conditions": scheduled, "containerStatuses": containers}}
        self.pod = None if is_gone else pod
        self.job.pod_changed(view_of(pod, is_gone=is_gone))
        await settle()

    async def run_worker(self) -> None:
        await self.show("Running", {"running": {"startedAt": "2026-01-05T09:00:00Z"}})

    async def end_worker(self, exit_code: int) -> None:
        ended = {"exitCode": exit_code, "startedAt": "2026-01-05T09:00:00Z", "message": "last words"}
        await self.show("Failed" if exit_code else "Succeeded", {"terminated": ended})

    def value(self, metric: Any, **extra: str) -> float:
        return self.metrics.value(metric, namespace="team-a", runner_group="ci-cpu", **extra) or 0


def playing(
    body: Callable[[World], Coroutine[Any, Any, None]], *, ends: bool = True, lost_answers: bool = False
) -> None:
    async def main() -> None:
        world = World()
        world.answers_are_lost = lost_answers
        task = asyncio.create_task(world.job.run())
        try:
            await settle()
            await body(world)
            await settle()
            assert task.done() is ends
            if ends:
                task.result()
                assert world.admission.free == 1
                assert world.claimed.line.ended.is_set()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_a_worker_that_reports_ends_its_job_without_a_word_from_the_agent() -> None:
    async def body(world: World) -> None:
        assert world.filled == {"payload"}
        await world.run_worker()
        assert world.job.is_running
        await world.clock.advance(100)
        await world.end_worker(0)
        assert not world.completed
        assert world.slot_freed
        assert world.value(JOB_DURATION, result="succeeded") == 1

    playing(body)


def test_the_latency_runs_from_the_first_delivery_to_scheduled_less_the_time_held() -> None:
    async def body(world: World) -> None:
        await world.clock.advance(3)
        await world.show("Pending")
        assert world.value(POD_CREATION_LATENCY) == 1
        rendered = world.metrics.render().decode()
        line = next(line for line in rendered.splitlines() if "pod_creation_latency_seconds_sum" in line)
        assert float(line.split()[-1]) == 9.0  # 10 s before the claim, 4 of them held, 3 s to the scheduler

    playing(body, ends=False)


def test_a_crashed_worker_s_job_is_completed_as_failed_with_its_last_words() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.complete_problems = [ServerError("down", status=503)]
        await world.end_worker(137)
        assert world.admission.free == 1
        await world.clock.advance(5)
        ((conclusion, message),) = world.completed
        assert conclusion == "failed"
        assert "exit code 137" in message
        assert "last words" in message
        assert world.slot_freed

    playing(body)


def test_a_refused_completion_means_that_github_has_closed_the_job() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.complete_problems = [NotAuthorizedForJob("no", status=401)]
        await world.end_worker(1)
        assert not world.completed
        assert world.slot_freed

    playing(body)


def test_a_cancellation_is_shown_and_the_pod_deleted_at_its_deadline() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await settle()
        assert world.pod is not None
        assert world.pod["metadata"]["annotations"][labels.CANCELLATION] == "2026-01-05T09:00:45Z"
        await world.clock.advance(44)
        assert world.deleted_at is None
        await world.clock.advance(2)
        assert world.deleted_at == 45.0
        await world.end_worker(137)
        assert [conclusion for conclusion, _ in world.completed] == ["canceled"]
        assert world.value(WORKER_PODS_REAPED, reason="cancelled") == 1
        assert world.value(JOB_DURATION, result="canceled") == 1

    playing(body)


def test_a_worker_that_ends_by_itself_after_a_cancellation_is_not_deleted() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await settle()
        await world.end_worker(103)
        await world.clock.advance(60)
        assert world.deleted_at is None
        assert not world.completed

    playing(body)


def test_a_lost_lock_waits_half_a_minute_for_the_worker_s_end() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.renew_problem = LockLost("gone", status=404)
        await world.clock.advance(80)
        assert world.deleted_at is None
        await world.end_worker(0)
        assert world.value(JOB_DURATION, result="succeeded") == 1
        assert not world.told

    playing(body)


def test_a_worker_that_still_runs_then_is_torn_down_and_not_reported() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.renew_problem = LockLost("gone", status=404)
        await world.clock.advance(100)
        assert world.deleted_at is not None
        assert 84 <= world.deleted_at <= 97
        assert not world.admission.free
        await world.show("Running", {"running": {}}, is_gone=True)
        assert not world.completed
        assert world.told == ["JobLockLost"]
        assert world.value(JOB_DURATION, result="lost") == 1
        assert world.metrics.value(RENEW_JOB_TEARDOWNS, namespace="team-a", reason="job_not_found") == 1

    playing(body)


def test_a_pod_that_quota_refuses_is_tried_until_the_pending_deadline_and_never_completed() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = [QuotaExceeded("exceeded quota", status=403)] * 1000
        task = asyncio.create_task(world.job.run())
        await settle()
        await world.clock.advance(590)
        assert not task.done()
        assert not world.job.placed.is_set()
        await world.clock.advance(45)
        await task
        assert not world.completed
        assert world.slot_freed
        assert world.admission.free == 1
        assert world.job.placed.is_set()
        assert set(world.told) == {"WorkerPodCreateFailed"}
        assert world.value(JOB_DURATION, result="lost") == 1

    run(main())


def test_a_cancellation_before_the_pod_exists_ends_the_attempts() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = [QuotaExceeded("exceeded quota", status=403)] * 1000
        task = asyncio.create_task(world.job.run())
        await settle()
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await settle()
        await task
        assert not world.completed
        assert world.value(JOB_DURATION, result="canceled") == 1

    run(main())


def test_a_pod_that_vanished_before_the_watch_showed_it_is_noticed() -> None:
    async def main() -> None:
        world = World()
        world.is_unseen = True
        task = asyncio.create_task(world.job.run())
        await settle()
        world.pod = None
        await world.clock.advance(31)
        await task
        assert not world.completed
        assert world.value(JOB_DURATION, result="lost") == 1

    run(main())


def test_a_pod_whose_creation_only_seemed_to_fail_is_removed_with_its_job() -> None:
    async def body(world: World) -> None:
        assert world.pod is not None
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await world.clock.advance(2)
        assert world.deleted_at is not None
        assert world.slot_freed

    playing(body, lost_answers=True)


def test_an_unforeseen_failure_at_its_end_leaves_the_agent_alive() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.complete_failure = RuntimeError("unforeseen")
        await world.end_worker(137)

    playing(body)
