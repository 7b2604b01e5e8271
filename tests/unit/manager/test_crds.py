"""Which fields a served definition lacks of those that this manager needs."""

import copy

import pytest

from actions_gateway.api.crd import gateway_crd
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.manager.crds import missing_parts
from support.definitions import without


def test_the_definitions_of_this_release_lack_nothing() -> None:
    for crd in crd_manifests():
        assert missing_parts(crd, crd) == []


def test_a_newer_definition_suffices() -> None:
    newer = copy.deepcopy(gateway_crd())
    newer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["later"] = {
        "type": "string"
    }
    newer["spec"]["versions"].append({"name": "v1", "served": True, "storage": False})
    assert missing_parts(gateway_crd(), newer) == []


@pytest.mark.parametrize("name", ["v1alpha1", "v1beta1"])
def test_a_definition_that_does_not_serve_our_version_lacks_it(name: str) -> None:
    other = copy.deepcopy(gateway_crd())
    other["spec"]["versions"][0] |= {"name": name, "served": False}
    assert missing_parts(gateway_crd(), other) == ["version v1alpha1"]


def test_a_definition_without_status_subresource_or_schema_lacks_them() -> None:
    other = copy.deepcopy(gateway_crd())
    del other["spec"]["versions"][0]["subresources"]
    other["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"type": "object"}
    lacking = missing_parts(gateway_crd(), other)
    assert lacking[0] == "the status subresource"
    assert {"spec", "status"} <= set(lacking)


def test_a_definition_that_preserves_what_it_does_not_know_lacks_no_field() -> None:
    other = copy.deepcopy(gateway_crd())
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    other["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    assert missing_parts(gateway_crd(), other) == []


def test_fields_inside_lists_are_named_by_their_path() -> None:
    older = without(gateway_crd(), "spec.runnerGroups[].maxWorkers")
    assert missing_parts(gateway_crd(), older) == ["spec.runnerGroups[].maxWorkers"]
