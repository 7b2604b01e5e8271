"""Whatever a pod's state says, the watch of all pods goes on: it is projected, judged, and its trouble told."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.agent.jobs.outcome import Outcome, PodView, judge, view_of
from actions_gateway.agent.jobs.trouble import Trouble, trouble_of
from actions_gateway.api import labels
from actions_gateway.api.names import RUNNER_CONTAINER
from support.fuzz import JSON, mutated

MOMENT = "2026-01-05T09:00:00Z"
ENDED = {"exitCode": 137, "reason": "OOMKilled", "startedAt": MOMENT, "finishedAt": MOMENT, "message": "killed"}
WAITING = {"reason": "ErrImagePull", "message": "ghcr.io/a/b:1: not found"}
POD: dict[str, Any] = {
    "metadata": {
        "name": "runner-ci-cpu-1",
        "uid": "u-1",
        "labels": {labels.RUNNER_GROUP: "ci-cpu"},
        "annotations": {
            labels.JOB_SLOT: "job-0001",
            labels.SLOT_UID: "u-2",
            labels.REPOSITORY: "octo/demo",
            labels.RUN_ID: "17",
            labels.RUN_ATTEMPT: "1",
            labels.JOB_NAME: "build",
            labels.RUNNER_NAME: "ci-cpu-1",
            labels.DELETION_REASON: "cancelled",
        },
        "deletionTimestamp": MOMENT,
        "deletionGracePeriodSeconds": 30,
    },
    "status": {
        "phase": "Failed",
        "reason": "Evicted",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"},
            {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"},
        ],
        "initContainerStatuses": [{"name": "install-wrapper", "state": {"waiting": WAITING}}],
        "containerStatuses": [
            {"name": RUNNER_CONTAINER, "state": {"terminated": ENDED}, "started": False},
            {"name": "side", "state": {"waiting": WAITING}},
        ],
    },
}

MOMENTS = (None, "0001-01-01T00:00:00Z", MOMENT, "9999-12-30T23:59:59Z", "2026-01-05T09:00:00.123456Z")
TEXTS = st.text(max_size=12) | st.sampled_from(["", "9" * 5000, "²", "-1", "job-", "job-abcd", "a" * 3000])
INT64 = st.integers(-(2**63), 2**63 - 1)


def plausible(old: Any) -> st.SearchStrategy[Any]:
    """What an API server can have in this place: it holds to the types, and to little else."""
    match old:
        case bool():
            return st.booleans()
        case int():
            return INT64
        case _ if old in MOMENTS:
            return st.sampled_from(MOMENTS)
        case str():
            return TEXTS
        case list():
            return st.sampled_from([[], old * 2])
        case _:
            return st.just({})


def read(pod: dict[str, Any], *, is_gone: bool = False) -> None:
    view = view_of(pod, is_gone=is_gone)
    assert isinstance(view, PodView)
    for has_started in (False, True):
        outcome = judge(view, has_started=has_started)
        assert (outcome is None) == (not view.has_ended)
        assert outcome is None or isinstance(outcome, Outcome)
    told(trouble_of(pod))


def told(trouble: Trouble | None) -> None:
    assert trouble is None or (trouble.reason and 0 < len(trouble.text) <= 600)


@given(mutated(POD["status"], replacements=plausible), st.booleans())
def test_any_status_is_read_and_judged(status: Any, is_gone: bool) -> None:
    read({**POD, "status": status}, is_gone=is_gone)


@given(mutated({name: value for name, value in POD["metadata"].items() if name != "name"}, replacements=plausible))
def test_any_metadata_are_read(metadata: Any) -> None:
    read({**POD, "metadata": {**metadata, "name": "p"}})


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(POD["metadata"]["annotations"], TEXTS)))
def test_annotations_that_a_person_may_have_written_are_read(annotations: Any) -> None:
    read({**POD, "metadata": {**POD["metadata"], "annotations": annotations}})


@given(JSON | mutated(POD))
def test_trouble_is_told_of_anything(pod: Any) -> None:
    told(trouble_of(pod if isinstance(pod, dict) else {"status": pod}))
