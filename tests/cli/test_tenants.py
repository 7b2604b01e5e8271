"""Listing and showing tenants and runner groups."""

import json
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.kube import errors
from actions_gateway.kube.resources import Resource

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
    silent["status"]["pendingJobs"] = 3
    pods = quota("team-a", {"pods": "50", "requests.memory": "64Gi"}, {"pods": "12", "requests.memory": "61Gi"})
    return Gw(ClusterDouble(*healthy_cluster(), pods, namespace("team-b"), broken, silent))


def quota(tenant: str, hard: dict[str, str], used: dict[str, str] | None) -> dict[str, Any]:
    """A ResourceQuota, which the quota controller has not counted yet without `used`."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tenant-quota", "namespace": tenant},
        "spec": {"hard": hard},
    }
    return manifest if used is None else {**manifest, "status": {"hard": hard, "used": used}}


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


@pytest.mark.parametrize(
    ("hard", "used", "shown"),
    [
        ({"pods": "4", "requests.cpu": "8"}, {"pods": "1", "requests.cpu": "7500m"}, "requests.cpu 7500m/8 (93%)"),
        ({"pods": "0"}, {"pods": "0"}, "pods 0/0 (100%)"),
        ({"pods": "4"}, None, "pods not counted yet"),
    ],
)
def test_the_key_that_is_nearest_to_its_limit_is_shown(
    gw: Gw, hard: dict[str, str], used: dict[str, str] | None, shown: str
) -> None:
    gw.cluster.put(gateway())
    gw.cluster.put(quota("team-a", hard, used))
    assert shown in gw("tenant", "list").out


@pytest.mark.parametrize("command", [["tenant", "list"], ["tenant", "show", "team-a"]])
def test_quotas_that_may_not_be_read_are_unknown_and_not_empty(two_tenants: Gw, command: list[str]) -> None:
    message = 'resourcequotas is forbidden: User "eve" cannot list resource "resourcequotas"'
    two_tenants.cluster.refusals["list", "resourcequotas"] = errors.Forbidden(message, status=403)
    answer = two_tenants(*command)
    assert answer.code == 3, answer
    assert "unknown" in answer.out
    assert 'User "eve" cannot list resource "resourcequotas"' in answer.err
    found = json.loads(two_tenants(*command, "-o", "json").out)
    item = found["items"][0] if "items" in found else found
    assert (item["quotas_known"], item["nearest_limit"]) == (False, None)


def test_the_list_takes_one_list_call_for_each_kind(two_tenants: Gw, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []
    list_all = two_tenants.cluster.list

    async def listed(resource: Resource, namespace: str | None = None, **how: Any) -> Any:
        asked.append((resource.plural, namespace))
        return await list_all(resource, namespace, **how)

    monkeypatch.setattr(two_tenants.cluster, "list", listed)
    assert two_tenants("tenant", "list").code == 0
    assert sorted(asked) == [
        (plural, None) for plural in ("actionsgateways", "limitranges", "resourcequotas", "runnergroups")
    ]


@pytest.mark.parametrize(("typed", "suggested"), [("tema-a", "team-a"), ("team-bb", "team-b"), ("payments", None)])
def test_the_tenant_whose_name_is_nearest_is_suggested(two_tenants: Gw, typed: str, suggested: str | None) -> None:
    answer = two_tenants("tenant", "show", typed)
    assert answer.code == 2
    assert ("Did you mean" in answer.err) is (suggested is not None)
    assert suggested is None or f"Did you mean {suggested}?" in answer.err


def test_what_jobs_wait_for_and_who_is_suspended_is_shown(two_tenants: Gw) -> None:
    waiting = {"reason": "quota", "jobs": 2, "since": "2026-01-05T08:55:00Z", "message": "key pods: full"}
    manifest = runner_group("team-a", "cpu", suspended=True)
    manifest["status"] |= {"pendingJobs": 2, "waiting": [waiting]}
    two_tenants.cluster.put(manifest)
    out = two_tenants("tenant", "show", "team-a").out
    assert "Intention   suspended: team-a-cpu" in out
    assert "team-a-cpu   2      quota    5m      key pods: full" in out
