"""The ledger's ConfigMap: made when it is needed, written on what is there, and repeated until it is written."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.recovery.ledger import KEEP_SECONDS, MOST_BYTES, reserved
from actions_gateway.agent.recovery.seen import parse as parse_seen
from actions_gateway.agent.recovery.store import LedgerStore
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.ledger import Cause, LostJob, RunEntry, parse, render
from actions_gateway.api.names import RERUN_LEDGER
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import AlreadyExists, Conflict, KubeError, NamespaceTerminating, NotFound, Unreachable
from actions_gateway.metrics.catalog import RERUNS, Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

EMPTY = RunEntry("octo/demo")
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
OWNER = {"apiVersion": "v1", "kind": "Owner", "name": "ci", "uid": "u", "controller": True, "blockOwnerDeletion": True}


class Cluster:
    """One ConfigMap."""

    def __init__(self) -> None:
        self.map: dict[str, Any] | None = None
        self.version = 0
        self.problems: list[KubeError] = []
        self.loses_answers = False
        self.writes = 0

    def _next(self) -> None:
        if self.problems:
            raise self.problems.pop(0)

    def _written(self) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        assert self.map is not None
        self.map["metadata"]["resourceVersion"] = str(self.version)
        if self.loses_answers:
            self.loses_answers = False
            raise Unreachable("no answer")
        return self.map

    async def get(self, _: Any, name: str, namespace: str) -> dict[str, Any]:
        self._next()
        assert (name, namespace) == (RERUN_LEDGER, "team-a")
        if self.map is None:
            raise NotFound("none", status=404)
        return self.map

    async def create(self, _: Any, manifest: dict[str, Any]) -> dict[str, Any]:
        self._next()
        if self.map is not None:
            raise AlreadyExists("there", status=409)
        self.map = manifest
        return self._written()

    async def patch(self, _: Any, name: str, patch: dict[str, Any], *, namespace: str) -> dict[str, Any]:
        self._next()
        if self.map is None:
            raise NotFound("none", status=404)
        if patch["metadata"]["resourceVersion"] != self.map["metadata"]["resourceVersion"]:
            raise Conflict("moved on", status=409)
        data = self.map["data"] | patch["data"]
        self.map["data"] = {key: text for key, text in data.items() if text is not None}
        return self._written()


def store(cluster: Cluster, clock: ManualClock | None = None) -> LedgerStore:
    metrics = Metrics(Component.AGENT, "test")
    basics = Basics("team-a", "agent-1", clock or ManualClock(), random.Random(1), metrics, Tunables())
    return LedgerStore(cast("KubeClient", cluster), basics)


def losing(runner: str, at: datetime = NOW, *, name: str = "build") -> Any:
    lost = LostJob(runner, 1, name, "ci-cpu", Cause.DELETION, 1, at, at, is_own_ending=False)
    return lambda entry: reserved(entry or RunEntry("octo/demo"), lost, most_retries=2)


def test_the_first_loss_makes_the_map_and_the_next_ones_change_their_keys() -> None:
    async def main() -> None:
        cluster = Cluster()
        ledger = store(cluster)
        await ledger.load()
        assert cluster.map is None
        await ledger.change(7, losing("a"), owners=[OWNER])
        assert cluster.map is not None
        assert cluster.map["metadata"]["ownerReferences"] == [
            {"apiVersion": "v1", "kind": "Owner", "name": "ci", "uid": "u"}
        ]
        before, after = await ledger.change(7, losing("b"))
        assert before is not None
        assert (set(before.jobs), set(after.jobs)) == ({"a"}, {"a", "b"})
        await ledger.change(8, losing("c"))
        assert set(cluster.map["data"]) == {"7", "8"}
        assert cluster.writes == 3

    run(main())


def test_what_changes_nothing_writes_nothing() -> None:
    async def main() -> None:
        cluster = Cluster()
        ledger = store(cluster)
        await ledger.change(7, losing("a"))
        await ledger.change(7, losing("a"))
        assert cluster.writes == 1

    run(main())


def test_two_agents_share_one_budget() -> None:
    async def main() -> None:
        cluster = Cluster()
        one, other = store(cluster), store(cluster)
        await one.load()
        await other.load()
        await one.change(7, losing("a"))
        await other.change(7, losing("a"))
        await other.change(7, losing("b"))
        _, after = await one.change(7, losing("c"))
        assert after.retries == 2
        assert set(after.jobs) == {"a", "b", "c"}
        assert cluster.map is not None
        assert parse(cluster.map["data"]["7"]) == after

    run(main())


def test_a_write_whose_answer_is_lost_is_recognised() -> None:
    async def main() -> None:
        cluster, clock = Cluster(), ManualClock()
        ledger = store(cluster, clock)
        await ledger.load()
        cluster.loses_answers = True
        change = asyncio.create_task(ledger.change(7, losing("a")))
        await settle()
        await clock.advance(2)
        before, after = await change
        assert before is None
        assert (after.retries, cluster.writes) == (1, 1)

    run(main())


def test_it_is_written_however_long_the_server_is_away() -> None:
    async def main() -> None:
        cluster, clock = Cluster(), ManualClock()
        ledger = store(cluster, clock)
        cluster.problems = [Unreachable("away")] * 4
        change = asyncio.create_task(ledger.change(7, losing("a")))
        await settle()
        await clock.advance(60)
        await change
        assert cluster.writes == 1

    run(main())


def test_in_a_namespace_that_goes_nothing_is_waited_for() -> None:
    async def main() -> None:
        cluster = Cluster()
        cluster.problems = [NamespaceTerminating("going", status=403)]
        await store(cluster).change(7, losing("a"))
        assert cluster.map is None

    run(main())


def test_outlived_runs_are_dropped_with_the_next_write() -> None:
    async def main() -> None:
        cluster, clock = Cluster(), ManualClock()
        ledger = store(cluster, clock)
        await ledger.change(7, lambda entry: RunEntry("octo/demo", 1, {}))
        await clock.advance(60)
        await ledger.change(8, losing("b", clock.now() + timedelta(seconds=1)))
        assert cluster.map is not None
        assert set(cluster.map["data"]) == {"8"}

    run(main())


def test_what_cannot_be_read_is_left_alone_for_a_day() -> None:
    async def main() -> None:
        cluster, clock = Cluster(), ManualClock()
        strange = {"7": "a later release's", "note": "hello", "007": render(RunEntry("octo/demo"))}
        cluster.map = {"metadata": {"resourceVersion": "0"}, "data": dict(strange)}
        ledger = store(cluster, clock)
        await ledger.load()
        await ledger.change(8, losing("b"))
        assert cluster.map["data"].items() >= strange.items()
        await clock.advance(KEEP_SECONDS - 1)
        await ledger.change(9, losing("c", clock.now()))
        assert cluster.map["data"].items() >= strange.items()
        await clock.advance(2)
        await ledger.change(10, losing("d", clock.now()))
        assert not cluster.map["data"].keys() & strange.keys()
        assert "10" in cluster.map["data"]

    run(main())


def test_what_cannot_be_read_makes_room() -> None:
    async def main() -> None:
        cluster = Cluster()
        cluster.map = {"metadata": {"resourceVersion": "0"}, "data": {"note": "x" * (MOST_BYTES + 1)}}
        ledger = store(cluster)
        await ledger.load()
        await ledger.change(8, losing("b"))
        assert set(cluster.map["data"]) == {"8"}

    run(main())


def test_lost_matrices_never_outgrow_the_map() -> None:
    async def main() -> None:
        cluster, clock = Cluster(), ManualClock()
        ledger = store(cluster, clock)
        for run_id in range(60):

            def lose_many(entry: RunEntry | None) -> RunEntry:
                for number in range(80):
                    entry = losing(f"r{number}", name=f"build ({'x' * 1000})")(entry)
                return entry or EMPTY

            await ledger.change(run_id, lose_many)
            await clock.advance(1)
        assert cluster.map is not None
        size = sum(len(key) + len(text) for key, text in cluster.map["data"].items())
        assert MOST_BYTES // 2 < size < MOST_BYTES + 2000
        assert set(ledger.entries) == {int(key) for key in cluster.map["data"]}

    run(main())


def test_pending_jobs_that_find_no_room_are_counted() -> None:
    async def main() -> None:
        cluster = Cluster()
        ledger = store(cluster)
        await ledger.change(7, losing("a"))
        await ledger.change(8, lambda _: replace(EMPTY, repository="x" * MOST_BYTES, jobs=ledger.entries[7].jobs))
        assert list(ledger.entries) == [8] or not ledger.entries
        assert ledger._basics.metrics.value(RERUNS, namespace="team-a", runner_group="ci-cpu", outcome="expired")

    run(main())


def test_repositories_are_kept_beside_the_runs_the_latest_first() -> None:
    async def main() -> None:
        cluster, clock = Cluster(), ManualClock()
        ledger, other = store(cluster, clock), store(cluster, clock)
        await ledger.load()
        await other.load()
        await ledger.see({"octo/old": clock.now()}, owners=[OWNER])
        await clock.advance(30 * 3600)
        await other.see({"octo/demo": clock.now()}, owners=[OWNER])
        await ledger.change(7, losing("a"))
        assert list(ledger.repositories) == ["octo/demo", "octo/old"]
        assert set(ledger.entries) == {7}
        await clock.advance(20 * 3600)
        await ledger.see({"octo/new": clock.now()}, owners=[])
        again = store(cluster, clock)
        await again.load()
        assert list(again.repositories) == ["octo/new", "octo/demo"]
        assert again.repositories["octo/new"] == clock.now()
        assert set(again.entries) == {7}

    run(main())


def test_repositories_that_cannot_be_read_are_written_anew() -> None:
    async def main() -> None:
        for text in ("", "[]", '{"octo/demo": 1}', '{"octo/demo": "2026-01-05"}'):
            cluster, clock = Cluster(), ManualClock()
            cluster.map = {"metadata": {"resourceVersion": "0"}, "data": {"repositories": text}}
            ledger = store(cluster, clock)
            await ledger.load()
            assert not ledger.repositories
            await ledger.see({"octo/demo": clock.now()}, owners=[])
            assert parse_seen(cluster.map["data"]["repositories"]) == {"octo/demo": clock.now()}

    run(main())
