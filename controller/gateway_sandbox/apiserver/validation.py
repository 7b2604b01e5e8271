"""Rules on metadata and on single kinds that a field table cannot hold: names, labels, what may not change.

Source: k8s.io/apimachinery pkg/api/validation and pkg/util/validation; kubernetes pkg/apis/*/validation.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway_sandbox.apiserver.customresources import schema_faults
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.pods import pod_spec_faults, pod_update_faults
from gateway_sandbox.apiserver.selectors import matches_selector
from gateway_sandbox.apiserver.statuses import Cause, forbidden_field, invalid_value, required

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(rf"^{_LABEL}$")
_DNS_SUBDOMAIN = re.compile(rf"^{_LABEL}(\.{_LABEL})*$")
_QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_FIXED = "field is immutable"
_LABEL_KINDS = frozenset({"Namespace", "Service"})
_FREE_NAME_KINDS = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})
_ENDS = "must start and end with an alphanumeric character"
_SUBDOMAIN_RULE = (
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and {_ENDS}"
)
_LABEL_RULE = f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and {_ENDS}"
_KEY_RULE = f"name part must consist of alphanumeric characters, '-', '_' or '.', and {_ENDS}"
_VALUE_RULE = (
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and {_ENDS}"
)


def object_faults(kind: Kind, obj: Json) -> list[Cause]:
    """What is wrong with an object, whether it is created or updated."""
    metadata = obj["metadata"]
    causes = _name_faults(kind, metadata.get("name", ""))
    causes += label_faults("metadata.labels", metadata.get("labels"))
    causes += [
        cause for key in metadata.get("annotations") or () for cause in _key_faults("metadata.annotations", key.lower())
    ]
    if kind.is_custom:
        return causes + (kind.faults(obj) if kind.faults else [])
    special = _SPECIAL.get(kind.kind)
    return causes + (special(obj) if special else [])


def update_faults(kind: Kind, new: Json, old: Json) -> list[Cause]:
    """What may not change between two versions of an object."""
    causes = []
    if old["metadata"].get("deletionTimestamp"):
        added = set(new["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            text = (
                f"no new finalizers can be added if the object is being deleted, found new finalizers {sorted(added)}"
            )
            causes.append(forbidden_field("metadata.finalizers", text))
    for path in kind.fixed_fields:
        before, after = value_at(old, path), value_at(new, path)
        if before is not None and before != after:
            causes.append(invalid_value(path, after, "cannot change roleRef" if path == "roleRef" else _FIXED))
    if kind.is_custom:
        return causes
    if kind.kind == "Pod":
        causes += pod_update_faults(new, old)
    if kind.kind in ("Secret", "ConfigMap") and old.get("immutable"):
        causes += [
            forbidden_field(field, "field is immutable when `immutable` is set")
            for field in ("immutable", "data", "binaryData")
            if new.get(field) != old.get(field)
        ]
    return causes


def label_faults(where: str, labels: Any) -> list[Cause]:
    """Faults of label keys and values."""
    causes: list[Cause] = []
    for key, value in (labels or {}).items():
        causes += _key_faults(where, key)
        if len(value) > 63:
            causes.append(invalid_value(where, value, "must be no more than 63 bytes"))
        if value and not _QUALIFIED.match(value):
            causes.append(invalid_value(where, value, _VALUE_RULE))
    return causes


def value_at(obj: Any, path: str) -> Any:
    """The value at a dotted path of maps; None when a part is missing."""
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _key_faults(where: str, key: str) -> list[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not _DNS_SUBDOMAIN.match(prefix):
        return [invalid_value(where, key, f"prefix part {_SUBDOMAIN_RULE}")]
    if len(name) > 63:
        return [invalid_value(where, key, "name part must be no more than 63 bytes")]
    return [] if _QUALIFIED.match(name) else [invalid_value(where, key, _KEY_RULE)]


def _name_faults(kind: Kind, name: str) -> list[Cause]:
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    if kind.kind in _FREE_NAME_KINDS:
        return (
            [invalid_value("metadata.name", name, "may not contain '/' or '%'")] if "/" in name or "%" in name else []
        )
    is_label = not kind.is_custom and kind.kind in _LABEL_KINDS
    limit, pattern, rule = (63, _DNS_LABEL, _LABEL_RULE) if is_label else (253, _DNS_SUBDOMAIN, _SUBDOMAIN_RULE)
    causes = [] if pattern.match(name) else [invalid_value("metadata.name", name, rule)]
    if len(name) > limit:
        causes.append(invalid_value("metadata.name", name, f"must be no more than {limit} bytes"))
    return causes


def _workload_faults(obj: Json) -> list[Cause]:
    template = obj["spec"].get("template") or {}
    labels = template.get("metadata", {}).get("labels")
    causes = label_faults("spec.template.labels", labels)
    if not obj["spec"]["selector"]:
        causes.append(invalid_value("spec.selector", {}, "empty selector is invalid for deployment"))
    elif not matches_selector(obj["spec"]["selector"], labels):
        text = "`selector` does not match template `labels`"
        causes.append(invalid_value("spec.template.metadata.labels", labels, text))
    return causes + pod_spec_faults(template.get("spec") or {"containers": []}, "spec.template.spec")


def _autoscaler_faults(obj: Json) -> list[Cause]:
    spec = obj["spec"]
    if spec["maxReplicas"] >= spec["minReplicas"]:
        return []
    text = "must be greater than or equal to `minReplicas`"
    return [invalid_value("spec.maxReplicas", spec["maxReplicas"], text)]


def _crd_faults(obj: Json) -> list[Cause]:
    spec = obj["spec"]
    expected = f"{spec['names']['plural']}.{spec['group']}"
    if obj["metadata"]["name"] == expected:
        return schema_faults(obj)
    return [
        invalid_value(
            "metadata.name", obj["metadata"]["name"], f'must be spec.names.plural+"."+spec.group ({expected})'
        )
    ]


_SPECIAL: Mapping[str, Callable[[Json], list[Cause]]] = {
    "Pod": lambda obj: pod_spec_faults(obj["spec"], "spec"),
    "Deployment": _workload_faults,
    "ReplicaSet": _workload_faults,
    "HorizontalPodAutoscaler": _autoscaler_faults,
    "CustomResourceDefinition": _crd_faults,
}
