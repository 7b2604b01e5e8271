"""Checks of observability itself: would somebody be told, and what is told now that nobody silenced."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from actions_gateway.api import names
from gw.checks.belonging import OwnSeries, own_series
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, seconds_since
from gw.sources.alerting import AlertFact, AlertingFact
from gw.sources.facts import Facts, Missing, Need
from gw.sources.monitoring import MonitoringFact, TargetFact
from gw.sources.pods import PodFact, PodRole
from gw.sources.series import FIRING
from gw_alerts.catalog import ALERTS, BY_NAME
from gw_alerts.catalog.watching import WATCHDOG
from gw_alerts.model import TEAM
from gw_alerts.thresholds import (
    MONITORING_DOWN,
    RULES_NOT_LOADED,
    SCRAPE_DUE_SECONDS,
    SWITCH_DUE_SECONDS,
    TARGETS_NOT_SCRAPED,
    Severity,
)

_SEVERITIES: Mapping[str, Severity] = {
    **{severity.value: severity for severity in Severity},
    "critical": Severity.PAGE,
    "warning": Severity.TICKET,
}
"""By an alert's label; the last two as other projects' rules write it."""
_NO_PROBLEM = frozenset(alert.name for alert in ALERTS if not alert.tells_of_problem)
_SCRAPED = frozenset({PodRole.MANAGER, PodRole.AGENT, PodRole.PROXY})
_NAMED = 3
"""Examples in evidence."""


def _answers(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.monitoring, Missing) and facts.monitoring.is_down:
        yield problem("", facts.monitoring.reason, next_step=facts.monitoring.next_step)
        return
    found = facts.monitoring.value
    if found.is_ready:
        yield ok("", f"{found.source} answers, version {found.version}")
    else:
        yield problem(
            "",
            f"{found.source} is not ready: it starts, or stops",
            evidence=(f"version {found.version}",),
            next_step="gw health --check monitoring.answers --fail-on ticket --wait 5m",
        )


def _rules(facts: Facts) -> Iterator[Finding]:
    own, monitoring = own_series(facts), facts.monitoring.value
    if not own.clusters:
        yield skipped("", "there is no gateway yet by which a Prometheus could be known as this cluster's")
        return
    health = {alert.name: monitoring.alerts.get(alert.name) for alert in ALERTS}
    absent = [name for name, state in health.items() if state is None]
    broken = [name for name, state in health.items() if state == "err"]
    if absent or broken:
        yield problem(
            "",
            f"{counted(len(absent) + len(broken), 'alert rule')} of {len(health)} cannot fire",
            evidence=(
                f"not loaded: {_some(absent)}" if absent else "",
                f"cannot be evaluated: {_some(broken)}" if broken else "",
                monitoring.source,
            ),
            next_step="gw alerts check",
        )
    elif "unknown" in health.values():
        yield unknown("", f"{monitoring.source} has loaded the alert rules and not evaluated all of them yet")
    else:
        yield ok("", f"{counted(len(health), 'alert rule')} loaded and evaluated")


def _targets(facts: Facts) -> Iterator[Finding]:
    own, monitoring = own_series(facts), facts.monitoring.value
    idle = {gateway.namespace for gateway in facts.gateways.value if gateway.wants_no_agent}
    targets: dict[tuple[str, str], list[TargetFact]] = {}
    for target in monitoring.targets:
        targets.setdefault((target.namespace, target.pod), []).append(target)
    pods = [pod for pod in (*facts.manager_pods.value, *facts.pods.value) if pod.role in _SCRAPED and pod.is_ready]
    by_place: dict[str, list[PodFact]] = {}
    for pod in pods:
        if pod.namespace not in idle:
            by_place.setdefault(pod.namespace, []).append(pod)
    for namespace, there in by_place.items() if own.clusters else ():
        seen = {pod: targets.get((namespace, pod.name), []) for pod in there}
        missed = {pod: found for pod, found in seen.items() if not any(target.is_up for target in found)}
        due = {pod: found for pod, found in missed.items() if not _is_early(pod, found, facts.now)}
        if due:
            yield problem(
                namespace,
                f"not scraped: {len(due)} of {counted(len(there), 'pod')}",
                evidence=tuple(_missed(pod, found, monitoring.source) for pod, found in list(due.items())[:_NAMED]),
                next_step=f"kubectl get servicemonitors,podmonitors -n {namespace}",
            )
        elif missed:
            yield unknown(namespace, f"not scraped yet: {len(missed)} of {counted(len(there), 'pod')}")
        else:
            yield ok(namespace, f"{counted(len(there), 'pod')} scraped")


def _is_early(pod: PodFact, found: list[TargetFact], now: datetime) -> bool:
    """Whether the first scrape of a target, or of a new pod, is still to come."""
    age_seconds = seconds_since(pod.created_at, now)
    is_new = age_seconds is not None and age_seconds <= SCRAPE_DUE_SECONDS.value
    return is_new or (bool(found) and not any(target.error for target in found))


def _missed(pod: PodFact, found: list[TargetFact], source: str) -> str:
    errors = [target.error for target in found if target.error]
    return f"{pod.role} {pod.name}: {errors[0] if errors else f'no target of {source}'}"


def _alertmanager(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.alerting, Missing) and facts.alerting.is_down:
        yield problem("", facts.alerting.reason, next_step=facts.alerting.next_step)
        return
    alerting = facts.alerting.value
    if not alerting.is_ready:
        yield problem(
            "",
            f"{alerting.source} is not ready: it starts, or stops",
            evidence=(f"version {alerting.version}",),
            next_step="gw health --check monitoring.alertmanager --fail-on ticket --wait 5m",
        )
    elif own_series(facts).clusters and not facts.monitoring.value.alertmanager_count:
        yield problem(
            "",
            f"{facts.monitoring.value.source} sends its alerts to no Alertmanager",
            evidence=(f"{alerting.source} answers, version {alerting.version}",),
            next_step="name it in Prometheus's `alerting` section: kubectl get prometheus -A -o yaml",
        )
    elif (own := own_series(facts)).clusters and facts.monitoring.value.alerts.get(WATCHDOG.name) == "ok":
        # Prometheus knows it by a pod's address, gw by a Service or a URL: only what arrives tells that it is the one.
        yield _switch(alerting, own, facts)
    else:
        sends = ", and Prometheus sends to one" if own.clusters else ""
        yield ok("", f"{alerting.source} answers, version {alerting.version}{sends}")


def _switch(alerting: AlertingFact, own: OwnSeries, facts: Facts) -> Finding:
    """Whether the dead-man's switch, which a Prometheus with this project's rules always fires, arrives."""
    monitoring = facts.monitoring.value
    heard = {
        alert.labels.get("cluster", "")
        for alert in alerting.alerts
        # Other projects have a switch of the same name.
        if alert.name == WATCHDOG.name and alert.labels.get("team") == TEAM
    }
    fits = heard & _names(own, monitoring.cluster)
    if fits - {""} or (fits and (heard == fits or monitoring.cluster is not None)):
        return ok("", f"{alerting.source} answers, version {alerting.version}, and hears Prometheus")
    ages = [seconds_since(moment, facts.now) for moment in (monitoring.switch_since, alerting.started_at)]
    if any(age is not None and age <= SWITCH_DUE_SECONDS.value for age in ages):
        return unknown("", f"{alerting.source} has not heard {monitoring.source} yet: one of them has just started")
    others = ", ".join(sorted(name or "one without a name" for name in heard))
    if heard and "" in own.clusters and not monitoring.cluster:
        return _nameless(alerting, monitoring, others)
    return problem(
        "",
        f"{alerting.source} does not hear the dead-man's switch that {monitoring.source} fires",
        evidence=(
            "what Prometheus sends does not arrive, or goes to another Alertmanager",
            f"it hears that of another cluster: {others}" if heard else "",
        ),
        next_step="see Prometheus's log for what is refused, or name this cluster's with --alertmanager-url URL",
    )


def _names(own: OwnSeries, external: str | None) -> set[str]:
    """What the switch of this cluster's Prometheus may have as its `cluster`: it has no series to get one of."""
    if external:
        return {external}
    return {*own.clusters} if external is None else {"", *own.clusters}


def _nameless(alerting: AlertingFact, monitoring: MonitoringFact, others: str) -> Finding:
    """A switch arrives that may be another cluster's."""
    what = f"{alerting.source} hears the dead-man's switch of cluster {others}, and which is this one cannot be told"
    if monitoring.cluster is None:
        return unknown(
            "",
            f"{what}: {monitoring.source} does not tell its external labels",
            next_step="name the Prometheus itself with --prometheus-url URL: what stands before it may not tell",
            is_lasting=True,
        )
    return unknown(
        "",
        f"{what}: {monitoring.source} has no external label `cluster`",
        next_step="set global.external_labels.cluster of Prometheus, as gw alerts render prometheus --values FILE does",
        is_lasting=True,
    )


def firing_problems(facts: Facts) -> list[AlertFact]:
    """What Alertmanager has of those who are asked about; raises NotKnown when nobody can tell whose alerts they are.

    The dead-man's switch always fires, and what only inhibits tells nobody anything.
    """
    alerts, own = facts.alerting.value.alerts, own_series(facts)
    return [each for each in alerts if each.name not in _NO_PROBLEM and is_ours(each.labels, own, facts)]


def _firing(facts: Facts) -> Iterator[Finding]:
    own, alerting = own_series(facts), facts.alerting.value
    ours = firing_problems(facts)
    untold = list(_untold(facts, own, alerting.alerts))
    yield from untold
    if own.clusters and (deaf := why_deaf(facts.monitoring.value)):
        yield unknown("", f"nothing else would be told: {deaf}")
    elif own.clusters and not ours and not untold:
        yield ok("", "no alert of this project fires")
    for alert in ours:
        subject = ", ".join(part for part in (alert.name, _where(alert.labels)) if part)
        if alert.silenced_by:
            yield skipped(subject, f"somebody silenced it: {', '.join(alert.silenced_by)}")
        elif alert.state == "suppressed":
            yield skipped(subject, "another alert stands for it")
        else:
            # Whoever routes alerts by labels of their own has not made this one less severe.
            severity = _SEVERITIES.get(alert.severity) or BY_NAME[alert.name].severity
            yield problem(
                subject,
                alert.summary or "it fires",
                since=alert.started_at,
                evidence=(f"page: {alert.page or BY_NAME[alert.name].page}",),
                next_step=_look_at(alert.labels),
                severity=severity,
            )


def _untold(facts: Facts, own: OwnSeries, known: Iterable[AlertFact]) -> Iterator[Finding]:
    """Alerts that fire in Prometheus, and that an Alertmanager which it does not send to cannot have."""
    told = {(each.name, *(each.labels.get(label, "") for label in FIRING.labels[1:])) for each in known}
    for key in sorted(own.of(FIRING)):
        name, *where = key  # The query asks for no other alerts' names.
        labels = {label: value for label, value in zip(FIRING.labels[1:], where, strict=True) if value}
        if key not in told and is_ours(labels | {"cluster": own.clusters[0]}, own, facts):
            yield problem(
                ", ".join(part for part in (name, _where(labels)) if part),
                f"it fires in {own.source}, and {facts.alerting.value.source} has not heard of it",
                evidence=("Prometheus tells another Alertmanager of it, or none", f"page: {BY_NAME[name].page}"),
                next_step=_look_at(labels),
                severity=BY_NAME[name].severity,
            )


def why_deaf(monitoring: MonitoringFact) -> str:
    """Why silence of alerts says nothing; empty when this project's rules are evaluated and told to an Alertmanager."""
    if mute := why_mute(monitoring):
        return mute
    return "" if monitoring.alertmanager_count else f"{monitoring.source} sends its alerts to no Alertmanager"


def why_mute(monitoring: MonitoringFact) -> str:
    """Why Prometheus may know of no alert; empty when this project's rules are evaluated."""
    lacking = [alert.name for alert in ALERTS if monitoring.alerts.get(alert.name) != "ok"]
    if lacking:
        return f"{monitoring.source} does not evaluate {counted(len(lacking), 'alert rule')}: {_some(lacking)}"
    return ""


def is_ours(labels: Mapping[str, str], own: OwnSeries, facts: Facts) -> bool:
    """Of a fleet's Alertmanager, what this cluster's Prometheus told; a `cluster` label may come on the way to it."""
    namespace = labels.get("namespace")
    tenants = {gateway.namespace for gateway in facts.gateways.value}
    is_platforms = facts.namespace is None and namespace in (None, names.MANAGER_NAMESPACE)
    return is_of_cluster(labels, own) and (namespace in tenants or is_platforms)


def is_of_cluster(labels: Mapping[str, str], own: OwnSeries) -> bool:
    """Whether an alert may be this cluster's: one whose series have no `cluster` label may get it on the way."""
    return labels.get("cluster", "") in own.clusters or "" in own.clusters


def _look_at(labels: Mapping[str, str]) -> str:
    namespace = labels.get("namespace")
    return f"gw health {'-A' if namespace in (None, '', names.MANAGER_NAMESPACE) else namespace}"


def _where(labels: Mapping[str, str]) -> str:
    return "/".join(labels[key] for key in ("namespace", "runner_group", "name") if labels.get(key))


def _some(found: list[str]) -> str:
    rest = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _check(
    check_id: str,
    title: str,
    severity: Severity,
    run: Callable[[Facts], Iterator[Finding]],
    looks_at: str,
    *needs: Need,
    scope: Scope = Scope.PLATFORM,
) -> Check:
    about = Category.OBSERVABILITY
    return Check(check_id, title, severity, scope, frozenset(needs), run, category=about, looks_at=looks_at)


CHECKS: tuple[Check, ...] = (
    _check(
        "monitoring.answers",
        "Prometheus answers",
        MONITORING_DOWN.severity,
        _answers,
        "the version and readiness of the Prometheus that was named or found",
        Need.MONITORING,
    ),
    _check(
        "monitoring.rules",
        "Prometheus evaluates every alert rule of this project",
        RULES_NOT_LOADED.severity,
        _rules,
        "the alert rules that this cluster's Prometheus has loaded, and their health",
        *(Need.MONITORING, Need.SERIES, Need.GATEWAYS),
    ),
    _check(
        "monitoring.targets",
        "Prometheus scrapes managers, agents and proxies",
        TARGETS_NOT_SCRAPED.severity,
        _targets,
        "the targets of this cluster's Prometheus beside the ready pods of managers, agents and proxies",
        *(Need.MONITORING, Need.SERIES, Need.GATEWAYS, Need.PODS, Need.MANAGER_PODS),
    ),
    _check(
        "monitoring.alertmanager",
        "Alertmanager answers and is told",
        MONITORING_DOWN.severity,
        _alertmanager,
        "the version and readiness of the Alertmanager that was named or found, and whether it hears Prometheus",
        *(Need.ALERTING, Need.MONITORING, Need.SERIES, Need.GATEWAYS),
    ),
    _check(
        "alerts.firing",
        "No alert fires that nobody silenced",
        Severity.PAGE,
        _firing,
        "this project's alerts in Alertmanager, without those that are silenced or stood for by another, and whether "
        "Prometheus would tell of them",
        *(Need.ALERTING, Need.MONITORING, Need.SERIES, Need.GATEWAYS),
        scope=Scope.TENANT,
    ),
)
