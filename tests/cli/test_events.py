"""`gw events` on a cluster in memory."""

import json
from typing import Any

import pytest

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.kube import errors
from actions_gateway.kube.client import WatchEvent, WatchType

from .double import ClusterDouble
from .objects import gateway, given_up, healthy_cluster, moment, namespace
from .rig import Gw, check_golden

Manifest = dict[str, Any]


def event(
    name: str,
    reason: str,
    note: str,
    *,
    seconds_ago: float,
    where: str = "team-a",
    about: tuple[str, str] = ("Pod", "runner-team-a-cpu-0001"),
    kind: str = "Normal",
    **more: Any,
) -> Manifest:
    """As controllers of Kubernetes write it."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "uid": f"uid-{name}", "namespace": where},
        "type": kind,
        "reason": reason,
        "message": note,
        "involvedObject": {"kind": about[0], "name": about[1], "namespace": where},
        "lastTimestamp": moment(seconds_ago),
        "firstTimestamp": moment(seconds_ago + 60),
        **more,
    }


@pytest.fixture
def gw() -> Gw:
    return Gw(
        ClusterDouble(
            *healthy_cluster(),
            namespace("shop"),
            gateway("team-b"),
            event("late", "FailedMount", 'secret "x"\nnot found\x1b[1A', seconds_ago=30, kind="Warning", count=7),
            event("early", "Scheduled", "assigned", seconds_ago=1200, source={"component": "scheduler"}),
            given_up(seconds_ago=90, note="runner-1 did not start"),
            event("other", "Started", "it runs", seconds_ago=10, where="team-b"),
            event("platform", "LeaderElection", "gmc-0 leads", seconds_ago=5, where=MANAGER_NAMESPACE),
            event("foreign", "Killing", "of nobody's", seconds_ago=1, where="shop"),
        )
    )


@pytest.mark.parametrize("output", ["table", "json", "short"])
def test_a_tenants_events_are_as_kept_the_newest_last(gw: Gw, output: str) -> None:
    answer = gw("events", "team-a", "-o", output)
    assert (answer.code, answer.err) == (0, "")
    assert "\x1b" not in answer.out
    check_golden(f"events.{output}.txt", answer.out)


def test_those_of_all_are_of_tenants_and_the_platform_and_of_nobody_else(gw: Gw) -> None:
    found = json.loads(gw("events", "-A", "-o", "json").out)["items"]
    assert [each["tenant"] for each in found] == ["team-a", "team-a", "team-a", "team-b", MANAGER_NAMESPACE]


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        (["--type", "warning"], ["FailedMount"]),
        (["--since", "10m"], ["WorkerPodStuckPending", "FailedMount"]),
        (["--for", "team-a-cpu"], ["WorkerPodStuckPending"]),
        (["--for", "Pods/runner-team-a-cpu-0001"], ["Scheduled", "FailedMount"]),
        (["--for", "runnergroup/runner-team-a-cpu-0001"], []),
    ],
)
def test_only_events_that_fit_are_shown(gw: Gw, arguments: list[str], reasons: list[str]) -> None:
    found = json.loads(gw("events", "team-a", "-o", "json", *arguments).out)["items"]
    assert [each["reason"] for each in found] == reasons


def test_without_events_that_is_said_with_how_long_they_are_kept() -> None:
    answer = Gw(ClusterDouble(*healthy_cluster()))("events", "team-a")
    assert answer.code == 0
    assert answer.out.startswith("No events. A cluster keeps them for an hour")


def test_a_token_in_a_note_is_left_out(gw: Gw) -> None:
    token = "ghp_" + "x1Y2" * 9
    gw.cluster.put(event("leak", "Failed", f"login with {token} failed", seconds_ago=1))
    assert token not in gw("events", "team-a", "-o", "json").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["team-x"], 2, "there is no namespace team-x"),
        (["shop"], 2, "the namespace shop is not a tenant"),
        (["team-a", "--type", "bad"], 2, "Types: warning, normal"),
        (["team-a", "--since", "yesterday"], 2, "--since"),
        (["team-a", "--for", "a/b/c"], 2, "--for NAME or --for KIND/NAME"),
    ],
)
def test_what_cannot_be_asked_is_refused(gw: Gw, arguments: list[str], code: int, said: str) -> None:
    answer = gw("events", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_without_the_right_gw_is_blind_and_says_so(gw: Gw) -> None:
    what = 'events is forbidden: User "eve" cannot list resource "events"'
    gw.cluster.refusals["list", "events"] = errors.Forbidden(what, status=403)
    for arguments in (["team-a"], ["team-a", "--watch"]):
        answer = gw("events", *arguments)
        assert answer.code == 3
        assert 'cannot list resource "events"' in answer.err


def test_watching_tells_what_is_there_and_what_comes_each_once_until_interrupted(gw: Gw) -> None:
    again = event("late", "FailedMount", "still", seconds_ago=0, kind="Warning", count=8)
    gone = event("early", "Scheduled", "assigned", seconds_ago=1200)
    gw.cluster.to_come = [
        WatchEvent(WatchType.MODIFIED, again),
        WatchEvent(WatchType.MODIFIED, event("foreign", "Killing", "again", seconds_ago=0, where="shop")),
        WatchEvent(WatchType.DELETED, gone),
        errors.Gone("too old", status=410),
    ]

    def on_sleep() -> None:
        if gw.clock.slept_seconds >= 5:
            raise KeyboardInterrupt
        if gw.clock.slept_seconds >= 4:
            gw.cluster.refusals.clear()
        else:
            gw.cluster.put(again)
            gw.cluster.refusals["*", "*"] = errors.Unreachable("the API server gives no answer: refused")

    gw.clock.on_sleep = on_sleep
    answer = gw("events", "team-a", "--watch")
    assert answer.code == 130
    told = [each.split(": ", 1)[1] for each in answer.out.splitlines()]
    assert told == [
        "assigned",
        "runner-1 did not start (2 times)",
        'secret "x" not found [1A (7 times)',
        "still (8 times)",
    ]
    assert answer.err.count("gives no answer: refused; still trying") == 1
