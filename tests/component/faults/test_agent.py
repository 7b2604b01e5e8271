"""The whole agent on a real API server that misbehaves: no job is lost, none runs twice, nothing of them is left."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog.testing

from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.errors import AlreadyExists
from actions_gateway.kube.resources import CONFIGMAPS, EVENTS, NAMESPACES, PODS, RUNNERGROUPS, SECRETS
from actions_gateway.metrics.catalog import ACTIVE_SESSIONS
from gateway_sandbox.controlplane.server import ControlPlane
from support.agent_rig import FAST, NAMESPACE, CountingClient, Rig, runner_group, surroundings
from support.aio import run
from support.faulty_proxy import (
    Effect,
    Gate,
    answer,
    answer_late,
    close_mid_body,
    delay,
    drop_watch,
    hang,
    lose_answer,
    refuse,
    silence,
)
from support.patience import HANG_SECONDS

from .manager import until, until_gone
from .site import SILENCE_SECONDS, Manifest, Site, site

CPU = ("self-hosted", "linux")


@asynccontextmanager
async def tenant(here: Site, *, timeout_seconds: float = 2.0) -> AsyncIterator[Rig]:
    """A tenant whose agent is behind the proxy, with so much patience for an answer; nothing of it afterwards."""

    @asynccontextmanager
    async def open_cluster() -> AsyncIterator[KubeClient]:
        async with connect(here.plane.kubeconfig) as client:
            yield client

    @asynccontextmanager
    async def open_agent() -> AsyncIterator[CountingClient]:
        configuration = await load_configuration(here.kubeconfig())
        client = CountingClient(configuration, timeout_seconds=timeout_seconds, watch_silence_seconds=SILENCE_SECONDS)
        client.requests = []
        async with client:
            yield client

    await until_namespace(here)
    async with surroundings(open_cluster=open_cluster, open_agent=open_agent) as rig:
        try:
            yield rig
        finally:
            await clear(here)


async def until_namespace(here: Site) -> None:
    """A predecessor of the namespace may still be on its way out."""

    async def is_there() -> bool:
        try:
            await here.admin.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        except AlreadyExists:
            live = await here.admin.get(NAMESPACES, NAMESPACE)
            return "deletionTimestamp" not in live["metadata"]
        return True

    await until(is_there)


async def clear(here: Site) -> None:
    leftovers = (RUNNERGROUPS, PODS, SECRETS, EVENTS)
    for resource in leftovers:
        path = resource.path(NAMESPACE)
        await here.admin.request("DELETE", path, body={"gracePeriodSeconds": 0})

    async def is_clear() -> bool:
        left = [await here.admin.list(resource, NAMESPACE) for resource in leftovers]
        return not any(answer.items for answer in left)

    await until(is_clear)


PODS_POST = {"method": "POST", "path": "/pods$"}
SECRETS_POST = {"method": "POST", "path": "/secrets$"}


@pytest.mark.parametrize(
    ("effect", "match"),
    [
        pytest.param(answer(429, retry_after="1"), PODS_POST | {"times": 2}, id="pods throttled"),
        pytest.param(answer(500), PODS_POST | {"times": 3}, id="pods failing"),
        pytest.param(lose_answer, PODS_POST | {"times": 2}, id="a pod's answer lost"),
        pytest.param(close_mid_body, PODS_POST | {"times": 2}, id="a pod's answer cut"),
        pytest.param(hang, PODS_POST | {"times": 1}, id="a pod's answer never comes"),
        pytest.param(answer(429, retry_after="1"), SECRETS_POST | {"times": 1}, id="secrets throttled"),
        pytest.param(answer(500), SECRETS_POST | {"times": 2}, id="secrets failing"),
        pytest.param(lose_answer, SECRETS_POST | {"times": 2}, id="a secret's answer lost"),
        pytest.param(answer(500), {"method": "PATCH", "path": "/secrets/", "times": 2}, id="payloads failing"),
        pytest.param(lose_answer, {"method": "PATCH", "path": "/secrets/", "times": 2}, id="a payload's answer lost"),
        pytest.param(answer(503), {"method": "DELETE", "times": 3}, id="deletions failing"),
        pytest.param(answer(500), {"method": "PATCH", "path": "/runnergroups/", "times": 2}, id="statuses failing"),
        pytest.param(answer(401), {"times": 6}, id="rejected credentials"),
        pytest.param(refuse, {"times": 6}, id="closed connections"),
        pytest.param(delay(0.2), {}, id="slow"),
    ],
)
def test_every_job_runs_once_and_leaves_nothing_when_the_fault_is_over(
    plane: ControlPlane, effect: Effect, match: dict[str, Any]
) -> None:
    async def main() -> None:
        async with site(plane) as here, tenant(here) as rig:
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=5))
            async with rig.agent() as agent:
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 1)
                fault = here.proxy.inject(effect, **match)
                jobs = rig.enqueue(3, *CPU)
                await rig.until_done(jobs)
                assert [job.conclusion for job in jobs] == ["success"] * 3
                assert [job.completion_count for job in jobs] == [1] * 3
                assert len(rig.player.played) == len(set(rig.player.played)) == 3
                # What the agent writes after a job's end meets the fault later than GitHub hears of that end.
                await fault.until_hit()

                async def has_no_secret() -> bool:
                    return not await rig.secrets()

                await agent.eventually(has_no_secret)
                await agent.until_group("ci-cpu", lambda group: group.get("status", {}).get("activeJobs") == 0)
                assert agent.health.is_alive()
                # A status is seen before the agent hears that it was written.
                await agent.until(agent.health.is_ready)
                assert not rig.github.violations()

    run(main())


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param(drop_watch(0), id="dropped"),
        pytest.param(drop_watch(1), id="broken after an event"),
        pytest.param(silence, id="half-open"),
        pytest.param(answer(410), id="expired"),
    ],
)
def test_jobs_end_although_the_watches_of_pods_and_groups_break(plane: ControlPlane, effect: Effect) -> None:
    async def main() -> None:
        async with site(plane) as here, tenant(here) as rig:
            fault = here.proxy.inject(effect, is_watch=True, times=6)
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=5))
            async with rig.agent() as agent:
                jobs = rig.enqueue(3, *CPU)
                await rig.until_done(jobs)
                assert [job.conclusion for job in jobs] == ["success"] * 3

                async def has_no_secret() -> bool:
                    return not await rig.secrets()

                await agent.eventually(has_no_secret)
                await fault.until_hit()
                assert not rig.github.violations()

    run(main())


@pytest.mark.parametrize("effect", [answer(500), hang, answer(401)], ids=["failing", "silent", "rejected"])
def test_an_agent_that_starts_into_a_fault_is_alive_not_ready_and_works_when_it_is_over(
    plane: ControlPlane, effect: Effect
) -> None:
    async def main() -> None:
        async with site(plane) as here, tenant(here) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            fault = here.proxy.inject(effect)
            jobs = rig.enqueue(1, *CPU)
            async with rig.agent() as agent:
                await fault.until_hit(2)
                assert agent.health.is_alive()
                assert not agent.health.is_ready()
                here.proxy.clear()
                await rig.until_done(jobs)
                await agent.until(agent.health.is_ready)

    run(main())


def is_untold(line: Mapping[str, Any], reason: str) -> bool:
    return line["event"] == "event not written" and line["reason"] == reason


def test_a_worker_in_trouble_is_tried_again_although_the_trouble_cannot_be_told(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here, tenant(here) as rig:
            template = {"spec": {"containers": [], "priorityClassName": "not-there"}}
            await rig.create(runner_group("ci-cpu", *CPU, podTemplate=template))
            with structlog.testing.capture_logs() as lines:
                async with rig.agent() as agent:
                    here.proxy.inject(answer(500), method="POST", path="/events$")
                    jobs = rig.enqueue(1, *CPU)
                    # Not the first event alone: what the template's own trial finds is told as well.
                    await agent.until(lambda: any(is_untold(line, "WorkerPodCreateFailed") for line in lines))
                    await rig.change("ci-cpu", podTemplate={"spec": {"priorityClassName": None}})
                    await rig.until_done(jobs)
                    assert [job.conclusion for job in jobs] == ["success"]
                    assert not await rig.events("WorkerPodCreateFailed")
                    await agent.until(agent.health.is_ready)
                    assert not rig.github.violations()

    run(main())


def test_an_edit_that_comes_while_a_status_is_written_is_told_by_the_next(plane: ControlPlane) -> None:
    def is_observed(group: Manifest) -> bool:
        observed = (group.get("status") or {}).get("observedGeneration")
        return bool(observed == group["metadata"]["generation"])

    async def main() -> None:
        async with site(plane) as here, tenant(here, timeout_seconds=20.0) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            # What somebody else writes over the agent's words is left to stand for so long; an edit is not that.
            async with rig.agent(replace(FAST, status_repair_seconds=10 * HANG_SECONDS)) as agent:
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 1)
                await agent.until_group("ci-cpu", is_observed)
                late = here.proxy.inject(answer_late(1.0), method="PATCH", path="/ci-cpu/status$", times=1)
                await rig.change("ci-cpu", maxListeners=4)
                await late.until_hit()
                await rig.change("ci-cpu", maxListeners=5)
                await agent.until_group("ci-cpu", is_observed)

    run(main())


def test_a_throttled_pod_is_not_asked_for_before_its_time(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here, tenant(here, timeout_seconds=20.0) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent():
                here.proxy.inject(answer(429, retry_after="2"), **PODS_POST, times=1)
                await rig.until_done(rig.enqueue(1, *CPU))
                first, second = here.proxy.requests("POST", "/pods$")
                assert second.at - first.at >= 2.0

    run(main())


def test_a_job_whose_namespace_is_being_deleted_is_given_up_without_a_storm(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here, tenant(here, timeout_seconds=20.0) as rig:
            anchor = {"metadata": {"name": "anchor", "finalizers": ["tests.example.com/anchor"]}}
            await rig.create(runner_group("ci-cpu", *CPU))
            with structlog.testing.capture_logs() as lines:
                async with rig.agent() as agent:
                    here.proxy.inject(gate := Gate(), **PODS_POST)
                    (job,) = rig.enqueue(1, *CPU)
                    await agent.until(lambda: bool(here.proxy.requests("POST", "/pods$")))
                    await here.admin.create(CONFIGMAPS, anchor, namespace=NAMESPACE)
                    await here.admin.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
                    gate.open()
                    await agent.until(lambda: any(line["event"] == "job ended" for line in lines))
                    # Nothing completes it in a worker's place, green or red: its run ends as cancelled.
                    await agent.until(lambda: job.is_done)
                    assert job.conclusion == "cancelled"
            assert len(here.proxy.requests("POST", "/pods$")) == 1
            (given_up,) = [line for line in lines if "the namespace is being deleted" in line["event"]]
            assert NAMESPACE in given_up["problem"]
            await here.admin.patch(CONFIGMAPS, "anchor", {"metadata": {"finalizers": None}}, namespace=NAMESPACE)
            await until_gone(here, NAMESPACE)

    run(main())
