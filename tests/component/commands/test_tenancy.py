"""`gw tenant update|pause|resume|remove` and `gw runner-group scale` beside the real manager and the real agents.

Workers and kubelets are played; who may do what is the API server's own answer to people with the roles for it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, ONCALL_ROLE, TENANT_ROLE, VIEWER_ROLE
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.errors import NotFound
from cli.rig import Answer, Gw, PresentClock
from component.rights.site import Site, site
from gateway_sandbox.controlplane.server import ControlPlane
from gateway_sandbox.github.models import RunnerState
from gw.ops.keys.manifests import BY_GW
from support.aio import run
from support.installed import gateway_in, user_subject
from support.planes import WITHOUT_SCHEDULER, installed_plane
from support.pod_player import Gate

ON_CALL, VIEWER, TENANTS_OWN = "olivia", "victor", "tess"
CPU, GPU = ("self-hosted", "cpu"), ("self-hosted", "gpu")
LOOK_SECONDS = 0.05
GROUPS = [
    {"name": "cpu", "runnerLabels": list(CPU), "completedPodTTL": "0s"},
    {"name": "gpu", "runnerLabels": list(GPU), "completedPodTTL": "0s"},
]


class ActualClock(PresentClock):
    """Time as it passes, with shorter looks."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, LOOK_SECONDS))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With the whole installation; the tests play the pods."""
    with installed_plane(tmp_path_factory.mktemp("tenancy"), WITHOUT_SCHEDULER) as running:
        yield running


@dataclass(frozen=True)
class Place:
    """One tenant that works, and gw in the hands of people."""

    site: Site
    name: str
    plane: ControlPlane

    async def __call__(self, person: str | None, *arguments: str) -> Answer:
        """gw with somebody's kubeconfig, an administrator's without a name, beside all that runs here."""
        path = self.plane.kubeconfig if person is None else self.plane.kubeconfig_for(person)
        gw = Gw(real_cluster=True, clock=ActualClock())
        answer = await asyncio.to_thread(gw, *arguments, "--kubeconfig", str(path))
        assert "Traceback" not in answer.err
        return answer

    async def get(self, resource: r.Resource, name: str) -> Manifest:
        return await self.site.as_.admin.get(resource, name, self.name)

    async def agents(self) -> tuple[Manifest, list[str]]:
        """The template of the agent's Deployment, and its pods."""
        pods = await self.site.as_.admin.list(r.PODS, self.name, label_selector=f"{labels.APP}={AGENT}")
        deployment = await self.get(r.DEPLOYMENTS, AGENT)
        return deployment["spec"]["template"], [pod["metadata"]["name"] for pod in pods.items]


@asynccontextmanager
async def tenant(plane: ControlPlane, folder: Path, name: str) -> AsyncIterator[Place]:
    """A namespace that gw made, with a gateway that is Ready, and the roles given."""
    async with site(plane, folder) as where, where.running():
        everybody, admin = where.as_, where.as_.admin
        await admin.create(r.NAMESPACES, {"metadata": {"name": name, "labels": {labels.MANAGED_BY: BY_GW}}})
        await everybody.bind(TENANT_ROLE, name, user_subject(TENANTS_OWN))
        await where.furnish(name)
        reference = {"name": "github-ca"}
        await everybody.gateway(gateway_in(name, gitHubURL=where.url, caBundleRef=reference, runnerGroups=GROUPS))
        async with (
            everybody.bound_everywhere(ONCALL_ROLE, user_subject(ON_CALL)),
            everybody.bound_everywhere(VIEWER_ROLE, user_subject(VIEWER)),
            everybody.user(ON_CALL) as olivia,
            everybody.user(VIEWER) as victor,
            everybody.user(TENANTS_OWN) as tess,
        ):
            await everybody.until_allowed(olivia, "patch", r.ACTIONSGATEWAYS, name)
            await everybody.until_allowed(victor, "list", r.ACTIONSGATEWAYS, name)
            await everybody.until_allowed(tess, "delete", r.ACTIONSGATEWAYS, name)
            await where.until_ready(name)
            yield Place(where, name, plane)


def test_a_tenant_is_scaled_updated_paused_and_resumed_by_those_who_may(plane: ControlPlane, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with tenant(plane, tmp_path, "team-turn") as place, place.site.workers(place.name) as player:
            await _scale(place)
            await _update(place, tmp_path)
            gate = player.ending = Gate()
            await _pause(place, gate)
            await _refuse_the_others(place)

    run(scenario())


async def _scale(place: Place) -> None:
    """By the on-call person, without a restart of the agent."""
    before = await place.agents()
    line = ("runner-group", "scale", "cpu", "-n", place.name, "--max-listeners", "4", "--max-workers", "6", "--yes")
    answer = await place(ON_CALL, *line)
    assert answer.code == 0, answer
    group = await place.get(r.RUNNERGROUPS, "ci-cpu")
    assert (group["spec"]["maxListeners"], group["spec"]["maxWorkers"]) == (4, 6)
    assert group["status"]["observedGeneration"] == group["metadata"]["generation"]
    assert await place.agents() == before
    again = await place(ON_CALL, *line)
    assert "was already scaled" in again.out
    tiers = ("--tier", "runner-critical:2,runner-standard:5")
    assert (await place(TENANTS_OWN, "runner-group", "scale", "gpu", "-n", place.name, *tiers, "--yes")).code == 0
    assert (await place.get(r.RUNNERGROUPS, "ci-gpu"))["spec"]["priorityTiers"][1]["threshold"] == 5
    assert await place.agents() == before


async def _update(place: Place, folder: Path) -> None:
    """By the tenant's own people: from options, then from files that say the same, and less."""
    line = ("tenant", "update", place.name, "--yes")
    refused = await place(TENANTS_OWN, *line, "--log-level", "loud")
    assert refused.code == 2, refused
    assert "spec.logLevel" in refused.err
    answer = await place(
        TENANTS_OWN,
        *line,
        "--allowed-host",
        "example.org",
        "--runner-group",
        "arm labels=arm64",
        "--log-level",
        "debug",
    )
    assert answer.code == 0, answer
    template, pods = await place.agents()
    assert {"name": "LOG_LEVEL", "value": "debug"} in template["spec"]["containers"][0]["env"]
    assert len(pods) == 1, "the rollout was waited for"
    assert (await place.get(r.RUNNERGROUPS, "ci-arm"))["status"]["activeSessions"] >= 1

    live = await place.get(r.ACTIONSGATEWAYS, "ci")
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump({"kind": "ActionsGateway", "spec": {**live["spec"]}}))
    same = await place(TENANTS_OWN, *line, "--file", str(path), "-o", "json")
    assert json.loads(same.out)["changed"] is False, same
    # As a person writes it: without what the server fills in.
    spec = {"gitHubURL": place.site.url, "caBundleRef": {"name": "github-ca"}, "runnerGroups": GROUPS}
    path.write_text(yaml.safe_dump({"kind": "ActionsGateway", "spec": spec}))
    found = json.loads((await place(TENANTS_OWN, *line, "--file", str(path), "-o", "json")).out)
    assert (found["fields"], found["stands"]) == (["proxy", "runnerGroups", "logLevel"], True)
    with pytest.raises(NotFound):
        await place.get(r.RUNNERGROUPS, "ci-arm")


async def _pause(place: Place, gate: Gate) -> None:
    """By the on-call person while a job runs, which goes on to its end; a queued one waits for the resume."""
    core = place.site.simulator.core
    running = core.enqueue(CPU, name="running")
    await place.site.as_.until(
        r.RUNNERGROUPS, "ci-cpu", place.name, lambda group: (group.get("status") or {}).get("activeJobs") == 1
    )
    paused = json.loads((await place(ON_CALL, "tenant", "pause", place.name, "--yes", "-o", "json")).out)
    assert (paused["stands"], paused["running_jobs"], paused["active_sessions"]) == (True, 1, 0)
    queued = core.enqueue(GPU, name="queued")
    gate.open()
    await place.site.until_done([running])
    await core.state.wait_for(lambda: not core.sessions())
    assert running.conclusion == "success"
    assert not queued.is_done

    half = await place(ON_CALL, "tenant", "pause", place.name, "--runner-group", "cpu", "--yes")
    assert half.code == 0, half
    resumed = await place(ON_CALL, "tenant", "resume", place.name, "--yes")
    assert resumed.code == 0, resumed
    assert "Still: cpu stay suspended" in resumed.out
    await place.site.until_done([queued])
    assert (await place(ON_CALL, "tenant", "resume", place.name, "--runner-group", "cpu", "--yes")).code == 0
    assert (await place.get(r.RUNNERGROUPS, "ci-cpu"))["status"]["activeSessions"] >= 1


async def _refuse_the_others(place: Place) -> None:
    answer = await place(VIEWER, "tenant", "pause", place.name, "--yes")
    assert answer.code == 2, answer
    assert f"you may not patch actionsgateways.actions-gateway.github.com in {place.name}" in answer.err
    assert "gw-oncall and gw-tenant have it" in answer.err
    assert (await place(VIEWER, "tenant", "list")).code == 0
    shown = json.loads((await place(TENANTS_OWN, "tenant", "show", place.name, "-o", "json")).out)
    assert (shown["quotas_known"], shown["paused"]) == (True, False)


def test_a_tenant_is_removed_when_its_job_has_ended_and_its_namespace_by_who_may(
    plane: ControlPlane, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with tenant(plane, tmp_path, "team-end") as place, place.site.workers(place.name) as player:
            gate = player.ending = Gate()
            await _remove(place, gate)

    run(scenario())


async def _remove(place: Place, gate: Gate) -> None:
    core, sure = place.site.simulator.core, ("--yes", "--confirm", place.name)
    line = ("tenant", "remove", place.name, *sure)
    for person, right in ((ON_CALL, "delete actionsgateways"), (TENANTS_OWN, "delete namespaces")):
        refused = await place(person, *line)
        assert refused.code == 2, refused
        assert f"you may not {right}" in refused.err
    assert (await place.get(r.ACTIONSGATEWAYS, "ci"))["spec"]["paused"] is False

    job = core.enqueue(CPU, name="long")
    await place.site.as_.until(
        r.RUNNERGROUPS, "ci-cpu", place.name, lambda group: (group.get("status") or {}).get("activeJobs") == 1
    )
    late = await place(TENANTS_OWN, *line, "--keep-namespace", "--timeout", "2s")
    assert late.code == 5, late
    assert "long of octo/demo" in late.err
    assert (await place.get(r.ACTIONSGATEWAYS, "ci"))["spec"]["paused"] is True

    removal = asyncio.create_task(place(TENANTS_OWN, *line, "--keep-namespace"))
    gate.open()
    await place.site.until_done([job])
    gone = await removal
    assert gone.code == 0, gone
    assert job.conclusion == "success"
    # The agent has signed off those that waited; one that had its job GitHub removes by itself, some moments later.
    assert {runner.state for runner in core.runners()} <= {RunnerState.CONSUMED}
    await core.state.wait_for(lambda: not core.runners())
    assert (await place.site.as_.admin.list(r.PODS, place.name)).items == []
    # The namespace is gw's own, and an administrator's to take: the same command goes on.
    whole = await place(None, *line)
    assert whole.code == 0, whole
    assert "its namespace, too" in whole.out
    await place.site.as_.until_gone(r.NAMESPACES, place.name, None)
