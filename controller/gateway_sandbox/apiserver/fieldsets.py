"""Sets of fields (the `fieldsV1` of managedFields) and what server-side apply does with them: compare, merge, remove.

A set is a trie of path elements as in fieldsV1 (`f:name`, `k:{"key":"value"}`, `v:"item"`); a "." entry says that the
path itself is a member. Source: Kubernetes documentation, "Server-Side Apply", and sigs.k8s.io/structured-merge-diff
(typed: ToFieldSet, Compare, Merge, RemoveItems), whose results this reproduces for one API version.
"""

import json
from collections.abc import Iterator
from typing import Any

from gateway_sandbox.apiserver.schema import ANY, Node
from gateway_sandbox.apiserver.statuses import ApiError

Json = dict[str, Any]
FieldSet = dict[str, Any]

_MEMBER = "."
_ABSENT = object()


# -- set algebra -----------------------------------------------------------------------------------------------------


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    merged = dict(left)
    for element, sub in right.items():
        merged[element] = union(merged[element], sub) if element in merged else sub
    return merged


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    common = {element: intersection(sub, right[element]) for element, sub in left.items() if element in right}
    return {element: sub for element, sub in common.items() if sub or element == _MEMBER}


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    rest = {element: difference(sub, right.get(element, {})) for element, sub in left.items() if element != _MEMBER}
    kept = {element: sub for element, sub in rest.items() if sub}
    return ({_MEMBER: {}} if _MEMBER in left and _MEMBER not in right else {}) | kept


def encode(fields: FieldSet) -> Json:
    """The fieldsV1 form, where a member without children is `{}`."""
    return {
        element: {} if set(sub) == {_MEMBER} else encode(sub) if element != _MEMBER else {}
        for element, sub in sorted(fields.items())
    }


def decode(fields: Json) -> FieldSet:
    """The inverse of `encode`."""
    return {name: {} if name == _MEMBER else decode(sub) if sub else {_MEMBER: {}} for name, sub in fields.items()}


def render_paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The members as messages show them: `.spec.containers[name="x"].image`."""
    for element, sub in sorted(fields.items()):
        if element == _MEMBER:
            yield prefix
        else:
            yield from render_paths(sub, prefix + _step(element))


def _step(element: str) -> str:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "v":
        return f"[={rest}]"
    return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"


# -- objects as sets -------------------------------------------------------------------------------------------------


def _elements(node: Node, value: Any) -> dict[str, tuple[Node, Any]]:
    """The path elements right below a value; empty for leaves."""
    if isinstance(value, dict):
        return {f"f:{name}": (node.child(name) or ANY, item) for name, item in value.items()}
    if isinstance(value, list):
        return {_list_element(node, item): (node.element, item) for item in value}
    return {}


def _list_element(node: Node, item: Any) -> str:
    if node.is_set or not isinstance(item, dict):
        return f"v:{json.dumps(item)}"
    key = {}
    for name in sorted(node.keys):
        field = node.element.fields.get(name)
        key[name] = item.get(name, field.default if field else None)
    return "k:" + json.dumps(key, separators=(",", ":"))


def _is_leaf(node: Node, value: Any) -> bool:
    """Owned as a whole: scalars, atomic structures, and every list whose items have no identity."""
    if isinstance(value, list):
        return not (node.keys or node.is_set)
    return not isinstance(value, dict) or node.atomic


def field_set(node: Node, value: Any, where: str = "") -> FieldSet:
    """The fields that an applied configuration names. Raises ApiError for a field that the schema does not declare."""
    if _is_leaf(node, value):
        return {_MEMBER: {}}
    fields: FieldSet = {}
    elements = _elements(node, value)
    if len(elements) < len(value):
        raise ApiError(500, "", f"{where}: duplicate entries for key {_step(_first_duplicate(node, value))}")
    for element, (child, item) in elements.items():
        name = element[2:]
        if isinstance(value, dict) and node.child(name) is None:
            raise ApiError(500, "", f"{where}.{name}: field not declared in schema")
        sub = field_set(child, item, where + _step(element))
        if element[0] != "f" or name not in node.fields or item is None or item == {}:
            sub = sub | {_MEMBER: {}}
        if sub:
            fields[element] = sub
    return fields


def _first_duplicate(node: Node, items: list[Any]) -> str:
    elements = [_list_element(node, item) for item in items]
    return next(element for element in elements if elements.count(element) > 1)


def compare(node: Node, old: Any, new: Any) -> tuple[FieldSet, FieldSet]:
    """The fields that are added or modified, and those removed, from `old` to `new`."""
    if old is new or old == new:
        return {}, {}
    present = old if new is _ABSENT else new
    same_shape = old is _ABSENT or new is _ABSENT or type(old) is type(new)
    if _is_leaf(node, present) or not same_shape or (_is_empty(old) and _is_empty(new)):
        return _compare_leaf(old, new)
    before = _elements(node, old) if old is not _ABSENT else {}
    after = _elements(node, new) if new is not _ABSENT else {}
    changed: FieldSet = {_MEMBER: {}} if old is _ABSENT else {}
    removed: FieldSet = {_MEMBER: {}} if new is _ABSENT else {}
    for element in before.keys() | after.keys():
        child = (after.get(element) or before[element])[0]
        pair = [side[element][1] if element in side else _ABSENT for side in (before, after)]
        more, less = compare(child, *pair)
        if more:
            changed[element] = more
        if less:
            removed[element] = less
    return changed, removed


def _is_empty(value: Any) -> bool:
    return value is _ABSENT or not value


def _compare_leaf(old: Any, new: Any) -> tuple[FieldSet, FieldSet]:
    if new is _ABSENT:
        return {}, {_MEMBER: {}}
    return ({_MEMBER: {}}, {}) if old is _ABSENT or old != new else ({}, {})


def merge(node: Node, live: Any, applied: Any) -> Any:
    """The live value with the applied one laid over it; shares unchanged parts with both."""
    if _is_leaf(node, applied) or type(live) is not type(applied):
        return applied
    if isinstance(applied, dict):
        merged = dict(live)
        for name, item in applied.items():
            merged[name] = merge(node.child(name) or ANY, live[name], item) if name in live else item
        return merged
    return _merge_lists(node, live, applied)


def _merge_lists(node: Node, live: list[Any], applied: list[Any]) -> list[Any]:
    """Items by identity, in the applied order; items of the live list alone keep their place between shared ones."""
    before = {_list_element(node, item): item for item in live}
    after = {_list_element(node, item): item for item in applied}
    shared = [element for element in after if element in before]
    waiting = list(before)
    merged: list[Any] = []
    for element, item in after.items():
        while waiting and waiting[0] != next(iter(shared), None):
            other = waiting.pop(0)
            merged.extend([] if other in after else [before[other]])
        if element in before:
            del shared[:1], waiting[:1]  # the first of both is this element, or `waiting` is used up
            item = merge(node.element, before[element], item)
        merged.append(item)
    return merged + [before[element] for element in waiting if element not in after]


def remove(node: Node, value: Any, last: FieldSet, owned: FieldSet) -> Any:
    """`value` without what `last` holds and nobody in `owned` does (fields that an applier has given up)."""
    if isinstance(value, dict):
        kept = {}
        for name, item in value.items():
            given_up, still = last.get(f"f:{name}"), owned.get(f"f:{name}")
            if given_up is not None and still is None:
                continue
            kept[name] = remove(node.child(name) or ANY, item, given_up, still) if given_up and still else item
        return kept
    if isinstance(value, list):
        items = []
        for item in value:
            element = _list_element(node, item)
            given_up, still = last.get(element), owned.get(element)
            if given_up is not None and (still is None or _MEMBER not in still):
                continue
            items.append(remove(node.element, item, given_up, still) if given_up and still else item)
        return items
    return value
