"""Two dozen tenants at once: the manager under its own rights, their agents' pods played by kwok."""

import asyncio
import random
from http import HTTPStatus
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, MANAGER, MANAGER_NAMESPACE
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.resources import ACTIONSGATEWAYS, DEPLOYMENTS, NAMESPACES, PODS
from actions_gateway.manager.gateway.controller import GatewayController
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from gateway_sandbox.controllers.conditions import find_condition, is_ready
from support.aio import run
from support.audit import events_of
from support.installed import callers, gateway_in, install
from support.manager_objects import SETTINGS

from .fleet import LIMIT_SECONDS, Fleet, create_all, report_as_agents, until

TENANT_COUNT = 24
MANAGER_USER = f"system:serviceaccount:{MANAGER_NAMESPACE}:{MANAGER}"
NAMES = [f"tenant-{number:03}" for number in range(TENANT_COUNT)]


def is_ready_gateway(manifest: dict[str, Any]) -> bool:
    found = find_condition(manifest, "Ready")
    return found is not None and found["status"] == "True"


def test_two_dozen_tenants_are_provisioned_become_ready_and_leave_nothing(fleet: Fleet) -> None:
    async def scenario() -> None:
        await install(fleet.plane)
        async with callers(fleet.plane) as everybody, everybody.manager() as own, asyncio.TaskGroup() as group:
            admin = everybody.admin
            metrics = Metrics(Component.MANAGER, "test")
            controller = GatewayController(
                SETTINGS, client=own, clock=SystemClock(), rng=random.Random(7), metrics=metrics
            )
            loops = (group.create_task(controller.run()), group.create_task(report_as_agents(admin)))
            # Marked from the start: admission may hear of the manager's own mark a moment later than the manager.
            mark = {labels.TENANT: labels.TENANT_MARK}
            await create_all(admin, NAMESPACES, ({"metadata": {"name": name, "labels": mark}} for name in NAMES))
            await create_all(admin, ACTIONSGATEWAYS, map(gateway_in, NAMES))

            await until(admin, ACTIONSGATEWAYS, None, is_ready_gateway, TENANT_COUNT)
            agents = await until(admin, PODS, None, lambda pod: is_agent(pod) and is_ready(pod), TENANT_COUNT)
            assert {namespace for namespace, _ in agents} == set(NAMES)

            for name in NAMES:
                await admin.delete(ACTIONSGATEWAYS, "ci", namespace=name)
            await until(admin, DEPLOYMENTS, None, lambda one: one["metadata"]["name"] == AGENT, 0)
            await until(admin, PODS, None, is_agent, 0)
            for loop in loops:
                loop.cancel()

    run(scenario(), timeout_seconds=LIMIT_SECONDS)
    assert [request for request in requests_of(fleet, MANAGER_USER) if request[0] == HTTPStatus.FORBIDDEN] == []


def requests_of(fleet: Fleet, user: str) -> list[tuple[int, str, str]]:
    """Code, verb and path of everything that a user asked for."""
    own = list(events_of(fleet.plane.audit_log, user))
    assert own
    return [(event["responseStatus"]["code"], event["verb"], event["requestURI"]) for event in own]


def is_agent(pod: dict[str, Any]) -> bool:
    return bool(pod["metadata"].get("labels", {}).get("app") == AGENT)
