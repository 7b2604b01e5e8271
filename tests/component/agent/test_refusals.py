"""What GitHub refuses of a group's runners is told in its conditions while it lasts, through the whole agent."""

import pytest

from actions_gateway.agent.sessions import pool
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.runnergroup import RUNNER_IMAGE, RUNNER_VERSION
from gateway_sandbox.github.faults import PRESETS, Match
from gateway_sandbox.github.settings import SimulatorSettings
from support.agent_rig import replace, runner_group, surroundings
from support.aio import run

CPU = ("self-hosted", "linux")


@pytest.mark.parametrize("fault", ["session-version", "poll-version"])
def test_a_runner_version_that_github_refuses_is_told_and_tried_once_a_minute(fault: str) -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            rig.github.inject(PRESETS[fault])
            async with rig.agent() as agent:
                told = await agent.until_condition(
                    "ci-cpu", ConditionType.RUNNER_VERSION_TOO_OLD, "True", "VersionTooOld"
                )
                assert all(word in told["message"] for word in (RUNNER_VERSION, RUNNER_IMAGE))
                await agent.until_condition("ci-cpu", ConditionType.READY, "False", "NoActiveSessions")
                assert len(rig.github.requests("rest.generate_jitconfig")) <= 2, "the next attempt is a minute away"

    run(main())


@pytest.mark.parametrize("fault", ["session-version", "poll-version"])
def test_the_version_is_told_no_more_once_github_serves_it_again(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_OLD_VERSION_PAUSE_SECONDS", 0.1)

    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.3)) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            rig.github.inject(PRESETS[fault])
            async with rig.agent() as agent:
                kind = ConditionType.RUNNER_VERSION_TOO_OLD
                await agent.until_condition("ci-cpu", kind, "True", Reason.VERSION_TOO_OLD)
                rig.github.clear_faults()
                await agent.until_condition("ci-cpu", kind, "False", Reason.VERSION_SUPPORTED)
                await agent.until_condition("ci-cpu", ConditionType.READY, "True", Reason.LISTENER_ACTIVE)
                assert {event["type"] for event in await rig.events(Reason.VERSION_TOO_OLD)} == {"Warning"}
                await rig.until_done(rig.enqueue(1, *CPU))

    run(main())


def test_runners_that_github_rejects_are_told_until_it_takes_one() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.3)) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            rig.github.inject(replace(PRESETS["session-401"], match=Match("broker.create_session")))
            async with rig.agent() as agent:
                told = await agent.until_condition("ci-cpu", ConditionType.DEGRADED, "True", Reason.UNAUTHORIZED)
                assert "401" in told["message"]
                await agent.until_condition("ci-cpu", ConditionType.READY, "False", Reason.NO_ACTIVE_SESSIONS)
                rig.github.clear_faults()
                await agent.until_condition("ci-cpu", ConditionType.DEGRADED, "False", Reason.WORKERS_ADMITTED)
                await rig.until_done(rig.enqueue(1, *CPU))
                assert len(rig.github.runners()) <= 2, "those that were rejected are gone"

    run(main())
