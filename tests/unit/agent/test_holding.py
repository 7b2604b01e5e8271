"""Deliveries that wait for a place, and what is known of those that wait."""

import pytest

from actions_gateway.agent.sessions.deliveries import Deliveries
from actions_gateway.agent.sessions.holding import Hold, after_poll
from actions_gateway.api.waits import WaitReason
from actions_gateway.github.messages import ForceTokenRefresh, JobRequest, Message

HELD = JobRequest("job-a", "https://run.example/1", message_id=1)
AGAIN = JobRequest("job-a", "https://run.example/1", message_id=2)
OTHER = JobRequest("job-b", "https://run.example/2", message_id=3)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(AGAIN, Hold(HELD, since=0.0, polled=30.0), id="the same job again keeps the offer and its window"),
        pytest.param(OTHER, Hold(OTHER, since=30.0, polled=30.0), id="another job takes its place"),
        pytest.param(None, None, id="an empty poll ends it"),
        pytest.param(ForceTokenRefresh(), Hold(HELD, since=0.0, polled=30.0), id="any other message changes nothing"),
    ],
)
def test_what_a_poll_means_for_a_held_job(message: Message | None, expected: Hold | None) -> None:
    assert after_poll(Hold(HELD, since=0.0, polled=20.0), message, 30.0) == expected


def test_a_held_job_is_asked_for_every_interval_until_its_window_ends() -> None:
    hold = Hold(HELD, since=100.0, polled=100.0)
    assert hold.poll_due_in(104.0, interval_seconds=10.0) == 6.0
    assert hold.poll_due_in(111.0, interval_seconds=10.0) == 0.0
    assert hold.window_left(200.0, window_seconds=120.0) == 20.0
    assert hold.window_left(221.0, window_seconds=120.0) < 0


def test_the_time_held_for_the_ceiling_adds_up_over_several_offers() -> None:
    deliveries = Deliveries(memory_seconds=180.0)
    waiting = deliveries.seen("job-a", 0.0)
    waiting.hold(0.0, WaitReason.CEILING)
    waiting.unhold(100.0)
    again = deliveries.seen("job-a", 110.0)
    again.hold(110.0, WaitReason.CEILING)
    again.hold(115.0, WaitReason.CEILING)
    again.unhold(120.0)
    assert (again.first_delivered, again.held_seconds) == (0.0, 110.0)


def test_only_the_time_held_for_the_ceiling_is_the_groups_own() -> None:
    waiting = Deliveries(memory_seconds=180.0).seen("job-a", 0.0)
    for now, reason in ((0.0, WaitReason.QUOTA), (30.0, WaitReason.CEILING), (50.0, WaitReason.BACKOFF)):
        waiting.hold(now, reason)
    waiting.unhold(90.0)
    assert waiting.held_seconds == 20.0


def test_the_oldest_job_is_told_by_what_it_waits_for() -> None:
    deliveries = Deliveries(memory_seconds=180.0)
    deliveries.seen("job-a", 0.0).hold(0.0, WaitReason.QUOTA)
    deliveries.seen("job-b", 10.0).hold(10.0, WaitReason.QUOTA)
    deliveries.seen("job-c", 20.0)
    assert deliveries.oldest(30.0) == {WaitReason.QUOTA: 0.0, WaitReason.CLAIM: 20.0}
    # It waits for the same while GitHub has not offered it again.
    deliveries.seen("job-a", 30.0).unhold(40.0)
    assert deliveries.oldest(50.0)[WaitReason.QUOTA] == 0.0
    deliveries.seen("job-a", 60.0).claim()
    assert deliveries.oldest(60.0) == {WaitReason.QUOTA: 10.0, WaitReason.CLAIM: 0.0}
    deliveries.claimed("job-a")
    assert deliveries.oldest(195.0) == {WaitReason.CLAIM: 20.0}
    assert deliveries.oldest(1000.0) == {}


def test_time_held_for_the_ceiling_makes_no_other_wait_longer() -> None:
    deliveries = Deliveries(memory_seconds=180.0)
    waiting = deliveries.seen("job-a", 0.0)
    waiting.hold(0.0, WaitReason.CEILING)
    assert deliveries.unheld(90.0) == {WaitReason.CEILING: 0.0}
    waiting.hold(100.0, WaitReason.QUOTA)
    assert deliveries.oldest(130.0) == {WaitReason.QUOTA: 0.0}
    assert deliveries.unheld(130.0) == {WaitReason.QUOTA: 100.0}
    waiting.claim()
    assert deliveries.unheld(131.0) == {WaitReason.CLAIM: 100.0}


def test_a_job_that_is_not_delivered_any_more_is_forgotten() -> None:
    deliveries = Deliveries(memory_seconds=180.0)
    deliveries.seen("job-a", 0.0)
    deliveries.seen("job-b", 100.0)
    assert deliveries.count(150.0) == 2
    assert deliveries.count(181.0) == 1
    deliveries.claimed("job-b")
    assert deliveries.count(181.0) == 0


def test_a_job_that_is_being_claimed_is_not_forgotten() -> None:
    deliveries = Deliveries(memory_seconds=180.0)
    deliveries.seen("job-a", 0.0).is_claiming = True
    assert deliveries.count(1000.0) == 1
