"""People with the roles that gw is used with, on a control plane of a test file's own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import ONCALL_ROLE, TENANT_ROLE, VIEWER_ROLE
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import CLUSTERROLEBINDINGS, NAMESPACES, PODS, Resource, resource_of
from gateway_sandbox.controlplane.server import ControlPlane
from support.installed import Callers, callers, children_in, user_subject
from support.planes import WITHOUT_SCHEDULER, installed_plane

Manifest = dict[str, Any]

ON_CALL, VIEWER, TENANTS_OWN = "olivia", "victor", "tess"


@contextmanager
def own_plane(folder: Path, prepare: Callable[[Callers], Awaitable[None]]) -> Iterator[ControlPlane]:
    """A control plane with the whole installation, prepared, for as long as the block lasts; nothing schedules pods."""
    with installed_plane(folder, WITHOUT_SCHEDULER) as plane:
        asyncio.run(_prepare(plane, prepare))
        yield plane


async def _prepare(plane: ControlPlane, prepare: Callable[[Callers], Awaitable[None]]) -> None:
    async with callers(plane) as everybody:
        await prepare(everybody)


async def make_namespace(admin: KubeClient, name: str) -> None:
    """A namespace that is marked as a tenant's."""
    await admin.create(NAMESPACES, {"metadata": {"name": name, "labels": {labels.TENANT: labels.TENANT_MARK}}})


async def apply_children(everybody: Callers, owner: Manifest) -> None:
    """What the manager makes for a gateway, once admission lets it."""
    async with everybody.manager() as manager:
        for manifest in children_in(owner):
            await everybody.until_admitted(partial(apply_as_manager, manager, manifest))


async def apply_as_manager(client: KubeClient, manifest: Manifest) -> None:
    """Server-side apply under the manager's name."""
    resource = resource_of(manifest["apiVersion"], manifest["kind"])
    assert resource is not None
    await client.apply(resource, manifest, field_manager="gmc")


async def set_status(admin: KubeClient, resource: Resource, name: str, namespace: str, status: Manifest) -> None:
    """What a controller or a kubelet says of an object."""
    await admin.patch(resource, name, {"status": status}, namespace=namespace, subresource="status")


async def give_roles(everybody: Callers, tenant: str, *, on_call: tuple[str, ...] = (ON_CALL,)) -> None:
    """Everybody's role, for as long as the control plane lasts; returns when each may list the tenant's pods.

    The on-call people and the viewer have theirs everywhere, the tenant's own person in that one namespace.
    """
    for user, role in (*((user, ONCALL_ROLE) for user in on_call), (VIEWER, VIEWER_ROLE)):
        await bind_everywhere(everybody, role, user)
    await everybody.bind(TENANT_ROLE, tenant, user_subject(TENANTS_OWN))
    for user in (*on_call, VIEWER, TENANTS_OWN):
        async with everybody.user(user) as client:
            await everybody.until_allowed(client, "list", PODS, tenant)


async def bind_everywhere(everybody: Callers, role: str, user: str) -> None:
    """Gives a person a ClusterRole, and leaves it in place."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    binding = {"metadata": {"generateName": "people-"}, "roleRef": reference, "subjects": [user_subject(user)]}
    await everybody.admin.create(CLUSTERROLEBINDINGS, binding)
