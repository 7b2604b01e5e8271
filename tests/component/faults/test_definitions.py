"""A manager on custom resource definitions that are missing or older than it needs, on a real API server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing

from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.api.names import MANAGER_LEASE, MANAGER_NAMESPACE
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import CRDS, LEASES
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.definitions import install_definitions, without
from support.faulty_proxy import answer

from .manager import managing, order, until, until_provisioned
from .site import Site, site

GATEWAYS = str(gateway_crd()["metadata"]["name"])
GROUPS = str(runner_group_crd()["metadata"]["name"])


@asynccontextmanager
async def definitions(here: Site, manifests: list[dict[str, Any]]) -> AsyncIterator[None]:
    """Exactly these definitions; the current ones afterwards."""
    try:
        await remove(here)
        await install_definitions(here.admin, manifests)
        yield
    finally:
        await remove(here)
        await install_definitions(here.admin, crd_manifests())


async def remove(here: Site) -> None:
    await here.delete_gateways()
    for name in (GATEWAYS, GROUPS):
        try:
            await here.admin.delete(CRDS, name)
        except NotFound:
            continue

        async def is_gone(name: str = name) -> bool:
            try:
                await here.admin.get(CRDS, name)
            except NotFound:
                return True
            return False

        await until(is_gone)


async def holder(here: Site) -> str:
    """Who holds the lease; nobody when there is none."""
    try:
        lease = await here.admin.get(LEASES, MANAGER_LEASE, MANAGER_NAMESPACE)
    except NotFound:
        return ""
    return str(lease["spec"].get("holderIdentity") or "")


@pytest.mark.parametrize(
    ("served", "named"),
    [
        pytest.param(
            [without(gateway_crd(), "spec.paused"), runner_group_crd()],
            f"{GATEWAYS} is older than this manager, it lacks spec.paused: run 'gw install'",
            id="an older gateway",
        ),
        pytest.param(
            [gateway_crd(), without(runner_group_crd(), "spec.suspended", "status.pendingJobs")],
            f"{GROUPS} is older than this manager, it lacks spec.suspended, status.pendingJobs: run 'gw install'",
            id="an older group",
        ),
        pytest.param([gateway_crd()], f"{GROUPS} is not installed: run 'gw install'", id="a missing one"),
    ],
)
def test_a_manager_waits_for_definitions_that_know_all_it_needs_and_says_what_they_lack(
    plane: ControlPlane, served: list[dict[str, Any]], named: str
) -> None:
    async def main() -> None:
        async with site(plane) as here, definitions(here, served):
            with structlog.testing.capture_logs() as lines:
                async with managing(here) as process:
                    await process.until_probe("/readyz", 503)
                    asked = "customresourcedefinitions"

                    async def looked_twice() -> bool:
                        return len(here.proxy.requests("GET", asked)) >= 4

                    await until(looked_twice)
                    assert await process.probe("/readyz") == 503
                    assert await process.probe("/healthz") == 200
                    assert await holder(here) == ""
                    assert {seen.method for seen in here.proxy.seen} == {"GET"}
                    # `gw install` brings the definitions up to date; nobody restarts the manager.
                    await install_definitions(here.admin, crd_manifests())
                    await process.until_probe("/readyz", 200)
                    ordered = await order(here, await here.namespace())
                    await until_provisioned(here, ordered)
            problems = [line["problem"] for line in lines if line["event"] == "manager does not start"]
            assert problems
            assert named in problems[0]

    run(main())


def test_a_manager_that_may_not_read_the_definitions_says_so(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            fault = here.proxy.inject(answer(500), path="customresourcedefinitions", times=2)
            with structlog.testing.capture_logs() as lines:
                async with managing(here) as process:
                    await fault.until_hit(2)
                    await process.until_probe("/readyz", 200)
            told = [line["problem"] for line in lines if line["event"] == "manager does not start"]
            assert told[0] == f"CustomResourceDefinition {GATEWAYS} cannot be read: InternalError: a fault of the test"

    run(main())
