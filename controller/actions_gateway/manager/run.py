"""The manager as a process: probes and metrics, the leader lease, and the controller behind it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

from actions_gateway import __version__
from actions_gateway.api.names import MANAGER_LEASE
from actions_gateway.engine.clock import Clock
from actions_gateway.engine.heartbeat import Heartbeat
from actions_gateway.engine.supervision import run_forever
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.lease import LeaderLease, LeaseTimes
from actions_gateway.manager.crds import until_crds_suffice
from actions_gateway.manager.gateway.controller import GatewayController
from actions_gateway.metrics.catalog import EVENT_LOOP_LAG, Component
from actions_gateway.metrics.registry import Metrics
from actions_gateway.metrics.server import serve_exposition
from actions_gateway.settings import ManagerSettings


async def run_manager(settings: ManagerSettings, *, client: KubeClient, clock: Clock, rng: random.Random) -> None:
    """Runs until cancelled; raises an ExceptionGroup with LeadershipLost when another replica may lead.

    A replica that waits for the lease is ready: it takes over at once. A leading one is ready once it knows the fleet.
    One that finds older custom resource definitions than it needs is not, and leads nothing.
    """
    metrics = Metrics(Component.MANAGER, __version__)
    heartbeat = Heartbeat(clock, on_lag=partial(metrics.set, EVENT_LOOP_LAG))
    controller = GatewayController(settings, client=client, clock=clock, rng=rng, metrics=metrics)
    term = _Term(controller, until_fit=partial(until_crds_suffice, client, clock=clock, rng=rng))
    lease = LeaderLease(
        client,
        clock,
        rng,
        name=MANAGER_LEASE,
        namespace=settings.namespace,
        # A restarted pod of the same name must not take its own old lease for a valid one.
        identity=f"{settings.pod_name}_{rng.getrandbits(32):08x}",
        times=LeaseTimes(settings.lease_seconds, settings.renew_seconds, settings.retry_seconds),
    )
    async with (
        serve_exposition(
            metrics,
            host=settings.bind_address,
            health_port=settings.health_port,
            metrics_port=settings.metrics_port,
            is_alive=heartbeat.is_alive,
            is_ready=lambda: term.is_ready,
        ),
        asyncio.TaskGroup() as group,
    ):
        run_forever(group, heartbeat.run(), name="heartbeat")
        run_forever(group, term.compete(lease), name="leader lease")


class _Term:
    """One replica's time as leader, and before it."""

    def __init__(self, controller: GatewayController, *, until_fit: Callable[[], Awaitable[None]]) -> None:
        self._controller = controller
        self._until_fit = until_fit
        self._is_fit = False
        self._leads = False

    @property
    def is_ready(self) -> bool:
        return self._is_fit and (not self._leads or self._controller.is_synced)

    async def compete(self, lease: LeaderLease) -> None:
        """Competes for the lease as soon as this replica can do the work, and does it while it leads."""
        await self._until_fit()
        self._is_fit = True
        await lease.run_while_leading(self._lead)

    async def _lead(self) -> None:
        self._leads = True
        await self._controller.run()
