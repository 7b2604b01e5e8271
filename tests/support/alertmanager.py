"""An Alertmanager that answers over HTTP as the real one does, and takes alerts and silences.

Shapes: Alertmanager's `api/v2/openapi.yaml`, as its version 0.25 answers (tests/component/monitoring asks a real one).
A silence whose id is given is changed, one without an author, a comment or matchers is refused (its silence package);
a receiver is told of a group after `group_wait`, and each request counts by integration, retries included (its notify
package).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gw_alerts.alertmanager import render_alertmanager
from gw_alerts.catalog.watching import WATCHDOG
from gw_alerts.model import TEAM
from gw_alerts.values import EXAMPLE_FILE, load_values
from support.clock import START

Manifest = Mapping[str, Any]
Reply = tuple[int, bytes]

EXAMPLE_VALUES = EXAMPLE_FILE
SWITCH: Manifest = {
    "labels": {"alertname": WATCHDOG.name, "severity": WATCHDOG.severity.value, "team": TEAM},
    "annotations": {"summary": "It always fires"},
    "startsAt": "2026-01-05T06:00:00.000Z",
    "fingerprint": "switch",
    "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
}
INTEGRATIONS = ("email", "pagerduty", "slack", "webhook")
_BEFORE_FIRST = 57
"""Looks by which the minute of the switch is over at the third look at the metrics."""
FAILED = "notification_requests_failed_total"


def example_configuration() -> str:
    """As rendered of the example's values."""
    return render_alertmanager(load_values(EXAMPLE_VALUES))


@dataclass
class AlertmanagerDouble:
    """Has the alerts and silences that a test gives it, and the dead-man's switch."""

    alerts: list[Manifest] = field(default_factory=list)
    hears_switch: bool = True
    silences: list[dict[str, Any]] = field(default_factory=list)
    groups: list[Manifest] = field(default_factory=list)
    is_ready: bool = True
    configuration: str | None = None
    """None for the example's; empty where it is not told."""
    told: dict[str, tuple[int, int]] = field(default_factory=lambda: {"pagerduty": (1, 0), "slack": (1, 0)})
    """By integration: requests and failed ones that a posted page causes."""
    reason: str = ""
    """That failures are counted with, since 0.27."""
    switch_integration: str = ""
    """By which the dead-man's switch is told, each minute if somebody looks at the metrics each second."""
    posted: list[dict[str, Any]] = field(default_factory=list)
    """Alerts that it was told."""
    refusal: Reply | None = None
    """Of every change."""
    _looks: int = 0

    def answer(self, path: str, query: Mapping[str, str]) -> Reply:
        match path:
            case "/-/ready":
                return (200, b"OK") if self.is_ready else (503, b"")
            case "/metrics":
                self._looks += 1
                return 200, "\n".join(self._metrics()).encode()
            case "/api/v2/status":
                return _json(self._status())
            case "/api/v2/alerts":
                return _json([*self.alerts, *([SWITCH] if self.hears_switch else []), *map(_as_told, self._living())])
            case "/api/v2/alerts/groups":
                return _json(self.groups)
            case "/api/v2/silences":
                return _json(self.silences)
        return 404, b"404 page not found\n"

    def change(self, method: str, path: str, body: Any) -> Reply:
        """A request that writes."""
        if self.refusal is not None:
            return self.refusal
        match method, path.rsplit("/", 1):
            case "POST", ["/api/v2", "silences"]:
                return self._silence(body)
            case "DELETE", ["/api/v2/silence", silence_id]:
                for silence in self.silences:
                    if silence["id"] == silence_id:
                        silence["status"] = {"state": "expired"}
                        return 200, b""
                return 404, b""
            case "POST", ["/api/v2", "alerts"]:
                self.posted += body
                return 200, b""
        return 405, b""

    def _silence(self, body: dict[str, Any]) -> Reply:
        if not (body["comment"] and body["createdBy"] and body["matchers"]):
            return 400, b'"silence invalid: invalid comment"'
        old = next((each for each in self.silences if each["id"] == body.get("id")), None)
        silence_id = old["id"] if old else f"5a1e-{len(self.silences) + 1}"
        self.silences = [each for each in self.silences if each is not old]
        self.silences.append({**body, "id": silence_id, "status": {"state": "active"}})
        return _json({"silenceID": silence_id})

    def _living(self) -> list[dict[str, Any]]:
        """Posted alerts by their labels, without those that were resolved."""
        last = {json.dumps(each["labels"], sort_keys=True): each for each in self.posted}
        ends = START.isoformat()
        return [each for each in last.values() if each["endsAt"] > ends and each is self.posted[-1]]

    def _status(self) -> Manifest:
        text = example_configuration() if self.configuration is None else self.configuration
        return {
            "versionInfo": {"version": "0.25.0"},
            "uptime": "2026-01-05T06:00:00.000Z",
            "cluster": {"status": "disabled", "peers": []},
            **({"config": {"original": text}} if text else {}),
        }

    def _metrics(self) -> Iterator[str]:
        reason = f',reason="{self.reason}"' if self.reason else ""
        # Each is posted once and taken back once.
        pages = (len(self.posted) + 1) // 2
        for integration in INTEGRATIONS:
            about = f'{{integration="{integration}"'
            attempts, failed = (count * pages for count in self.told.get(integration, (0, 0)))
            attempts += (self._looks + _BEFORE_FIRST) // 60 if integration == self.switch_integration else 0
            yield f"alertmanager_notification_requests_total{about}}} {attempts}"
            yield f"alertmanager_{FAILED}{about}}} {failed}"
            yield f"alertmanager_notifications_failed_total{about}{reason}}} {min(failed, 1)}"


def _as_told(posted: Mapping[str, Any]) -> Manifest:
    return {**posted, "fingerprint": "posted", "status": {"state": "active", "silencedBy": [], "inhibitedBy": []}}


def _json(document: Any) -> Reply:
    return 200, json.dumps(document).encode()
