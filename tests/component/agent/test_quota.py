"""A tenant's quotas before and after the claim: what they do not admit waits at GitHub, and room is used at once."""

import asyncio
from functools import partial
from typing import Any

import pytest

from actions_gateway.api.conditions import ConditionType, find_condition
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import PODS, RESOURCEQUOTAS, Resource
from actions_gateway.metrics.catalog import (
    ACTIVE_SESSIONS,
    EVICTION_RETRIES,
    JOBS_ACQUIRED,
    JOBS_ADMISSION_REJECTED,
    LISTENER_SLOTS,
    OLDEST_WAITING_JOB,
    QUOTA_RETRIES,
    QUOTA_RETRIES_EXHAUSTED,
    WORKER_QUOTA_EXCEEDED,
    WORKER_QUOTA_PRESSURE,
)
from support.admission import until_pod_refused
from support.agent_play import play_tenant
from support.agent_rig import FAST, NAMESPACE, Rig, RunningAgent, replace, runner_group
from support.apiserver import Api, Play
from support.pod_player import Gate, Playing

CPU, GPU = ("self-hosted", "linux"), ("self-hosted", "gpu")
LARGE: dict[str, Any] = {"maxWorkers": 9, "maxListeners": 4, "quotaRetryDelay": "1s"}
IMPATIENT = replace(FAST, quota_patience_seconds=0.2)


async def raise_quota(client: KubeClient, **hard: str) -> None:
    await client.patch(RESOURCEQUOTAS, "team", {"spec": {"hard": hard}}, namespace=NAMESPACE)


def test_a_full_quota_leaves_jobs_unclaimed_and_raising_it_takes_effect_on_the_next_one(play: Play) -> None:
    async def scenario(rig: Rig, api: Api) -> None:
        rig.player.ending = gate = Gate()
        await api.limit("team", {"pods": "1"})
        await rig.create(runner_group("ci-cpu", *CPU, **LARGE))
        async with rig.agent(IMPATIENT) as agent:
            jobs = rig.enqueue(3, *CPU)
            await agent.until(lambda: len(rig.player.running) == 1)
            await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="holding") == 1)
            await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 1)
            assert agent.value(JOBS_ADMISSION_REJECTED, "ci-cpu", reason="quota") == 1
            await agent.until(lambda: agent.value(WORKER_QUOTA_EXCEEDED, "ci-cpu") == 1)
            assert agent.value(WORKER_QUOTA_PRESSURE, "ci-cpu") == 1
            await agent.until_condition("ci-cpu", ConditionType.DEGRADED, "True", "WorkersRefused")
            # Told with the place reserved until the quota counts the running worker's pod.
            words = "the quota team has no room: pods needs 1, used 1 of 1"
            await agent.until_group("ci-cpu", partial(is_degraded, words))
            await agent.until(lambda: (agent.value(OLDEST_WAITING_JOB, "ci-cpu", reason="quota") or 0) > 0)
            assert len(rig.github.requests("run.acquire")) == agent.value(JOBS_ACQUIRED, "ci-cpu") == 1

            (running,) = await rig.pods()
            await raise_quota(rig.client, pods="3")
            await agent.until(lambda: len(rig.player.running) == 3)
            after = {pod["metadata"]["uid"]: pod["metadata"] for pod in await rig.pods()}
            assert "deletionTimestamp" not in after[running["metadata"]["uid"]]
            await agent.until_condition("ci-cpu", ConditionType.DEGRADED, "False", "WorkersAdmitted")
            await agent.until(lambda: agent.value(WORKER_QUOTA_EXCEEDED, "ci-cpu") == 0)
            gate.open()
            await rig.until_done(jobs)
            assert {job.conclusion for job in jobs} == {"success"}
            assert not rig.github.violations()

    play_tenant(play, scenario)


def is_degraded(words: str, group: dict[str, Any]) -> bool:
    """Whether the group's condition says so in these words."""
    found = find_condition(group, ConditionType.DEGRADED)
    return found is not None and found["status"] == "True" and words in found["message"]


def hold_workers(agent: RunningAgent) -> asyncio.Event:
    """Lets the agent create no worker before the event is set."""
    create, gate = agent.client.create, asyncio.Event()

    async def held(resource: Resource, manifest: dict[str, Any], **options: Any) -> dict[str, Any]:
        if resource is PODS and not options.get("dry_run"):
            await gate.wait()
        return await create(resource, manifest, **options)

    agent.client.create = held  # type: ignore[method-assign]
    return gate


def test_a_quota_that_fills_after_a_claim_costs_its_retries_and_then_the_job_is_ended_and_rerun(play: Play) -> None:
    async def scenario(rig: Rig, api: Api) -> None:
        await api.limit("team", {"pods": "5"})
        await rig.create(runner_group("ci-cpu", *CPU, **LARGE, maxQuotaRetries=2, evictionRetryDelay="1s"))
        async with rig.agent() as agent:
            is_full = hold_workers(agent)
            (job,) = rig.enqueue(1, *CPU)

            async def is_claiming() -> bool:
                return bool(await rig.secrets())

            await agent.eventually(is_claiming)
            await raise_quota(rig.client, pods="0")
            await until_pod_refused(rig.client, NAMESPACE, "exceeded quota")
            is_full.set()
            await agent.until(lambda: agent.value(QUOTA_RETRIES_EXHAUSTED, "ci-cpu") == 1)
            assert agent.value(QUOTA_RETRIES, "ci-cpu") == 2
            await agent.until(lambda: job.run.attempt == 2)
            assert await rig.events("QuotaRetriesExhausted")
            assert not rig.player.played
            (second,) = job.run.jobs
            assert not second.is_done
            await raise_quota(rig.client, pods="5")
            await rig.until_done([second])
            assert (job.conclusion, second.conclusion) == ("cancelled", "success")
            assert agent.value(EVICTION_RETRIES, "ci-cpu", cause="abandoned") == 1
            assert not rig.github.violations()

    play_tenant(play, scenario)


def test_a_job_that_ends_makes_room_for_one_of_another_group(play: Play) -> None:
    async def scenario(rig: Rig, api: Api) -> None:
        gates = {group: Gate() for group in ("ci-cpu", "ci-gpu")}

        async def ending(playing: Playing) -> Any:
            return await gates[playing.pod["metadata"]["labels"]["app.kubernetes.io/instance"]](playing)

        rig.player.ending = ending
        await api.limit("team", {"requests.cpu": "600m", "pods": "9"})
        await rig.create(runner_group("ci-cpu", *CPU, **LARGE))
        await rig.create(runner_group("ci-gpu", *GPU, **LARGE))
        async with rig.agent() as agent:
            first = rig.enqueue(1, *CPU)
            await agent.until(lambda: len(rig.player.running) == 1)
            second = rig.enqueue(1, *GPU)
            await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-gpu", state="holding") == 1)
            assert agent.value(JOBS_ADMISSION_REJECTED, "ci-gpu", reason="quota") == 1
            for gate in gates.values():
                gate.open()
            await rig.until_done([*first, *second])
            assert {job.conclusion for job in [*first, *second]} == {"success"}

    play_tenant(play, scenario)


def sidecar(**resources: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "side", "image": "side:1", "resources": resources}]}}


def test_keys_that_a_quota_makes_containers_declare_are_told_instead_of_a_claim(play: Play) -> None:
    async def scenario(rig: Rig, api: Api) -> None:
        await api.limit("team", {"limits.cpu": "8"})
        await rig.create(runner_group("ci-cpu", *CPU, **LARGE, podTemplate=sidecar(requests={"cpu": "100m"})))
        async with rig.agent() as agent:
            await agent.until_group("ci-cpu", partial(is_degraded, "limits.cpu"))
            jobs = rig.enqueue(1, *CPU)
            await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="holding") == 1)
            assert not rig.github.requests("run.acquire")
            await rig.change("ci-cpu", podTemplate=sidecar(limits={"cpu": "100m"}))
            await rig.until_done(jobs)
            assert jobs[0].conclusion == "success"
            await agent.until_condition("ci-cpu", ConditionType.DEGRADED, "False", "WorkersAdmitted")

    play_tenant(play, scenario)


@pytest.mark.real_only("the embedded server keeps LimitRanges and applies none")
def test_what_a_limit_range_fills_in_is_declared(play: Play) -> None:
    async def scenario(rig: Rig, api: Api) -> None:
        await api.limit("team", {"limits.cpu": "1"})
        limits = [{"type": "Container", "default": {"cpu": "300m"}}]
        await api.create("~/limitranges", {"metadata": {"name": "defaults"}, "spec": {"limits": limits}})
        rig.player.ending = gate = Gate()
        await rig.create(runner_group("ci-cpu", *CPU, **LARGE, podTemplate=sidecar(requests={"cpu": "100m"})))
        async with rig.agent() as agent:
            jobs = rig.enqueue(2, *CPU)
            # 500m of the runner and 300m of its sidecar: a second worker does not fit.
            await agent.until(lambda: len(rig.player.running) == 1)
            await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="holding") == 1)
            assert agent.value(JOBS_ACQUIRED, "ci-cpu") == 1
            gate.open()
            await rig.until_done(jobs)

    play_tenant(play, scenario)
