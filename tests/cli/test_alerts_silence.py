"""gw alerts silence: of what, of whom, for how long, why; and what is not silenced by accident."""

import json
from typing import Any

import pytest

from actions_gateway.kube import errors

from .double import ClusterDouble
from .objects import healthy_cluster
from .rig import Gw, check_golden

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ADD = ("alerts", "silence", "add")
ALERT = "ActionsGatewayNoActiveSessions"
WHY = ("--for", "2h", "--comment", "new nodes")
URL = "http://alerts.example:9093"


@pytest.fixture
def gw() -> Gw:
    found = Gw(ClusterDouble(*healthy_cluster()))
    found.cluster.answers[WHO] = {"status": {"userInfo": {"username": "ada@example.com"}}}
    found.cluster.alertmanager.alerts = [fires(ALERT, "team-a"), fires(ALERT, "team-z")]
    return found


def fires(name: str, namespace: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "namespace": namespace, **labels},
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    }


def silences(gw: Gw) -> list[dict[str, Any]]:
    return gw.cluster.alertmanager.silences


def matchers(silence: dict[str, Any]) -> dict[str, str]:
    assert all((each["isRegex"], each["isEqual"]) == (False, True) for each in silence["matchers"])
    return {each["name"]: each["value"] for each in silence["matchers"]}


def test_an_alert_of_a_tenant_is_silenced_for_a_while(gw: Gw) -> None:
    answer = gw(*ADD, ALERT, "--tenant", "team-a", *WHY, answer="y\n")
    assert answer.code == 0, answer
    (silence,) = silences(gw)
    assert matchers(silence) == {"alertname": ALERT, "namespace": "team-a"}
    assert (silence["createdBy"], silence["comment"]) == ("ada@example.com", "new nodes")
    assert (silence["startsAt"], silence["endsAt"]) == ("2026-01-05T09:00:00+00:00", "2026-01-05T11:00:00+00:00")
    check_golden("alerts-silence-add.table.txt", answer.out + answer.err)


def test_an_alert_of_the_managers_own_work_is_silenced_in_its_namespace(gw: Gw) -> None:
    answer = gw(*ADD, "ActionsGatewayReconcileErrors", "-n", "gmc-system", *WHY, "--yes")
    assert answer.code == 0, answer
    assert matchers(silences(gw)[0]) == {"alertname": "ActionsGatewayReconcileErrors", "namespace": "gmc-system"}


def test_at_a_url_it_is_the_same(gw: Gw) -> None:
    double = gw.cluster.alertmanager
    gw.http["alerts.example:9093"], gw.http_changes["alerts.example:9093"] = double.answer, double.change
    answer = gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes", "--alertmanager-url", URL, "-o", "json")
    assert answer.code == 0, answer
    document = json.loads(answer.out)
    assert (document["changed"], document["id"], document["fires_now"]) == (True, silences(gw)[0]["id"], 1)


def test_nothing_is_silenced_before_somebody_agrees(gw: Gw) -> None:
    command = (*ADD, ALERT, "-n", "team-a", *WHY)
    without_terminal = gw(*command)
    assert without_terminal.code == 2
    assert "this writes to Alertmanager and there is no terminal to ask on" in without_terminal.err
    assert gw(*command, answer="n\n").code == 2
    dry = gw(*command, "--dry-run")
    assert dry.code == 0, dry
    assert "nothing was silenced" in dry.out
    assert silences(gw) == []


def test_typed_again_it_changes_nothing_and_longer_it_extends(gw: Gw) -> None:
    assert gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes").code == 0
    before = dict(silences(gw)[0])
    again = gw(*ADD, ALERT, "-n", "team-a", *WHY)
    assert again.code == 0, again
    assert "is silenced already" in again.out
    assert silences(gw) == [before]
    longer = gw(*ADD, ALERT, "-n", "team-a", "--for", "5h", "--comment", "still", "--yes")
    assert longer.code == 0, longer
    (silence,) = silences(gw)
    assert (silence["id"], silence["comment"], silence["endsAt"]) == (
        before["id"],
        "still",
        "2026-01-05T14:00:00+00:00",
    )


def test_one_that_begins_later_silences_nothing_yet(gw: Gw) -> None:
    later = {
        "id": "1a7e",
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in (("alertname", ALERT), ("namespace", "team-a"))
        ],
        "startsAt": "2026-01-06T09:00:00Z",
        "endsAt": "2026-01-07T09:00:00Z",
        "createdBy": "eve",
        "comment": "tomorrow's work",
        "status": {"state": "pending"},
    }
    gw.cluster.alertmanager.silences = [later]
    answer = gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes")
    assert answer.code == 0, answer
    assert "is silenced until 2026-01-05 11:00 UTC" in answer.out
    kept, now = silences(gw)
    assert kept == later
    assert (now["startsAt"], now["endsAt"]) == ("2026-01-05T09:00:00+00:00", "2026-01-05T11:00:00+00:00")


def test_the_author_may_be_named(gw: Gw) -> None:
    assert gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes", "--author", "eve").code == 0
    assert silences(gw)[0]["createdBy"] == "eve"


def test_without_a_name_nothing_is_silenced(gw: Gw) -> None:
    del gw.cluster.answers[WHO]
    gw.cluster.answers[WHO] = {"metadata": {}}
    answer = gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes")
    assert answer.code == 2, answer
    assert "the API server does not say who you are" in answer.err
    assert silences(gw) == []


@pytest.mark.parametrize(
    ("arguments", "words", "next_step"),
    [
        ((ALERT, *WHY), "no tenant was named", "--tenant NAME"),
        ((ALERT, "-n", "team-q", *WHY), "there is no namespace team-q", "gw tenant list"),
        (("ActionsGatewayNoActiveSession", "-n", "team-a", *WHY), "there is no alert", f"Did you mean {ALERT}?"),
        (("noactivesessions", "-n", "team-a", *WHY), "there is no alert", f"Did you mean {ALERT}?"),
        (("NodeDown", "-n", "team-a", *WHY), "there is no alert 'NodeDown'", "gw alerts list --all"),
        (("ActionsGatewayManagerDown", "-n", "team-a", *WHY), "is the platform's", "Leave out --tenant"),
        (("ActionsGatewayTokenRefreshAbuse", "-n", "team-a", *WHY), "tells of abuse", "--force"),
        (("Watchdog", *WHY), "is the dead-man's switch", "--force"),
        ((ALERT, "-n", "team-a", "--for", "8 days", "--comment", "x"), "no duration", "--for 90s"),
        ((ALERT, "-n", "team-a", "--for", "8d", "--comment", "x"), "--for 8d: a silence lasts", "--for 2h"),
        ((ALERT, "-n", "team-a", "--for", "10s", "--comment", "x"), "lasts from a minute to 7 days", "--for 2h"),
        ((ALERT, "-n", "team-a", "--for", "2h", "--comment", "  "), "--comment is empty", "Say why"),
        ((ALERT, "-n", "team-a", "--for", "2h", "--comment", "x" * 501), "has 501 characters", "shorter"),
        ((ALERT, "-n", "team-a", *WHY, "--author", " "), "--author is empty", "Say who"),
        ((ALERT, "-n", "team-a", "--comment", "x"), "--for", ""),
        ((ALERT, "-n", "team-a", "--for", "2h"), "--comment", ""),
    ],
)
def test_what_is_not_to_be_silenced_is_refused(gw: Gw, arguments: tuple[str, ...], words: str, next_step: str) -> None:
    answer = gw(*ADD, *arguments, "--yes")
    assert answer.code == 2, answer
    assert words in answer.err
    assert next_step in answer.err
    assert silences(gw) == []


def test_who_says_so_silences_abuse_the_switch_and_all_tenants(gw: Gw) -> None:
    for arguments, wanted in (
        (("ActionsGatewayTokenRefreshAbuse", "-n", "team-a"), {"namespace": "team-a"}),
        (("Watchdog",), {}),
        ((ALERT, "-A"), {}),
    ):
        answer = gw(*ADD, *arguments, *WHY, "--yes", "--force")
        assert answer.code == 0, answer
        assert matchers(silences(gw)[-1]) == {"alertname": arguments[0], **wanted}


def test_one_of_several_clusters_has_to_be_named(gw: Gw) -> None:
    gw.cluster.alertmanager.alerts = [
        fires(ALERT, "team-a", cluster="prod-eu"),
        fires(ALERT, "team-a", cluster="prod-us"),
    ]
    command = (*ADD, ALERT, "-n", "team-a", *WHY, "--yes")
    answer = gw(*command)
    assert answer.code == 2, answer
    assert "alerts of several clusters: prod-eu, prod-us" in answer.err
    assert gw(*command, "--cluster", "prod-eu").code == 0
    assert matchers(silences(gw)[0])["cluster"] == "prod-eu"


def test_the_only_cluster_that_is_seen_need_not_be_the_callers(gw: Gw) -> None:
    """A tenant of the same name in another one stays heard."""
    gw.cluster.alertmanager.alerts = [fires("Watchdog", "", cluster="eu")]
    command = (*ADD, ALERT, "-n", "team-a", *WHY, "--yes")
    answer = gw(*command)
    assert answer.code == 2, answer
    assert "has alerts of a cluster that has a name: eu" in answer.err
    assert "--cluster NAME" in answer.err
    assert silences(gw) == []
    assert gw(*command, "--cluster", "us").code == 0
    assert matchers(silences(gw)[0]) == {"alertname": ALERT, "cluster": "us", "namespace": "team-a"}


def test_a_refusal_is_quoted_and_silence_after_a_write_is_unknown(gw: Gw) -> None:
    gw.cluster.alertmanager.refusal = (400, b'"silence invalid: start time must be before end time"')
    command = (*ADD, ALERT, "-n", "team-a", *WHY, "--yes")
    answer = gw(*command)
    assert answer.code == 2, answer
    assert "does not take it: silence invalid: start time must be before end time" in answer.err
    gw.cluster.alertmanager.refusal = (502, b"bad gateway")
    assert gw(*command).code == 3


def test_a_missing_right_to_write_is_named(gw: Gw) -> None:
    words = 'User "eve" cannot create resource "services/proxy" in the namespace "monitoring"'
    gw.cluster.refusals["create", "services/proxy"] = errors.Forbidden(words, status=403, reason="Forbidden")
    answer = gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes")
    assert answer.code == 2, answer
    assert "the right to create services/proxy in monitoring" in answer.err


def test_without_an_alertmanager_nothing_is_known(gw: Gw) -> None:
    answer = gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes", "--alertmanager-url", URL)
    assert answer.code == 3, answer
    assert f"Alertmanager at {URL} gives no answer" in answer.err


# -- list and expire


def test_silences_are_listed_and_ended_by_the_beginning_of_an_id(gw: Gw) -> None:
    assert gw(*ADD, ALERT, "-n", "team-a", *WHY, "--yes").code == 0
    assert gw(*ADD, "ActionsGatewayManagerDown", "--for", "4h", "--comment", "later", "--yes").code == 0
    check_golden("alerts-silence-list.table.txt", gw("alerts", "silence", "list").out)
    first, second = (each["id"] for each in silences(gw))
    ambiguous = gw("alerts", "silence", "expire", "5a1e", "--yes")
    assert ambiguous.code == 2, ambiguous
    assert "2 silences begin with '5a1e'" in ambiguous.err
    dry = gw("alerts", "silence", "expire", first, "--dry-run")
    assert (dry.code, silences(gw)[0]["status"]["state"]) == (0, "active")
    assert gw("alerts", "silence", "expire", first, answer="n\n").code == 2
    ended = gw("alerts", "silence", "expire", first, "--yes")
    assert ended.code == 0, ended
    assert ended.out == f'The silence {first} of alertname="{ALERT}", namespace="team-a" is over.\n'
    assert "is over already" in gw("alerts", "silence", "expire", first, "--yes").out
    listed = json.loads(gw("alerts", "silence", "list", "-o", "json").out)["items"]
    assert [each["id"] for each in listed] == [second]
    past = json.loads(gw("alerts", "silence", "list", "--all", "-o", "json").out)["items"]
    assert {each["id"]: each["over"] for each in past} == {first: True, second: False}


@pytest.mark.parametrize("silence_id", ["c4", "nothing-of-the-kind"])
def test_a_silence_that_is_not_there_is_refused(gw: Gw, silence_id: str) -> None:
    answer = gw("alerts", "silence", "expire", silence_id, "--yes")
    assert answer.code == 2, answer
    assert f"there is no silence {silence_id!r}" in answer.err


def test_no_silence(gw: Gw) -> None:
    assert gw("alerts", "silence", "list").out == "No silence is in force or to come.\n"
