"""The field table of built-in kinds against the models of the official Kubernetes client."""

import typing
from typing import Any

import kubernetes.client.models as models
import pytest

from gateway_sandbox.apiserver.builtin import BuiltinTypes
from gateway_sandbox.apiserver.kinds import Kind

TYPES = BuiltinTypes()
MODELS = {
    ("", "Event"): "CoreV1Event",
    ("events.k8s.io", "Event"): "EventsV1Event",
    ("autoscaling", "HorizontalPodAutoscaler"): "V2HorizontalPodAutoscaler",
}
SHARED = {("V2ResourceMetricStatus", "container")}
"""Fields of a type of ours that stands for two types of Kubernetes."""


def inner(annotation: Any) -> Any:
    """The type inside Annotated, Optional, List and Dict."""
    arguments = [one for one in typing.get_args(annotation) if one is not type(None)]
    if not arguments:
        return annotation
    return inner(arguments[-1] if typing.get_origin(annotation) is dict else arguments[0])


def fields_of(model: Any) -> dict[str, Any]:
    """Wire name to annotation."""
    return {
        str(getattr(info.validation_alias, "choices", [info.alias or name])[0]): info.annotation
        for name, info in model.model_fields.items()
    }


def differences(schema: dict[str, Any], model: Any, path: str, seen: set[str]) -> list[str]:
    """The fields that only one side knows, all the way down."""
    schema = schema.get("items") or schema.get("additionalProperties") or schema
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        if name in seen:
            return []
        seen.add(name)
        schema = TYPES.schemas[name]
    if not schema.get("properties") or not hasattr(model, "model_fields"):
        return []
    known = fields_of(model)
    ours = {name for name in schema["properties"] if (model.__name__, name) not in SHARED}
    found = [f"{path}.{name}" for name in sorted(ours ^ known.keys())]
    for name in sorted(ours & known.keys()):
        found += differences(schema["properties"][name], inner(known[name]), f"{path}.{name}", seen)
    return found


@pytest.mark.parametrize("kind", TYPES.kinds, ids=lambda kind: f"{kind.api_version} {kind.kind}")
def test_a_built_in_kind_has_exactly_the_fields_of_its_api(kind: Kind) -> None:
    model = getattr(models, MODELS.get((kind.group, kind.kind), f"V1{kind.kind}"))
    assert differences(kind.schema, model, kind.kind, set()) == []
