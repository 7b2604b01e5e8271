"""The leader lease on a real API server that misbehaves: never two leaders, and none gives up for a hiccup."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.lease import LeaderLease, LeadershipLost, LeaseTimes
from actions_gateway.kube.resources import LEASES
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.faulty_proxy import Effect, answer, answer_late, close_mid_body, delay, hang, lose_answer, refuse

from .manager import until
from .site import Site, site

TIMES = LeaseTimes(duration_seconds=3.0, renew_deadline_seconds=2.0, retry_seconds=0.2)
PATIENT = LeaseTimes(duration_seconds=15.0, renew_deadline_seconds=10.0, retry_seconds=0.2)
"""For a leader that stays one, on a busy machine, too."""


class Replica:
    """One replica that wants to lead."""

    def __init__(
        self, client: KubeClient, namespace: str, name: str, leading: set[str], *, times: LeaseTimes = TIMES
    ) -> None:
        self.name = name
        self._leading = leading
        self.most_at_once = 0
        self._lease = LeaderLease(
            client,
            SystemClock(),
            random.Random(name),
            name="leader",
            namespace=namespace,
            identity=name,
            times=times,
        )
        self.task = asyncio.create_task(self._lease.run_while_leading(self._work), name=name)

    async def _work(self) -> None:
        self._leading.add(self.name)
        self.most_at_once = len(self._leading)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._leading.discard(self.name)

    async def until_leading(self) -> None:
        async def leads() -> bool:
            return self.name in self._leading or self.task.done()

        await until(leads)
        assert self.name in self._leading


@asynccontextmanager
async def replica(
    client: KubeClient, namespace: str, name: str, leading: set[str], *, times: LeaseTimes = TIMES
) -> AsyncIterator[Replica]:
    made = Replica(client, namespace, name, leading, times=times)
    try:
        yield made
    finally:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


async def renewals(here: Site, namespace: str, count: int) -> None:
    """Returns after so many changes of the lease that the API server has stored."""
    versions: set[str] = set()

    async def has_moved() -> bool:
        lease = await here.admin.get(LEASES, "leader", namespace)
        versions.add(lease["metadata"]["resourceVersion"])
        return len(versions) > count

    await until(has_moved)


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param(answer(429, retry_after="1"), id="throttled"),
        pytest.param(answer(500), id="failing"),
        pytest.param(answer(401), id="rejected"),
        pytest.param(close_mid_body, id="cut in the middle"),
        pytest.param(lose_answer, id="lost answers"),
        pytest.param(refuse, id="closed"),
        pytest.param(delay(0.5), id="slow"),
    ],
)
def test_a_leader_outlives_a_fault_that_is_shorter_than_its_deadline(plane: ControlPlane, effect: Effect) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            leading: set[str] = set()
            async with replica(client, namespace, "one", leading, times=PATIENT) as one:
                await one.until_leading()
                fault = here.proxy.inject(effect, path="leases", times=3)
                await fault.until_hit(3)
                await renewals(here, namespace, 3)
                assert leading == {"one"}
                assert not one.task.done()

    run(main())


@pytest.mark.parametrize(
    ("effect", "cause"),
    [
        pytest.param(hang, "the API server gives no answer", id="silent"),
        pytest.param(answer(500), "InternalError: a fault of the test", id="failing"),
        pytest.param(answer(401), "does not accept our credentials", id="rejected"),
    ],
)
def test_a_leader_that_cannot_renew_ends_in_time_names_the_cause_and_never_leads_beside_its_successor(
    plane: ControlPlane, effect: Effect, cause: str
) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            leading: set[str] = set()
            async with replica(client, namespace, "one", leading) as one:
                await one.until_leading()
                async with replica(here.admin, namespace, "two", leading) as two:
                    here.proxy.inject(effect, path="leases")
                    with pytest.raises(ExceptionGroup) as caught:
                        await one.task
                    lost = caught.value.subgroup(LeadershipLost)
                    assert lost is not None
                    assert cause in str(lost.exceptions[0])
                    await two.until_leading()
                    assert two.most_at_once == 1

    run(main())


def test_a_renewal_whose_answer_comes_late_counts_from_when_it_was_asked_for(plane: ControlPlane) -> None:
    """What others see is stored before the answer is on its way: a slow answer must not lengthen the leader's time."""

    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            leading: set[str] = set()
            async with replica(client, namespace, "one", leading) as one:
                await one.until_leading()
                async with replica(here.admin, namespace, "two", leading) as two:
                    here.proxy.inject(answer_late(1.5), path="leases", method="PUT", times=1)
                    here.proxy.inject(hang, path="leases", method="PUT")
                    with pytest.raises(ExceptionGroup):
                        await one.task
                    await two.until_leading()
                    assert two.most_at_once == 1

    run(main())
