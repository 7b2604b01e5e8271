"""What no worker pod may be, for the templates that tenants write and for the pods that agents create.

The Pod Security labels of the namespace are the second line; these rules hold without them, and name the field.
"""

from dataclasses import dataclass

from actions_gateway.api import labels
from actions_gateway.api.names import WORKER
from actions_gateway.installation.policies import cel

NAMESPACE_MAY_BE_PRIVILEGED = (
    f"{cel.labels_of('namespaceObject')}[?{cel.text(labels.PRIVILEGED_PROFILE)}] "
    f"== optional.of({cel.text(labels.PRIVILEGED_ALLOWED)})"
)
"""Whether the platform allows privileged workers in the namespace."""


@dataclass(frozen=True, slots=True)
class PodRule:
    """One reserved field: where it is, when it is misused (CEL of the pod's spec `s`), and what to do about it."""

    field: str
    is_broken: str
    advice: str


def _host(field: str, shares: str) -> PodRule:
    return PodRule(
        field,
        f"s.?{field}.orValue(false) == true",
        f"a worker does not share the node's {shares}; remove it",
    )


_ACCOUNTS = " || ".join(
    f"!(s.?{field}.orValue('') in ['', '{WORKER}'])" for field in ("serviceAccountName", "serviceAccount")
)
_CONTAINERS = (
    f"({cel.maps_at('s', 'containers')} + {cel.maps_at('s', 'initContainers')} + "
    f"{cel.maps_at('s', 'ephemeralContainers')})"
)

HOST_RULES = (
    _host("hostNetwork", "network"),
    _host("hostPID", "processes"),
    _host("hostIPC", "memory segments and semaphores"),
    PodRule(
        "volumes",
        f"{cel.maps_at('s', 'volumes')}.exists(v, has(v.hostPath))",
        "hostPath would give a job the node's files; use emptyDir or a PersistentVolumeClaim",
    ),
)
ACCOUNT_RULES = (
    PodRule(
        "serviceAccountName",
        _ACCOUNTS,
        f"workers run as {WORKER}, which has no rights; remove it and give jobs credentials as secrets of the workflow",
    ),
    PodRule(
        "automountServiceAccountToken",
        "s.?automountServiceAccountToken.orValue(false) == true",
        "workers get no token of the Kubernetes API; remove it",
    ),
)
PRIVILEGED_RULE = PodRule(
    "containers",
    f"{_CONTAINERS}.exists(c, {cel.map_at('c', 'securityContext')}.?privileged.orValue(false) == true)",
    "a privileged container needs the security profile privileged; remove securityContext.privileged",
)
