"""Kubernetes' RBAC, as far as our roles use it: which request needs which right, and whether rules give it.

Source: Kubernetes documentation, "Using RBAC Authorization" (request verbs, resourceNames, subresources) and
"Server-Side Apply" (an apply that creates needs `create` as well).
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One thing that a component does; `name` is empty where the request names no object."""

    verb: str
    group: str
    resource: str
    name: str = ""


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_ONLY = ("list", "watch", "create")


def is_allowed(right: Right, rules: list[dict[str, Any]]) -> bool:
    """Whether one of the rules gives the right."""
    return any(_gives(rule, right) for rule in rules)


def right_of(method: str, path: str, kind: str) -> Right:
    """What a request needs; `kind` is "watch" for a watch."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    # /namespaces/NAME alone is the namespace itself.
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource, name = rest[0], rest[1] if len(rest) > 1 else ""
    if len(rest) > 2:
        resource += f"/{rest[2]}"
    verb = _VERBS.get(method) or kind or ("get" if name else "list")
    return Right(verb, group, resource, "" if verb in _COLLECTION_ONLY else name)


def _gives(rule: dict[str, Any], right: Right) -> bool:
    names = rule.get("resourceNames")
    return (
        right.verb in rule["verbs"]
        and right.group in rule["apiGroups"]
        and right.resource in rule["resources"]
        and (not names or right.name in names)
    )


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Every verb on every resource that the rules name, whatever the object's name: (verb, group, resource)."""
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
