"""The rule groups, as a rule file and as the spec of a PrometheusRule."""

from collections.abc import Iterable
from typing import Any

from gw_alerts.catalog import ALERTS, GROUP, LONG_BUDGETS, RECENT_BUDGETS
from gw_alerts.model import Links, Recording
from gw_alerts.recordings import RECORDINGS
from gw_alerts.slos import long_recordings, recent_recordings

INTERVAL = "1m"
LONG_INTERVAL = "2m"
"""Of what changes by the hour; Prometheus takes a sample for the present for five minutes."""


def rule_groups(links: Links = Links()) -> list[dict[str, Any]]:  # noqa: B008  # it is frozen
    """The groups of a rule file, which are those of a PrometheusRule's spec, too."""
    alerts = [rule for alert in ALERTS for rule in alert.rules(links)]
    return [
        _group(RECENT_BUDGETS, INTERVAL, _recorded(recent_recordings())),
        _group(LONG_BUDGETS, LONG_INTERVAL, _recorded(long_recordings())),
        # Alerts are evaluated in the group of what they read, after it.
        _group(GROUP, INTERVAL, [*_recorded(RECORDINGS), *alerts]),
    ]


def _recorded(recordings: Iterable[Recording]) -> list[dict[str, Any]]:
    return [recording.rule() for recording in recordings]


def _group(name: str, interval: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "interval": interval, "rules": rules}
