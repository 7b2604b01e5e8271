"""Alertmanager as facts: alerts that fire, and silences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gw.sources.alertmanager import Alertmanager
from gw.sources.endpoints import Endpoint, all_of
from gw.sources.gateways import parse_time
from gw_alerts.catalog import ALERTS

_OWN = frozenset(alert.name for alert in ALERTS)
_SIGNS = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
"""By `isEqual`, which older versions leave out, and `isRegex`."""


@dataclass(frozen=True, slots=True)
class AlertFact:
    """One alert of this project that Alertmanager has."""

    name: str
    severity: str
    labels: Mapping[str, str]
    summary: str
    started_at: datetime | None
    state: str
    """`active`, `suppressed`, `unprocessed`."""
    silenced_by: tuple[str, ...] = ()
    """Ids of silences."""
    page: str = ""
    """The runbook page, from the project's root."""
    fingerprint: str = ""
    inhibited_by: tuple[str, ...] = ()
    """Fingerprints of the alerts that stand for it."""
    command: str = ""
    """What to begin with."""


@dataclass(frozen=True, slots=True)
class SilenceFact:
    """One silence: in force, to come, or over and not forgotten yet, which is five days unless set otherwise."""

    id: str
    matchers: str
    """As amtool writes them: `alertname="A", namespace=~"b.*"`."""
    created_by: str
    comment: str
    starts_at: datetime | None
    ends_at: datetime | None
    is_active: bool
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class AlertingFact:
    """One Alertmanager."""

    source: str
    version: str
    is_ready: bool
    alerts: tuple[AlertFact, ...]
    """By name and labels."""
    silences: tuple[SilenceFact, ...]
    """By their end."""
    started_at: datetime | None = None


async def gather_alerting(endpoint: Endpoint) -> AlertingFact:
    """Raises NoAnswer."""
    alertmanager = Alertmanager(endpoint)
    status, is_ready, alerts, silences = await all_of(
        alertmanager.status(), endpoint.is_ready(), alertmanager.alerts(), alertmanager.silences()
    )
    own = endpoint.parsed(
        lambda data: [_alert(each) for each in data if each["labels"].get("alertname") in _OWN], alerts
    )
    silenced = endpoint.parsed(lambda data: [_silence(each) for each in data], silences)
    return AlertingFact(
        endpoint.source,
        status.version,
        is_ready,
        tuple(sorted(own, key=lambda alert: (alert.name, sorted(alert.labels.items())))),
        tuple(sorted(silenced, key=lambda silence: (str(silence.ends_at), silence.id))),
        status.started_at,
    )


def _alert(entry: Mapping[str, Any]) -> AlertFact:
    labels, notes, status = entry["labels"], entry.get("annotations") or {}, entry["status"]
    return AlertFact(
        name=str(labels["alertname"]),
        severity=str(labels.get("severity") or ""),
        labels={str(name): str(value) for name, value in labels.items()},
        summary=str(notes.get("summary") or ""),
        started_at=parse_time(entry.get("startsAt")),
        state=str(status["state"]),
        silenced_by=tuple(str(each) for each in status.get("silencedBy") or ()),
        page=str(notes.get("runbook") or ""),
        fingerprint=str(entry.get("fingerprint") or ""),
        inhibited_by=tuple(str(each) for each in status.get("inhibitedBy") or ()),
        command=str(notes.get("command") or ""),
    )


def _silence(entry: Mapping[str, Any]) -> SilenceFact:
    return SilenceFact(
        id=str(entry["id"]),
        matchers=", ".join(_matcher(each) for each in entry["matchers"]),
        created_by=str(entry.get("createdBy") or ""),
        comment=str(entry.get("comment") or ""),
        starts_at=parse_time(entry.get("startsAt")),
        ends_at=parse_time(entry.get("endsAt")),
        is_active=entry["status"]["state"] == "active",
        is_over=entry["status"]["state"] == "expired",
    )


def _matcher(entry: Mapping[str, Any]) -> str:
    sign = _SIGNS[bool(entry.get("isEqual", True)), bool(entry["isRegex"])]
    return f'{entry["name"]}{sign}"{entry["value"]}"'
