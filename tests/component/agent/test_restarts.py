"""An agent that ends and the next one that carries its jobs on: nothing is lost, and nothing runs twice."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import RERUN_LEDGER
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import CONFIGMAPS, PODS
from actions_gateway.metrics.catalog import (
    DUPLICATE_COMPLETIONS,
    DUPLICATE_DELIVERIES,
    EVICTION_RETRIES,
    JOBS_ADOPTED,
    LISTENER_SLOTS,
    RERUNS,
    WORKER_PODS_REAPED,
)
from gateway_sandbox.github.models import Job
from gateway_sandbox.github.settings import SimulatorSettings
from gw.sources.gathering import gather_events
from support.agent_rig import FAST, NAMESPACE, Rig, RunningAgent, replace, runner_group, surroundings
from support.aio import run
from support.pod_player import Gate, run_until_deleted

CPU = ("self-hosted", "linux")


def group(**spec: Any) -> dict[str, Any]:
    return runner_group("ci-cpu", *CPU, **{"maxWorkers": 10, "maxListeners": 10, "evictionRetryDelay": "1s", **spec})


async def until_clean(rig: Rig, agent: RunningAgent) -> None:
    async def is_clean() -> bool:
        return not await rig.secrets()

    await agent.eventually(is_clean)


async def until_rerun(rig: Rig, agent: RunningAgent, job: Job) -> Job:
    """The job's successor in the second attempt, concluded."""
    await agent.until(lambda: job.run.attempt == 2)
    (second,) = job.run.jobs
    await rig.until_done([second])
    return second


def test_running_jobs_survive_a_restart_with_their_locks() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gate = rig.player.ending = Gate()
            await rig.create(group())
            async with rig.agent() as first:
                jobs = rig.enqueue(12, *CPU)
                await first.until(lambda: len(rig.player.running) == 10)
            renewed = len(rig.github.requests("run.renew"))
            async with rig.agent(pod_name="agent-2") as second:
                await second.until(lambda: second.value(JOBS_ADOPTED, "ci-cpu", outcome="resumed") == 10)
                await second.until(lambda: len(rig.github.requests("run.renew")) >= renewed + 10)
                await second.until(lambda: second.value(LISTENER_SLOTS, "ci-cpu", state="holding") == 1)
                assert len(rig.player.played) == 10, "the adopted jobs hold their places"
                gate.open()
                await rig.until_done(jobs)
                await until_clean(rig, second)
            assert Counter(job.conclusion for job in jobs) == {"success": 12}
            assert {job.completion_count for job in jobs} == {1}
            assert len(rig.player.played) == len(set(rig.player.played)) == 12
            assert not rig.github.violations()

    run(main())


def reports(group: dict[str, Any], registrations: int) -> bool:
    """Whether the status says so of the present spec: an earlier agent's words are of an earlier one."""
    status = group["status"]
    is_current = status.get("observedGeneration") == group["metadata"]["generation"]
    return is_current and status.get("registrations") == registrations


def test_running_jobs_survive_a_kill_and_their_registrations_are_known() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gate = rig.player.ending = Gate()
            await rig.create(group())
            async with rig.agent() as first:
                jobs = rig.enqueue(3, *CPU)
                await first.until(lambda: len(rig.player.running) == 3)
                await first.kill()
            async with rig.agent(pod_name="agent-2") as second:
                await second.until(lambda: second.value(JOBS_ADOPTED, "ci-cpu", outcome="resumed") == 3)
                await rig.change("ci-cpu", suspended=True)
                await second.until_group("ci-cpu", lambda group: reports(group, 3))
                busy = {job.runner.id for job in jobs if job.runner}
                await rig.github.state.wait_for(lambda: {runner.id for runner in rig.github.runners()} == busy)
                gate.open()
                await rig.until_done(jobs)
                await second.until_group("ci-cpu", lambda group: reports(group, 0))
                await until_clean(rig, second)
            assert Counter(job.conclusion for job in jobs) == {"success": 3}
            assert len(rig.player.played) == 3

    run(main())


def test_what_ended_while_no_agent_ran_is_settled_by_the_next_one() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gate = rig.player.ending = Gate()
            await rig.create(group())
            async with rig.agent() as first:
                jobs = rig.enqueue(3, *CPU)
                await first.until(lambda: len(rig.player.running) == 3)
                await first.kill()
            gate.open()
            await rig.until_done(jobs)
            async with rig.agent(pod_name="agent-2") as second:
                await until_clean(rig, second)
                done = second.value(JOBS_ADOPTED, "ci-cpu", outcome="completed") or 0
                assert done + (second.value(JOBS_ADOPTED, "ci-cpu", outcome="resumed") or 0) == 3
            assert {job.run.attempt for job in jobs} == {1}

    run(main())


def fills(method: str, path: str) -> bool:
    return method == "PATCH" and "/secrets/job-" in path


def makes_a_pod(method: str, path: str) -> bool:
    return method == "POST" and path.endswith("/pods")


async def killed_at(rig: Rig, dies_before: Callable[[str, str], bool], **spec: Any) -> Job:
    """A job whose agent was killed with a certain request."""
    await rig.create(group(**spec))
    async with rig.agent() as first:
        # Not with the proof of the template, which is a creation as well.
        await first.until(
            lambda: any(path.endswith("/pods") for method, path in first.client.requests if method == "POST")
        )
        first.client.dies_before = dies_before
        (job,) = rig.enqueue(1, *CPU)
        await first.until(lambda: first.client.is_dead)
        await first.kill()
    return job


def test_a_claim_that_was_cut_off_is_repeated_when_github_allows_it() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(repeat_acquire="same")) as rig:
            job = await killed_at(rig, fills)
            async with rig.agent(pod_name="agent-2") as second:
                await rig.until_done([job])
                await until_clean(rig, second)
                assert second.value(JOBS_ADOPTED, "ci-cpu", outcome="claimed") == 1
            assert (job.conclusion, job.run.attempt) == ("success", 1)

    run(main())


def test_a_claim_that_github_does_not_repeat_is_found_by_its_runner_and_rerun() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            job = await killed_at(rig, fills)
            async with rig.agent(pod_name="agent-2") as second:
                rerun = await until_rerun(rig, second, job)
                await until_clean(rig, second)
                assert second.value(JOBS_ADOPTED, "ci-cpu", outcome="found") == 1
            assert (job.conclusion, rerun.conclusion) == ("cancelled", "success")
            assert len(rig.player.played) == 1

    run(main())


def test_a_pod_that_may_have_existed_is_not_made_again_and_its_job_rerun() -> None:
    """GitHub, which has seen no worker of it, ends the job by its own limit; what ended it before would be a person.

    The second agent has to be there before that, on a busy machine, too.
    """

    async def main() -> None:
        async with surroundings(SimulatorSettings(unstarted_limit_seconds=12.0)) as rig:
            job = await killed_at(rig, makes_a_pod, evictionRetryDelay="13s")
            async with rig.agent(replace(FAST, unstarted_limit_seconds=11.0), pod_name="agent-2") as second:
                rerun = await until_rerun(rig, second, job)
                await until_clean(rig, second)
                assert second.value(JOBS_ADOPTED, "ci-cpu", outcome="vanished") == 1
            assert (job.conclusion, rerun.conclusion) == ("cancelled", "success")
            assert len(rig.player.played) == 1

    run(main())


def evicted() -> dict[str, Any]:
    return {"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}}


def test_a_job_of_several_deliveries_is_green_after_a_restart_in_the_middle() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gate = rig.player.ending = Gate()
            await rig.create(group())
            async with rig.agent() as first:
                warm = rig.enqueue(3, *CPU)
                await first.until(lambda: first.value(LISTENER_SLOTS, "ci-cpu", state="polling") == 4)
                twin = rig.github.enqueue(CPU, name="twin", fanout=2)
                await first.until(lambda: len(rig.player.running) == 4)
                await first.until(lambda: first.value(DUPLICATE_DELIVERIES, "ci-cpu") == 1)
                await first.kill()
            async with rig.agent(pod_name="agent-2") as second:
                await second.until(lambda: second.value(JOBS_ADOPTED, "ci-cpu", outcome="resumed") == 4)
                gate.open()
                await rig.until_done([*warm, twin])
                assert twin.conclusion == "success"
                await second.until(lambda: second.value(DUPLICATE_COMPLETIONS, "ci-cpu", outcome="completed") == 1)
                await until_clean(rig, second)
            assert len(rig.player.played) == len(set(rig.player.played)) == 4

    run(main())


def test_an_evicted_job_is_rerun_within_a_budget_that_a_restart_does_not_refill() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = run_until_deleted
            await rig.create(group(maxEvictionRetries=2))
            (job,) = rig.enqueue(1, *CPU)
            for number in range(3):
                async with rig.agent(pod_name=f"agent-{number}") as agent:
                    await agent.until(lambda number=number: len(rig.player.played) == number + 1)  # type: ignore[misc]
                    name = rig.player.played[-1]
                    await agent.until(lambda name=name: name in rig.player.running)  # type: ignore[misc]
                    await rig.client.patch(PODS, name, evicted(), namespace=NAMESPACE, subresource="status")
                    if number < 2:
                        await agent.until(lambda number=number: job.run.attempt == number + 2)  # type: ignore[misc]
                        assert agent.value(EVICTION_RETRIES, "ci-cpu", cause="eviction") == 1
                    else:
                        await until_clean(rig, agent)
                        assert await rig.events("EvictionRetriesExhausted")
                    await rig.client.delete(PODS, name, namespace=NAMESPACE)
            assert job.run.attempt == 3
            ledger = await rig.client.get(CONFIGMAPS, RERUN_LEDGER, NAMESPACE)
            assert list(ledger["data"]) == [str(job.run.id)]

    run(main())


def test_what_an_earlier_agent_lost_is_rerun_by_the_next_one_and_told() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = Gate()
            await rig.create(group(evictionRetryDelay="3s"))
            (job,) = rig.enqueue(1, *CPU)
            async with rig.agent() as first:
                await first.until(lambda: len(rig.player.running) == 1)
                (name,) = rig.player.running
                await rig.client.patch(PODS, name, evicted(), namespace=NAMESPACE, subresource="status")
                await first.until(lambda: first.value(EVICTION_RETRIES, "ci-cpu", cause="eviction") == 1)
                await until_clean(rig, first)
            async with rig.agent(pod_name="agent-2") as second:
                await second.until(lambda: job.run.attempt == 2)
                await second.eventually(lambda: rig.has_event("JobRerun"))

    run(main())


def test_a_permission_that_reruns_lack_is_named() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = Gate()
            installation = next(iter(rig.github.apps.installations.values()))
            installation.permissions = {**installation.permissions, "actions": "read"}
            await rig.create(group())
            (job,) = rig.enqueue(1, *CPU)
            async with rig.agent() as agent:
                await agent.until(lambda: len(rig.player.running) == 1)
                (name,) = rig.player.running
                await rig.client.patch(PODS, name, evicted(), namespace=NAMESPACE, subresource="status")
                await agent.eventually(lambda: rig.has_event("RerunForbidden"))
                (event,) = await rig.events("RerunForbidden")
                assert "actions: write" in event["note"]
                assert job.run.attempt == 1

    run(main())


async def has_ledger(rig: Rig) -> bool:
    """Whether the repositories seen are written down, which waits for no job."""
    with contextlib.suppress(NotFound):
        return bool(await rig.client.get(CONFIGMAPS, RERUN_LEDGER, NAMESPACE))
    return False


def test_the_next_agent_of_an_organization_knows_where_jobs_came_from() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(group())
            async with rig.agent(scope="octo") as first:
                jobs = rig.enqueue(2, *CPU)
                await rig.until_done(jobs)
                await until_clean(rig, first)
                await first.eventually(lambda: has_ledger(rig))
            ledger = await rig.client.get(CONFIGMAPS, RERUN_LEDGER, NAMESPACE)
            assert list(ledger["data"]) == ["repositories"]
            assert list(json.loads(ledger["data"]["repositories"])) == ["octo/demo"]
            async with rig.agent(scope="octo", pod_name="agent-2") as second:
                await rig.until_done(rig.enqueue(1, *CPU))
                await until_clean(rig, second)
            again = await rig.client.get(CONFIGMAPS, RERUN_LEDGER, NAMESPACE)
            assert again["metadata"]["resourceVersion"] == ledger["metadata"]["resourceVersion"]

    run(main())


def test_a_drained_job_is_rerun_and_a_cancelled_one_is_not() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = run_until_deleted
            await rig.create(group())
            async with rig.agent() as agent:
                drained, cancelled = rig.enqueue(2, *CPU)
                await agent.until(lambda: len(rig.player.running) == 2)
                pods = {pod["metadata"]["annotations"][labels.RUN_ID]: pod for pod in await rig.pods()}
                rig.github.cancel(cancelled.run)
                for job in (cancelled, drained):
                    name = pods[str(job.run.id)]["metadata"]["name"]
                    if job is cancelled:
                        await agent.eventually(lambda name=name: shows_cancellation(rig, name))  # type: ignore[misc]
                    await rig.client.delete(PODS, name, namespace=NAMESPACE)
                await agent.until(lambda: drained.run.attempt == 2)
                await rig.until_done([cancelled])
                await agent.until(lambda: agent.value(RERUNS, "ci-cpu", outcome="requested") == 1)
            assert cancelled.run.attempt == 1

    run(main())


async def shows_cancellation(rig: Rig, pod: str) -> bool:
    found = await rig.client.get(PODS, pod, NAMESPACE)
    return bool(found["metadata"]["annotations"].get(labels.CANCELLATION))


def test_a_pod_that_cannot_start_is_given_up_and_its_job_rerun() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.is_on_strike = True
            await rig.create(group(pendingPodDeadline="1s"))
            async with rig.agent() as agent:
                (job,) = rig.enqueue(1, *CPU)
                await agent.until(lambda: agent.value(WORKER_PODS_REAPED, "ci-cpu", reason="pending_deadline") == 1)
                rig.player.is_on_strike = False
                # The rerun's worker may take its time.
                await rig.change("ci-cpu", pendingPodDeadline="10m")
                rerun = await until_rerun(rig, agent, job)
                assert await rig.events("WorkerPodStuckPending")
                (given_up,) = await gather_events(rig.client, NAMESPACE)
                assert given_up.group == "ci-cpu"
                assert given_up.at is not None
                assert "is deleted" in given_up.note
            assert (job.conclusion, rerun.conclusion) == ("cancelled", "success")

    run(main())


def test_a_cancellation_that_an_earlier_agent_heard_is_kept() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = run_until_deleted
            await rig.create(group())
            async with rig.agent() as first:
                (job,) = rig.enqueue(1, *CPU)
                await first.until(lambda: len(rig.player.running) == 1)
                (pod,) = await rig.pods()
                name = pod["metadata"]["name"]
                rig.github.cancel(job.run)
                await first.eventually(lambda: shows_cancellation(rig, name))
                await first.kill()
            async with rig.agent(pod_name="agent-2") as second:
                await second.until(lambda: second.value(JOBS_ADOPTED, "ci-cpu", outcome="resumed") == 1)
                await rig.client.delete(PODS, name, namespace=NAMESPACE)
                await until_clean(rig, second)
                assert not second.value(EVICTION_RETRIES, "ci-cpu", cause="deletion")
            assert (job.conclusion, job.run.attempt) == ("cancelled", 1)

    run(main())
