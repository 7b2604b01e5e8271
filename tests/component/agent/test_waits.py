"""What a group's status says its jobs wait for, written once for each wait."""

import re
from typing import Any

from actions_gateway.kube.resources import RESOURCEQUOTAS
from actions_gateway.metrics.catalog import LISTENER_SLOTS
from support.agent_play import play_tenant
from support.agent_rig import NAMESPACE, Rig, RunningAgent, runner_group
from support.apiserver import Api, Play
from support.pod_player import Gate

CPU = ("self-hosted", "linux")


async def waits(agent: RunningAgent, *expected: tuple[str, int]) -> list[dict[str, Any]]:
    """The status's entries once they are of these reasons and numbers."""
    found = await agent.until_group(
        "ci-cpu",
        lambda group: (
            [(one["reason"], one["jobs"]) for one in (group.get("status") or {}).get("waiting") or []] == list(expected)
        ),
    )
    return list(found["status"].get("waiting") or [])


def status_writes(agent: RunningAgent) -> int:
    return sum(method == "PATCH" and path.endswith("/status") for method, path in agent.client.requests)


def polls(rig: Rig) -> int:
    return len(rig.github.requests("broker.poll"))


def test_a_full_ceiling_is_named_and_told_once_however_long_it_is_full(play: Play) -> None:
    async def scenario(rig: Rig, _: Api) -> None:
        rig.player.ending = gate = Gate()
        await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=1, maxListeners=2))
        async with rig.agent() as agent:
            jobs = rig.enqueue(2, *CPU)
            (wait,) = await waits(agent, ("ceiling", 1))
            assert wait["message"].startswith("This group runs as many jobs as it may at once: 1 of 1.")
            assert wait["since"].endswith("Z")
            await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="holding") == 1)
            # All that the status counts has come to rest: the job's worker runs, and its successor holds the other job.
            rest = {"activeSessions": 1, "activeJobs": 1, "pendingJobs": 1, "registrations": 2}
            await agent.until_group("ci-cpu", lambda group: rest.items() <= group["status"].items())
            writes, before = status_writes(agent), polls(rig)
            await agent.until(lambda: polls(rig) >= before + 20)
            assert status_writes(agent) == writes
            gate.open()
            await rig.until_done(jobs)
            assert await waits(agent) == []
            await agent.until_group("ci-cpu", lambda group: group["status"]["activeJobs"] == 0)
            assert "waiting" not in (await agent.until_group("ci-cpu", lambda _: True))["status"]

    play_tenant(play, scenario)


def test_a_full_quota_is_named_with_its_key_and_numbers(play: Play) -> None:
    async def scenario(rig: Rig, api: Api) -> None:
        rig.player.ending = gate = Gate()
        await api.limit("team", {"pods": "1"})
        await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=9, maxListeners=4))
        async with rig.agent() as agent:
            jobs = rig.enqueue(2, *CPU)
            (wait,) = await waits(agent, ("quota", 1))
            # The place of a job whose pod does not count yet is reserved, and words once told stay.
            numbers = r"The quota team has no room: pods needs 1, used (1|0, reserved 1|1, reserved 1) of 1\."
            assert re.search(numbers, wait["message"])
            await rig.client.patch(RESOURCEQUOTAS, "team", {"spec": {"hard": {"pods": "9"}}}, namespace=NAMESPACE)
            gate.open()
            await rig.until_done(jobs)
            assert await waits(agent) == []

    play_tenant(play, scenario)
