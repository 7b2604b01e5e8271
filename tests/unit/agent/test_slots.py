"""Job Secrets: taking, filling and freeing the numbered slots."""

import base64
import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.slots import NoFreeSlot, ResumeState, Slots
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.names import JOB_SLOTS
from actions_gateway.github.secrets import Secret
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    KubeError,
    NotFound,
    QuotaExceeded,
    Unreachable,
)
from actions_gateway.kube.resources import Resource
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock

STATE = ResumeState(
    request_id="job-a",
    run_service_url="https://run.example/1",
    billing_owner_id=None,
    runner_id=7,
    runner_name="ci-cpu-1",
    group="ci-cpu",
    group_uid="uid-group",
    jit_config=Secret("the blob"),
    delivered_at=datetime(2026, 1, 5, 9, 0, tzinfo=UTC),
    agent="agent-1",
)


class Cluster:
    """The Secrets of one namespace."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}
        self.problems: list[KubeError] = []
        self.writes = 0
        self.loses_answers = False

    async def create(self, _: Resource, manifest: dict[str, Any]) -> dict[str, Any]:
        self._next()
        name = manifest["metadata"]["name"]
        if name in self.secrets:
            raise AlreadyExists("taken", status=409)
        self.secrets[name] = manifest
        manifest["metadata"]["uid"] = f"uid-{self.writes}"
        if self.loses_answers:
            raise Unreachable("no answer")
        return manifest

    async def get(self, _: Resource, name: str, namespace: str) -> dict[str, Any]:
        return self.secrets[name]

    async def patch(self, _: Resource, name: str, patch: dict[str, Any], *, namespace: str) -> dict[str, Any]:
        self._next()
        self.secrets[name]["data"] |= patch["data"]
        return self.secrets[name]

    async def delete(self, _: Resource, name: str, *, namespace: str, uid: str) -> None:
        self._next()
        if name not in self.secrets:
            raise NotFound("gone", status=404)
        if self.secrets[name]["metadata"]["uid"] != uid:
            raise Conflict("another one", status=409)
        del self.secrets[name]

    def _next(self) -> None:
        self.writes += 1
        if self.problems:
            raise self.problems.pop(0)


def made() -> tuple[Cluster, Slots, ManualClock]:
    cluster, clock = Cluster(), ManualClock()
    basics = Basics("team-a", "agent-1", clock, random.Random(1), Metrics(Component.AGENT, "test"), Tunables())
    return cluster, Slots(cast("KubeClient", cluster), basics), clock


def test_slots_are_taken_from_the_lowest_number_and_reused() -> None:
    async def main() -> None:
        cluster, slots, _ = made()
        first, second = await slots.take(STATE), await slots.take(STATE)
        assert (first.name, second.name) == ("job-0001", "job-0002")
        await slots.release(first)
        assert (await slots.take(STATE)).name == "job-0001"
        assert set(cluster.secrets) == {"job-0001", "job-0002"}

    run(main())


def test_a_slot_of_somebody_else_is_passed_over_and_not_tried_twice() -> None:
    async def main() -> None:
        cluster, slots, _ = made()
        cluster.secrets["job-0001"] = {"metadata": {"uid": "theirs"}}
        assert (await slots.take(STATE)).name == "job-0002"
        before = cluster.writes
        assert (await slots.take(STATE)).name == "job-0003"
        assert cluster.writes == before + 1
        assert cluster.secrets["job-0001"]["metadata"]["uid"] == "theirs"

    run(main())


def test_the_state_is_written_first_and_the_worker_s_keys_follow() -> None:
    async def main() -> None:
        cluster, slots, _ = made()
        slot = await slots.take(STATE)
        secret = cluster.secrets[slot.name]
        assert (secret["type"], set(secret["data"])) == ("Opaque", {"state"})
        assert secret["metadata"]["ownerReferences"][0]["uid"] == "uid-group"
        state = json.loads(base64.b64decode(secret["data"]["state"]))
        assert state["version"] == 1
        assert state["requestId"] == "job-a"
        assert state["runServiceUrl"] == "https://run.example/1"
        assert state["runner"] == {"id": 7, "name": "ci-cpu-1"}
        assert state["runnerGroup"] == {"name": "ci-cpu", "uid": "uid-group"}
        assert state["jitConfig"] == "the blob"
        await slots.fill(slot, {"payload": b"{}", "plan-id": b"p"})
        assert set(secret["data"]) == {"state", "payload", "plan-id"}

    run(main())


def test_a_slot_is_freed_however_often_that_fails_and_never_a_successor_s() -> None:
    async def main() -> None:
        cluster, slots, clock = made()
        slot = await slots.take(STATE)
        cluster.problems = [Unreachable("down"), Unreachable("down")]
        import asyncio

        task = asyncio.create_task(slots.release(slot))
        await clock.advance(10)
        await task
        assert not cluster.secrets
        other = await slots.take(STATE)
        await slots.release(slot)
        assert set(cluster.secrets) == {other.name}

    run(main())


def test_a_failed_take_leaves_the_number_free() -> None:
    async def main() -> None:
        cluster, slots, _ = made()
        cluster.problems = [Unreachable("down")]
        with pytest.raises(Unreachable):
            await slots.take(STATE)
        assert (await slots.take(STATE)).name == "job-0001"

    run(main())


def test_a_slot_whose_creation_was_not_answered_is_freed_however_often_that_fails() -> None:
    async def main() -> None:
        cluster, slots, _ = made()
        cluster.loses_answers = True
        with pytest.raises(Unreachable):
            await slots.take(STATE)
        assert set(cluster.secrets) == {"job-0001"}
        cluster.loses_answers = False
        other = replace(STATE, request_id="job-b")
        cluster.problems = [AlreadyExists("taken", status=409), Unreachable("down")]
        with pytest.raises(Unreachable):
            await slots.take(other)
        assert set(cluster.secrets) == {"job-0001"}
        assert (await slots.take(other)).name == "job-0001"
        assert json.loads(base64.b64decode(cluster.secrets["job-0001"]["data"]["state"]))["requestId"] == "job-b"

    run(main())


@pytest.mark.parametrize("refusal", [Forbidden("no", status=403), QuotaExceeded("full", status=403)], ids=repr)
def test_a_refused_creation_is_not_taken_for_one_that_was_not_answered(refusal: KubeError) -> None:
    async def main() -> None:
        cluster, slots, _ = made()
        cluster.problems = [refusal]
        with pytest.raises(Forbidden):
            await slots.take(STATE)
        # Somebody else's, though its state is the same: it may not be deleted.
        cluster.secrets["job-0001"] = {"metadata": {"uid": "theirs"}, "data": slots._manifest(1, STATE)["data"]}
        assert (await slots.take(STATE)).name == "job-0002"
        assert cluster.secrets["job-0001"]["metadata"]["uid"] == "theirs"

    run(main())


def test_a_full_namespace_is_told_and_tried_again_next_time() -> None:
    async def main() -> None:
        cluster, slots, _ = made()
        for number in range(1, JOB_SLOTS + 1):
            cluster.secrets[f"job-{number:04d}"] = {"metadata": {"uid": "theirs"}}
        with pytest.raises(NoFreeSlot):
            await slots.take(STATE)
        del cluster.secrets["job-0500"]
        assert (await slots.take(STATE)).name == "job-0500"

    run(main())


def test_the_state_s_repr_shows_no_credential() -> None:
    assert "the blob" not in repr(STATE)
