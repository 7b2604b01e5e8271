"""RateLimited: told when GitHub limits a group for long, taken back with the next good answer of the same kind."""

from datetime import UTC, datetime

import pytest

from actions_gateway.api.conditions import ConditionType, is_true
from actions_gateway.github.budgets import Limits
from actions_gateway.kube.resources import RUNNERGROUPS
from actions_gateway.metrics.catalog import RATE_LIMITED_SINCE
from gateway_sandbox.github.faults import Action, Fault, Match
from gateway_sandbox.github.settings import SimulatorSettings
from support.agent_rig import FAST, NAMESPACE, replace, runner_group, surroundings
from support.aio import run
from support.pod_player import Gate

CPU = ("self-hosted", "linux")
SOON = {"Retry-After": "1"}


@pytest.mark.parametrize("endpoint", ["broker.poll", "rest.generate_jitconfig"])
@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "1"}), (403, {"Retry-After": "1", "x-ratelimit-remaining": "0"})]
)
def test_a_limit_that_lasts_is_told_until_github_answers(endpoint: str, status: int, headers: dict[str, str]) -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.2)) as rig:
            limit = Fault("limited", Action.ANSWER, Match(endpoint), status=status, headers=headers)
            fault = rig.github.inject(limit)
            await rig.create(runner_group("ci-cpu", *CPU))
            limits = Limits(lifeline_seconds=0.5)
            async with rig.agent(replace(FAST, sustained_limit_seconds=0.5, github_limits=limits)) as agent:
                await agent.until_condition("ci-cpu", ConditionType.RATE_LIMITED, "False", "WithinRateLimit")
                await agent.until_condition("ci-cpu", ConditionType.RATE_LIMITED, "True", "SustainedRateLimit")
                since = agent.value(RATE_LIMITED_SINCE, "ci-cpu")
                assert since
                assert 0.5 <= datetime.now(UTC).timestamp() - since < 60
                told = await rig.client.get(RUNNERGROUPS, "ci-cpu", NAMESPACE)
                requests = len(rig.github.requests(endpoint))
                await rig.github.state.wait_for(lambda: len(rig.github.requests(endpoint)) > requests)
                again = await rig.client.get(RUNNERGROUPS, "ci-cpu", NAMESPACE)
                assert again["metadata"]["resourceVersion"] == told["metadata"]["resourceVersion"]
                rig.github.clear_faults(fault)
                await agent.until_condition("ci-cpu", ConditionType.RATE_LIMITED, "False", "WithinRateLimit")
                await agent.until(lambda: agent.value(RATE_LIMITED_SINCE, "ci-cpu") == 0)

    run(main())


def test_polls_of_a_busy_session_hide_no_limit_on_registrations() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.05)) as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(replace(FAST, sustained_limit_seconds=1.5)) as agent:
                await agent.until_condition("ci-cpu", ConditionType.READY, "True", "ListenerActive")
                limit = Fault("limited", Action.ANSWER, Match("rest.generate_jitconfig"), status=429, headers=SOON)
                rig.github.inject(limit)
                jobs = rig.enqueue(1, *CPU)
                await agent.until_condition("ci-cpu", ConditionType.RATE_LIMITED, "True", "SustainedRateLimit")
                polls = len(rig.github.requests("broker.poll", status=202))
                # So many that what the first one changed would have been written.
                await rig.github.state.wait_for(lambda: len(rig.github.requests("broker.poll", status=202)) > polls + 5)
                assert is_true(await rig.client.get(RUNNERGROUPS, "ci-cpu", NAMESPACE), ConditionType.RATE_LIMITED)
                gate.open()
                await rig.until_done(jobs)
                rig.github.clear_faults()
                await agent.until_condition("ci-cpu", ConditionType.RATE_LIMITED, "False", "WithinRateLimit")

    run(main())
