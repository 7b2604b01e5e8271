"""The egress proxies' autoscalers as facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.kube.resources import HPAS
from gw.sources.cluster import Cluster
from gw.sources.gateways import parse_time

Manifest = Mapping[str, Any]

SELECTOR = f"{labels.APP_COMPONENT}={names.PROXY}"
_DISABLED = "ScalingDisabled"
"""ScalingActive's reason for a target that somebody scaled to zero, which is no fault of the readings."""
_MUST_BE_TRUE = ("AbleToScale", "ScalingActive")
"""Condition types that state a problem when False (Kubernetes API, HorizontalPodAutoscalerConditionType)."""


@dataclass(frozen=True, slots=True)
class AutoscalerFact:
    """One HorizontalPodAutoscaler of a proxy pool."""

    namespace: str
    name: str
    min_replicas: int
    max_replicas: int
    current_replicas: int
    current: str
    """The reading as `kubectl get hpa` shows it below TARGETS, `42%`; empty for `<unknown>`."""
    target: str
    problem: str = ""
    """The message of the first condition that states a problem."""
    problem_since: datetime | None = None
    created_at: datetime | None = None
    is_observed: bool = True
    """Whether any autoscaling controller has reported on it."""


async def gather_autoscalers(cluster: Cluster, namespace: str | None) -> tuple[AutoscalerFact, ...]:
    """The proxies' autoscalers by namespace and name."""
    found = await cluster.list(HPAS, namespace, label_selector=SELECTOR)
    return tuple(sorted((parse_autoscaler(item) for item in found.items), key=lambda fact: (fact.namespace, fact.name)))


def parse_autoscaler(manifest: Manifest) -> AutoscalerFact:
    """The facts of a stored HorizontalPodAutoscaler (autoscaling/v2)."""
    metadata, spec, status = (manifest.get(part) or {} for part in ("metadata", "spec", "status"))
    conditions = status.get("conditions") or []
    wrong: Manifest = next((entry for entry in conditions if _states_problem(entry)), {})
    return AutoscalerFact(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        min_replicas=int(spec.get("minReplicas") or 1),
        max_replicas=int(spec.get("maxReplicas") or 0),
        current_replicas=int(status.get("currentReplicas") or 0),
        current=_utilization(status.get("currentMetrics"), "current"),
        target=_utilization(spec.get("metrics"), "target"),
        problem=str(wrong.get("message") or wrong.get("reason") or ""),
        problem_since=parse_time(wrong.get("lastTransitionTime")),
        created_at=parse_time(metadata.get("creationTimestamp")),
        is_observed=bool(conditions or status.get("currentMetrics")),
    )


def _states_problem(entry: Manifest) -> bool:
    return entry.get("type") in _MUST_BE_TRUE and entry.get("status") == "False" and entry.get("reason") != _DISABLED


def _utilization(metrics: Any, part: str) -> str:
    """Of the first metric that says one, in percent of what the pods request."""
    for entry in metrics or []:
        percent = ((entry.get("resource") or {}).get(part) or {}).get("averageUtilization")
        if percent is not None:
            return f"{int(percent)}%"
    return ""
