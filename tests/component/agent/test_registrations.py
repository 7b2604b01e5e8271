"""`status.registrations`: what GitHub still knows of a group's runners, and that it comes to nought."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from actions_gateway.agent.adoption.adopter import Adopter
from actions_gateway.api.conditions import ConditionType
from actions_gateway.api.names import runner_name
from gateway_sandbox.github.faults import PRESETS, Action, Fault, Match
from support.agent_rig import FAST as AGENT_FAST
from support.agent_rig import OTHER_KEY, Rig, RunningAgent, pem, replace, runner_group, surroundings
from support.aio import run
from support.pod_player import Gate

CPU = ("self-hosted", "linux")
FAST = replace(AGENT_FAST, removal_backoff=AGENT_FAST.write_backoff)


def reports(group: dict[str, Any], registrations: int) -> bool:
    """Whether the agent says so of the present spec."""
    status = group.get("status") or {}
    is_current = status.get("observedGeneration") == group["metadata"]["generation"]
    return is_current and status.get("registrations") == registrations


async def until_reported(agent: RunningAgent, registrations: int) -> dict[str, Any]:
    return await agent.until_group("ci-cpu", lambda group: reports(group, registrations))


async def suspended(rig: Rig) -> None:
    await rig.change("ci-cpu", suspended=True)


def test_idle_and_busy_registrations_count_and_a_suspended_group_keeps_the_busy_ones_until_they_end() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=4, maxListeners=2))
            async with rig.agent(FAST) as agent:
                jobs = rig.enqueue(2, *CPU)
                await agent.until(lambda: len(rig.player.running) == 2)
                await agent.until_group(
                    "ci-cpu",
                    lambda group: (
                        group["status"]["activeJobs"] == 2
                        and group["status"]["registrations"] == len(rig.github.runners()) >= 3
                    ),
                )
                await suspended(rig)
                await until_reported(agent, 2)
                assert {runner.id for runner in rig.github.runners()} == {job.runner.id for job in jobs if job.runner}
                gate.open()
                await rig.until_done(jobs)
                await until_reported(agent, 0)
                await rig.github.state.wait_for(lambda: not rig.github.runners())

    run(main())


def test_none_left_is_said_only_once_github_has_let_go_of_them() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(FAST) as agent:
                await until_reported(agent, 1)
                outage = rig.github.inject(Fault("no removals", Action.ANSWER, Match("rest.delete_runner"), status=503))
                await suspended(rig)
                await rig.github.state.wait_for(lambda: len(rig.github.requests("rest.delete_runner")) >= 4)
                await until_reported(agent, 1)
                rig.github.clear_faults(outage)
                await until_reported(agent, 0)
                assert not rig.github.runners()

    run(main())


def test_a_session_that_github_does_not_close_in_time_leaves_no_registration_behind() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(replace(FAST, session_close_seconds=0.1)) as agent:
                await until_reported(agent, 1)
                rig.github.inject(Fault("no answer", Action.HANG, Match("broker.delete_session")))
                await suspended(rig)
                await until_reported(agent, 0)
                assert not rig.github.runners()

    run(main())


def test_a_registration_under_way_when_the_group_is_suspended_counts_until_it_is_removed() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.github.inject(Fault("no answer", Action.HANG_ANSWER, Match("rest.generate_jitconfig")))
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(FAST) as agent:
                await rig.github.state.wait_for(lambda: len(rig.github.runners()) == 1)
                await until_reported(agent, 0)
                await suspended(rig)
                await until_reported(agent, 1)
                rig.github.clear_faults()
                await until_reported(agent, 0)
                assert len(rig.github.requests("rest.generate_jitconfig")) == 1
                assert not rig.github.runners()

    run(main())


@pytest.mark.parametrize("count", [1, 2])
def test_a_registration_whose_answer_was_lost_is_found_by_its_name_and_removed(count: int) -> None:
    async def main() -> None:
        async with surroundings() as rig:
            lost = Fault("lost", Action.LOSE_ANSWER, Match("rest.generate_jitconfig", times=count))
            rig.github.inject(lost)
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(FAST) as agent:
                await agent.until_condition("ci-cpu", ConditionType.READY, "True", "ListenerActive")
                await until_reported(agent, 1)
                await rig.github.state.wait_for(lambda: len(rig.github.runners()) == 1)
                assert len(rig.github.requests("rest.generate_jitconfig")) == count + 1

    run(main())


def test_a_registration_that_was_never_made_is_not_owed() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.github.inject(replace(PRESETS["register-503"], match=Match("rest.generate_jitconfig", times=2)))
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(FAST) as agent:
                await agent.until_condition("ci-cpu", ConditionType.READY, "True", "ListenerActive")
                await until_reported(agent, 1)
                assert not rig.github.requests("rest.delete_runner")

    run(main())


def test_a_deleted_group_and_a_stopped_agent_remove_what_github_refused_at_first() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            few = replace(PRESETS["rest-503"], match=Match("rest.delete_runner", times=2))
            await rig.create(runner_group("ci-cpu", *CPU))
            await rig.create(runner_group("ci-gpu", "gpu"))
            async with rig.agent(FAST) as agent:
                await agent.until(lambda: rig.github.open_poll_count == 2)
                rig.github.inject(few)
                await rig.delete("ci-cpu")
                await rig.github.state.wait_for(lambda: len(rig.github.runners()) == 1)
                rig.github.inject(few)
            assert not rig.github.runners()
            assert rig.github.requests("rest.revoke_token", status=204)

    run(main())


def test_a_closed_group_takes_along_what_a_killed_agent_left_and_nothing_else() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            first = await rig.create(runner_group("ci-cpu", *CPU))
            await rig.create(runner_group("ci-gpu", "gpu"))
            async with rig.agent(FAST) as agent:
                await agent.until(lambda: rig.github.open_poll_count == 2)
                leftover = runner_name("ci-cpu", first["metadata"]["uid"], "0badcafe")
                foreign = "ci-cpu-00000000-0badcafe"
                scope = rig.github.runners()[0].scope
                for name in (leftover, foreign):
                    wish = {"name": name, "labels": list(CPU), "runner_group_id": 1}
                    await rig.github.agents.register(scope, wish)
                await suspended(rig)
                await until_reported(agent, 0)
                names = {runner.name for runner in rig.github.runners()}
                assert leftover not in names
                assert foreign in names
                assert any(name.startswith("ci-gpu") for name in names)
                assert len(names) == 2

    run(main())


def test_an_agent_without_a_usable_key_does_not_say_that_none_is_left_before_it_could_look() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            first = await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(FAST) as agent:
                await until_reported(agent, 1)
                scope = rig.github.runners()[0].scope
                leftover = runner_name("ci-cpu", first["metadata"]["uid"], "0badcafe")
                await rig.github.agents.register(scope, {"name": leftover, "labels": list(CPU), "runner_group_id": 1})
            rig.write_secret(privateKey=pem(OTHER_KEY))
            async with rig.agent(FAST) as agent:
                await suspended(rig)
                group = await agent.until_group(
                    "ci-cpu", lambda group: group["status"]["observedGeneration"] == group["metadata"]["generation"]
                )
                assert "registrations" not in group["status"]
                assert [runner.name for runner in rig.github.runners()] == [leftover]
                rig.write_secret()
                await until_reported(agent, 0)
                assert not rig.github.runners()

    run(main())


def test_an_agent_does_not_say_that_none_is_left_before_it_took_over_from_an_earlier_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        taken_over = asyncio.Event()
        adopt_all = Adopter.adopt_all

        async def late(adopter: Adopter, ceilings: Iterable[int]) -> None:
            await taken_over.wait()
            await adopt_all(adopter, ceilings)

        monkeypatch.setattr(Adopter, "adopt_all", late)
        async with surroundings() as rig:
            first = await rig.create(runner_group("ci-cpu", *CPU, suspended=True))
            leftover = runner_name("ci-cpu", first["metadata"]["uid"], "0badcafe")
            await rig.github.agents.register("octo/demo", {"name": leftover, "labels": list(CPU), "runner_group_id": 1})
            async with rig.agent(FAST) as agent:
                group = await agent.until_group("ci-cpu", lambda group: "conditions" in (group.get("status") or {}))
                assert "registrations" not in group["status"]
                taken_over.set()
                await until_reported(agent, 0)
                assert not rig.github.runners()

    run(main())
