"""Label and field selectors of lists and watches, and label selectors inside objects.

Grammar: Kubernetes documentation, "Labels and Selectors" and "Field Selectors". Field selectors name the fields that
the real server offers; any other field is refused with its wording. The numeric label operators `<` and `>` are not
read.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway_sandbox.apiserver.kinds import Kind
from gateway_sandbox.apiserver.paths import read_path
from gateway_sandbox.apiserver.statuses import bad_request, left_out

Json = dict[str, Any]
Predicate = Callable[[Json], bool]
LabelTest = Callable[[Mapping[str, str]], bool]

_FIELD_TERM = re.compile(r"^(?P<path>[^=!]+?)\s*(?P<operator>==|!=|=)\s*(?P<value>.*)$")
_LABEL_TERM = re.compile(
    r"^(?:(?P<absent>!)\s*(?P<without>[^\s=!,()]+)"
    r"|(?P<key>[^\s=!<>,()]+)(?:\s*(?P<operator>==|!=|=)\s*(?P<value>[^\s=!,()]*)"
    r"|\s+(?P<word>in|notin)\s*\((?P<values>[^()]*)\))?)$"
)
_COMMA = re.compile(r",(?![^(]*\))")


def parse_selectors(kind: Kind, label_selector: str, field_selector: str) -> Predicate:
    """The test of a list or watch. Raises ApiError 400."""
    on_labels = parse_label_selector(label_selector)
    on_fields = [_field_term(kind, term.strip()) for term in field_selector.split(",") if term.strip()]

    def test(obj: Json) -> bool:
        return on_labels(obj["metadata"].get("labels") or {}) and all(term(obj) for term in on_fields)

    return test


def parse_label_selector(text: str) -> LabelTest:
    """The test of a list's label selector; an empty one selects all. Raises ApiError 400."""
    terms = [_label_term(term.strip()) for term in _COMMA.split(text) if term.strip()]
    return lambda labels: all(term(labels) for term in terms)


def _label_term(term: str) -> LabelTest:
    match = _LABEL_TERM.match(term)
    if match is None:
        if re.match(r"[^\s<>]+\s*[<>]", term):
            raise left_out(f"numeric label selectors like {term!r}", 400)
        raise bad_request(f"unable to parse requirement: found {term!r} in the label selector")
    if match["absent"]:
        return _requirement(match["without"], "DoesNotExist", set())
    if match["word"]:
        values = {value.strip() for value in match["values"].split(",")}
        return _requirement(match["key"], "In" if match["word"] == "in" else "NotIn", values)
    operator = {None: "Exists", "!=": "NotIn"}.get(match["operator"], "In")
    return _requirement(match["key"], operator, {match["value"]})


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


def render_selector(selector: Json) -> str:
    """A `LabelSelector` object as a query would say it: `app=web,tier in (a,b),!old`."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or ():
        values = f" {term['operator'].lower()} ({','.join(term['values'])})" if term.get("values") else ""
        terms.append(("!" if term["operator"] == "DoesNotExist" else "") + term["key"] + values)
    return ",".join(terms)


def _field_term(kind: Kind, term: str) -> Predicate:
    match = _FIELD_TERM.match(term)
    if match is None:
        raise bad_request(f"invalid selector: {term!r}; can't understand {term!r}")
    path, value, is_equal = match["path"], match["value"], match["operator"] != "!="
    known = ("metadata.name", *(("metadata.namespace",) if kind.namespaced else ()), *kind.selectable_fields)
    head, dot, rest = path.partition(".")
    if path not in known and f"{head}.*" not in known:
        if kind.selectable_fields or kind.is_custom:
            raise bad_request(f"field label not supported: {path}")
        raise bad_request(f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    stored = "source.component" if path == "source" else kind.renames.get(head, head) + dot + rest
    return lambda obj: (_text(read_path(obj, stored)) == value) is is_equal


def _text(value: Any) -> str:
    """A field as a selector names it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
