"""The check of the proxies' autoscaler."""

from collections.abc import Iterator

from gw.checks.catalog.gateway import served, subject_of
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, seconds_since
from gw.sources.autoscalers import AutoscalerFact
from gw.sources.facts import Facts, Need
from gw_alerts.thresholds import AUTOSCALER_BLIND, AUTOSCALER_FIRST_READING_SECONDS, Severity


def _autoscaler(facts: Facts) -> Iterator[Finding]:
    scaled = {scaler.namespace for scaler in facts.autoscalers.value}
    for gateway in served(facts):
        if gateway.namespace not in scaled and not gateway.wants_no_agent:
            yield unknown(subject_of(gateway), "it has no autoscaler of its proxies, which the manager makes")
    idle = {gateway.namespace: gateway.intention for gateway in facts.gateways.value if gateway.wants_no_agent}
    for scaler in facts.autoscalers.value:
        subject, age_seconds = f"{scaler.namespace}/{scaler.name}", seconds_since(scaler.created_at, facts.now)
        is_new = age_seconds is not None and age_seconds <= AUTOSCALER_FIRST_READING_SECONDS.value
        if intention := idle.get(scaler.namespace):
            yield skipped(subject, f"no traffic is wanted: the gateway is {intention}")
        elif (scaler.problem or not scaler.current) and is_new:
            yield unknown(subject, "it is new, and the metrics API has no reading of its pods yet")
        elif scaler.problem or not scaler.current:
            yield problem(
                subject,
                f"the proxies are not scaled: its target shows {scaler.current or '<unknown>'}/{scaler.target}",
                since=scaler.problem_since or (None if scaler.is_observed else scaler.created_at),
                evidence=(
                    scaler.problem if scaler.is_observed else "no autoscaling controller has reported on it",
                    f"{counted(scaler.current_replicas, 'proxy pod')} of {_bounds(scaler)}",
                ),
                next_step=f"kubectl describe hpa -n {scaler.namespace} {scaler.name}",
            )
        elif scaler.current_replicas >= scaler.max_replicas > scaler.min_replicas:
            yield problem(
                subject,
                f"it is at its maximum of {counted(scaler.max_replicas, 'proxy pod')}",
                evidence=(f"{scaler.current} of the requested CPU, aimed at {scaler.target}",),
                next_step="raise spec.proxy.maxReplicas of the gateway if jobs wait for their traffic: "
                f"gw tenant update {scaler.namespace} --max-proxies N",
                severity=Severity.INFO,
            )
        else:
            yield ok(subject, f"{scaler.current}/{scaler.target}, {scaler.current_replicas} of {_bounds(scaler)}")


def _bounds(scaler: AutoscalerFact) -> str:
    return f"{scaler.min_replicas} to {scaler.max_replicas}"


CHECKS: tuple[Check, ...] = (
    Check(
        "proxy.autoscaler",
        "Every proxy autoscaler has a reading and room",
        AUTOSCALER_BLIND.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.AUTOSCALERS}),
        _autoscaler,
        category=Category.PROXY,
        looks_at="reading, bounds and conditions of the proxies' HorizontalPodAutoscaler",
    ),
)
