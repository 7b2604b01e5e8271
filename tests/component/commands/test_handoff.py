"""`gw handoff` on a real API server that holds the whole installation, by people with and without the roles for it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER_NAMESPACE, ONCALL_ROLE, TENANT_ROLE, VIEWER_ROLE
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from cli.rig import Gw, PresentClock
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import Looks
from support.installed import callers, gateway_in, user_subject
from support.planes import WITHOUT_SCHEDULER, installed_plane

Manifest = dict[str, Any]

TENANT = "team-shift"
ON_CALL, VIEWER, TENANTS_OWN = "olivia", "victor", "tess"
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "tenant", "namespace": TENANT},
    "spec": {"hard": {"requests.cpu": "8"}},
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With a tenant whose gateway the on-call person has changed, and with roles given to three people."""
    with installed_plane(tmp_path_factory.mktemp("handoff"), WITHOUT_SCHEDULER) as running:
        asyncio.run(_prepare(running))
        yield running


async def _prepare(plane: ControlPlane) -> None:
    async with callers(plane) as everybody, AsyncExitStack() as stack:
        await everybody.admin.create(r.NAMESPACES, {"metadata": {"name": TENANT}})
        await everybody.admin.create(r.RESOURCEQUOTAS, QUOTA)
        await everybody.gateway(gateway_in(TENANT))
        for user, role in ((ON_CALL, ONCALL_ROLE), (VIEWER, VIEWER_ROLE)):
            # Left in place: the plane is this file's own.
            await everybody.admin.create(r.CLUSTERROLEBINDINGS, _binding(role, user))
        await everybody.bind(ONCALL_ROLE, MANAGER_NAMESPACE, user_subject(ON_CALL), kind="Role")
        await everybody.bind(TENANT_ROLE, TENANT, user_subject(TENANTS_OWN))
        olivia = await stack.enter_async_context(everybody.user(ON_CALL))
        victor = await stack.enter_async_context(everybody.user(VIEWER))
        tess = await stack.enter_async_context(everybody.user(TENANTS_OWN))
        await everybody.until_allowed(olivia, "patch", r.ACTIONSGATEWAYS, TENANT)
        await everybody.until_allowed(olivia, "create", r.CONFIGMAPS, MANAGER_NAMESPACE)
        await everybody.until_allowed(victor, "list", r.ACTIONSGATEWAYS, TENANT)
        await everybody.until_allowed(tess, "list", r.ACTIONSGATEWAYS, TENANT)
        rotation = {"spec": {"gitHubAppRef": {"name": "github-app-v2"}}}
        await _edit_later(olivia, r.ACTIONSGATEWAYS, "ci", rotation, "kubectl-patch")
        raised = {"spec": {"hard": {"requests.cpu": "16"}}}
        await _edit_later(olivia, r.RESOURCEQUOTAS, "tenant", raised, "kubectl-edit")


async def _edit_later(client: KubeClient, resource: r.Resource, name: str, change: Manifest, manager: str) -> None:
    """In a later second than the object was made in: managedFields tell no smaller times, and its making is no edit."""

    def is_later(metadata: Manifest) -> bool:
        times = [entry["time"] for entry in metadata["managedFields"] if entry["manager"] == manager]
        return times > [metadata["creationTimestamp"]]

    async def patch(*, dry_run: bool) -> Manifest:
        done = await client.patch(resource, name, change, namespace=TENANT, field_manager=manager, dry_run=dry_run)
        return dict(done["metadata"])

    looks = Looks()
    while True:
        if is_later(await patch(dry_run=True)):
            await patch(dry_run=False)
            return
        await looks.pause()


def _binding(role: str, user: str) -> dict[str, Any]:
    return {
        "metadata": {"generateName": "handoff-"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [user_subject(user)],
    }


class Person:
    """gw with somebody's kubeconfig."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self._gw = Gw(real_cluster=True, clock=PresentClock())
        self._kubeconfig = str(plane.kubeconfig_for(name))

    def __call__(self, *arguments: str) -> Any:
        return self._gw("handoff", *arguments, "--kubeconfig", self._kubeconfig)


def test_on_call_signs_and_the_next_one_sees_what_changed_and_what_is_different(
    plane: ControlPlane, tmp_path: Path
) -> None:
    olivia, victor = Person(plane, ON_CALL), Person(plane, VIEWER)
    answer = olivia("--sign", "--to", VIEWER)
    # The gateway is new at first, and without an agent later; nothing is scraped.
    assert answer.code in (1, 3), answer
    assert f"Handed over by {ON_CALL} to {VIEWER} at " in answer.out
    assert "its writer owns spec.gitHubAppRef and changed it (by kubectl-patch)" in answer.out
    assert rf"{TENANT}/tenant: changed spec.hard\[requests.cpu\] (by kubectl-edit)" in answer.out
    assert f"{TENANT}/ci: made" in answer.out
    path = tmp_path / "handoff.md"
    path.write_text(answer.out)

    assert victor("--verify", str(path)).code == 0
    found = json.loads(victor("-o", "json").out)
    last = found["difference"]["last"]
    assert (last["by"], last["to"]) == (ON_CALL, VIEWER)
    assert found["difference"]["unchanged"]
    assert found["difference"]["gone"] == []

    (record,) = asyncio.run(_records(plane))
    assert record["metadata"]["name"] == last["record"]
    path.write_text(answer.out.replace("**unknown**", "**done**"))
    assert victor("--verify", str(path)).code == 1


def test_a_viewer_reads_all_of_it_and_may_not_sign(plane: ControlPlane) -> None:
    before = len(asyncio.run(_records(plane)))
    answer = Person(plane, VIEWER)("--sign")
    assert answer.code == 2, answer
    assert "## Checklist" in answer.out
    assert "is not signed" in answer.err
    assert f"--role={ONCALL_ROLE} --user={VIEWER}" in answer.err
    assert len(asyncio.run(_records(plane))) == before


def test_a_tenants_person_hands_its_own_namespace_over_and_sees_which_right_the_rest_takes(plane: ControlPlane) -> None:
    found = json.loads(Person(plane, TENANTS_OWN)("-n", TENANT, "-o", "json").out)
    assert found["tenant"] == TENANT
    assert [each["by"] for each in found["changes"]["quotas"]["entries"]][-1] == "kubectl-edit"
    (gap,) = found["difference"]["unknown"]
    assert f'User "{TENANTS_OWN}" cannot list resource "configmaps"' in gap["reason"]
    assert found["items"][6]["state"] == "unknown"


async def _records(plane: ControlPlane) -> list[Any]:
    async with connect(plane.kubeconfig) as admin:
        selector = f"{labels.RECORD}={labels.RECORD_HANDOVER}"
        return (await admin.list(r.CONFIGMAPS, MANAGER_NAMESPACE, label_selector=selector)).items
