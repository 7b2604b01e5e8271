"""Sessions of the whole agent: growth, drain, healing, and closing."""

import asyncio

from actions_gateway.api.conditions import ConditionType
from actions_gateway.api.runnergroup import RUNNER_RELEASED, RUNNER_VERSION
from actions_gateway.metrics.catalog import (
    ACTIVE_SESSIONS,
    AGENT_RECYCLES,
    JOBS_ACQUIRED,
    LISTENER_SLOTS,
    RATE_LIMITED_SINCE,
    RUNNER_VERSION_RELEASED,
)
from gateway_sandbox.github.faults import PRESETS, Action, Fault, Match
from gateway_sandbox.github.settings import SimulatorSettings
from support.agent_rig import FAST, replace, runner_group, surroundings
from support.aio import run
from support.pod_player import Gate

CPU = ("self-hosted", "linux")


def test_a_group_at_rest_keeps_one_session() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU, maxListeners=10, maxWorkers=10))
            async with rig.agent() as agent:
                group = await agent.until_group("ci-cpu", lambda g: g.get("status", {}).get("activeSessions") == 1)
                assert group["status"]["activeJobs"] == group["status"]["pendingJobs"] == 0
                # The session's first poll and what follows a status' writing take their own time.
                await agent.until(lambda: rig.github.open_poll_count == 1)
                await agent.until(agent.health.is_ready)
                assert len(rig.github.runners()) == 1
                assert agent.health.is_alive()
                assert agent.value(RATE_LIMITED_SINCE, "ci-cpu") == 0
                released = agent.value(RUNNER_VERSION_RELEASED, version=RUNNER_VERSION)
                assert released == RUNNER_RELEASED.timestamp()

    run(main())


def test_one_agent_holds_a_hundred_and_one_polls_open_at_once() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=200, maxListeners=4))
            async with rig.agent() as agent:
                jobs = rig.enqueue(100, *CPU)
                await agent.until(lambda: rig.github.open_poll_count >= 101)
                await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="busy") == 100)
                last = rig.enqueue(1, *CPU)
                await agent.until(lambda: agent.value(JOBS_ACQUIRED, "ci-cpu") == 101)
                gate.open()
                await rig.until_done([*jobs, *last])

    run(main())


def test_sessions_that_hear_nothing_drain_back_to_one() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.3)) as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=40, maxListeners=8))
            async with rig.agent(replace(FAST, empty_polls_before_drain=2)) as agent:
                jobs = rig.enqueue(20, *CPU)
                await agent.until(lambda: (agent.value(ACTIVE_SESSIONS, "ci-cpu") or 0) >= 4)
                gate.open()
                await rig.until_done(jobs)
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 1)
                await rig.github.state.wait_for(lambda: len(rig.github.sessions()) == 1)

    run(main())


def test_a_lowered_bound_takes_effect_at_once() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=50, maxListeners=8))
            async with rig.agent() as agent:
                jobs = rig.enqueue(8, *CPU)
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 8)
                await rig.change("ci-cpu", maxListeners=2)
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 2)
                gate.open()
                await rig.until_done(jobs)

    run(main())


def test_a_group_whose_labels_change_listens_for_the_new_ones() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                await agent.until(lambda: rig.github.open_poll_count == 1)
                await rig.change("ci-cpu", runnerLabels=["self-hosted", "arm64"])
                await rig.until_done(rig.enqueue(1, "arm64"))

    run(main())


def test_a_stopped_agent_leaves_no_session_and_no_idle_runner() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=5, maxListeners=5))
            await rig.create(runner_group("ci-gpu", "gpu"))
            async with rig.agent() as agent:
                jobs = rig.enqueue(2, *CPU)
                await agent.until(lambda: len(rig.player.running) == 2 and rig.github.open_poll_count >= 5)
            assert not rig.github.sessions()
            assert {runner.id for runner in rig.github.runners()} == {job.runner.id for job in jobs if job.runner}
            assert rig.github.requests("rest.revoke_token", status=204)
            gate.open()
            await rig.until_done(jobs)
            assert {job.conclusion for job in jobs} == {"success"}

    run(main())


def test_an_agent_that_is_stopped_during_a_claim_carries_it_to_its_pod() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU))
            rig.github.inject(Fault("slow claims", Action.DELAY, Match("run.acquire"), seconds=0.3))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await rig.github.state.wait_for(lambda: bool(rig.github.requests("broker.acknowledge")))
                await agent.stop()
            assert len(await rig.pods()) == 1
            gate.open()
            await rig.until_done(jobs)
            assert jobs[0].conclusion == "success"

    run(main())


def test_a_group_that_appears_while_the_agent_stops_opens_no_session() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU))
            rig.github.inject(Fault("slow claims", Action.DELAY, Match("run.acquire"), seconds=1.0))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await rig.github.state.wait_for(lambda: bool(rig.github.requests("broker.acknowledge")))
                stopping = asyncio.create_task(agent.stop())
                await agent.until(lambda: agent.health.is_stopping)
                await rig.create(runner_group("ci-gpu", "gpu"))
                await stopping
            assert not any("ci-gpu" in runner.name for runner in rig.github.runners())
            gate.open()
            await rig.until_done(jobs)

    run(main())


def test_a_lost_session_is_replaced_under_the_same_registration() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.3)) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                await agent.until(lambda: rig.github.open_poll_count == 1)
                (runner,) = rig.github.runners()
                rig.github.inject(Fault("GitHub restarts", Action.DROP_SESSIONS))
                await rig.github.state.wait_for(lambda: not rig.github.sessions())
                await rig.github.state.wait_for(lambda: bool(rig.github.sessions()))
                await rig.until_done(rig.enqueue(1, *CPU))
                assert [entry.name for entry in rig.github.runners()][:1] == [runner.name]
                assert agent.value(AGENT_RECYCLES, "ci-cpu", trigger="stale_session") == 0

    run(main())


def test_a_lost_registration_is_replaced_by_a_new_one() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.3)) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                await agent.until(lambda: rig.github.open_poll_count == 1)
                rig.github.inject(Fault("the record is gone", Action.DELETE_RUNNERS))
                await agent.until(lambda: agent.value(AGENT_RECYCLES, "ci-cpu", trigger="stale_session") == 1)
                await rig.until_done(rig.enqueue(1, *CPU))

    run(main())


def test_a_registration_that_github_knows_only_later_still_works() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(propagation_delay_seconds=1.0)) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent():
                await rig.until_done(rig.enqueue(1, *CPU))
                assert len(rig.github.runners()) <= 2

    run(main())


def test_a_suspended_group_closes_its_sessions_and_claims_nothing() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                await agent.until_condition("ci-cpu", ConditionType.READY, "True", "ListenerActive")
                await rig.change("ci-cpu", suspended=True)
                await agent.until_condition("ci-cpu", ConditionType.READY, "False", "Suspended")
                await rig.github.state.wait_for(lambda: not rig.github.sessions() and not rig.github.runners())
                jobs = rig.enqueue(1, *CPU)
                assert jobs[0].status == "queued"
                await rig.change("ci-cpu", suspended=False)
                await rig.until_done(jobs)

    run(main())


def test_a_deleted_group_leaves_no_session_runner_or_metric() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 1)
                await rig.delete("ci-cpu")
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") is None)
                assert not rig.github.sessions()
                assert not rig.github.runners()

    run(main())


def test_an_outage_of_the_broker_restarts_nothing_and_ends_by_itself() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            rig.github.inject(PRESETS["broker-outage"])
            async with rig.agent() as agent:
                group = await agent.until_condition("ci-cpu", ConditionType.READY, "False", "NoActiveSessions")
                assert "No session is open" in group["message"]
                assert agent.health.is_alive()
                rig.github.clear_faults()
                await rig.until_done(rig.enqueue(1, *CPU))

    run(main())
