"""gw sandbox notifications: what Alertmanager told the sandbox's receivers."""

import json
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway_sandbox import launcher
from gateway_sandbox.monitoring.inbox import Inbox, receiver_url
from gateway_sandbox.nodes.ports import PortAllocator
from support.clock import ManualClock

from .rig import Answer, Gw
from .servers import Servers

HOST = "127.0.0.1"


class Receivers:
    """The sandbox's inbox, on the servers' loop."""

    def __init__(self, servers: Servers, url: str) -> None:
        self.servers = servers
        self.url = url

    def tell(self, receiver: str, alert: str, status: str = "firing", **labels: str) -> None:
        body: dict[str, Any] = {
            "status": status,
            "groupLabels": {},
            "alerts": [
                {
                    "status": status,
                    "labels": {"alertname": alert, **labels},
                    "annotations": {"summary": f"{alert} is so", "runbook": "runbooks/alerts/a.md"},
                    "startsAt": "2026-01-05T08:59:00.123456789Z",
                    "endsAt": "2026-01-05T09:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
                }
            ],
        }
        assert httpx.post(receiver_url(self.url, receiver), json=body, trust_env=False).is_success

    def __call__(self, *arguments: str) -> Answer:
        return Gw()("sandbox", "notifications", *arguments)


@pytest.fixture
def receivers(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receivers]:
    port = PortAllocator(HOST, random.Random()).take()
    stack = AsyncExitStack()
    servers.call(stack.enter_async_context(Inbox(ManualClock()).serve(HOST, port)))
    url = f"http://{HOST}:{port}"
    monkeypatch.setattr(launcher, "read_info", lambda _: replace(servers.info(), inbox_url=url))
    yield Receivers(servers, url)
    servers.call(stack.aclose())


def test_each_alert_of_a_notification_is_a_row_and_the_switch_is_counted(receivers: Receivers) -> None:
    for _ in range(3):
        receivers.tell("dead-man", "Watchdog")
    receivers.tell("oncall-sre", "ActionsGatewayAgentDown", namespace="team-a")
    receivers.tell("oncall-sre", "ActionsGatewayAgentDown", "resolved", namespace="team-a")
    answer = receivers()
    assert answer.code == 0, answer
    header, first, second, switch = (line.split() for line in answer.out.splitlines())
    assert header == ["TIME", "RECEIVER", "STATUS", "ALERT", "WHERE", "WHAT"]
    assert first[1:5] == ["oncall-sre", "firing", "ActionsGatewayAgentDown", "team-a"]
    assert second[2] == "resolved"
    assert switch == ["dead-man", "heard", "the", "dead-man's", "switch", "3", "times."]
    document = json.loads(receivers("-o", "json").out)
    assert [each["receiver"] for each in document["notifications"]] == ["dead-man"] * 3 + ["oncall-sre"] * 2
    assert document["notifications"][-1]["alerts"] == [
        {
            "name": "ActionsGatewayAgentDown",
            "status": "resolved",
            "labels": {"alertname": "ActionsGatewayAgentDown", "namespace": "team-a"},
            "summary": "ActionsGatewayAgentDown is so",
            "runbook": "runbooks/alerts/a.md",
            "starts_at": "2026-01-05T08:59:00Z",
            "ends_at": "2026-01-05T09:00:00Z",
        }
    ]


def test_one_receiver_is_shown_alone(receivers: Receivers) -> None:
    receivers.tell("tickets", "ActionsGatewayProxyDown", namespace="team-a")
    receivers.tell("oncall-sre", "ActionsGatewayAgentDown", namespace="team-a")
    assert receivers("--receiver", "tickets", "-o", "short").out == "tickets firing ActionsGatewayProxyDown\n"


def test_in_health_nobody_was_told_of_a_problem(receivers: Receivers) -> None:
    assert receivers().out == "No receiver was told of a problem.\n"


def test_what_others_wrote_moves_no_cursor(receivers: Receivers) -> None:
    receivers.tell("tickets", "ActionsGatewayProxyDown", namespace="team\x1b[2J-a")
    assert "\x1b[2J" not in receivers().out


def test_a_machine_without_alertmanager_is_told_what_brings_it(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "read_info", lambda _: servers.info())
    answer = Gw()("sandbox", "notifications")
    assert answer.code == 2
    assert "Next:  Debian's package prometheus-alertmanager brings it" in answer.err


@pytest.mark.parametrize("command", [[], ["-o", "json"]], ids=str)
def test_receivers_that_do_not_answer_are_no_empty_inbox(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(launcher, "read_info", lambda _: replace(servers.info(), inbox_url="http://127.0.0.1:1"))
    answer = Gw()("sandbox", "notifications", *command)
    assert answer.code == 3
    assert "does not say what its receivers were told" in answer.err
