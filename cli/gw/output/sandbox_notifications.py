"""What the sandbox's receivers were told, as text and as a document."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from gw.output.layout import Cell, columns, stamp, styled
from gw.output.view import View
from gw.sources.sandbox import NotificationFact, ToldAlertFact
from gw_alerts.catalog import ALERTS

_ALWAYS = frozenset(alert.name for alert in ALERTS if alert.is_always_firing)
_PLACE = ("namespace", "runner_group", "name", "pod")
"""Labels that say where an alert's subject is."""


def notifications_view(notifications: Sequence[NotificationFact]) -> View:
    """One row for each alert of a notification."""
    return View(
        kind="Notifications",
        data={"notifications": [_data(each) for each in notifications]},
        lines=lambda: _lines(notifications),
        short=[f"{each.receiver} {one.status} {one.name}" for each in notifications for one in each.alerts],
    )


def _lines(notifications: Sequence[NotificationFact]) -> list[Text]:
    rows = [_row(each, one) for each in notifications for one in each.alerts if one.name not in _ALWAYS]
    table = columns(rows, header=("TIME", "RECEIVER", "STATUS", "ALERT", "WHERE", "WHAT")) if rows else []
    switches = Counter(each.receiver for each in notifications if any(one.name in _ALWAYS for one in each.alerts))
    heard = [Text(f"{receiver} heard the dead-man's switch {count} times.") for receiver, count in switches.items()]
    return [*(table or [Text("No receiver was told of a problem.")]), *heard]


def _row(notification: NotificationFact, alert: ToldAlertFact) -> list[Cell]:
    is_over = alert.status == "resolved"
    return [
        stamp(notification.at) or "-",
        notification.receiver,
        styled(alert.status, "ok" if is_over else "bad"),
        alert.name,
        "/".join(alert.labels[name] for name in _PLACE if name in alert.labels) or "-",
        alert.summary,
    ]


def _data(notification: NotificationFact) -> dict[str, Any]:
    return {
        "at": stamp(notification.at),
        "receiver": notification.receiver,
        "status": notification.status,
        "alerts": [
            {
                "name": alert.name,
                "status": alert.status,
                "labels": dict(alert.labels),
                "summary": alert.summary,
                "runbook": alert.runbook,
                "starts_at": stamp(alert.starts_at),
                "ends_at": stamp(alert.ends_at),
            }
            for alert in notification.alerts
        ],
    }
