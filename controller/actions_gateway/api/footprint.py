"""What one worker pod costs in the keys of a ResourceQuota, and which quotas count it: pure arithmetic over manifests.

Sources: Kubernetes documentation, "Resource Quotas" (keys, scopes, what a quota makes pods declare), "Limit Ranges"
(defaults that containers get before they are counted), "Sidecar Containers" and "Pod Overhead" (the pod's effective
request); pkg/quota/v1/evaluator/core/pods.go and persistent_volume_claims.go for which key counts what.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from actions_gateway.api.quantities import parse_quantity

Manifest = dict[str, Any]
Amounts = Mapping[str, Fraction]
"""By resource name, or by a quota's key."""

WORKER_RESOURCES = {"cpu": "500m", "memory": "1Gi"}
"""Requests and limits of a runner container whose template names neither."""
INSTALLER_RESOURCES = {"cpu": "100m", "memory": "128Mi"}
"""Of the init container that brings the wrapper: named since a quota refuses containers without; below any worker's
own, so the pod's footprint stays the worker's."""

_COMPUTE = ("cpu", "memory")
_MUST_DECLARE = {
    key: (part, resource)
    for resource in _COMPUTE
    for key, part in (
        (resource, "requests"),
        (f"requests.{resource}", "requests"),
        (f"limits.{resource}", "limits"),
    )
}
"""The keys that a quota makes every container declare, with where it declares them."""
_LIMITED = (*_COMPUTE, "ephemeral-storage")
"""The resources of which a quota counts limits, too."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one more job costs."""

    pod: Amounts
    """By the keys that count pods."""
    beside: Amounts
    """By the keys that count what is made with it: its slot's Secret, volume claims. Quotas with scopes count none."""
    undeclared: Mapping[str, tuple[str, ...]]
    """The containers that do not declare what a quota on the key makes them declare."""
    scopes: frozenset[str]
    """Those that it is in, but for its priority class's."""
    priority_class: str = ""

    def in_class(self, priority_class: str | None) -> "Footprint":
        """The same pod with the class of its tier; None leaves the template's own."""
        return self if priority_class is None else replace(self, priority_class=priority_class)


def footprint_of(pod: Manifest, limit_ranges: Iterable[Manifest] = ()) -> Footprint:
    """The cost of a pod with this manifest; raises ValueError for one that the API server would refuse."""
    try:
        spec = _defaulted(pod["spec"], limit_ranges)
        return Footprint(
            pod=_pod_amounts(spec),
            beside=_amounts_beside(spec),
            undeclared=_undeclared(spec),
            scopes=_scopes(spec),
            priority_class=str(spec.get("priorityClassName") or ""),
        )
    except (AttributeError, KeyError, TypeError) as problem:
        # A template's fields are of any type until the API server has judged them.
        raise ValueError(f"a field of the pod has another type than a pod's: {problem}") from problem


# -- which quotas count it ---------------------------------------------------------------------------------------------


def cost_in(quota: Manifest, footprint: Footprint) -> Amounts:
    """What the job costs in a quota's keys; nothing when the quota does not count it."""
    conditions = _scope_conditions(quota)
    if not all(holds(footprint) for holds in conditions):
        return {}
    return footprint.pod if conditions else {**footprint.pod, **footprint.beside}


def undeclared_in(quota: Manifest, footprint: Footprint) -> dict[str, tuple[str, ...]]:
    """The quota's keys that containers of the pod would have to declare, with the names of those containers."""
    hard = _hard(quota)
    if not cost_in(quota, footprint):
        return {}
    return {key: containers for key, containers in footprint.undeclared.items() if key in hard}


def room_in(quota: Manifest, footprint: Footprint, taken: Amounts) -> tuple[int, str] | None:
    """How many more such jobs the quota admits beside `taken`, and the key that binds; None when none of its keys does.

    What the API server compares are the quota's `status.hard` and `status.used`.
    """
    used = {key: parse_quantity(amount) for key, amount in (quota.get("status") or {}).get("used", {}).items()}
    cost = cost_in(quota, footprint)
    rooms = [
        (int((hard - used.get(key, Fraction(0)) - taken.get(key, Fraction(0))) // cost[key]), key)
        for key, hard in sorted(_hard(quota).items())
        if cost.get(key)
    ]
    return min(rooms, default=None)


def _hard(quota: Manifest) -> dict[str, Fraction]:
    hard = (quota.get("status") or {}).get("hard") or {}
    return {key: parse_quantity(amount) for key, amount in hard.items()}


def _scope_conditions(quota: Manifest) -> list[Callable[[Footprint], bool]]:
    """What a pod has to be for the quota to count it; empty for a quota without scopes."""
    spec = quota.get("spec") or {}
    expressions = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    expressions += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return [_scope_condition(expression) for expression in expressions]


def _scope_condition(expression: Manifest) -> Callable[[Footprint], bool]:
    scope, operator, values = expression["scopeName"], expression["operator"], expression.get("values") or ()
    if scope != "PriorityClass":
        return lambda footprint: scope in footprint.scopes
    match operator:
        case "In":
            return lambda footprint: footprint.priority_class in values
        case "NotIn":
            return lambda footprint: footprint.priority_class not in values
        case "DoesNotExist":
            return lambda footprint: not footprint.priority_class
        case _:
            return lambda footprint: bool(footprint.priority_class)


# -- the pod -----------------------------------------------------------------------------------------------------------


def _containers(spec: Manifest) -> Iterator[Manifest]:
    for field in ("initContainers", "containers"):
        yield from spec.get(field) or ()


def _declared(container: Manifest, part: str) -> dict[str, Any]:
    return (container.get("resources") or {}).get(part) or {}


def _defaulted(spec: Manifest, limit_ranges: Iterable[Manifest]) -> Manifest:
    """The spec with what the API server fills in: requests from limits, then a LimitRange's defaults."""
    limits: dict[str, Any] = {}
    requests: dict[str, Any] = {}
    for limit_range in limit_ranges:
        for item in (limit_range.get("spec") or {}).get("limits") or ():
            if item.get("type") == "Container":
                limits |= item.get("default") or {}
                requests |= item.get("defaultRequest") or {}

    def defaulted(container: Manifest) -> Manifest:
        own = _declared(container, "limits")
        resources = {
            "limits": {**limits, **own},
            "requests": {**requests, **own, **_declared(container, "requests")},
        }
        return {**container, "resources": resources}

    fields = ("initContainers", "containers")
    return {**spec, **{field: [defaulted(one) for one in spec.get(field) or ()] for field in fields}}


def _pod_amounts(spec: Manifest) -> dict[str, Fraction]:
    one = Fraction(1)
    amounts = {"pods": one, "count/pods": one}
    for resource, amount in _effective(spec, "requests").items():
        amounts[f"requests.{resource}"] = amount
        if resource in _LIMITED or resource.startswith("hugepages-"):
            amounts[resource] = amount
    amounts |= {f"limits.{key}": amount for key, amount in _effective(spec, "limits").items() if key in _LIMITED}
    return amounts


def _effective(spec: Manifest, part: str) -> dict[str, Fraction]:
    """The sum of containers and sidecars or the most that one step of the initialisation needs, plus the overhead."""
    total: dict[str, Fraction] = {}
    for container in spec["containers"]:
        _add(total, _parsed(_declared(container, part)))
    sidecars: dict[str, Fraction] = {}
    most: dict[str, Fraction] = {}
    for container in spec["initContainers"]:
        step = _parsed(_declared(container, part))
        if container.get("restartPolicy") == "Always":
            _add(total, step)
            _add(sidecars, step)
            step = sidecars
        else:
            _add(step, sidecars)
        most = {key: max(most.get(key, Fraction(0)), step.get(key, Fraction(0))) for key in most.keys() | step.keys()}
    total = {key: max(total.get(key, Fraction(0)), most.get(key, Fraction(0))) for key in total.keys() | most.keys()}
    # Resources of the pod as a whole stand in for those of its containers.
    total |= _parsed((spec.get("resources") or {}).get(part) or {})
    overhead = _parsed(spec.get("overhead") or {})
    _add(total, overhead if part == "requests" else {key: overhead[key] for key in overhead if total.get(key)})
    return total


def _parsed(resources: Mapping[str, Any]) -> dict[str, Fraction]:
    return {name: parse_quantity(amount) for name, amount in resources.items()}


def _add(total: dict[str, Fraction], more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Fraction(0)) + amount


def _amounts_beside(spec: Manifest) -> dict[str, Fraction]:
    """The slot's Secret, and the claims of generic ephemeral volumes."""
    amounts = dict.fromkeys(("secrets", "count/secrets"), Fraction(1))
    for volume in spec.get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is None:
            continue
        claim = template.get("spec") or {}
        requests = (claim.get("resources") or {}).get("requests") or {}
        storage = parse_quantity(requests.get("storage") or 0)
        _add(amounts, {"count/persistentvolumeclaims": Fraction(1)})
        _add(amounts, {"persistentvolumeclaims": Fraction(1), "requests.storage": storage})
        if storage_class := claim.get("storageClassName"):
            prefix = f"{storage_class}.storageclass.storage.k8s.io/"
            own = {f"{prefix}persistentvolumeclaims": Fraction(1), f"{prefix}requests.storage": storage}
            _add(amounts, own)
    return amounts


def _undeclared(spec: Manifest) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, (part, resource) in _MUST_DECLARE.items():
        if resource in ((spec.get("resources") or {}).get(part) or {}):
            continue
        names = tuple(str(one.get("name")) for one in _containers(spec) if resource not in _declared(one, part))
        if names:
            found[key] = names
    return found


def _scopes(spec: Manifest) -> frozenset[str]:
    is_bounded = spec.get("activeDeadlineSeconds") is not None
    parts = [_declared(one, part) for one in (*_containers(spec), spec) for part in ("requests", "limits")]
    is_best_effort = not any(_parsed(part).get(name) for part in parts for name in _COMPUTE)
    scopes = {
        "Terminating" if is_bounded else "NotTerminating",
        "BestEffort" if is_best_effort else "NotBestEffort",
    }
    return frozenset(scopes | ({"CrossNamespacePodAffinity"} if _looks_across_namespaces(spec) else set()))


def _looks_across_namespaces(spec: Manifest) -> bool:
    affinity = spec.get("affinity") or {}
    terms: list[Manifest] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [entry.get("podAffinityTerm") or {} for entry in preferred]
    return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms)
