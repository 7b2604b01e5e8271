"""CustomResourceDefinitions out of the pydantic models: structural schema, defaults, CEL rules, printer columns.

The structural subset of OpenAPI v3 knows no `$ref`, no `anyOf` for optional fields and no `title`
(Kubernetes documentation, "Specifying a structural schema"); this module folds pydantic's JSON schema into that form.
"""

from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import BaseModel

from actions_gateway import __version__
from actions_gateway.api import gateway, labels, runnergroup
from actions_gateway.api.gateway import ActionsGatewaySpec, ActionsGatewayStatus
from actions_gateway.api.names import API_GROUP, API_VERSION
from actions_gateway.api.runnergroup import RunnerGroupSpec, RunnerGroupStatus

Schema = dict[str, Any]

_DROPPED = ("title", "additionalProperties")


def gateway_crd() -> Schema:
    """The CRD of ActionsGateway."""
    return _crd(
        kind="ActionsGateway",
        plural="actionsgateways",
        short_name="ag",
        spec=ActionsGatewaySpec,
        status=ActionsGatewayStatus,
        root_rules=gateway.NAME_RULES,
        columns=[
            _ready_column("Ready", "status"),
            _ready_column("Reason", "reason", priority=1),
            _column("ProxyReady", "integer", ".status.proxyReadyReplicas"),
            _column("Sessions", "integer", ".status.activeSessions"),
            _column("Jobs", "integer", ".status.activeJobs"),
            _column("ObservedGen", "integer", ".status.observedGeneration", priority=1),
            _column("Age", "date", ".metadata.creationTimestamp"),
        ],
    )


def runner_group_crd() -> Schema:
    """The CRD of RunnerGroup."""
    return _crd(
        kind="RunnerGroup",
        plural="runnergroups",
        short_name="rg",
        spec=RunnerGroupSpec,
        status=RunnerGroupStatus,
        root_rules=runnergroup.NAME_RULES,
        columns=[
            _column("MaxListeners", "integer", ".spec.maxListeners"),
            _column("ActiveSessions", "integer", ".status.activeSessions"),
            _column("ActiveJobs", "integer", ".status.activeJobs"),
            _column("PendingJobs", "integer", ".status.pendingJobs"),
            _ready_column("Ready", "status"),
            _ready_column("Reason", "reason", priority=1),
            _column("ObservedGen", "integer", ".status.observedGeneration", priority=1),
            _column("Age", "date", ".metadata.creationTimestamp"),
        ],
    )


def _crd(
    *,
    kind: str,
    plural: str,
    short_name: str,
    spec: type[BaseModel],
    status: type[BaseModel],
    root_rules: Schema,
    columns: list[Schema],
) -> Schema:
    schema = {
        "type": "object",
        "description": (spec.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(spec),
            "status": structural_schema(status),
        },
        **root_rules,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{API_GROUP}",
            "labels": {labels.APP_PART_OF: labels.PART_OF},
            "annotations": {labels.SCHEMA_VERSION: __version__},
        },
        "spec": {
            "group": API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["actions-gateway"],
            },
            "versions": [
                {
                    "name": API_VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                }
            ],
        },
    }


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model by its wire names; the caller's to change."""
    return deepcopy(_structural_schema(model))


@cache
def _structural_schema(model: type[BaseModel]) -> Schema:
    """Made once per process: pydantic takes ten milliseconds for each."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _fold(schema, schema.get("$defs", {}))


def _fold(node: Schema, definitions: dict[str, Schema]) -> Schema:
    node = _resolved(node, definitions)
    folded: Schema = {key: value for key, value in node.items() if key not in _DROPPED and key != "$defs"}
    if "properties" in node:
        folded["properties"] = {name: _fold(child, definitions) for name, child in node["properties"].items()}
    if "items" in node:
        folded["items"] = _fold(node["items"], definitions)
    if isinstance(node.get("additionalProperties"), dict):
        folded["additionalProperties"] = _fold(node["additionalProperties"], definitions)
    if folded.get("default") is None:
        folded.pop("default", None)
    return folded


def _resolved(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """The node without `$ref` and without the `anyOf` that pydantic writes for an optional field."""
    own = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
    if "$ref" in node:
        return _resolved(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions) | own
    choices = [choice for choice in node.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        return _resolved(choices[0], definitions) | own
    return {**own, "anyOf": choices} if choices else own


def _column(name: str, kind: str, path: str, *, priority: int = 0) -> Schema:
    column: Schema = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": priority} if priority else {})


def _ready_column(name: str, field: str, *, priority: int = 0) -> Schema:
    return _column(name, "string", f'.status.conditions[?(@.type=="Ready")].{field}', priority=priority)
