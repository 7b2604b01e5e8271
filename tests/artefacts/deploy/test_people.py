"""The roles of people as data: no Secrets for the whole cluster, no wildcard, and writes no wider than the design."""

from typing import Any

import pytest

from actions_gateway.api.names import (
    AGENT,
    AGGREGATED_EDIT_ROLE,
    AGGREGATED_VIEW_ROLE,
    API_GROUP,
    MANAGER,
    MANAGER_NAMESPACE,
    ONCALL_ROLE,
    PROXY,
    TENANT_ROLE,
    VIEWER_ROLE,
)
from actions_gateway.installation.people import people_manifests
from actions_gateway.installation.rights import MANAGER_CHILDREN
from support.rights import Right, granted, is_allowed

Rules = list[dict[str, Any]]
READS = {"get", "list", "watch"}


def rules_of(kind: str, name: str) -> Rules:
    (role,) = [entry for entry in people_manifests() if entry["kind"] == kind and entry["metadata"]["name"] == name]
    rules: Rules = role["rules"]
    return rules


def writes(rules: Rules) -> set[tuple[str, str, str]]:
    return {right for right in granted(rules) if right[0] not in READS}


@pytest.mark.parametrize("name", [VIEWER_ROLE, ONCALL_ROLE])
def test_no_role_for_the_whole_cluster_names_secrets(name: str) -> None:
    assert all("secrets" not in rule["resources"] for rule in rules_of("ClusterRole", name))


def test_no_role_of_people_has_a_wildcard_or_gives_rights() -> None:
    for role in people_manifests():
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"escalate", "impersonate", "bind"} & set(rule["verbs"])


def test_viewers_write_nothing() -> None:
    assert writes(rules_of("ClusterRole", VIEWER_ROLE)) == set()


@pytest.mark.parametrize("name", [VIEWER_ROLE, ONCALL_ROLE, TENANT_ROLE])
def test_everybody_who_looks_at_gateways_sees_all_that_belongs_to_them(name: str) -> None:
    rules = rules_of("ClusterRole", name)
    kinds = {*MANAGER_CHILDREN, ("", "pods"), ("", "resourcequotas"), ("apps", "replicasets")}
    asked = [Right(verb, group, plural, "any") for verb in READS for group, plural in sorted(kinds)]
    assert [right for right in asked if not is_allowed(right, rules)] == []


def test_oncall_people_read_what_viewers_read_and_write_what_an_incident_needs() -> None:
    rules = rules_of("ClusterRole", ONCALL_ROLE)
    assert granted(rules_of("ClusterRole", VIEWER_ROLE)) < granted(rules)
    assert writes(rules) == {
        ("patch", API_GROUP, "actionsgateways"),
        ("patch", API_GROUP, "runnergroups"),
        ("patch", "", "resourcequotas"),
        ("patch", "apps", "deployments"),
    }


@pytest.mark.parametrize(
    ("name", "may"), [(AGENT, True), (PROXY, True), (MANAGER, True), ("coredns", False), ("", False)]
)
def test_oncall_people_restart_our_own_deployments_alone(name: str, may: bool) -> None:
    assert is_allowed(Right("patch", "apps", "deployments", name), rules_of("ClusterRole", ONCALL_ROLE)) is may


def test_records_of_incidents_are_config_maps_of_the_managers_namespace() -> None:
    (record,) = [entry for entry in people_manifests() if entry["kind"] == "Role"]
    assert record["metadata"]["namespace"] == MANAGER_NAMESPACE
    assert [rule["resources"] for rule in record["rules"]] == [["configmaps"]]


RERUNS = ("patch", API_GROUP, "runnergroups")
"""A policy leaves no more of it than annotations."""


def test_tenants_write_their_gateway_and_what_it_refers_to() -> None:
    changes = ("create", "update", "patch", "delete")
    owned = ((API_GROUP, "actionsgateways"), ("", "secrets"), ("", "configmaps"))
    wanted = {(verb, group, resource) for verb in changes for group, resource in owned}
    assert writes(rules_of("ClusterRole", TENANT_ROLE)) == wanted | {RERUNS}


def test_the_built_in_roles_learn_of_gateways() -> None:
    roles = {entry["metadata"]["name"]: entry for entry in people_manifests()}
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"
    view, edit = roles[AGGREGATED_VIEW_ROLE], roles[AGGREGATED_EDIT_ROLE]
    assert view["metadata"]["labels"][f"{aggregate}view"] == "true"
    assert edit["metadata"]["labels"][f"{aggregate}edit"] == "true"
    assert writes(view["rules"]) == set()
    gateways = {(verb, API_GROUP, "actionsgateways") for verb in ("create", "update", "patch", "delete")}
    assert granted(edit["rules"]) == gateways | {RERUNS}
