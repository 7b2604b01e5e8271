"""Every alert, by what it is about: sessions, credentials, jobs, components, proxies, budgets, and the watching itself.

At most 15 alerts page: the production runbook's page conditions and their twins for series that are gone, named signals
of abuse, and the dead-man's switch. Everything else is a ticket.
"""

import re
from types import ModuleType

from actions_gateway.metrics import catalog as m
from gw_alerts.catalog import budgets, components, credentials, jobs, proxies, sessions, watching
from gw_alerts.model import Alert
from gw_alerts.recordings import RECORDINGS
from gw_alerts.slos import long_recordings, recent_recordings
from gw_alerts.thresholds import Severity

GROUP = watching.GROUP_PREFIX
RECENT_BUDGETS = f"{GROUP}-slo"
LONG_BUDGETS = f"{GROUP}-slo-long"

MOST_PAGES = 15
"""So few that whoever is woken knows each of them."""


def _of(module: ModuleType) -> tuple[Alert, ...]:
    return tuple(value for value in vars(module).values() if isinstance(value, Alert))


_NAMED: tuple[Alert, ...] = (
    *(alert for module in (sessions, credentials, jobs, components, proxies) for alert in _of(module)),
    *budgets.BUDGET_ALERTS,
    *_of(watching),
)
_EXPRESSIONS = " ".join(
    [arm.expression for alert in _NAMED for arm in alert.arms]
    + [each.expression for each in (*RECORDINGS, *recent_recordings())]
)


def _is_read(metric: m.Metric) -> bool:
    parts = "(_bucket|_count|_sum)?" if metric.kind is m.Kind.HISTOGRAM else ""
    return re.search(rf"\b{metric.name}{parts}\b(?!:)", _EXPRESSIONS) is not None


_CONDITIONAL = {
    m.MANAGED_GATEWAYS.name: "its end is what ManagerDown is about",
    m.BUILD_INFO.name: "by it a component is known to be there",
    m.QUOTA_HARD.name: "a namespace need not have a quota",
    m.QUOTA_USED.name: "a namespace need not have a quota",
    m.CREDENTIAL_REFERENCED.name: "it begins with the first gateway",
    m.RUNNER_VERSION_RELEASED.name: "of a runner of one's own nobody need have said its date",
}
"""Families that a healthy component may lack, and why."""
AWAITED = tuple(metric for metric in m.CATALOG if _is_read(metric) and metric.name not in _CONDITIONAL)
"""Families whose absence is told."""
SERIES_MISSING = watching.series_missing(AWAITED)
_BEFORE_LAST = (*_NAMED, SERIES_MISSING)

GROUP_SIZES: dict[str, int] = {
    # The alert that knows them has rules there, too.
    GROUP: len(RECORDINGS) + sum(len(alert.arms) for alert in _BEFORE_LAST) + len(watching.rules_not_loaded({}).arms),
    RECENT_BUDGETS: len(list(recent_recordings())),
    LONG_BUDGETS: len(list(long_recordings())),
}
ALERTS: tuple[Alert, ...] = (*_BEFORE_LAST, watching.rules_not_loaded(GROUP_SIZES))
BY_NAME = {alert.name: alert for alert in ALERTS}
PROBLEMS = tuple(alert for alert in ALERTS if alert.tells_of_problem)
PAGES = tuple(alert for alert in ALERTS if alert.severity is Severity.PAGE)
