"""The manager's children as it would write them, and the manager to write them."""

from collections.abc import Awaitable, Callable

from actions_gateway.api.names import MANAGER_CHILDREN_POLICY
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.resources import Resource, resource_of
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import Callers, callers, children_in, gateway_in, refusal

Act = Callable[[KubeClient, Manifest, Callers], Awaitable[None]]
Change = Callable[[Manifest], object]


def as_manager(installed: ControlPlane, act: Act) -> None:
    """As the manager, with a gateway that is stored in a marked namespace."""

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as namespace, as_.manager() as manager:
            await act(manager, await as_.gateway(gateway_in(namespace, caBundleRef={"name": "github-ca"})), as_)

    run(main())


def child(kind: str, owner: Manifest, name: str | None = None) -> Manifest:
    """The gateway's child of a kind, the first one where no name is given."""
    return next(
        manifest
        for manifest in children_in(owner)
        if manifest["kind"] == kind and name in (None, manifest["metadata"]["name"])
    )


def resource_for(manifest: Manifest) -> Resource:
    """The resource of a child."""
    resource = resource_of(manifest["apiVersion"], manifest["kind"])
    assert resource is not None
    return resource


def refuse_changed(installed: ControlPlane, kind: str, name: str | None, change: Change, message: str) -> None:
    """Asserts that the manager cannot make the child with the change, and reads why."""

    async def act(manager: KubeClient, owner: Manifest, _: Callers) -> None:
        manifest = child(kind, owner, name)
        change(manifest)
        said = await refusal(manager.apply(resource_for(manifest), manifest, field_manager="gmc", dry_run=True))
        assert message in said
        assert f"'{MANAGER_CHILDREN_POLICY}'" in said

    as_manager(installed, act)
