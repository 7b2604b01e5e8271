"""gw alerts test: a marked page goes the real way, and what Alertmanager counts says what became of it."""

import json
from typing import Any

import pytest
import yaml

from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.values import load_values
from support.alertmanager import EXAMPLE_VALUES, SWITCH

from .double import ClusterDouble
from .objects import healthy_cluster
from .rig import Gw, check_golden

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
COMMAND = ("alerts", "test", "--yes")


@pytest.fixture
def gw() -> Gw:
    found = Gw(ClusterDouble(*healthy_cluster()))
    found.cluster.answers[WHO] = {"status": {"userInfo": {"username": "ada@example.com"}}}
    return found


def posted(gw: Gw) -> list[dict[str, Any]]:
    return gw.cluster.alertmanager.posted


def outcome(gw: Gw, *options: str) -> tuple[int, str]:
    answer = gw(*COMMAND, *options, "-o", "json")
    return answer.code, json.loads(answer.out)["outcome"]


def configured(gw: Gw, **changes: Any) -> None:
    ours = alertmanager_configuration(load_values(EXAMPLE_VALUES))
    gw.cluster.alertmanager.configuration = yaml.safe_dump({**ours, **changes})


def group(receiver: str, *names: str, **labels: str) -> dict[str, Any]:
    alerts = [{"labels": {"alertname": name, **labels}} for name in names]
    return {"receiver": {"name": receiver}, "labels": labels, "alerts": alerts}


def test_a_page_that_is_taken_is_delivered_and_taken_back(gw: Gw) -> None:
    answer = gw(*COMMAND[:-1], answer="y\n")
    assert answer.code == 0, answer
    check_golden("alerts-test-delivered.table.txt", answer.out + answer.err)
    fired, resolved = posted(gw)
    assert fired["labels"] == {
        "alertname": "ActionsGatewayTestPage",
        "severity": "page",
        "team": "ci-platform",
        "test": "true",
        "namespace": "gmc-system",
    }
    assert "sent by ada@example.com: nothing is wrong" in fired["annotations"]["summary"]
    assert fired["endsAt"] == "2026-01-05T09:02:30+00:00", "it ends by itself, should gw be killed"
    assert resolved["labels"] == fired["labels"]
    assert resolved["endsAt"] < fired["endsAt"]


def test_what_was_counted_before_the_route_tells_anybody_is_not_the_pages(gw: Gw) -> None:
    answer = json.loads(gw(*COMMAND, "-o", "json").out)
    assert answer["seconds"] >= 10
    assert (answer["receivers"], answer["integrations"]) == (["oncall-sre"], ["pagerduty", "slack"])


def test_nobody_is_paged_before_somebody_agrees(gw: Gw) -> None:
    assert gw("alerts", "test").code == 2
    assert gw("alerts", "test", answer="n\n").code == 2
    dry = gw("alerts", "test", "--dry-run")
    assert dry.code == 0, dry
    assert "oncall-sre by pagerduty, slack" in dry.out
    assert posted(gw) == []


@pytest.mark.parametrize(
    ("told", "reason", "words"),
    [
        ({"pagerduty": (1, 0), "slack": (3, 3)}, "", "oncall-sre does not take it (slack: 3 requests failed)"),
        ({"pagerduty": (1, 1), "slack": (1, 0)}, "clientError", "(pagerduty: 1 request failed, clientError)"),
    ],
    ids=["again and again", "for good, with its reason"],
)
def test_a_receiver_that_refuses_is_a_problem(
    gw: Gw, told: dict[str, tuple[int, int]], reason: str, words: str
) -> None:
    gw.cluster.alertmanager.told, gw.cluster.alertmanager.reason = told, reason
    answer = gw(*COMMAND)
    assert answer.code == 1, answer
    assert words in answer.out
    assert "Alertmanager's log" in answer.err
    assert len(posted(gw)) == 2, "taken back all the same"


def test_one_attempt_that_failed_before_it_was_taken_is_no_refusal(gw: Gw) -> None:
    gw.cluster.alertmanager.told = {"pagerduty": (1, 0), "slack": (3, 2)}
    assert outcome(gw) == (0, "delivered")


def test_one_way_of_two_is_not_enough(gw: Gw) -> None:
    gw.cluster.alertmanager.told = {"pagerduty": (1, 0)}
    answer = gw(*COMMAND)
    assert answer.code == 3, answer
    assert "no notification was counted within 90 s" in answer.out
    assert len(posted(gw)) == 2


def test_a_route_that_waits_for_longer_than_the_test_is_named(gw: Gw) -> None:
    configured(gw, route={"receiver": "oncall-sre", "group_wait": "5m"})
    answer = gw(*COMMAND)
    assert answer.code == 3, answer
    assert "add --timeout 330s" in answer.err
    assert gw(*COMMAND, "--timeout", "330s").code == 0


@pytest.mark.parametrize("status", [{"silencedBy": ["c4f"]}, {"inhibitedBy": ["f"]}], ids=["silenced", "inhibited"])
def test_a_page_that_is_kept_quiet_is_a_problem(
    gw: Gw, status: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.alertmanager._as_told", lambda alert: {**alert, "status": status})
    assert outcome(gw) == (1, "silent")
    assert len(posted(gw)) == 2


def test_a_receiver_that_tells_nobody_is_a_problem_and_no_page_is_sent(gw: Gw) -> None:
    configured(gw, route={"receiver": "nobody"})
    assert outcome(gw) == (1, "silent")
    assert posted(gw) == []


@pytest.fixture
def shared(gw: Gw) -> Gw:
    """Has every receiver behind webhooks, so that the dead-man's switch counts as the page does."""
    ours = alertmanager_configuration(load_values(EXAMPLE_VALUES))
    webhook = {"webhook_configs": [{"url": "https://pager.example.com"}]}
    configured(gw, receivers=[{"name": each["name"], **webhook} for each in ours["receivers"]])
    double = gw.cluster.alertmanager
    double.groups = [{"receiver": {"name": "dead-man"}, "labels": {}, "alerts": [SWITCH]}]
    double.told, double.switch_integration = {"webhook": (1, 0)}, "webhook"
    return gw


def test_a_page_is_told_from_the_dead_mans_switch(shared: Gw) -> None:
    answer = shared(*COMMAND)
    assert answer.code == 0, answer
    assert "waiting   the dead-man's switch" in answer.err


@pytest.mark.parametrize("timeout", ["90s", "6m"])
def test_the_dead_mans_switch_is_not_taken_for_the_page(shared: Gw, timeout: str) -> None:
    shared.cluster.alertmanager.told = {}
    answer = shared(*COMMAND, "--timeout", timeout)
    assert answer.code == 3, answer
    assert "the dead-man's switch is told in the same way, which may hide the page" in answer.err


def test_the_switches_of_other_clusters_come_at_any_time(shared: Gw) -> None:
    double = shared.cluster.alertmanager
    double.groups = [*double.groups, *double.groups]
    assert outcome(shared) == (3, "unknown")
    double.told, double.posted, double._looks = {"webhook": (2, 0)}, [], 0
    assert outcome(shared) == (0, "delivered")


def test_each_of_two_destinations_of_one_kind_has_to_take_the_page(shared: Gw) -> None:
    ours = alertmanager_configuration(load_values(EXAMPLE_VALUES))
    webhook = {"webhook_configs": [{"url": "https://pager.example.com"}, {"url": "https://chat.example.com"}]}
    configured(shared, receivers=[{"name": each["name"], **webhook} for each in ours["receivers"]])
    shared.cluster.alertmanager.groups, shared.cluster.alertmanager.switch_integration = [], ""
    assert outcome(shared) == (3, "unknown")
    shared.cluster.alertmanager.told, shared.cluster.alertmanager.posted = {"webhook": (2, 0)}, []
    assert outcome(shared) == (0, "delivered")


def test_others_that_are_told_in_the_same_way_are_named(gw: Gw) -> None:
    gw.cluster.alertmanager.groups = [group("oncall-sre", "ActionsGatewayAgentDown", namespace="team-a")]
    answer = gw(*COMMAND)
    assert answer.code == 0, answer
    assert "ActionsGatewayAgentDown may be told in the same way" in answer.out


def test_a_group_with_a_real_alert_is_left_alone(gw: Gw) -> None:
    gw.cluster.alertmanager.groups = [group("oncall-sre", "ActionsGatewayAgentDown", namespace="team-a")]
    answer = gw(*COMMAND, "--tenant", "team-a")
    assert answer.code == 2, answer
    assert "ActionsGatewayAgentDown fires in the group that the test would be told with" in answer.err
    assert posted(gw) == []


def test_a_tenants_own_page_is_of_its_namespace(gw: Gw) -> None:
    assert gw(*COMMAND, "--tenant", "team-a", "--cluster", "prod").code == 0
    assert posted(gw)[0]["labels"] | {"namespace": "team-a", "cluster": "prod"} == posted(gw)[0]["labels"]
    refused = gw(*COMMAND, "--tenant", "team-q")
    assert refused.code == 2, refused


@pytest.mark.parametrize("reply", [(400, b'"bad alert"'), (503, b"")], ids=["refused", "away"])
def test_a_page_that_alertmanager_does_not_take_is_said_so(gw: Gw, reply: tuple[int, bytes]) -> None:
    gw.cluster.alertmanager.refusal = reply
    answer = gw(*COMMAND)
    assert answer.code == (2 if reply[0] == 400 else 3), answer
    assert "does not take it: bad alert" in answer.err or "cannot answer now (HTTP 503)" in answer.err


def test_a_configuration_that_is_not_told_is_unknown(gw: Gw) -> None:
    gw.cluster.alertmanager.configuration = ""
    answer = gw(*COMMAND)
    assert answer.code == 3, answer
    assert posted(gw) == []


def test_without_an_alertmanager_nothing_is_known(gw: Gw) -> None:
    answer = gw(*COMMAND, "--alertmanager-url", "http://nobody.example:9093")
    assert answer.code == 3, answer
