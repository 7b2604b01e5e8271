"""The security context that a profile asks of a worker pod, filled into the gaps of the tenant's template.

Source: Kubernetes documentation, "Pod Security Standards". The tenant's own values stay: where they break the profile,
admission refuses the pod and names the field.
"""

from typing import Any

from actions_gateway.api.gateway import SecurityProfile

RUNNER_USER = 1001
"""The runner image names its user `runner`; with runAsNonRoot the kubelet accepts a number only."""

_SECCOMP = {"type": "RuntimeDefault"}


def harden(spec: dict[str, Any], profile: SecurityProfile) -> dict[str, Any]:
    """The pod spec with the profile's gaps filled; `privileged` leaves it as it is."""
    if profile is SecurityProfile.PRIVILEGED:
        return spec
    hardened = {**spec, "securityContext": _pod_context(spec.get("securityContext") or {})}
    if profile is SecurityProfile.RESTRICTED:
        for field in ("initContainers", "containers"):
            hardened[field] = [_restricted(container) for container in spec.get(field) or []]
    return hardened


def _pod_context(context: dict[str, Any]) -> dict[str, Any]:
    filled = {"runAsNonRoot": True, "seccompProfile": _SECCOMP} | context
    if filled["runAsNonRoot"]:
        filled.setdefault("runAsUser", RUNNER_USER)
    return filled


def _restricted(container: dict[str, Any]) -> dict[str, Any]:
    context = container.get("securityContext") or {}
    filled = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "seccompProfile": _SECCOMP} | context
    filled["capabilities"] = {"drop": ["ALL"]} | (context.get("capabilities") or {})
    return {**container, "securityContext": filled}
