"""gw alerts list: what fires, for whom, who silenced it, what stands for it."""

import json
from typing import Any

import pytest

from gw_alerts.catalog import BY_NAME

from .double import ClusterDouble
from .objects import gateway, healthy_cluster, namespace
from .rig import Gw, check_golden

COMMAND = ("alerts", "list")


def fires(name: str, at: str = "08:00", **labels: str) -> dict[str, Any]:
    """As Prometheus tells Alertmanager of it."""
    rule = BY_NAME[name]
    return {
        "labels": {"alertname": name, "severity": rule.severity.value, **labels},
        "annotations": {
            "summary": f"{name} summary",
            "runbook": rule.page,
            "command": f"gw health {labels.get('namespace', '-A')} --check {rule.checks[0]}",
        },
        "startsAt": f"2026-01-05T{at}:00.000Z",
        "fingerprint": f"f-{name}",
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    }


def quiet(alert: dict[str, Any], **by: list[str]) -> dict[str, Any]:
    alert["status"] |= {"state": "suppressed", **by}
    return alert


SILENCE = {
    "id": "c4f",
    "status": {"state": "active"},
    "matchers": [{"name": "alertname", "value": "ActionsGatewayProxyDown", "isRegex": False, "isEqual": True}],
    "startsAt": "2026-01-05T08:00:00.000Z",
    "endsAt": "2026-01-05T12:00:00.000Z",
    "createdBy": "ada",
    "comment": "new nodes",
}


@pytest.fixture
def busy() -> Gw:
    gw = Gw(ClusterDouble(*healthy_cluster(), namespace("team-b"), gateway("team-b")))
    gw.cluster.alertmanager.alerts = [
        fires("ActionsGatewayReconcileErrors", "07:00", namespace="team-a"),
        quiet(
            fires("ActionsGatewayNoActiveSessions", namespace="team-b", runner_group="team-b-cpu"),
            inhibitedBy=["f-ActionsGatewayGitHubUnreachable"],
        ),
        fires("ActionsGatewayGitHubUnreachable", namespace="team-b"),
        quiet(fires("ActionsGatewayProxyDown", namespace="team-a"), silencedBy=["c4f"]),
        fires("ActionsGatewayManagerDown", "06:00"),
        fires("ActionsGatewayTenantPaused", namespace="team-a"),
        fires("ActionsGatewayAgentDown", namespace="team-of-another-cluster"),
        {"labels": {"alertname": "NodeDown"}, "status": {"state": "active"}},
    ]
    gw.cluster.alertmanager.silences = [SILENCE]
    return gw


def names(gw: Gw, *options: str) -> list[str]:
    return [each["alert"] for each in json.loads(gw(*COMMAND, *options, "-o", "json").out)["items"]]


@pytest.mark.parametrize("output", ["table", "json"])
def test_the_list_is_as_kept(busy: Gw, output: str) -> None:
    answer = busy(*COMMAND, "-o", output)
    assert answer.code == 0, answer
    check_golden(f"alerts-list.{output}.txt", answer.out)


def test_one_tenant_sees_its_own_alone(busy: Gw) -> None:
    assert names(busy, "team-a") == ["ActionsGatewayReconcileErrors", "ActionsGatewayProxyDown"]
    assert names(busy, "--tenant", "team-b") == ["ActionsGatewayGitHubUnreachable", "ActionsGatewayNoActiveSessions"]


def test_all_of_it_has_the_switch_and_what_only_inhibits(busy: Gw) -> None:
    assert set(names(busy, "--all")) - set(names(busy)) == {"Watchdog", "ActionsGatewayTenantPaused"}


def test_who_silences_and_what_stands_for_it_is_told_apart(busy: Gw) -> None:
    items = {each["alert"]: each for each in json.loads(busy(*COMMAND, "-o", "json").out)["items"]}
    assert items["ActionsGatewayProxyDown"]["silenced_by"] == [
        {"id": "c4f", "by": "ada", "comment": "new nodes", "until": "2026-01-05T12:00:00Z"}
    ]
    assert items["ActionsGatewayNoActiveSessions"]["inhibited_by"] == ["ActionsGatewayGitHubUnreachable"]
    told = {name for name, each in items.items() if each["told"]}
    assert told == {"ActionsGatewayGitHubUnreachable", "ActionsGatewayManagerDown", "ActionsGatewayReconcileErrors"}


def test_a_severity_that_somebody_rewrote_is_the_rules(busy: Gw) -> None:
    busy.cluster.alertmanager.alerts[2]["labels"]["severity"] = "critical"  # type: ignore[index]
    assert json.loads(busy(*COMMAND, "-o", "json").out)["items"][0]["severity"] == "page"


def test_nothing_fires() -> None:
    answer = Gw(ClusterDouble(*healthy_cluster()))(*COMMAND)
    assert (answer.code, answer.out) == (0, "No alert fires.\n"), answer


def test_silence_that_says_nothing_is_unknown_and_what_fires_is_shown(busy: Gw) -> None:
    busy.cluster.prometheus.rules["ActionsGatewayAgentDown"] = "err"
    answer = busy(*COMMAND)
    assert answer.code == 3, answer
    assert "ActionsGatewayManagerDown" in answer.out
    assert "does not evaluate 1 alert rule: ActionsGatewayAgentDown" in answer.err


def test_whose_they_are_is_said_to_be_unknown_when_it_is(busy: Gw) -> None:
    busy.cluster.prometheus.uid_prefix = "another-"
    answer = busy(*COMMAND)
    assert answer.code == 3, answer
    assert "team-of-another-cluster" in answer.out
    assert "is of another cluster" in answer.err


def test_without_an_alertmanager_nothing_is_known(busy: Gw) -> None:
    answer = busy(*COMMAND, "--alertmanager-url", "http://nobody.example:9093")
    assert answer.code == 3, answer
    assert answer.out == "No alert is seen to fire.\n"
    assert "gives no answer" in answer.err


def test_a_namespace_that_is_no_tenant_is_refused(busy: Gw) -> None:
    answer = busy(*COMMAND, "team-c")
    assert answer.code == 2, answer
    assert "there is no namespace team-c" in answer.err
