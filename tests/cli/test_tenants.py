"""Listing and showing tenants and runner groups."""

import json
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.kube import errors

from .double import ClusterDouble
from .objects import (
    agent_available,
    credential_missing,
    gateway,
    healthy_cluster,
    namespace,
    proxy_available,
    ready,
    runner_group,
    worker_pod,
)
from .rig import Gw, check_golden


@pytest.fixture
def two_tenants() -> Gw:
    """One healthy tenant, and one whose key was revoked two minutes ago."""
    broken = gateway(
        "team-b",
        sessions=0,
        jobs=0,
        conditions=[
            ready("False", Reason.KEY_REJECTED, "GitHub does not accept the key", seconds_ago=120),
            agent_available(),
            credential_missing("True", Reason.KEY_REJECTED, "GitHub does not accept the key."),
        ],
    )
    silent = runner_group(
        "team-b", "arm", runner_labels=("arm64",), sessions=0, conditions=[ready("False", Reason.NO_ACTIVE_SESSIONS)]
    )
    return Gw(ClusterDouble(*healthy_cluster(), namespace("team-b"), broken, silent))


@pytest.mark.parametrize("output", ["table", "json", "short"])
def test_the_list_of_tenants_is_as_kept(two_tenants: Gw, output: str) -> None:
    answer = two_tenants("tenant", "list", "-o", output)
    assert answer.code == 0
    check_golden(f"tenant-list.{output}.txt", answer.out)


@pytest.mark.parametrize("output", ["table", "json", "short"])
def test_one_tenant_is_shown_as_kept(two_tenants: Gw, output: str) -> None:
    two_tenants.cluster.put(worker_pod(name="runner-team-a-cpu-0002", phase="Succeeded"))
    answer = two_tenants("tenant", "show", "team-a", "-o", output)
    assert answer.code == 0
    check_golden(f"tenant-show.{output}.txt", answer.out)


@pytest.mark.parametrize("output", ["table", "json"])
def test_the_list_of_runner_groups_is_as_kept(two_tenants: Gw, output: str) -> None:
    answer = two_tenants("runner-group", "list", "-o", output)
    assert answer.code == 0
    check_golden(f"runner-group-list.{output}.txt", answer.out)


def test_runner_groups_of_one_tenant(two_tenants: Gw) -> None:
    assert two_tenants("runner-group", "list", "-n", "team-b", "-o", "short").out == "team-b/team-b-arm\n"


def test_the_last_problem_names_condition_reason_and_age(two_tenants: Gw) -> None:
    (line,) = [line for line in two_tenants("tenant", "list").out.splitlines() if line.startswith("team-b")]
    assert "False" in line
    assert "Ready/KeyRejected (2m)" in line


def test_without_tenants_the_list_says_how_to_make_one(gw: Gw) -> None:
    answer = gw("tenant", "list")
    assert answer.code == 0
    assert "gw tenant add" in answer.out
    assert json.loads(gw("tenant", "list", "-o", "json").out)["items"] == []


@pytest.mark.parametrize(
    "command",
    [["tenant", "show", "shop"], ["health", "shop"], ["runner-group", "list", "-n", "shop"]],
)
def test_a_namespace_that_is_no_tenant_is_refused(two_tenants: Gw, command: list[str]) -> None:
    two_tenants.cluster.put(namespace("shop"))
    answer = two_tenants(*command)
    assert answer.code == 2, answer
    assert "the namespace shop is not a tenant: it has no ActionsGateway" in answer.err
    assert "gw tenant list" in answer.err
    assert "gw tenant add shop" in answer.err
    assert answer.out == ""


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-something", "gmc-system", "Team_A"])
@pytest.mark.parametrize("command", [["tenant", "show"], ["health"], ["runner-group", "list", "-n"]])
def test_a_name_that_no_tenant_can_have_is_not_offered_to_be_added(
    two_tenants: Gw, command: list[str], name: str
) -> None:
    two_tenants.cluster.put(namespace(name))
    answer = two_tenants(*command, name)
    assert answer.code == 2, answer
    assert "gw tenant list" in answer.err
    assert "gw tenant add" not in answer.err


def test_a_pause_is_shown_and_is_no_problem(two_tenants: Gw) -> None:
    two_tenants.cluster.put(gateway(sessions=0, jobs=0, spec={"paused": True}))
    two_tenants.cluster.put(
        runner_group(name="cpu", sessions=0, suspended=True, conditions=[ready("False", Reason.SUSPENDED)])
    )
    (line,) = [line for line in two_tenants("tenant", "list").out.splitlines() if line.startswith("team-a")]
    assert "True (paused)" in line
    assert line.endswith("-")


@pytest.mark.parametrize("command", [["tenant", "show", "ghost"], ["health", "ghost"]])
def test_a_namespace_that_does_not_exist_is_refused(two_tenants: Gw, command: list[str]) -> None:
    answer = two_tenants(*command)
    assert answer.code == 2
    assert "there is no namespace ghost" in answer.err


def test_a_second_gateway_of_a_namespace_is_told(two_tenants: Gw) -> None:
    two_tenants.cluster.put(gateway(name="younger", seconds_old=60))
    answer = two_tenants("tenant", "show", "team-a")
    assert "The gateway younger is not served" in answer.out
    assert json.loads(two_tenants("tenant", "show", "team-a", "-o", "json").out)["other_gateways"] == ["younger"]


def test_a_cluster_without_the_types_is_told(gw: Gw) -> None:
    gw.cluster.served = ()
    answer = gw("tenant", "list")
    assert answer.code == 3
    assert "does not serve actions-gateway.github.com" in answer.err


def test_a_missing_right_is_named(two_tenants: Gw) -> None:
    message = 'actionsgateways is forbidden: User "eve" cannot list resource "actionsgateways" at the cluster scope'
    two_tenants.cluster.refusals["list", "actionsgateways"] = errors.Forbidden(message, status=403)
    answer = two_tenants("tenant", "list")
    assert answer.code == 3
    assert 'User "eve" cannot list resource "actionsgateways"' in answer.err


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"annotations": {labels.CONTAINED: "INC-1"}}, "contained"),
        ({"annotations": {labels.CONTAINED: ""}, "deletionTimestamp": "2026-01-05T08:59:00Z"}, "deleting"),
    ],
)
def test_what_somebody_asked_for_stands_beside_ready(gw: Gw, metadata: dict[str, Any], shown: str) -> None:
    manifest = gateway(conditions=[ready("False", Reason.CONTAINED), proxy_available("False", Reason.PROXY_NOT_READY)])
    manifest["metadata"] |= metadata
    manifest["status"]["proxyReadyReplicas"] = 0
    gw.cluster.put(manifest)
    assert f"False ({shown})" in gw("tenant", "list").out
    assert "0 (not available)" in gw("tenant", "show", "team-a").out
    (item,) = json.loads(gw("tenant", "list", "-o", "json").out)["items"]
    assert (item[shown], item["proxy_ready_replicas"]) == (True, 0)


def test_fewer_proxies_than_wanted_are_shown(gw: Gw) -> None:
    gw.cluster.put(gateway(conditions=[ready(), proxy_available(reason=Reason.PROXY_REDUCED)]))
    assert "2 (reduced)" in gw("tenant", "list").out
