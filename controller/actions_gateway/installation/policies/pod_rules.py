"""What no worker pod may be, for the templates that tenants write and for the pods that agents create.

The Pod Security labels of the namespace are the second line; these rules hold without them, and name the field.

Which PriorityClasses of its own a platform gives to a tenant is left to it: a ResourceQuota whose scopeSelector names
PriorityClass does that natively, and knows the platform's classes. Here only the system's own are out of reach.
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


_SYSTEM_PRIORITY = "system-"
"""Begins the names of the cluster's own PriorityClasses, and of no others (Kubernetes documentation, "Pod Priority and
Preemption")."""
PRIORITY_ADVICE = f"a class {_SYSTEM_PRIORITY}* preempts every other pod of the cluster; name one of the platform's"


def is_system_priority(parent: str) -> str:
    """Whether the field `priorityClassName` names a class of the system."""
    return f"{cel.text_at(parent, 'priorityClassName')}.startsWith('{_SYSTEM_PRIORITY}')"


_ACCOUNTS = " || ".join(
    f"!(s.?{field}.orValue('') in ['', '{WORKER}'])" for field in ("serviceAccountName", "serviceAccount")
)
CONTAINERS = (
    f"({cel.maps_at('s', 'containers')} + {cel.maps_at('s', 'initContainers')} + "
    f"{cel.maps_at('s', 'ephemeralContainers')})"
)
"""All of a pod's spec `s`."""
_HOST_PORTS = (
    cel.maps_at("c", "ports") + ".exists(p, type(p.?hostPort.orValue(0)) == int && p.?hostPort.orValue(0) != 0)"
)
_SOURCES = cel.maps_at(cel.map_at("v", "projected"), "sources")

HOST_RULES = (
    _host("hostNetwork", "network"),
    _host("hostPID", "processes"),
    _host("hostIPC", "memory segments and semaphores"),
    PodRule(
        "volumes",
        f"{cel.maps_at('s', 'volumes')}.exists(v, has(v.hostPath))",
        "hostPath would give a job the node's files; use emptyDir or a PersistentVolumeClaim",
    ),
    PodRule(
        "containers",
        f"{CONTAINERS}.exists(c, {_HOST_PORTS})",
        "hostPort would listen at the node's own address; remove it",
    ),
)
SCHEDULING_RULES = (
    PodRule(
        "nodeName",
        f"{cel.text_at('s', 'nodeName')} != ''",
        "it passes by the scheduler and the taints of the node; use nodeSelector, affinity and tolerations",
    ),
    PodRule("priorityClassName", is_system_priority("s"), PRIORITY_ADVICE),
)
CREDENTIAL_RULE = PodRule(
    "volumes",
    f"{cel.maps_at('s', 'volumes')}.exists(v, "
    f"{_SOURCES}.exists(p, has(p.serviceAccountToken) || has(p.podCertificate)))",
    "workers get no token or certificate of the cluster; remove the projected serviceAccountToken or podCertificate",
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
    CREDENTIAL_RULE,
)
PRIVILEGED_RULE = PodRule(
    "containers",
    f"{CONTAINERS}.exists(c, {cel.map_at('c', 'securityContext')}.?privileged.orValue(false) == true)",
    "a privileged container needs the security profile privileged; remove securityContext.privileged",
)
