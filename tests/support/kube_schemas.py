"""JSON schemas for kubeconform, from what an API server publishes about itself.

An API server describes all its types, custom ones included, at /openapi/v2 (Kubernetes docs, "OpenAPI V2"). kubeconform
wants one JSON schema per kind. Strict means here as there: a field that the server does not know is an error, so every
object without open properties is closed.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

LAYOUT = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"
"""kubeconform's template for a schema's file name; it writes kinds in lower case."""

_TYPES = "x-kubernetes-group-version-kind"
_OPEN = "x-kubernetes-preserve-unknown-fields"
_PREFIX = "#/definitions/"


def described_kinds(openapi: Mapping[str, Any]) -> set[str]:
    """The kinds that an API server's document describes, of all groups."""
    return {kind["kind"] for definition in openapi["definitions"].values() for kind in definition.get(_TYPES) or []}


def write_schemas(openapi: Mapping[str, Any], folder: Path) -> Path:
    """Writes one file per kind and returns the schema location for kubeconform."""
    definitions: Mapping[str, Schema] = openapi["definitions"]
    for name, definition in definitions.items():
        for kind in definition.get(_TYPES) or []:
            # What kubeconform calls the group is the part of the apiVersion before a slash: the core group is `v1`.
            group = kind["group"] or kind["version"]
            path = folder / f"{group}_{kind['version']}_{kind['kind'].lower()}.json"
            path.write_text(json.dumps(_standalone(name, definitions)))
    return folder / LAYOUT


def _standalone(name: str, definitions: Mapping[str, Schema]) -> Schema:
    """The definition with everything that it refers to."""
    needed, pending = dict[str, Schema](), [name]
    while pending:
        current = pending.pop()
        if current not in needed:
            needed[current] = _strict(definitions[current])
            pending += _references(definitions[current])
    return {"$ref": _PREFIX + name, "definitions": needed}


def _strict(node: Any) -> Any:
    """The node with closed objects; text that may be a number says so in its format only."""
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    closed = {key: _strict(value) for key, value in node.items() if not key.startswith("x-kubernetes-")}
    if "properties" in node:
        closed["properties"] = {key: _strict(value) for key, value in node["properties"].items()}
        if not node.get(_OPEN):
            closed.setdefault("additionalProperties", False)
    return closed


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _references(each)
    elif isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.removeprefix(_PREFIX)
        for each in node.values():
            yield from _references(each)
