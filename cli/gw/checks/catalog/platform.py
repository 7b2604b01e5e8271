"""Checks of the platform itself: the API server, the custom resource definitions, the manager."""

from collections.abc import Iterator

from actions_gateway.api import names
from gw.checks.model import Category, Check, Finding, Scope, ok, problem
from gw.checks.wording import lasting, seconds_since
from gw.sources.facts import Facts, Need
from gw_alerts.thresholds import MANAGER_NOT_AVAILABLE, Severity

_PLURALS = frozenset({"actionsgateways", "runnergroups"})
_MANAGER = f"{names.MANAGER_NAMESPACE}/{names.MANAGER}"
_RESTART = "gw restart manager"
_SCALE_UP = f"kubectl scale deploy/{names.MANAGER} -n {names.MANAGER_NAMESPACE} --replicas=2"
"""A restart changes nothing for a Deployment that wants no pod."""


def _api_reachable(facts: Facts) -> Iterator[Finding]:
    yield ok("", f"{facts.served.value.host} answers")


def _crds_served(facts: Facts) -> Iterator[Finding]:
    missing = sorted(_PLURALS - facts.served.value.plurals)
    if missing:
        yield problem(
            "",
            f"the API server does not serve {' and '.join(missing)}",
            evidence=(f"GET /apis/{names.API_GROUP}/{names.API_VERSION} does not list them",),
            next_step="kubectl get crd | grep actions-gateway",
        )
    else:
        yield ok("", f"{names.API_GROUP}/{names.API_VERSION} is served")


def _manager_running(facts: Facts) -> Iterator[Finding]:
    deployment = facts.manager.value.deployment
    if deployment is None:
        yield problem(
            _MANAGER, "the manager is not installed", next_step=f"kubectl get deploy -n {names.MANAGER_NAMESPACE}"
        )
    elif deployment.wanted == 0:
        yield problem(
            _MANAGER, "the manager is scaled to 0 pods; tenants keep running, changes wait", next_step=_SCALE_UP
        )
    elif deployment.ready < MANAGER_NOT_AVAILABLE.value:
        yield problem(
            _MANAGER,
            f"none of the manager's {deployment.wanted} pods is ready; tenants keep running, changes wait",
            since=deployment.problem_since,
            evidence=(deployment.problem,),
            next_step=_RESTART,
        )
    else:
        yield ok(_MANAGER, f"{deployment.ready} of {deployment.wanted} pods ready")


def _manager_leading(facts: Facts) -> Iterator[Finding]:
    deployment, lease = facts.manager.value.deployment, facts.manager.value.lease
    subject = f"{names.MANAGER_NAMESPACE}/{names.MANAGER_LEASE}"
    next_step = _SCALE_UP if deployment is not None and deployment.wanted == 0 else _RESTART
    if lease is None or not lease.holder:
        since = None if lease is None else lease.renewed_at
        yield problem(subject, "no manager holds the leader lease; changes wait", since=since, next_step=next_step)
        return
    age_seconds = seconds_since(lease.renewed_at, facts.now)
    if age_seconds is None or age_seconds > lease.duration_seconds:
        age = "never" if age_seconds is None else f"{lasting(age_seconds)} ago"
        yield problem(
            subject,
            "the leader lease has lapsed; changes wait",
            since=lease.renewed_at,
            evidence=(f"held by {lease.holder}, renewed {age}, valid for {lease.duration_seconds:.0f} s",),
            next_step=next_step,
        )
    else:
        yield ok(subject, f"{lease.holder} leads")


REACHABLE = Check(
    "api.reachable",
    "The API server answers",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.SERVED}),
    _api_reachable,
    category=Category.PLATFORM,
    looks_at="the API server's answer about this project's API group",
)

CHECKS: tuple[Check, ...] = (
    REACHABLE,
    Check(
        "api.crds-served",
        "The custom resource definitions are installed",
        Severity.PAGE,
        Scope.PLATFORM,
        frozenset({Need.SERVED}),
        _crds_served,
        category=Category.PLATFORM,
        looks_at="the resource types that the API server lists for this project's API group",
    ),
    Check(
        "manager.running",
        "The manager runs",
        MANAGER_NOT_AVAILABLE.severity,
        Scope.PLATFORM,
        frozenset({Need.MANAGER}),
        _manager_running,
        category=Category.PLATFORM,
        looks_at="the manager's Deployment in gmc-system",
    ),
    Check(
        "manager.leading",
        "A manager leads",
        MANAGER_NOT_AVAILABLE.severity,
        Scope.PLATFORM,
        frozenset({Need.MANAGER}),
        _manager_leading,
        category=Category.PLATFORM,
        looks_at="the manager's leader Lease in gmc-system",
    ),
)
