"""Jobs that do not fit a worker as they are, through the whole agent."""

from typing import Any

from actions_gateway.api.names import RUNNER_CONTAINER
from gateway_sandbox.github.settings import SimulatorSettings
from support.agent_rig import runner_group, surroundings
from support.aio import run

CPU = ("self-hosted", "linux")


def environment(pod: dict[str, Any]) -> dict[str, str]:
    runner = next(container for container in pod["spec"]["containers"] if container["name"] == RUNNER_CONTAINER)
    return {entry["name"]: entry.get("value", "") for entry in runner["env"]}


def test_a_job_with_a_container_gets_a_worker_that_refuses_it() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            jobs = rig.enqueue(2, *CPU)
            jobs[0].plan.message["jobContainer"] = "alpine"
            async with rig.agent():
                await rig.until_done(jobs)
                told = {pod["metadata"]["name"]: environment(pod).get("JOB_REFUSAL", "") for pod in await rig.pods()}
                assert sorted(text[:34] for text in told.values()) == ["", "This job asks for `container:`, wh"]

    run(main())


def test_a_job_that_is_too_large_for_its_secret_runs() -> None:
    async def main() -> None:
        settings = SimulatorSettings(payload_padding_bytes=1_500_000)
        async with surroundings(settings) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent():
                jobs = rig.enqueue(1, *CPU)
                await rig.until_done(jobs)
                assert jobs[0].conclusion == "success"
                assert len(rig.player.played) == 1

    run(main())
