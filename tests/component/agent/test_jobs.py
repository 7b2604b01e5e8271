"""Jobs from GitHub's queue to their conclusion, through the whole agent."""

import asyncio
import base64
import json
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import structlog.testing

from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionType
from actions_gateway.github.runservice import Conclusion
from actions_gateway.kube.resources import PODS, SECRETS, Resource
from actions_gateway.metrics.catalog import (
    ACTIVE_SESSIONS,
    JOB_DURATION,
    JOBS_ACQUIRED,
    JOBS_IN_FLIGHT,
    LISTENER_SLOTS,
    OLDEST_WAITING_JOB,
    POD_CREATION_LATENCY,
    WORKER_PODS_REAPED,
    WORKERS,
)
from gateway_sandbox.github.models import Runner
from gateway_sandbox.github.settings import SimulatorSettings
from support.agent_rig import APP_KEY, FAST, NAMESPACE, Rig, RunningAgent, pem, replace, runner_group, surroundings
from support.aio import run
from support.pod_player import Gate, Playing, crash, run_until_deleted

CPU = ("self-hosted", "linux")
GPU = ("self-hosted", "gpu")
TIERS = [{"priorityClassName": "low", "threshold": 5}, {"priorityClassName": "high", "threshold": 20}]


async def until_no_secret(rig: Rig, agent: RunningAgent) -> None:
    async def is_clean() -> bool:
        return not await rig.secrets()

    await agent.eventually(is_clean)


def test_a_queued_job_runs_in_a_pod_and_leaves_nothing_but_the_pod() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await rig.until_done(jobs)
                assert jobs[0].conclusion == "success"
                await until_no_secret(rig, agent)
                (pod,) = await rig.pods()
                annotations = pod["metadata"]["annotations"]
                assert annotations[labels.REPOSITORY] == "octo/demo"
                assert annotations[labels.RUN_ID] == str(jobs[0].run.id)
                assert jobs[0].runner is not None
                assert annotations[labels.RUNNER_NAME] == jobs[0].runner.name
                assert agent.value(JOB_DURATION, "ci-cpu", result="succeeded") == 1
                assert agent.value(POD_CREATION_LATENCY, "ci-cpu") == 1
                assert not rig.github.violations()

    run(main())


def test_no_credential_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Installation tokens begin with ghs_; App assertions, runner tokens, job tokens and JIT blobs with eyJ."""
    caplog.set_level(logging.DEBUG)
    credentials = {"ghs_", "eyJ", "PRIVATE KEY", "AccessToken", *pem(APP_KEY).splitlines()[1:-1]}

    async def main() -> None:
        async with surroundings() as rig:
            register = rig.github.agents.register

            async def noted(scope: str, wish: Mapping[str, Any]) -> tuple[Runner, str]:
                runner, blob = await register(scope, wish)
                files = json.loads(base64.b64decode(blob))
                credentials.update((blob, *files.values()))
                key = json.loads(base64.b64decode(files[".credentials_rsaparams"]))
                credentials.update(value for value in key.values() if len(value) > 8)
                return runner, blob

            rig.github.agents.register = noted  # type: ignore[method-assign]
            rig.player.ending = crash
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await rig.until_done(jobs)
                await until_no_secret(rig, agent)
                rig.github.apps.forget_tokens()
                await rig.until_done(rig.enqueue(2, *CPU))
            tokens = {delivery.token for delivery in rig.github.state.deliveries.values()} - {""}
            assert len(tokens) == 3
            credentials.update(tokens)

    with structlog.testing.capture_logs(processors=[structlog.processors.format_exc_info]) as lines:
        run(main())
    text = "\n".join((*map(repr, lines), *(logging.Formatter().format(record) for record in caplog.records)))
    assert "job claimed" in text
    assert len(credentials) > 30
    assert [one for one in credentials if one in text] == []


def test_an_agent_whose_groups_are_at_rest_asks_kubernetes_nothing_but_its_watches() -> None:
    async def main() -> None:
        async with surroundings(SimulatorSettings(poll_hold_seconds=0.1)) as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            await rig.create(runner_group("ci-gpu", *GPU))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await rig.until_done(jobs)
                await until_no_secret(rig, agent)
                rest = {"activeSessions": 1, "activeJobs": 0, "pendingJobs": 0, "registrations": 1}
                for name in ("ci-cpu", "ci-gpu"):
                    await agent.until_group(name, lambda g: rest.items() <= g.get("status", {}).items())
                polls = len(rig.github.requests("broker.poll"))
                await agent.until(lambda: len(rig.github.requests("broker.poll")) >= polls + 10)
                before = len(agent.client.requests)
                await agent.until(lambda: len(rig.github.requests("broker.poll")) >= polls + 60)
                assert agent.client.requests[before:] == []

    run(main())


@pytest.mark.parametrize(("max_listeners", "count"), [(1, 50), (10, 200)])
def test_many_jobs_on_two_groups_conclude_exactly_once(max_listeners: int, count: int) -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=30, maxListeners=max_listeners))
            await rig.create(runner_group("ci-gpu", *GPU, priorityTiers=TIERS, maxListeners=max_listeners))
            async with rig.agent() as agent:
                on_cpu = count * 7 // 10
                jobs = rig.enqueue(on_cpu, *CPU) + rig.enqueue(count - on_cpu, *GPU)
                await rig.until_done(jobs)
                await until_no_secret(rig, agent)
                assert Counter(job.conclusion for job in jobs) == {"success": count}
                assert {job.completion_count for job in jobs} == {1}
                assert len(rig.player.played) == len(set(rig.player.played)) == count
                assert (agent.value(JOBS_ACQUIRED, "ci-cpu"), agent.value(JOBS_ACQUIRED, "ci-gpu")) == (
                    on_cpu,
                    count - on_cpu,
                )
                assert not rig.github.violations()
                # How many changes one write of a status tells is a matter of the machine's speed.
                asked = [path for _, path in agent.client.requests if not path.endswith("/status")]
                at_start = 80  # each slot is looked at once
                assert len(asked) <= at_start + 5 * count, "reads and writes"

    run(main(), timeout_seconds=300)


def test_a_group_at_its_ceiling_holds_one_job_and_uses_a_freed_place_at_once() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            gates = [Gate() for _ in range(5)]
            waiting = iter(gates)

            async def ending(playing: Playing) -> tuple[int, Conclusion | None]:
                return await next(waiting)(playing)

            rig.player.ending = ending
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=2, maxListeners=10))
            async with rig.agent() as agent:
                jobs = rig.enqueue(5, *CPU)
                await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="holding") == 1)
                await agent.until(lambda: len(rig.player.running) == 2)
                numbers = {"activeSessions": 1, "activeJobs": 2, "pendingJobs": 1}
                await agent.until_group("ci-cpu", lambda g: numbers.items() <= g.get("status", {}).items())
                assert sum(job.status == "queued" for job in jobs) == 3
                gates[0].open()
                await agent.until(lambda: agent.value(JOBS_ACQUIRED, "ci-cpu") == 3)
                assert rig.player.most_running["ci-cpu"] == 2
                for gate in gates:
                    gate.open()
                await rig.until_done(jobs)
                assert rig.player.most_running["ci-cpu"] == 2
                assert {job.conclusion for job in jobs} == {"success"}

    run(main())


def test_workers_take_the_priority_class_of_the_first_tier_with_room() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            tiers = [{"priorityClassName": "low", "threshold": 1}, {"priorityClassName": "high", "threshold": 3}]
            await rig.create(runner_group("ci-gpu", *GPU, priorityTiers=tiers))
            async with rig.agent() as agent:
                jobs = rig.enqueue(3, *GPU)
                await agent.until(lambda: len(rig.player.running) == 3)
                classes = Counter(pod["spec"]["priorityClassName"] for pod in rig.player.running.values())
                assert classes == {"low": 1, "high": 2}
                gate.open()
                await rig.until_done(jobs)

    run(main())


def test_a_worker_that_dies_without_a_report_has_its_job_completed_as_failed() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = crash
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await rig.until_done(jobs)
                assert jobs[0].conclusion == "failure"
                await until_no_secret(rig, agent)
                assert agent.value(JOB_DURATION, "ci-cpu", result="failed") == 1

    run(main())


def test_a_cancellation_reaches_the_worker_through_its_pods_annotation() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            seen = asyncio.Event()

            async def ending(_: Playing) -> tuple[int, Conclusion | None]:
                await seen.wait()
                return 103, Conclusion.CANCELED

            rig.player.ending = ending
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await agent.until(lambda: len(rig.player.running) == 1)
                rig.github.cancel(jobs[0].run)

                async def is_shown() -> bool:
                    (pod,) = await rig.pods()
                    return bool(pod["metadata"]["annotations"][labels.CANCELLATION])

                await agent.eventually(is_shown)
                seen.set()
                await rig.until_done(jobs)
                assert jobs[0].conclusion == "cancelled"
                await agent.until(lambda: agent.value(JOB_DURATION, "ci-cpu", result="canceled") == 1)

    run(main())


def test_a_job_whose_lock_is_lost_is_torn_down_and_never_reported() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = run_until_deleted
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(replace(FAST, renew_interval_seconds=0.2)) as agent:
                jobs = rig.enqueue(1, *CPU)
                await agent.until(lambda: len(rig.player.running) == 1)
                rig.github.conclude(jobs[0], "failure")
                await agent.until(lambda: agent.value(WORKER_PODS_REAPED, "ci-cpu", reason="lock_lost") == 1)
                await until_no_secret(rig, agent)
                assert agent.value(JOB_DURATION, "ci-cpu", result="lost") == 1
                assert not rig.github.requests("run.complete")
                assert await rig.events("JobLockLost")

    run(main())


def test_an_ended_pod_is_deleted_after_its_time() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU, completedPodTTL="0s"))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await rig.until_done(jobs)
                await agent.until(lambda: agent.value(WORKER_PODS_REAPED, "ci-cpu", reason="completed_ttl") == 1)
                assert not await rig.pods()

    run(main())


def test_a_job_that_is_delivered_to_two_sessions_runs_once() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=10, maxListeners=10))
            async with rig.agent() as agent:
                warm = rig.enqueue(3, *CPU)
                await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="polling") == 4)
                twin = rig.github.enqueue(CPU, name="twin", fanout=2)
                await agent.until(lambda: len(rig.github.requests("run.acquire", status=200)) == 5)
                await agent.until(lambda: len(rig.player.running) == 4)
                # Neither waits the second delivery for anything, nor is its runner to be removed before its job's end.
                await agent.until(lambda: agent.value(OLDEST_WAITING_JOB, "ci-cpu", reason="claim") == 0)
                assert not rig.github.requests("rest.delete_runner", status=422)
                gate.open()
                # Its second delivery is completed by the agent, some time after the worker completed the first.
                await rig.until_done([*warm, twin])
                assert twin.conclusion == "success"
                assert len(rig.player.played) == len(set(rig.player.played)) == 4

    run(main())


def test_a_worker_that_cannot_be_created_yet_is_tried_again() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            template = {"spec": {"containers": [{"name": "runner", "image": ""}], "priorityClassName": "not-there"}}
            await rig.create(runner_group("ci-cpu", *CPU, podTemplate=template))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await agent.eventually(lambda: rig.has_event("WorkerPodCreateFailed"))
                await rig.change("ci-cpu", podTemplate={"spec": {"containers": [], "priorityClassName": "low"}})
                await rig.until_done(jobs)
                assert jobs[0].conclusion == "success"

    run(main())


def test_a_new_agent_leaves_the_running_jobs_of_an_earlier_one_alone() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=2))
            async with rig.agent() as agent:
                first = rig.enqueue(1, *CPU)
                await agent.until(lambda: len(rig.player.running) == 1)
            async with rig.agent() as agent:
                await agent.until(lambda: agent.value(WORKERS, "ci-cpu", phase="Running") == 1)
                later = rig.enqueue(2, *CPU)
                await agent.until(lambda: len(rig.player.running) == 2)
                await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="holding") == 1)
                assert {secret["metadata"]["name"] for secret in await rig.secrets()} == {"job-0001", "job-0002"}
                gate.open()
                await rig.until_done([*first, *later])
                assert {job.conclusion for job in [*first, *later]} == {"success"}
                await until_no_secret(rig, agent)
                await agent.until(lambda: agent.value(JOBS_IN_FLIGHT, "ci-cpu") == 0)
                assert len((await rig.client.list(PODS, NAMESPACE)).items) == 3

    run(main())


def test_a_job_of_a_deleted_group_is_followed_to_its_end() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                jobs = rig.enqueue(1, *CPU)
                await agent.until(lambda: len(rig.player.running) == 1)
                # Without its owner the pod outlasts the group, as a pod does in its grace period.
                (pod,) = await rig.pods()
                orphaned = {"metadata": {"ownerReferences": None}}
                await rig.client.patch(PODS, pod["metadata"]["name"], orphaned, namespace=NAMESPACE)
                await agent.until(lambda: agent.value(JOBS_IN_FLIGHT, "ci-cpu") == 1)
                await rig.delete("ci-cpu")
                await agent.until(lambda: not rig.github.sessions())
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") in (0, None))
                assert agent.value(JOBS_IN_FLIGHT, "ci-cpu") == 1
                gate.open()
                await rig.until_done(jobs)
                await until_no_secret(rig, agent)
                await agent.until(lambda: agent.value(JOBS_IN_FLIGHT, "ci-cpu") is None)
                assert agent.value(JOB_DURATION, "ci-cpu", result="succeeded") is None

    run(main())


def test_an_unforeseen_failure_of_a_claim_frees_its_place() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=1))
            async with rig.agent() as agent:
                create, failures = agent.client.create, iter([RuntimeError("unforeseen")])

                async def flawed(resource: Resource, manifest: dict[str, Any], **arguments: Any) -> dict[str, Any]:
                    if resource is SECRETS and (problem := next(failures, None)):
                        raise problem
                    return await create(resource, manifest, **arguments)

                agent.client.create = flawed  # type: ignore[method-assign]
                await rig.until_done(rig.enqueue(2, *CPU))

    run(main())


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ({"spec": {"containers": [None]}}, "spec.podTemplate.spec.containers[0]"),
        ({"spec": []}, "spec.podTemplate.spec"),
        ({"metadata": {"annotations": ["a"]}}, "spec.podTemplate.metadata.annotations"),
    ],
)
def test_a_template_without_the_shape_of_a_pod_claims_nothing_and_is_named(
    template: dict[str, Any], field: str
) -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU, podTemplate=template))
            async with rig.agent() as agent:
                entry = await agent.until_condition("ci-cpu", ConditionType.READY, "False", "InvalidSpec")
                assert field in entry["message"]
                jobs = rig.enqueue(1, *CPU)
                await rig.change("ci-cpu", podTemplate=None)
                await rig.until_done(jobs)

    run(main())
