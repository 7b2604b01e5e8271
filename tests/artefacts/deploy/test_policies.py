"""The admission policies as data: fail closed, bound, and in the CEL of the oldest Kubernetes that they are for."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from actions_gateway.installation.policies.catalog import policies, policy_manifests
from actions_gateway.installation.policies.manager_children import CHILD_NAMES
from actions_gateway.installation.rights import MANAGER_CHILDREN
from actions_gateway.kube.resources import resource_of
from actions_gateway.manager.gateway.children import build_children
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.settings import TenantNamespaces
from gw_alerts.catalog.components import ADMISSION_DENIED
from support.manager_objects import SETTINGS, gateway

# The language and its macros; optional types since Kubernetes 1.28; `authorizer` since 1.27 ("CEL in Kubernetes").
_LANGUAGE = ["has", "all", "exists", "filter", "map", "size", "type", "int", "dyn"]
_TEXTS = ["startsWith", "endsWith", "matches", "substring"]
_OPTIONALS = ["of", "none", "orValue"]
_AUTHORIZER = ["group", "resource", "namespace", "check", "allowed"]
CEL_OF_1_29 = {*_LANGUAGE, *_TEXTS, *_OPTIONALS, *_AUTHORIZER}
"""What a server of 1.30 compiles in a new policy: it keeps to its predecessor's libraries, so that it can go back."""

CALL = re.compile(r"([A-Za-z_]+)\(")
TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")

POLICIES = [manifest for manifest in policy_manifests() if manifest["kind"] == "ValidatingAdmissionPolicy"]
BINDINGS = [manifest for manifest in policy_manifests() if manifest["kind"] != "ValidatingAdmissionPolicy"]
NAMES = [manifest["metadata"]["name"] for manifest in POLICIES]


def expressions(policy: dict[str, Any]) -> Iterator[str]:
    spec = policy["spec"]
    for entry in (*spec["matchConditions"], *spec["variables"], *spec["validations"]):
        yield entry["expression"]
    yield from (entry["messageExpression"] for entry in spec["validations"])


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_a_policy_calls_nothing_that_kubernetes_1_30_lacks(policy: dict[str, Any]) -> None:
    called = {name for text in expressions(policy) for name in CALL.findall(TEXT.sub("''", text))}
    assert called <= CEL_OF_1_29


@pytest.mark.parametrize("name", NAMES)
def test_the_alert_on_denials_counts_those_of_a_policy(name: str) -> None:
    (matcher,) = re.findall(r'policy=~"([^"]+)"', ADMISSION_DENIED.arms[0].expression)
    assert re.fullmatch(matcher, name)


def test_the_scan_sees_the_functions_that_it_is_there_for() -> None:
    called = {name for policy in POLICIES for text in expressions(policy) for name in CALL.findall(text)}
    assert {"orValue", "matches", "check", "startsWith"} <= called


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_a_policy_fails_closed_and_is_bound_to_deny(policy: dict[str, Any]) -> None:
    assert policy["spec"]["failurePolicy"] == "Fail"
    (binding,) = [entry for entry in BINDINGS if entry["spec"]["policyName"] == policy["metadata"]["name"]]
    assert binding["spec"]["validationActions"] == ["Deny"]
    assert "matchResources" not in binding["spec"]


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_a_message_is_one_line(policy: dict[str, Any]) -> None:
    for entry in policy["spec"]["validations"]:
        assert entry["message"].strip()
        assert "\n" not in entry["message"] + entry["messageExpression"]


def test_where_a_platform_marks_namespaces_itself_the_manager_may_not() -> None:
    def marks(mode: TenantNamespaces) -> list[str]:
        (policy,) = [policy for policy in policies(mode) if policy.name == "gmc-manager-namespaces"]
        return [check.expression for check in policy.checks if "is the platform's to change" in check.otherwise]

    assert marks(TenantNamespaces.ANY) != marks(TenantNamespaces.MARKED)


def test_every_kind_of_which_the_manager_makes_children_has_its_names() -> None:
    assert set(CHILD_NAMES) == {plural for _, plural in MANAGER_CHILDREN}


def test_the_names_are_those_of_the_children_that_the_manager_builds() -> None:
    owner = gateway(uid="1")
    stages = build_children(owner, parse_gateway(owner), SETTINGS)
    built: dict[str, set[str]] = {}
    for child in (child for stage in stages for child in stage):
        resource = resource_of(child["apiVersion"], child["kind"])
        assert resource is not None
        built.setdefault(resource.plural, set()).add(child["metadata"]["name"])
    bounded = {plural: set(names) for plural, names in CHILD_NAMES.items() if names is not None}
    assert {plural: built[plural] for plural in bounded} == bounded
    assert set(built) == set(CHILD_NAMES)
