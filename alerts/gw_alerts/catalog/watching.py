"""The watching itself: the dead-man's switch, rules that fail, notifications that do, series that are gone."""

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts import thresholds as t
from gw_alerts.expressions import CLUSTER, select
from gw_alerts.model import Alert, Arm, Part, Scope, Signal
from gw_alerts.recordings import EXPORTERS, Of

GROUP_PREFIX = "actions-gateway"
"""Of the names of our rule groups, by which Prometheus's own series of them are found."""

RULES_FAILED = t.Threshold(
    subject="evaluations of our rules that failed within 5 minutes",
    comparison=">",
    value=0,
    unit="evaluations",
    severity=t.Severity.TICKET,
    source=t.OURS + "such an alert does not fire, whatever happens",
)
NOTIFICATIONS_FAILED_SHARE = t.Threshold(
    subject="share of notifications that could not be delivered",
    comparison=">",
    value=0.01,
    unit="of 1",
    severity=t.Severity.TICKET,
    source=t.OURS + "one in a hundred is more than a receiver's hiccup, which is tried again",
)

RULES_UNKNOWN = t.Threshold(
    subject="Prometheus servers with our rules that tell of themselves",
    comparison="<",
    value=1,
    unit="servers",
    severity=t.Severity.TICKET,
    source=t.OURS + "it has to scrape itself, so that somebody hears of rules that it lacks",
)

_PAGE = "runbooks/alerts/monitoring-broken.md"
_OURS = f'rule_group=~".*;{GROUP_PREFIX}.*"'


def _lately(series: foreign.ForeignSeries) -> str:
    """Whether it has counted anything of a group of ours within 5 minutes."""
    return f"sum by ({CLUSTER}, rule_group) (increase({series.name}{{{_OURS}}}[5m])) > {RULES_FAILED.value:g}"


NOTIFICATIONS_FAILED = f"sum by ({CLUSTER}, integration) (rate({foreign.NOTIFICATIONS_FAILED.name}[10m]))"
"""A second. Alertmanager tries a receiver that fails once in a group's interval: ten minutes hold two of them."""
NOTIFICATIONS_ATTEMPTED = f"sum by ({CLUSTER}, integration) (rate({foreign.NOTIFICATIONS.name}[10m]))"


def _of(metric: m.Metric) -> Of:
    if metric is m.EXPECTED_SESSIONS:
        return Of.EXPECTATIONS
    if "runner_group" in metric.labels:
        return Of.GROUPS
    if metric.components[0] is m.Component.AGENT:
        return Of.AGENT
    return Of.GATEWAYS if "namespace" in metric.labels else Of.MANAGER


def _missing(metrics: tuple[m.Metric, ...]) -> str:
    """Families that nobody exports although somebody should, one series for each."""
    parts = []
    for metric in metrics:
        series = select(metric, part="_count" if metric.kind is m.Kind.HISTOGRAM else "")
        gone = f'{EXPORTERS}{{of="{_of(metric)}"}} unless on ({CLUSTER}) count by ({CLUSTER}) ({series})'
        parts.append(f'label_replace({gone}, "family", "{metric.name}", "", "")')
    return f"sum by ({CLUSTER}, family) ({' or '.join(parts)})"


def _ticket(name: str, arms: Arm | tuple[Arm, ...], *grouping: str) -> Alert:
    every = arms if isinstance(arms, tuple) else (arms,)
    return Alert(name, t.Severity.TICKET, Part.MONITORING, Scope.FLEET, Signal.WATCH, every, _PAGE, grouping)


WATCHDOG = Alert(
    "Watchdog",
    t.Severity.PAGE,
    Part.MONITORING,
    Scope.FLEET,
    Signal.WATCH,
    (
        Arm(
            "vector(1)",
            0,
            "The dead-man's switch: this alert always fires",
            "Whoever receives it pages when it stops: then Prometheus, Alertmanager or the way between them is broken.",
            (),
        ),
    ),
    _PAGE,
    (),
    is_always_firing=True,
)
RULE_FAILURES = _ticket(
    "ActionsGatewayRuleFailures",
    Arm(
        _lately(foreign.RULE_FAILURES),
        15,
        "Rules of {{ $labels.rule_group }} cannot be evaluated",
        "Their alerts do not fire, whatever happens.",
        (RULES_FAILED,),
        checks=("monitoring.rules",),
    ),
    CLUSTER,
    "rule_group",
)
EVALUATIONS_MISSED = _ticket(
    "ActionsGatewayRuleEvaluationsMissed",
    Arm(
        _lately(foreign.ITERATIONS_MISSED),
        15,
        "Rules of {{ $labels.rule_group }} are evaluated too rarely",
        "Prometheus has too much to do; alerts fire late.",
        (RULES_FAILED,),
        checks=("monitoring.rules",),
    ),
    CLUSTER,
    "rule_group",
)
NOTIFICATIONS_FAILING = _ticket(
    "ActionsGatewayNotificationsFailing",
    Arm(
        f"{NOTIFICATIONS_FAILED} / ({NOTIFICATIONS_ATTEMPTED} > 0) > {NOTIFICATIONS_FAILED_SHARE.value:g}",
        15,
        "Notifications by {{ $labels.integration }} are not delivered",
        "{{ $value | humanizePercentage }} of them fail: people are not told.",
        (NOTIFICATIONS_FAILED_SHARE,),
        checks=("monitoring.alertmanager",),
    ),
    CLUSTER,
    "integration",
)


def series_missing(metrics: tuple[m.Metric, ...]) -> Alert:
    """The alert for families that rules read and that are not there while their exporter is."""
    return _ticket(
        "ActionsGatewaySeriesMissing",
        Arm(
            _missing(metrics),
            15,
            "Nobody exports {{ $labels.family }}",
            "Alerts on it stay silent, whatever happens: a scrape drops it, or versions differ.",
            (t.RULES_NOT_LOADED,),
            checks=("monitoring.targets",),
        ),
        "cluster",
        "family",
    )


def rules_not_loaded(group_sizes: dict[str, int]) -> Alert:
    """The alert for rules that a Prometheus lacks: a part of a group, or a whole one beside this alert's own."""
    total = sum(group_sizes.values())
    ours = foreign.RULES_LOADED.chosen(_OURS)
    return _ticket(
        "ActionsGatewayRulesNotLoaded",
        (
            Arm(
                # Each Prometheus by itself: of two that see each other, or write into one store, one may have all.
                f"min by ({CLUSTER}, instance) (sum without (rule_group) ({ours})) < {total}",
                15,
                "Not all rules of Actions Gateway are loaded",
                f"There should be {total}, as Prometheus says of itself when it is scraped. What is missing alerts "
                "nobody: gw alerts check says which.",
                (t.RULES_NOT_LOADED,),
                "fewer",
                checks=("monitoring.rules",),
            ),
            Arm(
                f"absent({ours})",
                15,
                "Prometheus does not say which rules it has loaded",
                f"It is not scraped itself, so nobody is told when one of the {total} rules of Actions Gateway is "
                "missing, fails or is evaluated too rarely.",
                (RULES_UNKNOWN,),
                "unknown",
                checks=("monitoring.rules",),
            ),
        ),
        CLUSTER,
        "instance",
    )
