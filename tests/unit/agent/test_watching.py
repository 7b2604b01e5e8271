"""What a running job needs next."""

from dataclasses import replace

from actions_gateway.agent.jobs.watching import Step, Watch, decide_step
from actions_gateway.agent.tunables import Tunables

TUNABLES = Tunables(unseen_pod_seconds=30.0, lock_lost_grace_seconds=30.0)
SEEN = Watch(created=0.0, is_seen=True)


def step(watch: Watch, now: float) -> tuple[Step, float]:
    return decide_step(watch, now=now, tunables=TUNABLES)


def test_a_worker_that_runs_needs_nothing() -> None:
    assert step(SEEN, 1000.0)[0] is Step.WAIT


def test_a_cancellation_is_shown_and_then_awaited_until_its_deadline() -> None:
    cancelled = replace(SEEN, cancel_deadline=45.0)
    assert step(cancelled, 0.0) == (Step.SHOW_CANCELLATION, 0.0)
    shown = replace(cancelled, is_cancellation_shown=True)
    assert step(shown, 5.0) == (Step.WAIT, 40.0)
    assert step(shown, 45.0) == (Step.DELETE_CANCELLED, 0.0)


def test_a_lost_lock_leaves_the_worker_its_grace_to_end() -> None:
    lost = replace(SEEN, lost=100.0)
    assert step(lost, 110.0) == (Step.WAIT, 20.0)
    assert step(lost, 130.0) == (Step.DELETE_LOST, 0.0)


def test_after_the_deletion_there_is_only_waiting() -> None:
    deleted = replace(SEEN, lost=0.0, cancel_deadline=0.0, is_deleted=True)
    assert step(deleted, 1000.0)[0] is Step.WAIT


def test_a_pod_that_the_watch_does_not_show_is_looked_for() -> None:
    unseen = Watch(created=0.0)
    assert step(unseen, 10.0) == (Step.WAIT, 20.0)
    assert step(unseen, 30.0) == (Step.LOOK, 0.0)
    assert step(replace(unseen, is_deleted=True), 30.0) == (Step.LOOK, 0.0)


def test_a_notice_that_cannot_be_written_delays_no_deadline() -> None:
    unwritten = replace(SEEN, cancel_deadline=45.0)
    assert step(unwritten, 45.0) == (Step.DELETE_CANCELLED, 0.0)
    assert step(replace(SEEN, cancel_deadline=400.0, lost=0.0), 30.0) == (Step.DELETE_LOST, 0.0)
