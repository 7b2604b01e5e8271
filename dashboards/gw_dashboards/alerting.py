"""Panels of alerts, which several boards have: what fires, since when, and which page ends it."""

from actions_gateway.metrics import catalog as m
from gw_alerts.catalog import ALERTS
from gw_alerts.expressions import CLUSTER
from gw_alerts.foreign import ALERTS_SERIES, ALERTS_SINCE
from gw_alerts.model import TEAM, Alert
from gw_alerts.thresholds import Severity
from gw_dashboards.bounds import firing
from gw_dashboards.model import Kind, Panel, Presence, Query, Word
from gw_dashboards.promql import OF_CLUSTER, OF_TENANT, named_all, number, select, worst

RUNBOOK = "runbook"
"""The column that leads to an alert's page."""
PAGES_FOLDER = "runbooks/alerts"
WATCHDOG = next(alert for alert in ALERTS if alert.is_always_firing)
_OURS = f'team="{TEAM}"'
"""Other projects' rules have a dead-man's switch of the same name."""
ARMED = select(ALERTS_SERIES, 'cluster=~"$cluster|"', f'{_OURS},alertname="{WATCHDOG.name}"')
"""There while the rules are evaluated at all: in a chosen cluster, or by a Prometheus that is none's."""
_ARMED_FOR_ALL = select(ALERTS_SERIES, 'cluster=""', f'{_OURS},alertname="{WATCHDOG.name}"')
_INSTANCE = tuple(dict.fromkeys(("alertname", "severity", *(label for alert in ALERTS for label in alert.grouping))))
"""The labels in which alerts differ. Arms are no other alerts, nor are those that a second Prometheus evaluates."""
_COLUMNS = ("alertname", "severity", "namespace", "runner_group", RUNBOOK)


def page_of(alert: Alert) -> str:
    """An alert's place in PAGES_FOLDER."""
    return f"{alert.page.removeprefix(f'{PAGES_FOLDER}/')}#{alert.anchor}"


PAGES: tuple[Word, ...] = tuple(Word(alert.name, page_of(alert), is_plain=True) for alert in ALERTS)
"""From an alert's name to its page, since a link in a table can only be made of what the table shows."""


def firing_series(severities: str, scope: str = OF_TENANT) -> str:
    """The alerts that fire, of some severities (a regular expression)."""
    about = f'{_OURS},alertname!="{WATCHDOG.name}",alertstate="firing",severity=~"{severities}"'
    return select(ALERTS_SERIES, scope, about)


def firing_alerts(severities: str, scope: str = OF_TENANT) -> str:
    """The same, each alert once: for however many reasons it fires, and whichever servers tell of it."""
    return f"max by ({', '.join(_INSTANCE)}) ({firing_series(severities, scope)})"


def firing_table(title: str, severity: str, description: str, *, width: int = 24, height: int = 7) -> Panel:
    """The alerts that fire, the oldest first, each with its page; one that is no tenant's is of them all."""
    since = select(ALERTS_SINCE, OF_TENANT, f'{_OURS},severity=~"{severity}"')
    fires = f"time() - {since} and ignoring (alertstate) {firing_series(severity)}"
    named = f"max by (cluster, alertname, severity, namespace, runner_group) ({fires})"
    return Panel(
        title=title,
        description=description,
        kind=Kind.TABLE,
        queries=(
            Query(
                f'label_replace({named_all(named, "namespace")}, "{RUNBOOK}", "$1", "alertname", "(.*)")',
                _COLUMNS,
                "For",
                Presence.FAULT,
            ),
        ),
        no_value="No alert fires here",
        unit="s",
        columns=_COLUMNS,
        width=width,
        height=height,
        leads_to_tenant=True,
    )


def firing_count(title: str, severity: Severity, description: str, *, width: int = 4) -> Panel:
    """How many alerts of a severity fire; nothing while the rules are not evaluated at all."""
    return Panel(
        title=title,
        description=description,
        kind=Kind.STAT,
        queries=(Query(number(firing_alerts(severity.value), ARMED)),),
        no_value="The rules are not evaluated",
        bounds=firing(severity),
        width=width,
    )


def dead_mans_switch(*, width: int = 4) -> Panel:
    """Whether the rules are evaluated, in each cluster that has something of ours."""
    unwatched = f"0 * {worst(m.BUILD_INFO, CLUSTER, OF_CLUSTER)} unless on () {_ARMED_FOR_ALL}"
    return Panel(
        title="Dead-man's switch",
        description="An alert that always fires. Without it no other alert is evaluated, and this board shows nothing.",
        kind=Kind.STAT,
        queries=(Query(f"max by ({CLUSTER}) ({ARMED}) or {unwatched}", (CLUSTER,)),),
        no_value="Not firing: no rule is evaluated",
        is_bad_without=True,
        words=(Word("1", "armed"), Word("0", "not firing", is_bad=True)),
        alerts=(WATCHDOG,),
        width=width,
    )


def alert_history(*, height: int = 9) -> Panel:
    """Since when, and whether it comes and goes."""
    return Panel(
        title="Alerts over time",
        description="One line for each alert that fired, by tenant. Lines that start together have one cause.",
        kind=Kind.STATE_TIMELINE,
        queries=(
            Query(
                f"max by (cluster, alertname, namespace) ({firing_series('page|ticket')})",
                ("alertname", "namespace"),
                presence=Presence.FAULT,
            ),
        ),
        no_value="No alert has fired in this time",
        words=(Word("1", "fires", is_bad=True),),
        width=24,
        height=height,
    )


__all__ = [
    "PAGES",
    "RUNBOOK",
    "alert_history",
    "dead_mans_switch",
    "firing_alerts",
    "firing_count",
    "firing_series",
    "firing_table",
    "page_of",
]
