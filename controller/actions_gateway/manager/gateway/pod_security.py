"""The Pod Security labels of a tenant's namespace: what the gateway's profile asks for, and what others set there.

A stricter level that somebody else set stays, with its version; a laxer one is taken over. Whose a label is, the
namespace's managed fields tell (Kubernetes documentation, "Server-Side Apply", "Field management").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from actions_gateway.api import labels
from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason, find_condition
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import MANAGER_FIELDS
from actions_gateway.kube.client import Manifest

POD_SECURITY_VERSION = "v1.36"
"""Of the standards' wording: pinned, so that an upgrade of the cluster refuses no pod that ran before."""
TAKEN_OVER = "PodSecurityLevelTakenOver"
"""Reason of the event."""

_RANKS: Mapping[str, int] = MappingProxyType(
    {SecurityProfile.PRIVILEGED: 0, SecurityProfile.BASELINE: 1, SecurityProfile.RESTRICTED: 2}
)


@dataclass(frozen=True, slots=True)
class NamespaceLabels:
    """The manager's labels of one namespace."""

    wanted: dict[str, str]
    """The whole of what the manager applies."""
    kept: dict[str, str]
    """Stricter levels of others."""
    taken_over: dict[str, str]
    """Laxer levels of others, which the wanted ones replace."""
    is_settled: bool
    """Whether the namespace has the wanted ones."""


def decide_namespace_labels(namespace: Manifest, profile: SecurityProfile) -> NamespaceLabels:
    """Marker and levels. A marker that only others hold is theirs to take away again."""
    live: dict[str, str] = namespace["metadata"].get("labels") or {}
    owners = _owners(namespace)
    wanted: dict[str, str] = {}
    kept: dict[str, str] = {}
    taken_over: dict[str, str] = {}
    if labels.TENANT not in live or MANAGER_FIELDS in owners.get(labels.TENANT, ()):
        wanted[labels.TENANT] = labels.TENANT_MARK
    for mode in labels.POD_SECURITY_MODES:
        key = f"{labels.POD_SECURITY}{mode}"
        level = live.get(key)
        is_of_others = level is not None and owners.get(key) != {MANAGER_FIELDS}
        if level is not None and is_of_others and _RANKS.get(level, 0) > _RANKS[profile]:
            kept[key] = level
            if owners.get(f"{key}-version") == {MANAGER_FIELDS}:
                # Its version stays with it: applied no longer, a label of ours would go, which admission refuses.
                wanted[f"{key}-version"] = live[f"{key}-version"]
            continue
        if level is not None and is_of_others and level != profile:
            taken_over[key] = level
        wanted |= {key: profile.value, f"{key}-version": POD_SECURITY_VERSION}
    is_settled = all(live.get(key) == value for key, value in wanted.items())
    return NamespaceLabels(wanted, kept, taken_over, is_settled)


def pod_security_conditions(gateway: Manifest, kept: Mapping[str, str] | None) -> tuple[Condition, ...]:
    """PodSecurityOverridden, from the first time on that it has something to tell; None when nothing was decided."""
    if kept is None or not (kept or find_condition(gateway, ConditionType.POD_SECURITY_OVERRIDDEN)):
        return ()
    if not kept:
        text = "The namespace has the Pod Security level of spec.securityProfile."
        return (_overridden(ConditionStatus.FALSE, Reason.LEVEL_APPLIED, text),)
    namespace = gateway["metadata"]["namespace"]
    texts = ", ".join(f"{key}={level}" for key, level in kept.items())
    text = (
        f"Namespace {namespace} has the stricter {texts}, set by somebody else; workers have to satisfy it. "
        "Set spec.securityProfile to that level, or ask who set it to remove it."
    )
    return (_overridden(ConditionStatus.TRUE, Reason.STRICTER_LEVEL_KEPT, text),)


def _overridden(status: ConditionStatus, reason: Reason, message: str) -> Condition:
    return Condition(ConditionType.POD_SECURITY_OVERRIDDEN, status, reason, message)


def _owners(namespace: Manifest) -> dict[str, set[str]]:
    """By label, the field managers that set it."""
    owners: dict[str, set[str]] = {}
    for entry in namespace["metadata"].get("managedFields") or []:
        fields = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels") or {}
        for field in fields:
            owners.setdefault(field.removeprefix("f:"), set()).add(str(entry.get("manager")))
    return owners
