"""What the sandbox hands its Alertmanager, and what its receivers keep."""

import random
from typing import Any

import httpx
import pytest

from gateway_sandbox.monitoring import configuration
from gateway_sandbox.monitoring.inbox import PATH, Inbox, parse_notification, receiver_url
from gateway_sandbox.nodes.ports import PortAllocator
from support.aio import run
from support.clock import START, ManualClock

HOST = configuration.HOST


def webhook(status: str = "firing", **labels: str) -> dict[str, Any]:
    """A body as Alertmanager sends it."""
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "status": status,
        "receiver": "oncall-sre",
        "groupLabels": {"namespace": "team-a"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com",
        "alerts": [
            {
                "status": status,
                "labels": {"alertname": "A", "namespace": "team-a", **labels},
                "annotations": {"summary": "s", "runbook": "runbooks/alerts/a.md"},
                "startsAt": "2026-01-05T09:00:00.123456789Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": "f",
            }
        ],
    }


def test_receivers_that_tell_somebody_tell_the_inbox_and_routes_stay() -> None:
    given = {
        "global": {"smtp_from": "a@example.com"},
        "route": {"receiver": "tickets", "routes": [{"receiver": "nobody"}]},
        "inhibit_rules": [{"equal": ["cluster"]}],
        "receivers": [
            {"name": "tickets", "webhook_configs": [{"url": "http://receiver.example.com"}]},
            {"name": "dead man", "pagerduty_configs": [{"routing_key_file": "/k", "send_resolved": False}]},
            {"name": "nobody"},
        ],
    }
    url = "http://127.0.0.1:1"
    found = configuration.alertmanager_configuration(given, address_of=lambda name: receiver_url(url, name))
    assert found == {
        "route": given["route"],
        "inhibit_rules": given["inhibit_rules"],
        "receivers": [
            {"name": "tickets", "webhook_configs": [{"url": f"{url}/notifications/tickets", "send_resolved": True}]},
            {
                "name": "dead man",
                "webhook_configs": [{"url": f"{url}/notifications/dead%20man", "send_resolved": False}],
            },
            {"name": "nobody"},
        ],
    }


def test_without_routes_nobody_is_told() -> None:
    assert configuration.alertmanager_configuration() == {
        "route": {"receiver": "nobody"},
        "receivers": [{"name": "nobody"}],
    }


def test_what_was_told_is_kept_by_receiver_and_a_heartbeat_pushes_out_no_page() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        inbox = Inbox(clock)
        port = PortAllocator(HOST, random.Random()).take()
        url = f"http://{HOST}:{port}"
        async with inbox.serve(HOST, port), httpx.AsyncClient(trust_env=False) as http:
            told = await http.post(receiver_url(url, "oncall-sre"), json=webhook())
            assert told.status_code == 200
            for _ in range(300):
                assert (await http.post(receiver_url(url, "dead-man"), json=webhook())).is_success
            answer = (await http.get(url + PATH)).json()["notifications"]
            assert [each["receiver"] for each in answer].count("dead-man") == 200
            (page,) = [each for each in answer if each["receiver"] == "oncall-sre"]
            assert page["at"] == START.isoformat(timespec="milliseconds")
            assert (page["status"], page["group"]) == ("firing", {"namespace": "team-a"})
            (alert,) = page["alerts"]
            assert (alert["name"], alert["labels"]["namespace"], alert["ends_at"]) == ("A", "team-a", None)

            refused = await http.post(receiver_url(url, "tickets"), json={"status": "firing"})
            assert refused.status_code == 400
            assert (await http.post(receiver_url(url, "tickets"), content=b"{")).status_code == 400
            assert len((await http.get(url + PATH)).json()["notifications"]) == len(answer)

    run(scenario())


@pytest.mark.parametrize("body", [[], "text", {"status": "firing", "groupLabels": {}, "alerts": [{}]}], ids=str)
def test_what_is_no_notification_is_an_error_of_its_shape(body: Any) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError)):
        parse_notification(body)
