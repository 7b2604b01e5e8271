"""Error budgets that burn: tickets, since the runbook's own rows page."""

from gw_alerts import slos
from gw_alerts import thresholds as t
from gw_alerts.model import Alert, Arm, Depends, Part, Scope, Signal

_PAGE = "runbooks/alerts/slo-burn.md"
_DEPENDS = {
    "job-acquisition": frozenset({Depends.GITHUB, Depends.AGENT, Depends.CLAIMS}),
    "session-availability": frozenset({Depends.GITHUB, Depends.AGENT, Depends.CLAIMS}),
}

_CHECKS = {
    "pod-creation-15s": ("worker.latency", "job.waiting"),
    "pod-creation-60s": ("worker.latency", "job.waiting"),
    "job-acquisition": ("job.waiting", "github.reachable"),
    "session-availability": ("session.open", "agent.available"),
}
"""What names the cause while the budget burns."""


def _threshold(objective: slos.Objective, burn: slos.Burn) -> t.Threshold:
    return t.Threshold(
        subject=f"{objective.title}: share of misses in {burn.long} and in {burn.short}",
        comparison=">",
        value=slos.bound(objective, burn),
        unit="of 1",
        severity=t.Severity.TICKET,
        source=t.OURS + f"{burn.factor:g} times the even spending of {slos.DAYS} days (SRE workbook)",
    )


def _alert(objective: slos.Objective, speed: str, pairs: tuple[slos.Burn, ...], for_minutes: int) -> Alert:
    name = "".join(part.capitalize() for part in objective.name.split("-"))
    window = pairs[0].long
    return Alert(
        f"ActionsGatewaySLO{name}Burn{speed}",
        t.Severity.TICKET,
        Part.AGENT,
        Scope.TENANT,
        Signal.SYMPTOM,
        (
            Arm(
                slos.burns(objective, pairs),
                for_minutes,
                f"{{{{ $labels.namespace }}}} spends the budget of {objective.name} too fast",
                f"{objective.title}: {{{{ $value | humanizePercentage }}}} of the events of {window} or longer missed; "
                f"{objective.share * 100:g} % are promised.",
                tuple(_threshold(objective, pair) for pair in pairs),
                checks=_CHECKS[objective.name],
            ),
        ),
        _PAGE,
        ("cluster", "namespace"),
        _DEPENDS.get(objective.name, frozenset()),
        slo=objective.name,
    )


BUDGET_ALERTS: tuple[Alert, ...] = tuple(
    alert
    for objective in slos.OBJECTIVES
    for alert in (_alert(objective, "Fast", slos.FAST, 2), _alert(objective, "Slow", slos.SLOW, 15))
)
