"""The last step of a write: what it waits for, and what it leaves as not seen."""

import asyncio
from typing import Any, cast

from actions_gateway.kube.errors import Forbidden, KubeError, ServerError
from actions_gateway.kube.resources import ACTIONSGATEWAYS
from cli.double import ClusterDouble
from cli.objects import healthy_cluster
from cli.rig import SteppingClock
from gw.ops.verification import Verified, verify


class Listener:
    def reached(self, what: str) -> None: ...
    def waiting(self, what: str) -> None: ...


class Cluster(ClusterDouble):
    """Answers the first `times` lists of gateways with a problem."""

    times = 0
    problem: KubeError

    async def list(self, resource: Any, *arguments: Any, **options: Any) -> Any:
        if resource is ACTIONSGATEWAYS and self.times:
            self.times -= 1
            raise self.problem
        return await super().list(resource, *arguments, **options)


def verified(problem: KubeError, times: int) -> tuple[Verified, float]:
    cluster, clock = Cluster(*healthy_cluster()), SteppingClock()
    cluster.problem, cluster.times = problem, times
    work = verify(
        cast("Any", cluster),
        ("gateway.ready",),
        namespace="team-a",
        timeout_seconds=30.0,
        clock=cast("Any", clock),
        listener=Listener(),
    )
    return asyncio.run(work), clock.slept_seconds


def test_an_api_server_that_is_busy_for_a_moment_is_asked_again() -> None:
    found, seconds = verified(ServerError("etcd is busy", status=503), 3)
    assert found.unproven == ()
    assert 0 < seconds < 30


def test_what_stays_unseen_ends_the_wait_and_is_named() -> None:
    found, seconds = verified(ServerError("etcd is busy", status=503), 100)
    assert seconds >= 30
    assert "etcd is busy" in found.unproven[0]


def test_nothing_is_waited_for_that_takes_a_right() -> None:
    found, seconds = verified(Forbidden("no", status=403), 100)
    assert seconds == 0
    assert len(found.unproven) == 1
