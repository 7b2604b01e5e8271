"""Two agents that live at once for a while: a node that is cut off, a pod that was deleted by force."""

from collections import Counter
from typing import Any

import pytest

from actions_gateway.api.names import RERUN_LEDGER
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import CONFIGMAPS, PODS
from actions_gateway.metrics.catalog import JOBS_ADOPTED
from support.agent_rig import FAST, NAMESPACE, Rig, RunningAgent, replace, runner_group, surroundings
from support.aio import run
from support.pod_player import Gate, succeed

CPU = ("self-hosted", "linux")


def group(**spec: Any) -> dict[str, Any]:
    return runner_group("ci-cpu", *CPU, maxWorkers=10, maxListeners=10, **spec)


async def agent_pod(rig: Rig, name: str) -> None:
    """An agent's own pod, which runs as far as anybody can see."""
    spec = {"containers": [{"name": "agc", "image": "agent"}]}
    await rig.client.create(PODS, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    await rig.client.patch(PODS, name, {"status": {"phase": "Running"}}, namespace=NAMESPACE, subresource="status")


async def until_clean(rig: Rig, agent: RunningAgent) -> None:
    async def is_clean() -> bool:
        return not await rig.secrets()

    await agent.eventually(is_clean)


async def no_ledger(rig: Rig) -> None:
    with pytest.raises(NotFound):
        await rig.client.get(CONFIGMAPS, RERUN_LEDGER, NAMESPACE)


def test_two_agents_at_once_do_no_harm() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            for name in ("agent-1", "agent-2"):
                await agent_pod(rig, name)
            await rig.create(group())
            async with rig.agent() as first:
                jobs = rig.enqueue(10, *CPU)
                await first.until(lambda: len(rig.player.played) >= 2)
                async with rig.agent(pod_name="agent-2") as second:
                    jobs += rig.enqueue(20, *CPU)
                    await rig.until_done(jobs)
                    await until_clean(rig, first)
                    assert not second.value(JOBS_ADOPTED, "ci-cpu", outcome="vanished")
            assert Counter(job.conclusion for job in jobs) == {"success": 30}
            assert {job.completion_count for job in jobs} == {1}
            assert len(rig.player.played) == len(set(rig.player.played)) == 30
            await no_ledger(rig)
            assert not rig.github.violations()

    run(main())


def test_the_workers_of_the_other_agent_count_against_the_ceiling() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gate = rig.player.ending = Gate()
            for name in ("agent-1", "agent-2"):
                await agent_pod(rig, name)
            await rig.create(group())
            async with rig.agent() as first, rig.agent(pod_name="agent-2") as second:
                jobs = rig.enqueue(10, *CPU)
                await first.until(lambda: len(rig.player.running) == 10)
                jobs += rig.enqueue(5, *CPU)
                for agent in (first, second):
                    await agent.until_group("ci-cpu", lambda g: g.get("status", {}).get("pendingJobs", 0) > 0)
                assert rig.player.most_running == {"ci-cpu": 10}
                gate.open()
                await rig.until_done(jobs)
                await until_clean(rig, first)

    run(main())


def test_an_agent_without_a_pod_that_still_claims_keeps_its_slot() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(group())
            async with rig.agent() as first:
                (job,) = rig.enqueue(1, *CPU)
                await first.until(lambda: bool(rig.player.played))
                await rig.until_done([job])
                await until_clean(rig, first)
                rig.player.ending = Gate()
                first.client.dies_before = lambda method, path: method == "PATCH" and "/secrets/job-" in path
                rig.enqueue(1, *CPU)
                await first.until(lambda: first.client.is_dead)
                # Its polls would take the next job along.
                await first.kill()
                patient = replace(FAST, claim_seconds=3600.0)
                async with rig.agent(patient, pod_name="agent-2") as second:
                    (slot,) = await rig.secrets()
                    rig.player.ending = succeed
                    (later,) = rig.enqueue(1, *CPU)
                    await rig.until_done([later])

                    async def is_left_alone() -> bool:
                        return await rig.secrets() == [slot]

                    await second.eventually(is_left_alone)
                    await no_ledger(rig)

    run(main())


def test_two_agents_do_not_fight_about_a_status() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gate = rig.player.ending = Gate()
            for name in ("agent-1", "agent-2"):
                await agent_pod(rig, name)
            await rig.create(group())
            async with rig.agent() as first, rig.agent(pod_name="agent-2") as second:
                jobs = rig.enqueue(2, *CPU)
                await first.until(lambda: len(rig.player.running) == 2)
                for agent in (first, second):
                    await agent.until_group("ci-cpu", lambda g: g.get("status", {}).get("activeSessions", 0) > 0)
                writes = [len(agent.client.requests) for agent in (first, second)]
                # A write over the other's words would come with the next debounce; so long the group is looked at.
                for _ in range(200):
                    await rig.client.get(PODS, "agent-1", NAMESPACE)
                grown = [
                    len(agent.client.requests) - before for agent, before in zip((first, second), writes, strict=True)
                ]
                assert max(grown) < 10
                gate.open()
                await rig.until_done(jobs)

    run(main())


def test_the_jobs_of_an_agent_that_dies_beside_another_one_are_carried_on_by_that_one() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gate = rig.player.ending = Gate()
            for name in ("agent-1", "agent-2"):
                await agent_pod(rig, name)
            await rig.create(group())
            impatient = replace(FAST, foreign_slot_look_seconds=0.1)
            async with rig.agent(impatient, pod_name="agent-2") as survivor:
                await survivor.until_group("ci-cpu", lambda g: g.get("status", {}).get("activeSessions") == 1)
                async with rig.agent() as other:
                    jobs = rig.enqueue(6, *CPU)
                    await other.until(lambda: len(rig.player.running) == 6)
                    await other.kill()
                await rig.client.delete(PODS, "agent-1", namespace=NAMESPACE)
                gone = rig.github.requests("run.renew")
                await survivor.until(lambda: len(rig.github.requests("run.renew")) > len(gone))
                gate.open()
                await rig.until_done(jobs)
                await until_clean(rig, survivor)
            assert Counter(job.conclusion for job in jobs) == {"success": 6}

    run(main())
