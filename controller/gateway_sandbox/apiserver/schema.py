"""Structural schemas, compiled: one walk that prunes unknown fields, fills defaults and checks a decoded object.

Both the built-in kinds (from `builtin.types`) and custom resources (from their CRD) come through here, so that strict
field validation, defaulting, strategic merge and field ownership all read one description. What only a CRD can say
(patterns, bounds, oneOf) is `customresources`' business. Source: Kubernetes documentation, "Specifying a structural
schema" and "Defaulting"; for built-in kinds the walk stands in for decoding into Go types, which drops null, empty
lists and maps, and zero values of fields that are no pointers.
"""

import base64
import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.api.quantities import format_quantity, parse_quantity
from gateway_sandbox.apiserver.statuses import Cause, bad_request, duplicate, not_supported, required

Json = dict[str, Any]
Path = tuple[str | int, ...]

_FRACTION = re.compile(r"\.\d+(?=Z|[+-])")
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class Node:
    """One schema position; `type` is empty where anything may stand."""

    def __init__(self, schema: Json, *, native: bool = False) -> None:
        self.type: str = schema.get("type", "")
        self.format: str = schema.get("format", "")
        self.fields: dict[str, Node] = {}
        self.extra: Node | None = None
        self.items: Node | None = None
        self.default: Any = schema.get("default")
        self.enum: list[Any] = schema.get("enum", [])
        self.required: list[str] = schema.get("required", [])
        self.nullable: bool = schema.get("nullable", False)
        self.native = native
        self.omit_empty: bool = schema.get("x-go-omitempty", False)
        self.keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        self.is_set: bool = schema.get("x-kubernetes-list-type") == "set"
        is_list = self.type == "array" and not self.keys and not self.is_set
        self.atomic: bool = is_list or schema.get("x-kubernetes-map-type") == "atomic"

    def child(self, name: str) -> "Node | None":
        """The schema of a field or map value; None when the field is unknown here."""
        return self.fields.get(name) or self.extra

    @property
    def element(self) -> "Node":
        return self.items or ANY


ANY = Node({})
ANY.extra = ANY


def compile_schema(schema: Json, resolve: Callable[[str], Node] | None = None, *, native: bool = False) -> Node:
    """The node of an OpenAPI v3 schema; `resolve` answers `$ref`s, whose siblings (default, list keys) stay local."""
    if "$ref" in schema and resolve is not None:
        target = resolve(schema["$ref"])
        if "default" not in schema:
            return target
        node = copy.copy(target)
        node.default = schema["default"]
        return node
    # A position without a type takes anything: preserved fields, int-or-string.
    is_open = not schema.get("type") and not schema.get("properties")
    node = Node(schema, native=native and not is_open)
    fields = schema.get("properties", {})
    node.fields = {name: compile_schema(sub, resolve, native=native) for name, sub in fields.items()}
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        node.extra = compile_schema(extra, resolve, native=native)
    elif is_open or extra is True or schema.get("x-kubernetes-preserve-unknown-fields"):
        node.extra = ANY
    if isinstance(schema.get("items"), dict):
        node.items = compile_schema(schema["items"], resolve, native=native)
    return node


@dataclass(slots=True)
class Report:
    """What the walk found: unknown fields (dropped from the object) and faults of known ones."""

    unknown: list[str] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)


def conform(node: Node, value: Any, report: Report, path: Path = ()) -> Any:
    """`value` in the form the server stores; dicts and lists are changed in place. Raises ApiError 400 for a
    built-in kind's field of the wrong JSON type."""
    if node.native and not _has_type(node, value):
        wrong = json_type(value).replace("integer", "number")
        raise bad_request(f"json: cannot unmarshal {wrong} into Go struct field {dotted(path)} of type {node.type}")
    if isinstance(value, dict) and node is not ANY:
        return _conform_object(node, value, report, path)
    if isinstance(value, list) and node.items is not None:
        items = [conform(node.items, item, report, (*path, index)) for index, item in enumerate(value)]
        if node.keys and not node.native:
            _check_unique(node, items, report, path)
        return items
    if node.native:
        return _conform_scalar(node, value, report, path)
    return value


def _conform_object(node: Node, value: Json, report: Report, path: Path) -> Json:
    for name in list(value):
        child = node.child(name)
        if child is None:
            if node.type == "object" or node.fields:
                del value[name]
                report.unknown.append(dotted((*path, name)))
            continue
        item = value[name]
        if item is None and child is not ANY and not child.nullable:
            del value[name]
            continue
        if child is not ANY:
            item = value[name] = conform(child, item, report, (*path, name))
        if node.native and _is_dropped(child, item) and name not in node.required:
            del value[name]
    for name, child in node.fields.items():
        if child.default is not None and name not in value:
            value[name] = conform(child, copy.deepcopy(child.default), report, (*path, name))
    if node.native:
        report.causes.extend(required(dotted((*path, name))) for name in node.required if name not in value)
    return value


def _is_dropped(child: Node, item: Any) -> bool:
    if child.omit_empty:
        return not item
    return (item == [] and child.type == "array") or (item == {} and child.type == "object" and not child.fields)


def _conform_scalar(node: Node, value: Any, report: Report, path: Path) -> Any:
    if node.enum and value not in node.enum:
        report.causes.append(not_supported(dotted(path), value, node.enum))
    try:
        match node.format:
            case "quantity":
                # A real server keeps the family of the unit: 1024Mi becomes 1Gi, and 1024 stays as it is.
                return format_quantity(parse_quantity(value), is_size=str(value).endswith("i"))
            case "byte":
                base64.b64decode(value, validate=True)
            case "date-time" if value:
                return _FRACTION.sub("", value)
    except ValueError as problem:
        what = "illegal base64 data" if node.format == "byte" else "no quantity"
        raise bad_request(f"{dotted(path)}: {what}: {problem}") from problem
    return value


def json_type(value: Any) -> str:
    """The word of JSON schema for the type of a value."""
    return _JSON_TYPES.get(type(value), "null")


def _has_type(node: Node, value: Any) -> bool:
    if not node.type or value is None or node.format == "quantity":
        return True
    return json_type(value) in (node.type, "integer" if node.type == "number" else "")


def _check_unique(node: Node, items: Iterable[Any], report: Report, path: Path) -> None:
    keys = [{name: item.get(name) for name in node.keys} for item in items if isinstance(item, dict)]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            report.causes.append(duplicate(dotted((*path, index)), key))


def dotted(path: Iterable[str | int]) -> str:
    """`spec.containers[0].name` of field names and list indexes."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
