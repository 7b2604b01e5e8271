"""One API server behind a misbehaving proxy, and clients on both sides of it."""

import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE
from actions_gateway.installation.manager import build_namespace
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.installation.rights import rbac_manifests
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import ACTIONSGATEWAYS, NAMESPACES, resource_of
from gateway_sandbox.controlplane.server import ControlPlane
from gateway_sandbox.kubeconfigs import write_kubeconfig
from support.definitions import install_definitions
from support.faulty_proxy import FaultyProxy, faulty_proxy

Manifest = dict[str, Any]

LOOK_SECONDS = 0.02
SILENCE_SECONDS = 6.0
"""When a watch that says nothing is given up: late enough for the loop to say that it lasted, so that a watch of a kind
of which nothing changes is resumed at once, and not after pauses that grow to half a minute."""


@dataclass(frozen=True, slots=True)
class Site:
    """The proxy, and an administrator who is not behind it."""

    plane: ControlPlane
    proxy: FaultyProxy
    admin: KubeClient
    folder: Path
    namespaces: list[str] = field(default_factory=list)
    """Those that the test made."""

    def kubeconfig(self, token: str | None = None) -> Path:
        """A kubeconfig that leads through the proxy, for the administrator unless a token is given."""
        path = self.folder / f"{secrets.token_hex(4)}.kubeconfig"
        user = {"token": token or self.plane.admin_token}
        return write_kubeconfig(path, url=self.proxy.url, ca_path=self.plane.certificates.ca_path, user=user)

    @asynccontextmanager
    async def client(self, token: str | None = None, **settings: Any) -> AsyncIterator[KubeClient]:
        """A client behind the proxy; `settings` are KubeClient's."""
        async with KubeClient(await load_configuration(self.kubeconfig(token)), **settings) as client:
            yield client

    async def manager_token(self) -> str:
        """A token of the manager's own ServiceAccount."""
        return await self.admin.create_token(MANAGER, MANAGER_NAMESPACE)

    async def namespace(self) -> str:
        """A fresh namespace."""
        made = await self.admin.create(NAMESPACES, {"metadata": {"generateName": "fault-"}})
        self.namespaces.append(str(made["metadata"]["name"]))
        return self.namespaces[-1]

    async def delete_gateways(self) -> None:
        """Deletes those in the test's namespaces, of which no manager takes its finalizer any more."""
        for namespace in self.namespaces:
            try:
                gateways = (await self.admin.list(ACTIONSGATEWAYS, namespace)).items
            except NotFound:
                continue  # a test without the type
            for gateway in gateways:
                name = gateway["metadata"]["name"]
                with contextlib.suppress(NotFound):
                    await self.admin.patch(
                        ACTIONSGATEWAYS, name, {"metadata": {"finalizers": None}}, namespace=namespace
                    )
                    await self.admin.delete(ACTIONSGATEWAYS, name, namespace=namespace)


@asynccontextmanager
async def site(plane: ControlPlane) -> AsyncIterator[Site]:
    """A proxy of the test's own before the shared API server."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        admin = await stack.enter_async_context(connect(plane.kubeconfig))
        ca_path = str(plane.certificates.ca_path)
        proxy = await stack.enter_async_context(
            faulty_proxy(plane.url, upstream_ca=ca_path, certificates=plane.certificates)
        )
        here = Site(plane, proxy, admin, folder)
        try:
            yield here
        finally:
            # Or every later manager would serve them, too.
            await here.delete_gateways()


async def furnish(plane: ControlPlane) -> None:
    """Installs what every component needs."""
    async with connect(plane.kubeconfig) as admin:
        await install_definitions(admin, crd_manifests())
        for manifest in [build_namespace(), *rbac_manifests()]:
            resource = resource_of(manifest["apiVersion"], manifest["kind"])
            assert resource is not None
            await admin.apply(resource, manifest, field_manager="test")
