"""Computed defaults and initial states of built-in kinds: what depends on other fields of the same object.

Constant defaults stand in `builtin.types`. Source: kubernetes pkg/apis/*/v1/defaults.go and the
strategies' PrepareForCreate under pkg/registry.
"""

import base64
from collections.abc import Callable, Mapping

from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.pods import default_pod, default_pod_spec, qos_class

CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
RBAC_GROUP = "rbac.authorization.k8s.io"


def compute_defaults(kind: Kind, obj: Json) -> None:
    """Fills what follows from other fields; runs whenever an object is written."""
    default = None if kind.is_custom else _DEFAULTS.get(kind.kind)
    if default is not None:
        default(obj)


def initial_state(kind: Kind, obj: Json) -> None:
    """What a new object starts with; a client's `status` does not count (nodes register with theirs)."""
    if "status" in kind.subresources and kind.kind != "Node":
        obj.pop("status", None)
    if kind.is_custom:
        return
    match kind.kind:
        case "Namespace":
            obj["spec"] = {"finalizers": ["kubernetes"]}
            obj["status"] = {"phase": "Active"}
        case "CustomResourceDefinition":
            finalizers = obj["metadata"].setdefault("finalizers", [])
            finalizers.extend([CRD_FINALIZER] if CRD_FINALIZER not in finalizers else [])


def initial_status(kind: Kind, obj: Json, now: str) -> None:
    """The status of a new object that follows from its (defaulted) spec."""
    match kind.kind:
        case "Pod":
            obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
        case "CustomResourceDefinition":
            reasons = {"NamesAccepted": "NoConflicts", "Established": "InitialNamesAccepted"}
            obj["status"] = {
                "conditions": [
                    {"type": name, "status": "True", "lastTransitionTime": now, "reason": reason, "message": "served"}
                    for name, reason in reasons.items()
                ],
                "acceptedNames": obj["spec"]["names"],
                "storedVersions": [version["name"] for version in obj["spec"]["versions"] if version["storage"]],
            }


def _namespace(obj: Json) -> None:
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


def _secret(obj: Json) -> None:
    plain = obj.pop("stringData", None) or {}
    if plain:
        coded = {name: base64.b64encode(value.encode()).decode() for name, value in plain.items()}
        obj["data"] = (obj.get("data") or {}) | coded


def _workload(obj: Json) -> None:
    template = (obj["spec"].get("template") or {}).get("spec")
    if template:
        default_pod_spec(template)
    strategy = obj["spec"].get("strategy")
    if strategy and strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxUnavailable": "25%", "maxSurge": "25%"} | (strategy.get("rollingUpdate") or {})


def _service(obj: Json) -> None:
    for port in obj["spec"].get("ports") or ():
        port.setdefault("targetPort", port["port"])


def _network_policy(obj: Json) -> None:
    spec = obj.get("spec") or {}
    if spec and not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _binding(obj: Json) -> None:
    for subject in obj.get("subjects") or ():
        if subject["kind"] in ("User", "Group"):
            subject.setdefault("apiGroup", RBAC_GROUP)
        else:
            subject.setdefault("namespace", obj["metadata"].get("namespace", ""))


def _crd(obj: Json) -> None:
    names = obj["spec"]["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")


_DEFAULTS: Mapping[str, Callable[[Json], None]] = {
    "Namespace": _namespace,
    "Pod": default_pod,
    "Secret": _secret,
    "Deployment": _workload,
    "ReplicaSet": _workload,
    "Service": _service,
    "NetworkPolicy": _network_policy,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "CustomResourceDefinition": _crd,
}
