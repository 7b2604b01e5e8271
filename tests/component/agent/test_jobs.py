"""Jobs from GitHub's queue to their conclusion, through the whole agent."""

from support.agent_rig import runner_group, surroundings
from support.aio import run


def test_one_queued_job_runs_in_a_pod_and_leaves_nothing_but_the_pod() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", "self-hosted", "linux"))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, "self-hosted", "linux")
                await rig.until_done(jobs)
                assert jobs[0].conclusion == "success"

                async def is_clean() -> bool:
                    return not await rig.secrets()

                await agent.eventually(is_clean)
                assert len(await rig.pods()) == 1

    run(main())
