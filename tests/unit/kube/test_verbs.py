"""The verb of a request."""

import pytest

from actions_gateway.kube.resources import NAMESPACES, NODES, PODS, RUNNERGROUPS, Resource
from actions_gateway.kube.verbs import verb_of


@pytest.mark.parametrize("resource", [PODS, RUNNERGROUPS, NODES, NAMESPACES])
def test_reads_are_told_apart_by_what_they_name(resource: Resource) -> None:
    for namespace in (None, "team-a"):
        assert verb_of("GET", resource.path(namespace)) == "list"
        assert verb_of("GET", resource.path(namespace), {"limit": "500"}) == "list"
        assert verb_of("GET", resource.path(namespace), {"watch": "true"}) == "watch"
        assert verb_of("GET", resource.path(namespace, "one")) == "get"
        assert verb_of("GET", resource.path(namespace, "one", "status")) == "get"


@pytest.mark.parametrize(
    ("method", "verb"), [("POST", "create"), ("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete")]
)
def test_writes_have_the_verb_of_their_method(method: str, verb: str) -> None:
    assert verb_of(method, PODS.path("team-a", "one")) == verb


def test_a_path_of_no_resource_is_got() -> None:
    assert verb_of("GET", "/version") == "get"
