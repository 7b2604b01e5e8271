"""A namespace that is being deleted on a real control plane: nothing new is made in it, nobody shouts, and it goes."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.errors import NamespaceTerminating
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.resources import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, NETWORKPOLICIES
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.faulty_proxy import silence

from .manager import children, managing, order, until, until_gone, until_provisioned
from .site import Site, site


async def begin_deletion(here: Site, namespace: str) -> None:
    await here.admin.request("DELETE", f"/api/v1/namespaces/{namespace}")


@asynccontextmanager
async def terminating(here: Site, namespace: str) -> AsyncIterator[None]:
    """The namespace is being deleted and cannot end before this does."""
    anchor = {"metadata": {"name": "anchor", "finalizers": ["tests.example.com/anchor"]}}
    await here.admin.create(CONFIGMAPS, anchor, namespace=namespace)
    await begin_deletion(here, namespace)

    async def is_emptied() -> bool:
        live = await here.admin.get(NAMESPACES, namespace)
        conditions = {entry["type"]: entry for entry in (live["status"].get("conditions") or [])}
        return bool(conditions.get("NamespaceFinalizersRemaining", {}).get("status") == "True")

    await until(is_emptied)
    yield
    await here.admin.patch(CONFIGMAPS, "anchor", {"metadata": {"finalizers": None}}, namespace=namespace)


def shouted(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["log_level"] in ("warning", "error")]


def test_a_tenants_namespace_goes_with_all_that_the_manager_made_in_it(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            with structlog.testing.capture_logs() as lines:
                async with managing(here) as process:
                    await process.until_probe("/readyz", 200)
                    await until_provisioned(here, await order(here, namespace))
                    async with terminating(here, namespace):
                        assert await children(here, namespace) == []
                        await here.admin.get(NAMESPACES, namespace)
                    await until_gone(here, namespace)
            assert [line for line in shouted(lines) if line.get("namespace") == namespace] == []

    run(main())


def test_a_manager_that_has_not_heard_of_the_deletion_is_refused_says_so_once_and_waits(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            # Marked already: a manager that marks a namespace waits to hear of it.
            mark = {"metadata": {"labels": {labels.TENANT: labels.TENANT_MARK}}}
            await here.admin.patch(NAMESPACES, namespace, mark)
            # What it would hear of the deletion comes from these two watches.
            for kind in ("namespaces", "actionsgateways"):
                here.proxy.inject(silence, path=f"/{kind}$", is_watch=True)
            ordered = await order(here, namespace)
            with structlog.testing.capture_logs() as lines:
                async with managing(here) as process:
                    await process.until_probe("/readyz", 200)
                    await until_provisioned(here, ordered)
                    async with terminating(here, namespace):
                        assert await children(here, namespace) == []
                    # The gateway's finalizer would go with the silence of the watches, after 150 s.
                    await here.delete_gateways()
                    await until_gone(here, namespace)
            mine = [line for line in lines if line.get("namespace") == namespace]
            assert "namespace is being deleted: nothing is provisioned in it" in [line["event"] for line in mine]
            assert shouted(mine) == []
            # Each deleted child is one look that ends with its first refusal, and none is repeated for its failure.
            writes = here.proxy.requests("PATCH", f"/namespaces/{namespace}/")
            assert len(writes) < 30

    run(main())


def test_a_refusal_in_such_a_namespace_has_its_own_class_and_names_the_namespace(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            async with terminating(here, namespace):
                with pytest.raises(NamespaceTerminating, match=f"namespace {namespace} because it is being terminated"):
                    await here.admin.create(CONFIGMAPS, {"metadata": {"name": "late"}}, namespace=namespace)
                late = {"metadata": {"name": "late", "namespace": namespace}, "spec": {"podSelector": {}}}
                with pytest.raises(NamespaceTerminating):
                    await here.admin.apply(NETWORKPOLICIES, late, field_manager="test")
                assert (await here.admin.list(DEPLOYMENTS, namespace)).items == []

    run(main())


def test_an_event_about_an_object_in_such_a_namespace_is_dropped_without_a_warning(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            async with terminating(here, namespace):
                anchor = await here.admin.get(CONFIGMAPS, "anchor", namespace)
                recorder = EventRecorder(here.admin, SystemClock(), component=AGENT, instance="agent-0")
                regarding = {"apiVersion": "v1", "kind": "ConfigMap", **anchor}
                with structlog.testing.capture_logs() as lines:
                    await recorder.record(regarding, "Late", "too late", action="Run", warning=True)
                assert shouted(lines) == []

    run(main())
