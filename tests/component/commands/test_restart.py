"""`gw restart` where the real Deployment controller rolls; kubelets, the agent's report and the leader are played."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.names import (
    AGENT,
    MANAGER,
    MANAGER_LEASE,
    MANAGER_NAMESPACE,
    ONCALL_ROLE,
    PROXY,
)
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from cli.objects import condition, ready
from cli.rig import Gw, PresentClock
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import Looks
from support.installed import Callers, gateway_in
from support.people import (
    ON_CALL,
    TENANTS_OWN,
    VIEWER,
    apply_children,
    give_roles,
    make_namespace,
    own_plane,
    set_status,
)
from support.played_agents import show_ready

Manifest = dict[str, Any]

TENANT, WORKER = "team-restarted", "runner-ci-cpu-0001"
OURS = f"{labels.APP} in ({AGENT},{PROXY})"
MANAGERS = f"{labels.APP_NAME}=gmc"
RUNNING = {
    "metadata": {"name": WORKER, "namespace": TENANT, "labels": {labels.RUNNER_GROUP: "ci-cpu"}},
    "spec": {"containers": [{"name": "runner", "image": "example.invalid/runner"}]},
}


class PlayingClock(PresentClock):
    """Really waits, a tenth of it; meanwhile kubelets show pods as ready, and the first of the managers' pods leads."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__()
        self._plane = plane

    async def sleep(self, seconds: float) -> None:
        async with connect(self._plane.kubeconfig) as admin:
            await play(admin)
        await asyncio.sleep(seconds / 10)
        await super().sleep(seconds)


async def play(admin: KubeClient) -> None:
    managers = (await admin.list(r.PODS, MANAGER_NAMESPACE, label_selector=MANAGERS)).items
    for pod in [*managers, *(await admin.list(r.PODS, TENANT, label_selector=OURS)).items]:
        await show_ready(admin, pod)
    if managers:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        holder = {"holderIdentity": f"{managers[0]['metadata']['name']}_0badcafe", "renewTime": moment}
        lease = {"metadata": {"name": MANAGER_LEASE}, "spec": {**holder, "leaseDurationSeconds": 15}}
        await admin.apply(r.LEASES, _named(r.LEASES, MANAGER_NAMESPACE, lease), field_manager="played-manager")


def _named(resource: r.Resource, namespace: str, manifest: Manifest) -> Manifest:
    metadata = {**manifest["metadata"], "namespace": namespace}
    return {**manifest, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With a tenant as its manager and agent would have left it, and with roles given to three people."""
    with own_plane(tmp_path_factory.mktemp("restart"), _prepare) as running:
        yield running


async def _prepare(everybody: Callers) -> None:
    admin = everybody.admin
    await make_namespace(admin, TENANT)
    await apply_children(everybody, await everybody.gateway(gateway_in(TENANT)))
    available = [ready(), condition(ConditionType.AGC_AVAILABLE, "True", Reason.AGC_READY)]
    await set_status(admin, r.ACTIONSGATEWAYS, "ci", TENANT, {"observedGeneration": 1, "conditions": available})
    for group in (await admin.list(r.RUNNERGROUPS, TENANT)).items:
        status = {"activeSessions": 1, "activeJobs": 1}
        await set_status(admin, r.RUNNERGROUPS, group["metadata"]["name"], TENANT, status)
    await everybody.until_admitted(lambda: admin.create(r.PODS, RUNNING))
    await set_status(admin, r.PODS, WORKER, TENANT, {"phase": "Running"})
    await admin.patch(r.DEPLOYMENTS, MANAGER, {"spec": {"replicas": 2}}, namespace=MANAGER_NAMESPACE)
    for name, namespace, count in ((AGENT, TENANT, 1), (MANAGER, MANAGER_NAMESPACE, 2)):
        looks = Looks()
        while (await admin.get(r.DEPLOYMENTS, name, namespace)).get("status", {}).get("availableReplicas") != count:
            await play(admin)
            await looks.pause()
    await give_roles(everybody, TENANT)


class Person:
    """gw with somebody's kubeconfig."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self._gw = Gw(real_cluster=True, clock=PlayingClock(plane))
        self._kubeconfig: Path = plane.kubeconfig_for(name)

    def __call__(self, *arguments: str) -> Any:
        return self._gw("restart", *arguments, "--kubeconfig", str(self._kubeconfig))


async def _pods(plane: ControlPlane, namespace: str, selector: str) -> dict[str, str]:
    """The uids of pods by name."""
    async with connect(plane.kubeconfig) as admin:
        found = (await admin.list(r.PODS, namespace, label_selector=selector)).items
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}


def test_on_call_restarts_an_agent_whose_workers_stay(plane: ControlPlane) -> None:
    olivia, agents = Person(plane, ON_CALL), f"{labels.APP}={AGENT}"
    before, workers = (asyncio.run(_pods(plane, TENANT, each)) for each in (agents, labels.RUNNER_GROUP))
    rehearsed = olivia("agent", TENANT, "--dry-run")
    assert rehearsed.code == 0, rehearsed
    assert asyncio.run(_pods(plane, TENANT, agents)) == before

    answer = olivia("agent", TENANT, "--yes", "-o", "json", "--timeout", "150s")
    assert answer.code == 3, f"of the jobs' adoption nothing could be seen: {answer}"
    found = json.loads(answer.out)
    after = asyncio.run(_pods(plane, TENANT, agents))
    assert not {*before.values()} & {*after.values()}
    assert {pod["name"]: pod["uid"] for pod in found["pods"]} == after
    assert {pod["name"]: pod["uid"] for pod in found["replaced"]} == before
    assert found["sessions"] == {"ci-cpu": 1}
    # The log of a pod without a node is empty, so nothing is claimed of the job but that its worker still runs.
    assert (found["jobs"]["before"], found["jobs"]["ended"], found["jobs"]["missing"]) == (1, 0, [])
    assert found["unproven"] == ["that its jobs are adopted: the agent's log does not tell of them"]
    assert asyncio.run(_pods(plane, TENANT, labels.RUNNER_GROUP)) == workers


def test_on_call_restarts_the_manager_and_sees_who_leads(plane: ControlPlane) -> None:
    before = asyncio.run(_pods(plane, MANAGER_NAMESPACE, MANAGERS))
    answer = Person(plane, ON_CALL)("manager", "--yes", "-o", "json", "--timeout", "150s")
    assert answer.code == 0, answer
    found = json.loads(answer.out)
    assert len(found["pods"]) == 2
    assert found["leader"] in {pod["name"] for pod in found["pods"]}
    assert found["leader"] not in before
    assert found["gateways"] == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [(VIEWER, ("agent", TENANT)), (VIEWER, ("manager",)), (TENANTS_OWN, ("agent", TENANT))],
    ids=["a viewer and the agent", "a viewer and the manager", "a tenant and its agent"],
)
def test_who_may_not_restart_is_told_the_right_before_anything_is_tried(
    plane: ControlPlane, name: str, words: tuple[str, ...]
) -> None:
    before = asyncio.run(_pods(plane, TENANT, labels.APP))
    answer = Person(plane, name)(*words, "--yes")
    assert answer.code == 2, answer
    assert "you may not patch deployments.apps" in answer.err
    assert ONCALL_ROLE in answer.err
    assert asyncio.run(_pods(plane, TENANT, labels.APP)) == before
