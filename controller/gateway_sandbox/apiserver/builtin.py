"""Reads `builtin.types`, the table of the built-in kinds, into OpenAPI schemas and compiled kinds."""

import json
import re
from importlib.resources import files
from typing import Any

from gateway_sandbox.apiserver.cells import NAME_AND_CREATION, builtin_columns
from gateway_sandbox.apiserver.kinds import Column, Json, Kind, ScalePaths
from gateway_sandbox.apiserver.schema import Node, compile_schema

REF = "#/components/schemas/"
_SCALARS: dict[str, Json] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "quantity": {"type": "string", "format": "quantity"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "micro-time"},
    "bytes": {"type": "string", "format": "byte"},
    "intstr": {"x-kubernetes-int-or-string": True},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}
_FIELD = re.compile(r"^(?P<name>\w+)(?P<required>!?) (?P<type>[\w.{}\[\]]+)(?P<pointer>\*?)(?: (?P<flags>.+))?$")
_SCALE = ScalePaths("spec.replicas", "status.replicas", "spec.selector")
EVENT_RENAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
"""events.k8s.io/v1 is core/v1 in other words (kubernetes pkg/apis/events/v1/conversion.go)."""


class BuiltinTypes:
    """The parsed table: `schemas` by type name (OpenAPI components) and the `kinds` they serve."""

    def __init__(self) -> None:
        text = files(__package__).joinpath("builtin.types").read_text(encoding="utf-8")
        self.schemas: dict[str, Json] = {}
        self._nodes: dict[str, Node] = {}
        columns: dict[str, tuple[Column, ...]] = {}
        kind_lines: list[list[str]] = []
        for line in _logical_lines(text):
            head, _, body = line.partition(": ")
            match head.split():
                case ["kind", *words]:
                    kind_lines.append(words)
                case ["columns", kind]:
                    columns[kind] = builtin_columns(body)
                case [name, *flags]:
                    self.schemas[name] = _type_schema(body, is_atomic="atomic" in flags)
        self.kinds = [self._kind(columns, *words) for words in kind_lines]

    def resolve(self, reference: str) -> Node:
        """The compiled type behind a `$ref`."""
        name = reference.removeprefix(REF)
        if name not in self._nodes:
            self._nodes[name] = compile_schema(self.schemas[name], self.resolve, native=True)
        return self._nodes[name]

    def _kind(
        self, columns: dict[str, tuple[Column, ...]], api_version: str, kind: str, plural: str, *flags: str
    ) -> Kind:
        group, _, version = api_version.rpartition("/")
        qualified = f"{group}.{version}.{kind}"
        name = qualified if qualified in self.schemas else kind
        typed = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
        self.schemas[name]["properties"] = typed | self.schemas[name]["properties"]
        lists: dict[str, Any] = {
            field: tuple(text.split(",")) for field, is_list, text in (flag.partition("=") for flag in flags) if is_list
        }
        return Kind(
            group=group,
            version=version,
            kind=kind,
            plural=plural,
            namespaced="cluster" not in flags,
            node=self.resolve(REF + kind),
            schema={"$ref": REF + name},
            singular=kind.lower(),
            list_kind=f"{kind}List",
            columns=columns.get(kind, NAME_AND_CREATION),
            scale=_SCALE if "scale" in lists.get("subresources", ()) else None,
            counts_generation="generation" in flags,
            needs_version_on_put="conditional" in flags,
            renames=EVENT_RENAMES if group == "events.k8s.io" else {},
            **lists,
        )


def _logical_lines(text: str) -> list[str]:
    joined = re.sub(r"\n  +", " ", text)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def _type_schema(body: str, *, is_atomic: bool) -> Json:
    schema: Json = {"type": "object", "properties": {}}
    for text in body.split(";"):
        match = _FIELD.match(text.strip())
        if match is None:
            raise ValueError(f"builtin.types: cannot read the field {text.strip()!r}")
        name = match["name"]
        schema["properties"][name] = _field_schema(match)
        if match["required"]:
            schema.setdefault("required", []).append(name)
    if is_atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _field_schema(match: re.Match[str]) -> Json:
    schema = dict(_of(match["type"]))
    if match["type"] in _SCALARS and match["type"] != "any" and not match["pointer"] and not match["required"]:
        schema["x-go-omitempty"] = True
    for flag in (match["flags"] or "").split():
        if flag.startswith("="):
            schema["default"] = _default(flag[1:])
        elif flag.startswith("<"):
            schema["enum"] = flag.strip("<>").split("|")
        elif flag == "@set":
            schema["x-kubernetes-list-type"] = "set"
        elif flag.startswith("@"):
            schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": flag[1:].split(",")}
        else:
            schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _of(word: str) -> Json:
    if word.startswith("["):
        return {"type": "array", "items": _of(word[1:-1])}
    if word.startswith("{"):
        return {"type": "object", "additionalProperties": _of(word[1:-1])}
    return _SCALARS.get(word) or {"$ref": REF + word}


def _default(word: str) -> Any:
    """A default is JSON, or a bare word for a string."""
    try:
        return json.loads(word)
    except ValueError:
        return word
