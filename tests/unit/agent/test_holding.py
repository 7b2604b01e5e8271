"""Deliveries that wait for a place, and what is known of those that wait."""

import pytest

from actions_gateway.agent.sessions.deliveries import Deliveries
from actions_gateway.agent.sessions.holding import Hold, after_poll
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
    waiting.hold(0.0)
    waiting.unhold(100.0)
    again = deliveries.seen("job-a", 110.0)
    again.hold(110.0)
    again.hold(115.0)
    again.unhold(120.0)
    assert (again.first_delivered, again.held_seconds) == (0.0, 110.0)


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
