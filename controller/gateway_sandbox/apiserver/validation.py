"""Rules on metadata and on single kinds that a field table cannot hold: names, labels, what may not change.

Source: k8s.io/apimachinery pkg/api/validation and pkg/util/validation; kubernetes pkg/apis/*/validation.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway_sandbox.apiserver.customresources import schema_faults
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.paths import read_path
from gateway_sandbox.apiserver.pods import pod_spec_faults, pod_update_faults
from gateway_sandbox.apiserver.selectors import matches_selector
from gateway_sandbox.apiserver.statuses import Cause, forbidden_field, invalid_value, left_out, required

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_ENDS = "and must start and end with an alphanumeric character"
_DNS_LABEL = re.compile(rf"^(?=.{{1,63}}$){_LABEL}$")
_LABEL_RULE = f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS}"
_DNS_SUBDOMAIN = re.compile(rf"^(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*$")
_SUBDOMAIN_RULE = (
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {_ENDS}"
)
_QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_QUALIFIED_RULE = f"consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"
_LENGTH = 63
_LENGTH_RULE = f"must be no more than {_LENGTH} bytes"
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
FIXED = "field is immutable"
_LABEL_KINDS = frozenset({"Namespace", "Service"})
_FREE_NAME_KINDS = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})


def object_faults(kind: Kind, obj: Json) -> list[Cause]:
    """What is wrong with an object, whether it is created or updated."""
    metadata = obj["metadata"]
    causes = _name_faults(kind, metadata.get("name", ""))
    causes += label_faults("metadata.labels", metadata.get("labels"))
    for key in metadata.get("annotations") or ():
        causes += _key_faults("metadata.annotations", key.lower())
    # Custom resources and their definitions take any name.
    takes_any_finalizer = kind.is_custom or kind.kind == "CustomResourceDefinition"
    for index, name in enumerate(() if takes_any_finalizer else metadata.get("finalizers") or ()):
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid_value(f"metadata.finalizers[{index}]", name, text))
    if kind.is_custom:
        return causes + (kind.faults(obj) if kind.faults else [])
    special = _event_faults if kind.renames else _SPECIAL.get(kind.kind)
    return causes + (special(obj) if special else [])


def update_faults(kind: Kind, new: Json, old: Json) -> list[Cause]:
    """What may not change between two versions of an object."""
    causes = []
    if old["metadata"].get("deletionTimestamp"):
        added = set(new["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            text = "no new finalizers can be added if the object is being deleted"
            causes.append(forbidden_field("metadata.finalizers", f"{text}, found new finalizers {sorted(added)}"))
    for path in kind.fixed_fields:
        before, after = read_path(old, path), read_path(new, path)
        if before is not None and before != after:
            causes.append(invalid_value(path, after, "cannot change roleRef" if path == "roleRef" else FIXED))
    if kind.is_custom:
        return causes
    if kind.kind == "Pod":
        causes += pod_update_faults(new, old)
    if kind.kind in ("Secret", "ConfigMap") and old.get("immutable"):
        changed = [field for field in ("immutable", "data", "binaryData") if new.get(field) != old.get(field)]
        causes += [forbidden_field(field, "field is immutable when `immutable` is set") for field in changed]
    return causes


def label_faults(where: str, labels: Any) -> list[Cause]:
    """Faults of label keys and values."""
    causes = [cause for key in labels or () for cause in _key_faults(where, key)]
    for value in filter(None, (labels or {}).values()):
        causes += _word_faults(where, value, value, "", "a valid label must be an empty string or ")
    return causes


def _key_faults(where: str, key: str) -> list[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not _DNS_SUBDOMAIN.match(prefix):
        return [invalid_value(where, key, f"prefix part {_SUBDOMAIN_RULE}")]
    return _word_faults(where, key, name, "name part ", "name part must ")


def _word_faults(where: str, shown: str, word: str, on_length: str, on_letters: str) -> list[Cause]:
    texts = [f"{on_length}{_LENGTH_RULE}"] if len(word) > _LENGTH else []
    texts += [] if _QUALIFIED.match(word) else [f"{on_letters}{_QUALIFIED_RULE}"]
    return [invalid_value(where, shown, text) for text in texts]


def _name_faults(kind: Kind, name: str) -> list[Cause]:
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    if kind.kind in _FREE_NAME_KINDS:
        is_free = "/" not in name and "%" not in name
        return [] if is_free else [invalid_value("metadata.name", name, "may not contain '/' or '%'")]
    is_label = not kind.is_custom and kind.kind in _LABEL_KINDS
    pattern, rule = (_DNS_LABEL, _LABEL_RULE) if is_label else (_DNS_SUBDOMAIN, _SUBDOMAIN_RULE)
    return [] if pattern.match(name) else [invalid_value("metadata.name", name, rule)]


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


def _crd_faults(obj: Json) -> list[Cause]:
    name, spec = obj["metadata"]["name"], obj["spec"]
    if spec["conversion"]["strategy"] != "None":
        raise left_out("conversion webhooks of custom resource definitions", 422)
    if name == f"{spec['names']['plural']}.{spec['group']}":
        return schema_faults(obj)
    return [invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')]


def _event_faults(obj: Json) -> list[Cause]:
    """What events.k8s.io asks for beyond core/v1 (kubernetes pkg/apis/core/validation/events.go)."""
    stored = {"eventTime": "eventTime", "reportingController": "reportingComponent"}
    stored |= {name: name for name in ("reportingInstance", "action", "reason")}
    causes = [required(name) for name, field in stored.items() if not obj.get(field)]
    series = obj.get("series")
    if series and series.get("count", 0) < 2:
        causes.append(invalid_value("series.count", series.get("count", 0), "should be at least 2"))
    return causes + ([required("series.lastObservedTime")] if series and not series.get("lastObservedTime") else [])


_SPECIAL: Mapping[str, Callable[[Json], list[Cause]]] = {
    "Pod": lambda obj: pod_spec_faults(obj["spec"], "spec"),
    "Deployment": _workload_faults,
    "ReplicaSet": _workload_faults,
    "CustomResourceDefinition": _crd_faults,
}
