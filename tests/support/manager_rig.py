"""The manager's controller in this process, against an API server, with the rest of a cluster played by the test."""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.engine.clock import Clock, SystemClock
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.errors import Forbidden, NotFound
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    CRDS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    RUNNERGROUPS,
    Resource,
)
from actions_gateway.manager.gateway.children import CHILD_KINDS
from actions_gateway.manager.gateway.controller import CONTROLLER, GatewayController
from actions_gateway.metrics.catalog import RECONCILE_TOTAL, Component
from actions_gateway.metrics.registry import Metrics
from actions_gateway.settings import ManagerSettings
from support.aio import Looks
from support.apiserver import Play
from support.cluster import TOKEN, api_server, render_kubeconfig
from support.manager_objects import SETTINGS, condition, gateway, group_conditions

Manifest = dict[str, Any]
Version = dict[tuple[str, str], str]

_POLL_SECONDS = 0.01


class RecordingClient(KubeClient):
    """Remembers every request as (method, path, "watch" or a patch's content type); refuses those to `forbidden`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.requests: list[tuple[str, str, str]] = []
        self.forbidden = ""
        """Part of a path; an empty one refuses nothing."""

    @property
    def writes(self) -> list[tuple[str, str, str]]:
        return [request for request in self.requests if request[0] != "GET"]

    @asynccontextmanager
    async def _open(self, method: str, path: str, **arguments: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        is_watch = "watch" in (arguments.get("query") or {})
        kind = "watch" if is_watch else str(arguments.get("content_type", "")) if method == "PATCH" else ""
        self.requests.append((method, path, kind))
        if self.forbidden and method != "GET" and self.forbidden in path:
            raise Forbidden("a policy says no", status=403)
        async with super()._open(method, path, **arguments) as response:
            yield response


class Rig:
    """One cluster: `user` is everybody but the manager, `space` the namespace of its one tenant."""

    def __init__(self, user: KubeClient, *, space: str = "team-a", kubeconfig: Path | None = None) -> None:
        self.user = user
        self.space = space
        self._kubeconfig = kubeconfig

    @asynccontextmanager
    async def manager(
        self, settings: ManagerSettings = SETTINGS, *, clock: Clock | None = None
    ) -> AsyncIterator["RunningManager"]:
        """The controller, from its first list to its cancellation."""
        metrics = Metrics(Component.MANAGER, "test")
        async with self.recording_client() as client:
            controller = GatewayController(
                settings, client=client, clock=clock or SystemClock(), rng=random.Random(7), metrics=metrics
            )
            # In a group, so that a manager that dies ends the test with its reason.
            async with asyncio.TaskGroup() as group:
                task = group.create_task(controller.run(), name="manager")
                running = RunningManager(client, metrics)
                await running.until(lambda: controller.is_synced)
                yield running
                task.cancel()

    @asynccontextmanager
    async def recording_client(self) -> AsyncIterator[RecordingClient]:
        """A client of a manager's own."""
        if self._kubeconfig:
            client = RecordingClient(await load_configuration(self._kubeconfig))
            async with client:
                yield client
            return
        with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as kubeconfig:
            kubeconfig.write(render_kubeconfig(self.user.host, TOKEN))
            kubeconfig.flush()
            client = RecordingClient(await load_configuration(kubeconfig.name))
        async with client:
            yield client

    async def create(self, manifest: Manifest) -> Manifest:
        """Creates a gateway."""
        metadata = {key: manifest["metadata"][key] for key in ("name", "namespace")}
        return await self.user.create(ACTIONSGATEWAYS, {**manifest, "metadata": metadata})

    async def namespace(self, name: str, **labels: str) -> None:
        """Creates a namespace."""
        await self.user.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})

    async def events(self, reason: str) -> list[Manifest]:
        """Events about gateways with this reason."""
        found = (await self.user.list(EVENTS)).items
        return [
            entry for entry in found if entry["reason"] == reason and entry["regarding"]["kind"] == "ActionsGateway"
        ]

    async def patch(
        self, resource: Resource, name: str, patch: Manifest, *, subresource: str | None = None
    ) -> Manifest:
        """A change by someone with kubectl."""
        return await self.user.patch(
            resource, name, patch, namespace=self.space, subresource=subresource, field_manager="kubectl-edit"
        )

    async def until(
        self, resource: Resource, name: str, holds: Callable[[Manifest], bool], namespace: str | None = None
    ) -> Manifest:
        """The object, once it exists and `holds` says so."""
        looks = Looks()
        while True:
            try:
                found = await self.user.get(resource, name, namespace or self.space)
            except NotFound:
                found = {}
            if found and holds(found):
                return found
            await looks.pause()

    async def until_gone(self, resource: Resource, name: str) -> None:
        """Returns once the object does not exist."""
        looks = Looks()
        while True:
            try:
                await self.user.get(resource, name, self.space)
            except NotFound:
                return
            await looks.pause()

    async def until_condition(self, name: str, kind: str, status: str, reason: str | None = None) -> Manifest:
        """The gateway's condition, once it has that status and reason."""

        def holds(manifest: Manifest) -> bool:
            entry = condition_of(manifest, kind)
            return entry is not None and entry["status"] == status and reason in (None, entry["reason"])

        found = condition_of(await self.until(ACTIONSGATEWAYS, name, holds), kind)
        assert found is not None
        return found

    async def children(self) -> list[Manifest]:
        """Everything that the manager may have made in the tenant's namespace."""
        found = []
        for resource in CHILD_KINDS:
            found += (await self.user.list(resource, self.space)).items
        return found

    async def versions(self) -> Version:
        """Resource versions of the children, the gateway and the namespace."""
        objects = await self.children()
        objects += (await self.user.list(ACTIONSGATEWAYS, self.space)).items
        objects.append(await self.user.get(NAMESPACES, self.space))
        return {(entry["kind"], entry["metadata"]["name"]): entry["metadata"]["resourceVersion"] for entry in objects}

    async def start_agent(self, *, available: int = 1) -> None:
        """Plays the Deployment controller: the current template's pod is up, or not (0)."""
        deployment = await self.until(DEPLOYMENTS, AGENT, lambda _: True)
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": available,
        }
        await self.patch(DEPLOYMENTS, AGENT, {"status": status}, subresource="status")

    async def start_proxies(self, *, ready: int = 2, **status: Any) -> None:
        """Plays the Deployment controller and kubelets: as many proxies are ready."""
        deployment = await self.until(DEPLOYMENTS, PROXY, lambda _: True)
        counted = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": ready,
            "readyReplicas": ready,
        }
        await self.patch(DEPLOYMENTS, PROXY, {"status": counted | status}, subresource="status")

    async def report(self, group: str = "ci-cpu", **status: Any) -> None:
        """Plays the agent: what it says of one group, all well by default."""
        status.setdefault("conditions", group_conditions())
        await self.patch(RUNNERGROUPS, group, {"status": {"activeSessions": 1, **status}}, subresource="status")

    async def look_again(self, manager: "RunningManager", note: str) -> None:
        """Two passes, so that one that was under way already is not taken for the one that was asked for."""
        for turn in ("one", "two"):
            passes = manager.passes
            await self.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"annotations": {"note": f"{note} {turn}"}}})
            await manager.until(lambda passes=passes: manager.passes > passes)  # type: ignore[misc]

    async def let_go(self, group: str = "ci-cpu") -> None:
        """Plays the agent of a gateway that is being deleted: no runner of the group is left at GitHub."""
        found = await self.until(RUNNERGROUPS, group, lambda found: found["spec"].get("suspended") is True)
        await self.report(group, registrations=0, observedGeneration=found["metadata"]["generation"])

    async def provision(self, **changes: Any) -> None:
        """A gateway `ci` in `team-a` that has become Ready."""
        await self.namespace("team-a")
        await self.create(gateway(**changes))
        await self.start_proxies()
        await self.start_agent()
        for entry in gateway(**changes)["spec"]["runnerGroups"]:
            await self.until(RUNNERGROUPS, f"ci-{entry['name']}", lambda _: True)
            await self.report(f"ci-{entry['name']}")
        await self.until_condition("ci", "Ready", "True")


class RunningManager:
    """A manager at work."""

    def __init__(self, client: RecordingClient, metrics: Metrics) -> None:
        self.client = client
        self.metrics = metrics

    @property
    def passes(self) -> float:
        """How many reconciles succeeded."""
        return self.metrics.value(RECONCILE_TOTAL, controller=CONTROLLER, result="success") or 0

    async def until(self, holds: Callable[[], bool]) -> None:
        """Returns once `holds` says so."""
        while not holds():  # noqa: ASYNC110 - counters tell nobody
            await asyncio.sleep(_POLL_SECONDS)

    async def until_next_pass(self) -> None:
        """Returns after one more successful reconcile."""
        before = self.passes
        await self.until(lambda: self.passes > before)


@asynccontextmanager
async def cluster() -> AsyncIterator[Rig]:
    """An API server with our CRDs."""
    async with api_server() as user:
        for manifest in crd_manifests():
            await user.apply(CRDS, manifest, field_manager="test")
        yield Rig(user)


@asynccontextmanager
async def tenant_of(play: Play) -> AsyncIterator[Rig]:
    """A cluster of the case's API server with our CRDs, and a namespace for one tenant."""
    async with play.api() as api:
        for manifest in crd_manifests():
            await api.serve(manifest)
        with tempfile.TemporaryDirectory() as folder:
            async with api.client() as user, released(user, api.namespace):
                yield Rig(user, space=api.namespace, kubeconfig=api.kubeconfig(Path(folder)))


@asynccontextmanager
async def released(user: KubeClient, prefix: str) -> AsyncIterator[None]:
    """Lets the gateways of a test go after it, those of all namespaces whose names begin with `prefix`.

    The managers of later tests on the same server would serve them, too: each has its finalizer, and holds its
    namespace back.
    """
    try:
        yield
    finally:
        for found in (await user.list(ACTIONSGATEWAYS)).items:
            name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
            if namespace.startswith(prefix):
                with contextlib.suppress(NotFound):
                    patch = {"metadata": {"finalizers": None}}
                    await user.patch(ACTIONSGATEWAYS, name, patch, namespace=namespace)
                    await user.delete(ACTIONSGATEWAYS, name, namespace=namespace)


def condition_of(manifest: Manifest, kind: str) -> Manifest | None:
    """The condition of an object, or None."""
    entries = (manifest.get("status") or {}).get("conditions") or []
    return next((entry for entry in entries if entry["type"] == kind), None)


__all__ = ["Rig", "RunningManager", "cluster", "condition", "condition_of", "released", "tenant_of"]
