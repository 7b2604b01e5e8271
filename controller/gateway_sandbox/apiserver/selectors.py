"""Label and field selectors of lists and watches, and label selectors inside objects.

Grammar: Kubernetes documentation, "Labels and Selectors" and "Field Selectors". Field selectors name the fields that
the real server offers; any other field is refused with its wording.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway_sandbox.apiserver.kinds import Kind
from gateway_sandbox.apiserver.statuses import bad_request

Json = dict[str, Any]
Predicate = Callable[[Json], bool]
LabelTest = Callable[[Mapping[str, str]], bool]

_FIELD_TERM = re.compile(r"^(?P<path>[^=!]+?)\s*(?P<operator>==|!=|=)\s*(?P<value>.*)$")
_LABEL_TERM = re.compile(
    r"^(?:(?P<absent>!)\s*(?P<without>[^\s=!,()]+)"
    r"|(?P<key>[^\s=!<>,()]+)(?:\s*(?P<operator>==|!=|=|<|>)\s*(?P<value>[^\s=!,()]*)"
    r"|\s+(?P<word>in|notin)\s*\((?P<values>[^()]*)\))?)$"
)
_COMMA = re.compile(r",(?![^(]*\))")


def parse_selectors(kind: Kind, label_selector: str, field_selector: str) -> Predicate | None:
    """The test of a list or watch; None when it selects everything. Raises ApiError 400."""
    labels = parse_label_selector(label_selector)
    fields = _parse_field_selector(kind, field_selector)
    if labels is None:
        return fields
    if fields is None:
        return lambda obj: labels(obj["metadata"].get("labels") or {})
    return lambda obj: labels(obj["metadata"].get("labels") or {}) and fields(obj)


def parse_label_selector(text: str) -> LabelTest | None:
    """The test on labels that a query's selector means."""
    terms = [_label_term(term.strip(), text) for term in _COMMA.split(text) if term.strip()]
    return (lambda labels: all(term(labels) for term in terms)) if terms else None


def _label_term(term: str, whole: str) -> LabelTest:
    match = _LABEL_TERM.match(term)
    if match is None:
        raise bad_request(f"unable to parse requirement: found {term!r} in label selector {whole!r}")
    if match["absent"]:
        return lambda labels: match["without"] not in labels
    key = match["key"]
    if match["word"]:
        values = {value.strip() for value in match["values"].split(",")}
        return _requirement(key, "In" if match["word"] == "in" else "NotIn", values)
    match match["operator"]:
        case None:
            return lambda labels: key in labels
        case "!=":
            return _requirement(key, "NotIn", {match["value"]})
        case "<" | ">" as sign:
            bound = int(match["value"])
            return lambda labels: (
                key in labels and (int(labels[key]) < bound if sign == "<" else int(labels[key]) > bound)
            )
        case _:
            return _requirement(key, "In", {match["value"]})


def _requirement(key: str, operator: str, values: set[str]) -> LabelTest:
    match operator:
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case _:
            return lambda labels: key not in labels


def matches_selector(selector: Json | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a `LabelSelector` object selects these labels; an empty one selects all, none selects nothing."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(
        _requirement(term["key"], term["operator"], set(term.get("values") or ()))(labels)
        for term in selector.get("matchExpressions") or ()
    )


def _parse_field_selector(kind: Kind, text: str) -> Predicate | None:
    tests = [_field_term(kind, term.strip()) for term in text.split(",") if term.strip()]
    return (lambda obj: all(test(obj) for test in tests)) if tests else None


def _field_term(kind: Kind, term: str) -> Predicate:
    match = _FIELD_TERM.match(term)
    if match is None:
        raise bad_request(f"invalid selector: {term!r}; can't understand {term!r}")
    path, value, is_equal = match["path"], match["value"], match["operator"] != "!="
    known = ("metadata.name", *(("metadata.namespace",) if kind.namespaced else ()), *kind.selectable_fields)
    head, _, rest = path.partition(".")
    if path not in known and f"{head}.*" not in known:
        raise bad_request(f"field label not supported: {path}")
    parts = (
        ["source", "component"] if path == "source" else [kind.renames.get(head, head), *rest.split(".")[: len(rest)]]
    )
    return lambda obj: (_text_at(obj, parts) == value) is is_equal


def _text_at(obj: Any, parts: list[str]) -> str:
    for part in parts:
        obj = obj.get(part) if isinstance(obj, dict) else None
    if isinstance(obj, bool):
        return str(obj).lower()
    return "" if obj is None else str(obj)
