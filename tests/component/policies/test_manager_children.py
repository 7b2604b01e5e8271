"""Where the manager may write the kinds of which it makes children: in namespaces with the tenant marker alone."""

import pytest

from actions_gateway.api.names import AGENT, MANAGER_CHILDREN_POLICY, RESERVED_NAMESPACES, WORKER
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import SERVICEACCOUNTS, resource_of
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import callers, children_in, gateway_in, refusal, until_refused

KINDS = ("ServiceAccount", "RoleBinding", "NetworkPolicy", "Deployment", "RunnerGroup")


def child(kind: str, owner: Manifest) -> Manifest:
    return next(manifest for manifest in children_in(owner) if manifest["kind"] == kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manager_makes_changes_and_deletes_it_in_a_marked_namespace_only(
    kind: str, installed: ControlPlane
) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as namespace, as_.manager() as manager:
            owner = await as_.gateway(gateway_in(namespace))
            manifest = child(kind, owner)
            resource = resource_of(manifest["apiVersion"], kind)
            assert resource is not None
            name = manifest["metadata"]["name"]
            await manager.apply(resource, manifest, field_manager="gmc")
            await as_.label(namespace, "tenant", None)
            said = await until_refused(lambda: manager.apply(resource, manifest, field_manager="gmc", dry_run=True))
            assert f"'{MANAGER_CHILDREN_POLICY}'" in said
            assert "the manager writes only in namespaces with the label actions-gateway.github.com/tenant=true" in said
            assert "the manager writes only" in await refusal(manager.delete(resource, name, namespace=namespace))
            await as_.label(namespace, "tenant", "true")
            await as_.until_admitted(lambda: manager.delete(resource, name, namespace=namespace))

    run(main())


@pytest.mark.parametrize("namespace", sorted(RESERVED_NAMESPACES))
def test_the_manager_writes_nothing_in_system_namespaces(namespace: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.manager() as manager:
            manifest = {"metadata": {"name": AGENT, "namespace": namespace}}
            said = await refusal(manager.apply(SERVICEACCOUNTS, manifest, field_manager="gmc", dry_run=True))
            assert "the manager writes nothing in system namespaces" in said
            assert namespace in said

    run(main())


def test_others_are_not_confined_by_it(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            await as_.admin.create(SERVICEACCOUNTS, {"metadata": {"name": WORKER, "namespace": namespace}})

    run(main())
