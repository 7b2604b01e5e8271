"""An ActionsGateway manifest from a file, as the base of a new tenant's gateway.

The API's models ignore fields that they do not know, as the API server prunes them; a person's typing error must not
vanish so, and is looked for here in the CRD's own schema.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from actions_gateway.api.crd import gateway_crd
from gw.errors import Refused

_KIND = "ActionsGateway"


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """What the file says; absent parts are None or empty."""

    name: str | None
    namespace: str | None
    spec: dict[str, Any]


def read_gateway_file(path: Path) -> GatewayFile:
    """The manifest; raises Refused that names the line or the field."""
    manifest = _load(path)
    if manifest.get("kind") != _KIND:
        raise Refused(
            f"{path} holds a {manifest.get('kind')!r}, not an {_KIND}", "Name a file with one ActionsGateway."
        )
    spec, metadata = manifest.get("spec") or {}, manifest.get("metadata") or {}
    if not isinstance(spec, dict) or not isinstance(metadata, dict):
        raise Refused(
            f"metadata and spec of {path} are no mappings", "Compare it with `kubectl explain actionsgateway`."
        )
    for field in unknown_fields(spec, _spec_schema(), "spec"):
        raise Refused(
            f"{path}: there is no field {field}", "Look for a typing error; `kubectl explain` shows the fields."
        )
    return GatewayFile(metadata.get("name"), metadata.get("namespace"), spec)


def unknown_fields(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """The paths of fields that the schema does not know."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    properties = schema.get("properties")
    if isinstance(value, dict) and properties is not None:
        for key, child in value.items():
            if key in properties:
                yield from unknown_fields(child, properties[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from unknown_fields(child, schema.get("items") or {}, f"{path}[{index}]")


def _load(path: Path) -> dict[str, Any]:
    try:
        documents = [document for document in yaml.safe_load_all(path.read_text()) if document is not None]
    except OSError as problem:
        raise Refused(f"{path} cannot be read: {problem.strerror}", "Name a readable file with --file.") from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Refused(f"{path}{where} is no YAML", "Correct the file.") from problem
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise Refused(f"{path} holds {len(documents)} documents, not one manifest", f"Name a file with one {_KIND}.")
    return documents[0]


def _spec_schema() -> dict[str, Any]:
    version = gateway_crd()["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema
