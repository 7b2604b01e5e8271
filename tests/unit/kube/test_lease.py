"""The leader lease against a store in memory, on a clock that the test moves."""

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import AlreadyExists, Conflict, NotFound, Unreachable
from actions_gateway.kube.lease import LeaderLease, LeadershipLost, LeaseTimes
from support.aio import run
from support.clock import START, ManualClock, settle


class LeaseStore:
    """The one lease, with optimistic locking as the API server does it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.is_reachable = True
        self.is_silent = False
        """No request is answered."""

    @property
    def holder(self) -> str:
        return str((self.lease or {}).get("spec", {}).get("holderIdentity", ""))

    async def get(self, *_: object) -> dict[str, Any]:
        if self.is_silent:
            await asyncio.Event().wait()
        self._answer()
        if self.lease is None:
            raise NotFound("no lease", status=404)
        return copy.deepcopy(self.lease)

    async def create(self, _: object, manifest: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        if self.lease is not None:
            raise AlreadyExists("there is one", status=409)
        return self._store(manifest, 1)

    async def update(self, _: object, manifest: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        assert self.lease is not None
        version = self.lease["metadata"]["resourceVersion"]
        if manifest["metadata"]["resourceVersion"] != version:
            raise Conflict("it moved on", status=409)
        return self._store(manifest, int(version) + 1)

    def _store(self, manifest: dict[str, Any], version: int) -> dict[str, Any]:
        self.lease = copy.deepcopy(manifest)
        self.lease["metadata"]["resourceVersion"] = str(version)
        return copy.deepcopy(self.lease)

    def _answer(self) -> None:
        if not self.is_reachable:
            raise Unreachable("no answer")


class Replica:
    """One replica that wants to lead."""

    def __init__(self, store: LeaseStore, clock: ManualClock, identity: str) -> None:
        self.is_leading = False
        lease = LeaderLease(
            cast("KubeClient", store), clock, random.Random(identity), name="leader", namespace="ns", identity=identity
        )
        self.task = asyncio.ensure_future(lease.run_while_leading(self._work))

    async def _work(self) -> None:
        self.is_leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_leading = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def play(scenario: Callable[[LeaseStore, ManualClock], Awaitable[None]]) -> None:
    async def body() -> None:
        await scenario(LeaseStore(), ManualClock())

    run(body())


def test_one_of_two_replicas_leads_and_stays_the_leader() -> None:
    async def scenario(store: LeaseStore, clock: ManualClock) -> None:
        replicas = [Replica(store, clock, name) for name in ("one", "two")]
        for _ in range(60):
            await clock.advance(2)
            assert [replica.is_leading for replica in replicas] == [True, False]
        for replica in replicas:
            await replica.stop()

    play(scenario)


def test_a_leader_that_stops_hands_over_within_a_retry() -> None:
    async def scenario(store: LeaseStore, clock: ManualClock) -> None:
        first, second = Replica(store, clock, "one"), Replica(store, clock, "two")
        await clock.advance(5)
        await first.stop()
        await clock.advance(4)
        assert second.is_leading
        assert store.holder == "two"
        await second.stop()

    play(scenario)


def test_a_leader_that_died_is_followed_only_when_its_lease_has_run_out() -> None:
    async def scenario(store: LeaseStore, clock: ManualClock) -> None:
        stamp = "2026-01-05T08:59:59.000000Z"
        spec = {"holderIdentity": "dead", "leaseDurationSeconds": 15, "renewTime": stamp}
        await store.create(None, {"metadata": {"name": "leader"}, "spec": spec})
        successor = Replica(store, clock, "two")
        await clock.advance(14)
        assert not successor.is_leading
        await clock.advance(5)
        assert successor.is_leading
        await successor.stop()

    play(scenario)


@pytest.mark.parametrize("cause", ["the API server is away", "another holds the lease"])
def test_a_leader_that_cannot_renew_stops_its_work_before_its_lease_runs_out(cause: str) -> None:
    async def scenario(store: LeaseStore, clock: ManualClock) -> None:
        leader = Replica(store, clock, "one")
        await clock.advance(3)
        assert leader.is_leading
        assert store.lease is not None
        if cause == "the API server is away":
            store.is_reachable = False
        else:
            store.lease["spec"]["holderIdentity"] = "usurper"
        await clock.advance(14)
        await settle()
        assert not leader.is_leading
        with pytest.raises(ExceptionGroup) as caught:
            await leader.task
        assert caught.value.subgroup(LeadershipLost)

    play(scenario)


def test_times_that_would_allow_two_leaders_are_refused() -> None:
    with pytest.raises(ValueError, match="duration > renew deadline"):
        LeaseTimes(duration_seconds=10, renew_deadline_seconds=10, retry_seconds=2)


def test_the_clocks_of_two_replicas_may_be_hours_apart() -> None:
    async def scenario(store: LeaseStore, clock: ManualClock) -> None:
        behind = ManualClock(START - timedelta(hours=3))
        first, second = Replica(store, clock, "one"), Replica(store, behind, "two")
        for _ in range(30):
            await clock.advance(2)
            await behind.advance(2)
            assert (first.is_leading, second.is_leading) == (True, False)
        await first.stop()
        await behind.advance(5)
        assert second.is_leading
        ahead = ManualClock(START + timedelta(days=1))
        third = Replica(store, ahead, "three")
        for _ in range(30):
            await behind.advance(2)
            await ahead.advance(2)
            assert (second.is_leading, third.is_leading) == (True, False)
        for replica in (second, third):
            await replica.stop()

    play(scenario)


def test_a_leader_whose_renewals_hang_stops_its_work_at_the_deadline_all_the_same() -> None:
    async def scenario(store: LeaseStore, clock: ManualClock) -> None:
        leader = Replica(store, clock, "one")
        await clock.advance(3)
        assert leader.is_leading
        store.is_silent = True
        await clock.advance(8)
        assert leader.is_leading
        await clock.advance(2)
        assert not leader.is_leading
        store.is_silent = False
        with pytest.raises(ExceptionGroup) as caught:
            await leader.task
        lost = caught.value.subgroup(LeadershipLost)
        assert lost is not None
        assert "was not renewed within 10 s: the API server gives no answer" in str(lost.exceptions[0])

    play(scenario)


def test_the_last_cause_is_told_although_a_renewal_hangs_at_the_deadline() -> None:
    async def scenario(store: LeaseStore, clock: ManualClock) -> None:
        leader = Replica(store, clock, "one")
        await clock.advance(3)
        assert leader.is_leading
        store.is_reachable = False
        await clock.advance(5)
        store.is_silent = True
        await clock.advance(6)
        assert not leader.is_leading
        with pytest.raises(ExceptionGroup) as caught:
            await leader.task
        lost = caught.value.subgroup(LeadershipLost)
        assert lost is not None
        assert str(lost.exceptions[0]).endswith("was not renewed within 10 s: no answer")

    play(scenario)
