"""The harness can fail: each defect that is built into the agent is found by the invariant that it breaks."""

import asyncio
import gc
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actions_gateway.agent.adoption.adopter import Adopter
from actions_gateway.agent.jobs import job as job_module
from actions_gateway.agent.jobs import worker
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.jobs.job import Job
from actions_gateway.agent.jobs.outcome import Outcome, Result
from actions_gateway.agent.jobs.plans import Plans
from actions_gateway.agent.jobs.reaping import Reaper
from actions_gateway.agent.jobs.renewing import Renewal
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.agent.recovery import rerunning
from actions_gateway.agent.recovery.rerunning import Reruns
from actions_gateway.agent.registrations.registrar import Registrar
from actions_gateway.agent.run import Agent
from actions_gateway.agent.runnergroups.unit import GroupUnit
from actions_gateway.agent.runnergroups.units import GroupUnits
from actions_gateway.agent.sessions.pool import SessionPool
from actions_gateway.agent.sessions.session import RunnerSession
from actions_gateway.agent.sessions.sizing import Growth
from actions_gateway.agent.tokens.edits import SecretEdits
from actions_gateway.api.ledger import Cause, RerunState
from actions_gateway.engine.backoff import Backoff
from actions_gateway.github.runservice import Conclusion
from simulation.profiles import PROFILES
from simulation.workers import Work
from simulation.world import World, simulate

# A world that has shown its defect is thrown away in the middle of everything, and its tasks complain about that.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

_SEEDS = 8

Build = Callable[[pytest.MonkeyPatch], None]


async def _nothing(*_: Any, **__: Any) -> None:
    """Does nothing in place of what was to be done."""


def drop_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first renewal is made, of jobs that outlive their lock."""

    async def once(renewal: Renewal) -> None:
        await renewal.renew_once()
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Renewal, "run", once)
    monkeypatch.setattr(World, "work_of", lambda *_: Work(900.0, Conclusion.SUCCEEDED))


def forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's Secret stays."""
    monkeypatch.setattr(Slots, "release", _nothing)


def claim_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two deliveries of a job are taken for two jobs."""
    numbers = itertools.count(1)
    monkeypatch.setattr(Plans, "claim", lambda *_: True)
    monkeypatch.setattr(worker, "worker_pod_name", lambda group, _: f"runner-{group}-{next(numbers)}")


def ignore_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """There always is a place."""
    monkeypatch.setattr(Admission, "free", property(lambda _: 50))


def keep_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a burst has opened is never closed."""
    monkeypatch.setattr(SessionPool, "may_drain", lambda *_: False)


def keep_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unused runner stays registered."""
    monkeypatch.setattr(Registrar, "remove", _nothing)


def keep_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended pods are never deleted."""
    monkeypatch.setattr(Reaper, "_delete", _nothing)


def forget_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that lost its worker is not remembered."""
    monkeypatch.setattr(Reruns, "lost", _nothing)


def rerun_what_was_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's cancellation is taken for a loss."""
    final = Job._final

    def lost(job: Job, outcome: Outcome) -> Outcome:
        judged = final(job, outcome)
        is_cancelled = job._claimed.line.cancel_deadline is not None
        return replace(judged, cause=Cause.DELETION) if is_cancelled else judged

    monkeypatch.setattr(Job, "_final", lost)
    monkeypatch.setattr(Reruns, "_decide", _ask_for_it)


def rerun_the_cancelled_unstarted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was cancelled before it got its worker is remembered as given up, and as no person's doing."""
    monkeypatch.setattr(rerunning, "is_persons_doing", lambda *_, **__: False)
    monkeypatch.setattr(Job, "_unstarted", lambda *_: job_module._UNSTARTED)
    monkeypatch.setattr(Job, "_final", lambda _, outcome: outcome)


def forget_siblings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other deliveries of a job are never completed."""
    monkeypatch.setattr(Plans, "_complete_one", _nothing)


async def _ask_for_it(reruns: Reruns, token: Any, run_id: int, job: Any) -> RerunState:
    repository = reruns._store.entries[run_id].repository
    run = await reruns._runs.get_run(token, repository, run_id)
    if not run.is_completed:
        return RerunState.PENDING
    await reruns._runs.rerun_job(token, repository, job.job_id)
    return RerunState.REQUESTED


def retry_without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off is none."""
    monkeypatch.setattr(Backoff, "delay_seconds", lambda *_, **__: 0.2)


def leave_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job leaves a task behind."""
    accept = GroupUnit._accept

    def accept_and_leave(unit: GroupUnit, claimed: Any) -> None:
        accept(unit, claimed)
        unit._tasks.create_task(asyncio.sleep(10**7), name="left behind")

    monkeypatch.setattr(GroupUnit, "_accept", accept_and_leave)


def count_no_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub's answers are not counted."""
    monkeypatch.setattr(Agent, "_count_answer", lambda *_: None)


def count_no_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes' answers are not counted."""
    monkeypatch.setattr(Agent, "_count_kube_answer", lambda *_: None)


def tell_of_no_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held deliveries are not counted."""
    monkeypatch.setattr(RunnerSession, "_held", lambda *_: None)


def count_no_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost jobs are rerun and not counted."""
    monkeypatch.setattr(Reruns, "_count", _nothing)


def look_at_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits of the App's Secret pass unseen."""
    monkeypatch.setattr(SecretEdits, "look", _nothing)


def leave_the_unstarted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never got a worker is not rerun."""
    settle = Job._settle

    async def quietly(job: Job, outcome: Outcome) -> Result:
        return await settle(job, replace(outcome, cause=None) if outcome.cause is Cause.ABANDONED else outcome)

    monkeypatch.setattr(Job, "_settle", quietly)


def keep_the_highest_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lowered bound is not taken."""
    configure = Admission.configure

    def raised(admission: Admission, *, ceiling: int, **limits: Any) -> None:
        configure(admission, ceiling=max(admission.ceiling, ceiling), **limits)

    monkeypatch.setattr(Admission, "configure", raised)


def drain_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence does not halve a group, and each session goes after a quarter of an hour only."""
    may_drain = SessionPool.may_drain
    monkeypatch.setattr(Growth, "unheard", lambda growth, _: growth)
    monkeypatch.setattr(SessionPool, "may_drain", lambda pool, polls: polls > 18 and may_drain(pool, polls))


def look_for_no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs of claims that were cut off are not looked for."""
    monkeypatch.setattr(Adopter, "_look_for", _nothing)


def renew_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first renewal comes after a minute."""
    run = Renewal.run

    async def late(renewal: Renewal) -> None:
        await asyncio.sleep(60.0)
        await run(renewal)

    monkeypatch.setattr(Renewal, "run", late)


def start_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new agent looks around for a while."""
    take_over = GroupUnits._take_over

    async def late(units: GroupUnits) -> None:
        await asyncio.sleep(15.0)
        await take_over(units)

    monkeypatch.setattr(GroupUnits, "_take_over", late)


def hear_no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What people ask for is not heard."""
    monkeypatch.setattr(Reruns, "ask", lambda *_: None)


def hear_and_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What people ask for is written down, and not looked after."""
    monkeypatch.setattr(Reruns, "_look", _nothing)


_FIRST_SEEDS: dict[Build, int] = {look_for_no_jobs: 15}
"""Where the first seeds take long and show nothing."""


@pytest.mark.parametrize(
    ("build", "profile", "invariant"),
    [
        (drop_renewals, "calm", "lock lapsed"),
        (forget_secrets, "calm", "leaked Secret"),
        (claim_twice, "duplicates", "job run twice"),
        (ignore_the_ceiling, "bursts", "ceiling exceeded"),
        (keep_sessions, "bursts", "leaked session"),
        (keep_registrations, "bursts", "leaked registration"),
        (keep_pods, "calm", "leaked pod"),
        (forget_losses, "evictions", "disrupted job not rerun"),
        (rerun_what_was_cancelled, "evictions", "finished job rerun"),
        (rerun_the_cancelled_unstarted, "quota", "finished job rerun"),
        (forget_siblings, "duplicates", "green job spoiled"),
        (retry_without_pause, "rotation", "hammering"),
        (leave_tasks, "calm", "leaked task"),
        (count_no_github, "github-faults", "fault without a sign"),
        (count_no_kubernetes, "kube-faults", "fault without a sign"),
        (tell_of_no_hold, "quota", "fault without a sign"),
        (count_no_losses, "evictions", "fault without a sign"),
        (look_at_no_secret, "rotation", "fault without a sign"),
        (leave_the_unstarted, "slow-pods", "unstarted job not rerun"),
        (keep_the_highest_ceiling, "edits", "ceiling exceeded"),
        (drain_slowly, "bursts", "slow draining"),
        (look_for_no_jobs, "kills", "job lost silently"),
        (renew_late, "restarts", "late renewal"),
        (start_late, "restarts", "slow start"),
        (hear_no_requests, "requests", "request forgotten"),
        (hear_and_do_nothing, "requests", "request forgotten"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_a_defect_is_found(monkeypatch: pytest.MonkeyPatch, build: Build, profile: str, invariant: str) -> None:
    build(monkeypatch)
    broken: list[str] = []
    for seed in range(first := _FIRST_SEEDS.get(build, 1), first + _SEEDS):
        broken += [
            one.invariant for one in simulate(seed, PROFILES[profile], is_short=True, until=invariant).violations
        ]
        # Here, where nobody minds, and not in the middle of another test.
        gc.collect()
        if invariant in broken:
            return
    raise AssertionError(f"{invariant!r} is not among what {_SEEDS} seeds found: {sorted(set(broken))}")
