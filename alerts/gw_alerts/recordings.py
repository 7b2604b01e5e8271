"""Recording rules that alerts and boards share: expectations that outlive their manager, and quantiles.

The names of quantiles keep those that existing boards use.
"""

from enum import StrEnum

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts.expressions import (
    CLUSTER,
    GATEWAY,
    MANAGER,
    MEMORY,
    RUNNER_GROUP,
    SESSIONS,
    TENANT,
    component,
    counted,
    latest,
    pod_latency,
    quantile,
    select,
)
from gw_alerts.model import Recording

_LOOK_BACK = "1h"
"""How long Prometheus itself may be away without forgetting what a manager that is gone has said."""


def _remembered(metric: m.Metric, by: str) -> Recording:
    """What the manager says; while there is none, what was last recorded of it, for as long as the memory lasts.

    While a manager leads, its word alone counts: what it no longer names was deleted and is recorded as expecting
    nothing, for as long as the memory looks back. Otherwise the manager's end would bring back what was deleted shortly
    before it. That nothing is expected is never forgotten while no manager says otherwise: a group that is suspended
    has no session by intention.
    """
    name = f"{metric.name}:remembered"
    deleted = f"0 * max by ({by}) (last_over_time({select(metric)}[{_LOOK_BACK}])) and on ({CLUSTER}) {MANAGER}"
    last = f"last_over_time({name}[{_LOOK_BACK}])"
    lately = f"max by ({CLUSTER}) (last_over_time({m.MANAGED_GATEWAYS.name}[{MEMORY}]))"
    memory = f"({last} and on ({CLUSTER}) {lately} or {last} == 0) unless on ({CLUSTER}) {MANAGER}"
    return Recording(
        name,
        f"{latest(metric, by)} or ({deleted}) or ({memory})",
        f"{metric.help} While no manager is there, what the last one said.",
    )


EXPECTED_SESSIONS = _remembered(m.EXPECTED_SESSIONS, RUNNER_GROUP)
EXPECTED_AGENTS = _remembered(m.EXPECTED_AGENTS, GATEWAY)
EXPECTED_PROXIES = _remembered(m.EXPECTED_PROXIES, GATEWAY)
POD_LATENCY_P95 = Recording(
    "actions_gateway:pod_creation_latency_seconds:p95", pod_latency(0.95), "p95 of 30 minutes, by tenant."
)
POD_LATENCY_P99 = Recording(
    "actions_gateway:pod_creation_latency_seconds:p99", pod_latency(0.99), "p99 of 30 minutes, by tenant."
)
JOB_DURATION_P50 = Recording(
    "actions_gateway:job_duration_seconds:p50", quantile(m.JOB_DURATION, 0.5, "30m", RUNNER_GROUP), "Median of jobs."
)
JOB_DURATION_P95 = Recording(
    "actions_gateway:job_duration_seconds:p95", quantile(m.JOB_DURATION, 0.95, "30m", RUNNER_GROUP), "p95 of jobs."
)
_CLOSED = counted("increase", foreign.TUNNEL_LENGTH_COUNT, "1h", f"{TENANT}, pod")
# Prometheus 3 writes bounds from a million on with an exponent.
_HALF_AN_HOUR = 'le=~"1800000([.]0)?|1[.]8e[+]06"'
_SHORT = counted("increase", foreign.TUNNEL_LENGTH_BUCKET, "1h", f"{TENANT}, pod", _HALF_AN_HOUR)
LONG_TUNNELS = Recording(
    "actions_gateway:proxy_tunnels_closed_over_30m:increase1h",
    f"{_CLOSED} - {_SHORT}",
    "Tunnels of more than half an hour that closed within an hour, by proxy.",
)
SESSIONS_AVAILABLE = Recording(
    "actions_gateway:sessions_available:bool",
    f"(clamp_max({SESSIONS}, 1)"
    f" and on ({RUNNER_GROUP}) {EXPECTED_SESSIONS.name} > 0)"
    f" or 0 * ({EXPECTED_SESSIONS.name} > 0)",
    "1 for a group that should poll and has a session or has just used one, 0 for one that has none.",
)

EXPORTERS = "actions_gateway:exporters:count"
"""There, by `of`, while somebody should export the families of that kind."""


class Of(StrEnum):
    """Families by who exports them, and what there has to be for it."""

    MANAGER = "manager"
    AGENT = "agent"
    GATEWAYS = "gateways"
    """By the manager, with a gateway at least."""
    GROUPS = "groups"
    """By an agent, with a group at least that should poll."""
    EXPECTATIONS = "expectations"
    """By the manager, for the groups that an agent knows."""


def _exporters(of: Of, expression: str, what: str) -> Recording:
    return Recording(EXPORTERS, expression, what, {"of": of.value})


_AGENTS = component(m.Component.AGENT, CLUSTER)
_EXPORTERS = (
    _exporters(Of.MANAGER, component(m.Component.MANAGER, CLUSTER), "Managers that are scraped."),
    _exporters(Of.AGENT, _AGENTS, "Agents that are scraped."),
    _exporters(Of.GATEWAYS, f"{MANAGER} > 0", "Gateways of which a manager should tell."),
    _exporters(
        Of.GROUPS,
        f"{_AGENTS} and on ({CLUSTER}) max by ({CLUSTER}) ({EXPECTED_SESSIONS.name}) > 0",
        "Agents that are scraped, of which one at least should have a session.",
    ),
    _exporters(
        Of.EXPECTATIONS,
        # Without a manager it is that one's alert.
        f"count by ({CLUSTER}) ({m.ACTIVE_SESSIONS.name}) and on ({CLUSTER}) {MANAGER}",
        "Groups that agents know, while a manager leads.",
    ),
)

RECORDINGS: tuple[Recording, ...] = (
    EXPECTED_SESSIONS,
    EXPECTED_AGENTS,
    EXPECTED_PROXIES,
    POD_LATENCY_P95,
    POD_LATENCY_P99,
    JOB_DURATION_P50,
    JOB_DURATION_P95,
    LONG_TUNNELS,
    SESSIONS_AVAILABLE,
    *_EXPORTERS,
)
"""In the order in which they read each other."""
