"""`gw quota` where the real quota controller counts and the real admission refuses, by people of each role."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import ONCALL_ROLE, TENANT_ROLE, VIEWER_ROLE
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import connect
from actions_gateway.kube.errors import QuotaExceeded
from cli.rig import Gw, PresentClock
from gateway_sandbox.controlplane.server import ADMIN, ControlPlane
from support.installed import callers, gateway_in, group_in, user_subject
from support.planes import WITHOUT_SCHEDULER, installed_plane

Manifest = dict[str, Any]

TENANT, QUOTA, LOOK_SECONDS = "team-full", "tenant", 0.05
ON_CALL, VIEWER, TENANTS_OWN = "olivia", "victor", "tess"
CONTAINER = {
    "name": "runner",
    "image": "example.invalid/runner",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
RUNNING = {"metadata": {"name": "running", "namespace": TENANT}, "spec": {"containers": [CONTAINER]}}


class WaitingClock(PresentClock):
    """Really waits, a little: the quota controller has its own pace."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(LOOK_SECONDS)
        await super().sleep(LOOK_SECONDS)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With a tenant whose quota is used up by one running pod, and with roles given to three people."""
    with installed_plane(tmp_path_factory.mktemp("quota"), WITHOUT_SCHEDULER) as running:
        asyncio.run(_prepare(running))
        yield running


async def _prepare(plane: ControlPlane) -> None:
    async with callers(plane) as everybody, AsyncExitStack() as stack:
        admin = everybody.admin
        await admin.create(
            r.NAMESPACES, {"metadata": {"name": TENANT, "labels": {labels.POD_SECURITY_ENFORCE: "restricted"}}}
        )
        await everybody.gateway(gateway_in(TENANT))
        await admin.create(r.RUNNERGROUPS, group_in(TENANT, maxWorkers=30))
        quota = {"metadata": {"name": QUOTA, "namespace": TENANT}, "spec": {"hard": {"count/pods": "1"}}}
        await admin.create(r.RESOURCEQUOTAS, quota)
        await everybody.until(r.RESOURCEQUOTAS, QUOTA, TENANT, lambda found: "used" in found.get("status", {}))
        await everybody.until_admitted(lambda: admin.create(r.PODS, RUNNING))
        await everybody.until(
            r.RESOURCEQUOTAS, QUOTA, TENANT, lambda found: found["status"]["used"] == {"count/pods": "1"}
        )
        for user, role in ((ON_CALL, ONCALL_ROLE), (VIEWER, VIEWER_ROLE), (TENANTS_OWN, TENANT_ROLE)):
            await everybody.bind(role, TENANT, user_subject(user))
            client = await stack.enter_async_context(everybody.user(user))
            await everybody.until_allowed(client, "list", r.RESOURCEQUOTAS, TENANT)


class Person:
    """gw with somebody's kubeconfig."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self._gw = Gw(real_cluster=True, clock=WaitingClock())
        self._kubeconfig: Path = plane.kubeconfig if name == ADMIN else plane.kubeconfig_for(name)

    def __call__(self, *arguments: str) -> Any:
        return self._gw("quota", *arguments, "--kubeconfig", str(self._kubeconfig))


async def _pod(plane: ControlPlane) -> Manifest:
    async with connect(plane.kubeconfig) as admin:
        return await admin.get(r.PODS, "running", TENANT)


async def _try(plane: ControlPlane) -> None:
    async with connect(plane.kubeconfig) as admin:
        await admin.create(r.PODS, RUNNING | {"metadata": {"name": "next", "namespace": TENANT}}, dry_run=True)


def test_a_full_quota_refuses_the_next_worker_until_it_is_adjusted_and_the_running_pod_stays(
    plane: ControlPlane,
) -> None:
    person, before = Person(plane, ADMIN), asyncio.run(_pod(plane))
    with pytest.raises(QuotaExceeded):
        asyncio.run(_try(plane))
    shown = json.loads(person("show", TENANT, "-o", "json").out)
    assert [(each["name"], each["more_jobs"]) for each in shown["runner_groups"]] == [("ci-cpu", 0)]
    assert shown["runner_groups"][0]["binding"]["key"] == "count/pods"

    rehearsed = person("adjust", TENANT, "count/pods=+1", "--dry-run")
    assert rehearsed.code == 0, rehearsed
    with pytest.raises(QuotaExceeded):
        asyncio.run(_try(plane))

    answer = person("adjust", TENANT, "count/pods=+1", "--yes")
    assert answer.code == 0, answer
    assert "The next worker of ci-cpu is admitted." in answer.out
    assert "Unproven" not in answer.err
    asyncio.run(_try(plane))
    after = asyncio.run(_pod(plane))
    for field in ("uid", "resourceVersion"):
        assert after["metadata"][field] == before["metadata"][field]

    under = person("adjust", TENANT, "count/pods=0", "--yes")
    assert under.code == 2, under
    assert "is under what is used now" in under.err
    forced = person("adjust", TENANT, "count/pods=0", "--force", "--yes")
    assert forced.code == 0, forced
    assert "limited: count/pods=0" in forced.out
    assert asyncio.run(_pod(plane))["metadata"]["uid"] == before["metadata"]["uid"]
    assert person("adjust", TENANT, "count/pods=2", "--yes").code == 0


def test_on_call_adjusts_and_says_what_it_may_not_prove(plane: ControlPlane) -> None:
    olivia = Person(plane, ON_CALL)
    answer = olivia("adjust", TENANT, "count/pods=5", "--yes", "-o", "json")
    assert answer.code == 0, answer
    found = json.loads(answer.out)
    assert found["hard"] == {QUOTA: {"count/pods": "5"}}
    assert found["next_workers"] == []
    assert [words for words in found["unproven"] if "you may not create pods" in words]
    assert json.loads(olivia("show", TENANT, "-o", "json").out)["runner_groups"][0]["more_jobs"] == 4


@pytest.mark.parametrize("name", [VIEWER, TENANTS_OWN])
def test_who_only_reads_sees_the_quota_and_is_refused_before_anything_is_tried(plane: ControlPlane, name: str) -> None:
    person = Person(plane, name)
    assert person("show", TENANT).code == 0
    answer = person("adjust", TENANT, "count/pods=+1", "--yes")
    assert answer.code == 2, answer
    assert f"you may not patch resourcequotas in {TENANT}" in answer.err
    assert ONCALL_ROLE in answer.err
