"""Alertmanager's configuration: amtool reads it, and sends every alert of the catalogue where it belongs."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gw_alerts.alertmanager import alertmanager_configuration, render_alertmanager
from gw_alerts.catalog import ALERTS
from gw_alerts.messages import BODY, TITLE
from gw_alerts.model import Signal
from gw_alerts.routing import Receiver
from gw_alerts.thresholds import Severity
from gw_alerts.values import EXAMPLE_FILE, Values, load_values, parse_values
from support.components import require_amtool
from support.firing import labels_of

EVERY_WAY = """
cluster: blue
alertmanager: {version: "0.25"}
receivers:
  oncall-sre:
    webhook:
      - {url: https://hook.example.com/a}
      - {url: https://hook.example.com/b, credentials_file: /run/secrets/token, ca_file: /run/secrets/ca.crt}
    pagerduty: [{routing_key_file: /run/secrets/key, url: https://events.example.com/v2/enqueue}]
    slack: [{channel: "#ci", api_url_file: /run/secrets/hook}]
    opsgenie: [{api_key_file: /run/secrets/key, api_url: https://api.example.com/}]
  tickets:
    email:
      - {to: a@example.com, from: b@example.com, smarthost: "mail.example.com:25"}
      - to: a@example.com
        from: b@example.com
        smarthost: mail.example.com:587
        auth_username: gw
        auth_password_file: /run/secrets/smtp
  dead-man: {webhook: [{url: https://heartbeat.example.com/a}]}
"""
EXAMPLE = load_values(EXAMPLE_FILE)
BARE = parse_values(EVERY_WAY)

ONCALL, TICKETS, DEAD_MAN = Receiver.ONCALL.value, Receiver.TICKETS.value, Receiver.DEAD_MAN.value
SECURITY, NOBODY = Receiver.SECURITY.value, Receiver.NOBODY.value
BY_SEVERITY = {Severity.PAGE: ONCALL, Severity.TICKET: TICKETS, Severity.INFO: NOBODY}


def written(values: Values, folder: Path) -> Path:
    (path := folder / "alertmanager.yaml").write_text(render_alertmanager(values))
    return path


def routed(configuration: Path, labels: dict[str, str]) -> set[str]:
    """The receivers that amtool names for an alert."""
    given = [f"{name}={value}" for name, value in labels.items()]
    result = subprocess.run(
        [require_amtool(), "config", "routes", "test", f"--config.file={configuration}", *given],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.strip().split(","))


@pytest.mark.parametrize("values", [EXAMPLE, BARE], ids=["the example", "every way to tell somebody"])
def test_alertmanager_reads_it(values: Values, tmp_path: Path) -> None:
    result = subprocess.run(
        [require_amtool(), "check-config", str(written(values, tmp_path))], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def expected(signal: Signal, severity: Severity, *, is_switch: bool) -> set[str]:
    if is_switch:
        return {DEAD_MAN}
    is_abuse = signal is Signal.ABUSE and severity is Severity.PAGE
    return {BY_SEVERITY[severity], *([SECURITY] if is_abuse else [])}


def test_every_alert_reaches_whom_its_severity_says(tmp_path: Path) -> None:
    path = written(EXAMPLE, tmp_path)
    wrong = {}
    for alert in ALERTS:
        wanted = expected(alert.signal, alert.severity, is_switch=alert.is_always_firing)
        # The arms of one alert differ in a label that no route looks at.
        if (found := routed(path, labels_of(alert))) != wanted:
            wrong[alert.name] = (found, wanted)
    assert wrong == {}


STRAY = {
    "an unknown severity": {"alertname": "NodeDown", "severity": "critical", "namespace": "team-a"},
    "no severity": {"alertname": "NodeDown"},
    "no label at all": {},
}


@pytest.mark.parametrize("labels", STRAY.values(), ids=list(STRAY))
def test_what_no_route_knows_is_a_ticket(labels: dict[str, str], tmp_path: Path) -> None:
    assert routed(written(EXAMPLE, tmp_path), labels) == {TICKETS}


def test_without_a_security_receiver_a_page_about_abuse_reaches_those_on_call(tmp_path: Path) -> None:
    abuse = next(alert for alert in ALERTS if alert.signal is Signal.ABUSE and alert.severity is Severity.PAGE)
    assert routed(written(BARE, tmp_path), labels_of(abuse)) == {ONCALL}


def test_no_arm_of_an_alert_is_routed_otherwise() -> None:
    read = {
        matcher.partition("=")[0]
        for route in alertmanager_configuration(EXAMPLE)["route"]["routes"]
        for matcher in route["matchers"]
    }
    assert "arm" not in read


def test_a_tenant_s_alerts_are_one_notification_and_clusters_are_kept_apart() -> None:
    root = alertmanager_configuration(EXAMPLE)["route"]
    told = {route["receiver"]: route["group_by"] for route in root["routes"]}
    assert root["group_by"] == told[ONCALL] == told[TICKETS] == told[SECURITY] == ["cluster", "namespace"]
    assert told[DEAD_MAN] == ["cluster"]


def test_every_receiver_with_words_of_its_own_tells_ours_and_the_end_of_an_alert() -> None:
    told = [
        (receiver["name"], kind, settings)
        for receiver in alertmanager_configuration(BARE)["receivers"]
        for kind, each in receiver.items()
        if kind != "name"
        for settings in each
    ]
    assert {kind for _, kind, _ in told} == {
        "webhook_configs",
        "pagerduty_configs",
        "slack_configs",
        "email_configs",
        "opsgenie_configs",
    }
    for receiver, kind, settings in told:
        assert settings["send_resolved"] is (receiver != DEAD_MAN)
        if kind != "webhook_configs":
            texts = list(strings(settings))
            assert TITLE in texts
            assert BODY in texts


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


def test_buttons_lead_only_where_the_values_have_addresses() -> None:
    def buttons(values: Values) -> list[str]:
        (told, *_) = alertmanager_configuration(values)["receivers"]
        return [each["text"] for each in told["slack_configs"][0]["actions"]]

    assert buttons(EXAMPLE) == ["Runbook", "Dashboard", "Silence"]
    assert buttons(BARE) == ["Silence"]


def test_what_is_rendered_is_what_is_built() -> None:
    assert yaml.safe_load(render_alertmanager(EXAMPLE)) == alertmanager_configuration(EXAMPLE)
