"""Requests and limits of a tenant's agent and proxies: defaults, with what the tenant gives over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actions_gateway.api.fields import ResourceRequirements
from actions_gateway.api.quantities import parse_quantity

Quantities = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResourceDefaults:
    """What a pod's container asks for when the tenant says nothing."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]


def merged_resources(
    defaults: ResourceDefaults, given: ResourceRequirements | None, *, field: str
) -> dict[str, Quantities]:
    """The defaults with the tenant's values over them, key by key; a default yields to a given value it contradicts.

    Raises ValueError that names the place within `field` (such as `spec.agent.resources`), the value and the way out.
    """
    given_requests = (given.requests if given else None) or {}
    given_limits = (given.limits if given else None) or {}
    for kind, amounts in (("requests", given_requests), ("limits", given_limits)):
        for name, value in amounts.items():
            _check(f"{field}.{kind}.{name}", value)
    requests: Quantities = {**defaults.requests, **given_requests}
    limits: Quantities = {**defaults.limits, **given_limits}
    for name in sorted(requests.keys() & limits.keys()):
        if parse_quantity(requests[name]) > parse_quantity(limits[name]):
            if name not in given_limits:
                limits[name] = requests[name]
            elif name not in given_requests:
                requests[name] = limits[name]
            else:
                raise ValueError(
                    f"{field}.requests.{name}: {requests[name]} is more than the limit {limits[name]}; "
                    f"lower it, or raise limits.{name}"
                )
    return {"requests": requests, "limits": limits}


def _check(place: str, value: str | int) -> None:
    try:
        amount = parse_quantity(value)
    except ValueError as problem:
        raise ValueError(f"{place}: {problem}") from problem
    if amount < 0:
        raise ValueError(f"{place}: {value} is negative; write an amount like 500m, 2Gi or 10")
