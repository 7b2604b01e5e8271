"""A new release over a fleet of tenants, whose pods are played; on the real API server its own controllers work."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.engine.clock import SystemClock
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import ACTIONSGATEWAYS, DEPLOYMENTS, PODS
from actions_gateway.manager.gateway.controller import GatewayController
from actions_gateway.manager.gateway.release import is_complete
from actions_gateway.metrics.catalog import ROLLOUT_WAITING, Component
from actions_gateway.metrics.registry import Metrics
from actions_gateway.settings import ManagerSettings
from gateway_sandbox.controllers.run import run_controllers
from support.apiserver import Api, Play
from support.manager_objects import SETTINGS, gateway
from support.manager_rig import released

Manifest = dict[str, Any]

TENANTS = 8
AT_ONCE = 3
BAD = replace(SETTINGS, controller_image="controller:bad", proxy_image="envoy:new")
GOOD = replace(SETTINGS, controller_image="controller:good", proxy_image="envoy:new")


class Fleet:
    """All tenants, and what the watch tells of their Deployments."""

    def __init__(self, api: Api, user: KubeClient) -> None:
        self._api = api
        self.user = user
        self.namespaces = [f"{api.namespace}-{number:02}" for number in range(TENANTS)]
        self.deployments: dict[tuple[str, str], Manifest] = {}
        self.most_in_flight = 0
        self.rolled: list[str] = []
        """Namespaces in the order in which their agents got another image."""
        self.never_ready: set[str] = set()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def manager(self, settings: ManagerSettings = SETTINGS) -> AsyncIterator[Metrics]:
        """The controller at work; one that dies ends the test with its reason."""
        metrics = Metrics(Component.MANAGER, "test")
        controller = GatewayController(
            settings, client=self.user, clock=SystemClock(), rng=random.Random(7), metrics=metrics
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(controller.run(), name="manager")
            yield metrics
            task.cancel()

    async def create(self) -> None:
        for namespace in self.namespaces:
            await self._api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
            manifest = gateway(namespace=namespace) | {"metadata": {"name": "ci", "namespace": namespace}}
            await self.user.create(ACTIONSGATEWAYS, manifest)

    async def watch(self) -> None:
        """Follows the Deployments in the order in which they change."""
        changes = list_watch(self.user, DEPLOYMENTS, clock=SystemClock(), rng=random.Random(1))
        async for change in changes:
            if change.type in (ChangeType.ADDED, ChangeType.MODIFIED):
                self._take(change.object)

    def _take(self, deployment: Manifest) -> None:
        namespace, name = (deployment["metadata"][field] for field in ("namespace", "name"))
        if namespace not in self.namespaces:
            return
        before = self.deployments.get((namespace, name))
        self.deployments[namespace, name] = deployment
        if name == AGENT and before and image_of(before) != image_of(deployment):
            self.rolled.append(namespace)
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        self._changed.set()

    @property
    def in_flight(self) -> set[str]:
        """Tenants that were brought to another release and are not up."""
        return {
            namespace
            for (namespace, _), deployment in self.deployments.items()
            if labels.ROLLED_WHILE in deployment["metadata"]["annotations"] and not is_complete(deployment)
        }

    def tenants_with(self, image: str, name: str = AGENT, *, complete: bool = True) -> set[str]:
        return {
            namespace
            for (namespace, other), deployment in self.deployments.items()
            if other == name and image_of(deployment) == image and is_complete(deployment) is complete
        }

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                # A metric moves without a Deployment.
                await asyncio.wait_for(self._changed.wait(), 0.05)

    async def play_pods(self) -> None:
        """Every pod is up at once, but those of a bad image and those of a tenant that is broken."""
        selector = f"{labels.APP} in ({AGENT},{PROXY})"
        async for change in list_watch(
            self.user, PODS, clock=SystemClock(), rng=random.Random(2), label_selector=selector
        ):
            if change.type is not ChangeType.ADDED:
                continue
            metadata = change.object["metadata"]
            images = {container["image"] for container in change.object["spec"]["containers"]}
            if metadata["namespace"] not in self.namespaces or "controller:bad" in images:
                continue
            if metadata["namespace"] in self.never_ready:
                continue
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            with contextlib.suppress(NotFound):
                await self.user.patch(
                    PODS,
                    metadata["name"],
                    {"status": status},
                    namespace=metadata["namespace"],
                    subresource="status",
                )


def image_of(deployment: Manifest) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


@asynccontextmanager
async def fleet_on(api: Api) -> AsyncIterator[Fleet]:
    """Tenants that are up, made by a manager of the release before."""
    for manifest in crd_manifests():
        await api.serve(manifest)
    async with api.client() as user, released(user, api.namespace), asyncio.TaskGroup() as group:
        fleet = Fleet(api, user)
        loops = [group.create_task(fleet.watch()), group.create_task(fleet.play_pods())]
        if not api.is_real:
            loops.append(group.create_task(run_controllers(user, SystemClock())))
        async with fleet.manager():
            await fleet.create()
            await fleet.until(lambda: len(fleet.tenants_with(SETTINGS.controller_image)) == TENANTS)
            await fleet.until(lambda: len(fleet.tenants_with(SETTINGS.proxy_image, PROXY)) == TENANTS)
        assert fleet.rolled == []
        yield fleet
        for loop in loops:
            loop.cancel()


@pytest.mark.once("a fleet of tenants takes a quarter of a minute")
def test_a_bad_release_stops_at_three_tenants_whoever_leads_and_a_good_one_goes_through(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with fleet_on(api) as fleet:
            for _ in range(2):
                # The second manager takes over in the middle.
                async with fleet.manager(BAD) as metrics:
                    await fleet.until(lambda: len(fleet.tenants_with("controller:bad", complete=False)) == AT_ONCE)
                    await fleet.until(lambda metrics=metrics: metrics.value(ROLLOUT_WAITING) == TENANTS - AT_ONCE)  # type: ignore[misc]
            stuck = fleet.tenants_with("controller:bad", complete=False)
            assert set(fleet.rolled) == stuck
            async with fleet.manager(BAD):
                await change_own(fleet, fleet.namespaces[-1])
            assert fleet.tenants_with("controller:bad", complete=False) == stuck

            fleet.rolled.clear()
            async with fleet.manager(GOOD) as metrics:
                await fleet.until(lambda: len(fleet.tenants_with("controller:good")) == TENANTS)
                await fleet.until(lambda: len(fleet.tenants_with("envoy:new", PROXY)) == TENANTS)
                await fleet.until(lambda: metrics.value(ROLLOUT_WAITING) == 0)
            assert set(fleet.rolled[:AT_ONCE]) == stuck
            assert fleet.most_in_flight == AT_ONCE

    play(scenario, timeout_seconds=240)


async def change_own(fleet: Fleet, namespace: str) -> None:
    """A tenant that waits changes its gateway: that is not held back, and it keeps its images."""
    await fleet.user.patch(ACTIONSGATEWAYS, "ci", {"spec": {"logLevel": "debug"}}, namespace=namespace)

    def is_changed() -> bool:
        agent = fleet.deployments[namespace, AGENT]
        return '"debug"' in str(agent).replace("'", '"') and is_complete(agent)

    await fleet.until(is_changed)
    assert image_of(fleet.deployments[namespace, AGENT]) == SETTINGS.controller_image


@pytest.mark.once("a fleet of tenants takes a quarter of a minute")
def test_a_tenant_that_does_not_come_up_keeps_its_place_and_the_others_pass_it(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with fleet_on(api) as fleet:
            broken = fleet.namespaces[0]
            fleet.never_ready.add(broken)
            async with fleet.manager(GOOD) as metrics:
                await fleet.until(lambda: len(fleet.tenants_with("controller:good")) == TENANTS - 1)
                await fleet.until(lambda: metrics.value(ROLLOUT_WAITING) == 0)
            await fleet.until(lambda: fleet.in_flight == {broken})
            assert fleet.most_in_flight == AT_ONCE

    play(scenario, timeout_seconds=240)
