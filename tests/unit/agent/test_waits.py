"""What is told of jobs that wait: gauges by reason, when a full quota is a problem, and the entries of the status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.jobs.acquirer import AcquirerState
from actions_gateway.agent.jobs.trouble import Trouble
from actions_gateway.agent.runnergroups.waits import Wait, decide_waits, news_of, quota_problem, report_waits
from actions_gateway.api.waits import WaitReason
from actions_gateway.metrics.catalog import (
    OLDEST_WAITING_JOB,
    WORKER_QUOTA_EXCEEDED,
    WORKER_QUOTA_PRESSURE,
    Component,
)
from actions_gateway.metrics.registry import Metrics

LABELS = {"namespace": "team-a", "runner_group": "ci-cpu"}
REFUSED = 'pods "a" is forbidden: exceeded quota: team, requested: pods=1'


def job(unheld_since: float | None, refusal: str = "", *, has_ended: bool = False) -> Any:
    return SimpleNamespace(unheld_since=unheld_since, refusal=refusal, has_ended=has_ended)


def told(oldest: dict[WaitReason, float], *jobs: Any, shortage: str = "") -> tuple[dict[str, float], float, float]:
    """Seconds by reason, pressure and exceeded, at second 100."""
    metrics = Metrics(Component.AGENT, "test")
    metrics.open(**LABELS)
    admission = cast("Any", SimpleNamespace(shortage=shortage))
    report_waits(
        metrics, LABELS, admission=admission, acquirer=AcquirerState(unheld=oldest), jobs=list(jobs), now=100.0
    )
    seconds = {one.value: metrics.value(OLDEST_WAITING_JOB, **LABELS, reason=one.value) for one in WaitReason}
    pressure, exceeded = (metrics.value(one, **LABELS) for one in (WORKER_QUOTA_PRESSURE, WORKER_QUOTA_EXCEEDED))
    assert pressure is not None
    assert exceeded is not None
    return {reason: value for reason, value in seconds.items() if value}, pressure, exceeded


def test_nothing_that_waits_is_zero_throughout() -> None:
    assert told({}, job(None)) == ({}, 0, 0)


def test_the_oldest_of_each_reason_is_told() -> None:
    seconds, _, _ = told({WaitReason.CEILING: 40.0, WaitReason.CLAIM: 99.0}, job(90.0), job(70.0), job(None))
    assert seconds == {"ceiling": 60.0, "claim": 1.0, "start": 30.0}


@pytest.mark.parametrize(
    ("oldest", "jobs", "shortage", "expected"),
    [
        pytest.param({}, [], "full", (1, 0), id="full, and nobody waits"),
        pytest.param({WaitReason.QUOTA: 1.0}, [], "full", (1, 1), id="a delivery is held"),
        pytest.param({}, [job(1.0, REFUSED)], "full", (1, 1), id="a claimed job's pod is refused"),
        pytest.param({}, [job(1.0, "no such class")], "", (0, 0), id="refused for another reason"),
        pytest.param({}, [job(None, REFUSED, has_ended=True)], "", (0, 0), id="given up since"),
    ],
)
def test_pressure_is_a_full_quota_and_exceeded_a_job_that_waits_for_it(
    oldest: dict[WaitReason, float], jobs: list[Any], shortage: str, expected: tuple[int, int]
) -> None:
    _, pressure, exceeded = told(oldest, *jobs, shortage=shortage)
    assert (pressure, exceeded) == expected


@pytest.mark.parametrize(
    ("undeclared", "since", "expected"),
    [("", None, ""), ("", 80.0, ""), ("", 70.0, "full"), ("declare limits.cpu", None, "declare limits.cpu")],
)
def test_a_full_quota_is_a_problem_once_a_job_has_waited_for_it_and_a_missing_key_at_once(
    undeclared: str, since: float | None, expected: str
) -> None:
    admission = cast("Any", SimpleNamespace(shortage="full", undeclared=undeclared))
    acquirer = AcquirerState(oldest={} if since is None else {WaitReason.QUOTA: since})
    assert quota_problem(admission, acquirer, now=100.0, patience_seconds=30.0) == expected


# -- in the status -----------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SHORTAGE = "the quota team has no room: pods needs 1, used 5 of 5"


def unstarted(since: float | None, refusal: str = "", trouble: Trouble | None = None) -> Any:
    return SimpleNamespace(
        waiting_since=since, refusal=refusal, trouble=trouble, worker=SimpleNamespace(name=f"pod-{since}")
    )


def waits(
    waiting: dict[WaitReason, tuple[int, float]] | None = None,
    *jobs: Any,
    shortage: str = SHORTAGE,
    undeclared: str = "",
    left: float = 42.0,
) -> tuple[Wait, ...]:
    """At second 100; `waiting` has the number of jobs and the first one's delivery by reason."""
    admission = SimpleNamespace(
        ceiling=3, in_use=3, shortage=shortage, undeclared=undeclared, backoff_left_seconds=left, failures=2
    )
    counts = {reason: count for reason, (count, _) in (waiting or {}).items()}
    oldest = {reason: since for reason, (_, since) in (waiting or {}).items()}
    acquirer = AcquirerState(oldest=oldest, waiting=counts)
    return decide_waits(cast("Any", admission), acquirer, list(jobs), now=NOW, monotonic=100.0)


def test_a_group_that_nothing_waits_for_has_no_entries() -> None:
    assert waits({}, unstarted(None)) == ()


def test_each_reason_has_its_number_its_moment_and_the_limit_that_binds() -> None:
    found = waits(
        {
            WaitReason.BACKOFF: (1, 99.0),
            WaitReason.CLAIM: (1, 98.0),
            WaitReason.QUOTA: (2, 70.0),
            WaitReason.CEILING: (4, 40.0),
        },
        unstarted(90.0),
        unstarted(80.0),
    )
    assert [(one.reason.value, one.jobs, (NOW - one.since).total_seconds()) for one in found] == [
        ("ceiling", 4, 60.0),
        ("quota", 2, 30.0),
        ("backoff", 1, 1.0),
        ("claim", 1, 2.0),
        ("start", 2, 20.0),
    ]
    texts = {one.reason: one.message for one in found}
    assert "runs as many jobs as it may at once: 3 of 3. The next one" in texts[WaitReason.CEILING]
    assert "The quota team has no room: pods needs 1, used 5 of 5." in texts[WaitReason.QUOTA]
    assert "tried again at 2026-01-05 09:00:42 UTC" in texts[WaitReason.BACKOFF]
    assert all(text.endswith(".") for text in texts.values())


def test_what_a_pod_template_must_declare_is_no_matter_of_running_jobs() -> None:
    (wait,) = waits({WaitReason.QUOTA: (1, 99.0)}, shortage="the quota t admits no pod", undeclared="the quota t ...")
    assert wait.message.endswith("No job can start until the pod template declares it.")


@pytest.mark.parametrize(
    ("refusal", "trouble", "limit", "said"),
    [
        ("", None, "", "its worker starts"),
        (REFUSED, None, "refused", "does not admit pod pod-1.0: Pods"),
        ("", Trouble("Unschedulable", "not scheduled: 0/3 nodes", False), "Unschedulable", "Not scheduled: 0/3 nodes."),
        ("", Trouble("ErrImagePull", "no such image", True), "ImagePull", "pod-1.0 does not start: No such image."),
        ("", Trouble("ImagePullBackOff", "no such image", True), "ImagePull", "No such image."),
    ],
)
def test_a_start_names_what_keeps_the_oldest_pod_from_it(
    refusal: str, trouble: Trouble | None, limit: str, said: str
) -> None:
    (wait,) = waits({}, unstarted(50.0), unstarted(1.0, refusal, trouble), unstarted(2.0, "another"))
    assert wait.jobs == 3
    if not limit:
        (wait,) = waits({}, unstarted(1.0))
    assert wait.limit == limit
    assert said in wait.message


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ({"message": "used 6 of 6"}, False),
        ({"since": NOW + timedelta(seconds=59)}, False),
        ({"since": NOW + timedelta(seconds=61)}, True),
        ({"jobs": 3}, True),
        ({"limit": "4"}, True),
        ({"reason": WaitReason.CLAIM}, True),
    ],
)
def test_a_wait_that_says_the_same_again_keeps_its_words(change: dict[str, Any], is_news: bool) -> None:
    told = Wait(WaitReason.QUOTA, 2, NOW, "3", "used 5 of 5")
    other = Wait(WaitReason.START, 1, NOW, "", "it starts")
    now = replace(told, **change)
    assert news_of((now, other), (told,)) == ((now if is_news else told), other)


def test_a_message_of_any_length_fits_the_schema() -> None:
    (wait,) = waits({WaitReason.QUOTA: (1, 99.0)}, shortage="q" * 5000)
    assert len(wait.render()["message"]) == 1024
