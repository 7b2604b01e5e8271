"""The CRDs are structural schemas, bounded where a rule looks, and their defaults are the code's."""

from collections.abc import Iterator
from typing import Any

import pytest

from actions_gateway.api.crd import gateway_crd, runner_group_crd, structural_schema
from actions_gateway.api.runnergroup import RunnerGroupSpec

CRDS = pytest.mark.parametrize("crd", [gateway_crd(), runner_group_crd()], ids=lambda crd: crd["metadata"]["name"])


def schema_of(crd: dict[str, Any]) -> dict[str, Any]:
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


@CRDS
def test_every_node_is_structural(crd: dict[str, Any]) -> None:
    for path, node in nodes(schema_of(crd)):
        assert not {"$ref", "$defs", "title"} & node.keys(), path
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path


@CRDS
def test_lists_and_strings_of_the_spec_are_bounded_for_the_rules_cost(crd: dict[str, Any]) -> None:
    spec = schema_of(crd)["properties"]["spec"]
    for path, node in nodes(spec):
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if node.get("type") == "string" and "enum" not in node:
            assert "maxLength" in node, path


@CRDS
def test_status_is_a_subresource_and_ready_a_column(crd: dict[str, Any]) -> None:
    version = crd["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert columns["Ready"] == '.status.conditions[?(@.type=="Ready")].status'


def test_short_names_are_those_of_the_field() -> None:
    assert [crd["spec"]["names"]["shortNames"] for crd in (gateway_crd(), runner_group_crd())] == [["ag"], ["rg"]]


def test_the_schemas_defaults_are_the_codes_defaults() -> None:
    parsed = RunnerGroupSpec.model_validate({"runnerLabels": ["x"]}).model_dump(by_alias=True, mode="json")
    for name, node in structural_schema(RunnerGroupSpec)["properties"].items():
        if "default" in node:
            assert parsed[name] == node["default"], name


def test_nested_defaults_apply_to_an_object_that_is_left_out() -> None:
    spec = schema_of(gateway_crd())["properties"]["spec"]
    assert spec["properties"]["proxy"]["default"] == {}
    assert spec["properties"]["agent"]["default"] == {}


def test_rules_state_what_the_code_checks_too() -> None:
    entry = schema_of(gateway_crd())["properties"]["spec"]["properties"]["runnerGroups"]["items"]
    messages = [rule["message"] for rule in entry["x-kubernetes-validations"]]
    assert messages == [
        "priorityTiers must have strictly ascending thresholds",
        "maxWorkers must equal the threshold of the last priority tier",
    ]
