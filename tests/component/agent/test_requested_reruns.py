"""Reruns that people ask for with gw: by the real agent, at the simulator, and once."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actions_gateway.api import labels
from actions_gateway.api.crd import gateway_crd
from actions_gateway.api.ledger import Cause, LostJob, parse
from actions_gateway.api.names import RERUN_LEDGER
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.errors import AlreadyExists, KubeError
from actions_gateway.kube.resources import ACTIONSGATEWAYS, CONFIGMAPS, CRDS, PODS, RUNNERGROUPS
from actions_gateway.metrics.catalog import ACTIVE_SESSIONS, EVICTION_RETRIES, JOBS_ADOPTED, RERUNS
from gateway_sandbox.github.models import Job
from gw.errors import Refused
from gw.exits import ExitCode
from gw.ops.jobs import JobReport, list_jobs
from gw.ops.jobs import LostJob as ListedJob
from gw.ops.rerun_plan import GroupRequest, RerunOrder, RerunPlan, Selection
from gw.ops.reruns import RerunResult, rerun_jobs
from gw.sources.jobs import JobReference, parse_job_reference
from support.agent_play import play_tenant
from support.agent_rig import FAST, NAMESPACE, Rig, RunningAgent, replace, runner_group
from support.apiserver import Api, Play
from support.definitions import until_served
from support.pod_player import Gate, run_until_deleted

CPU = ("self-hosted", "linux")
TOKENS = (f"token-{number}" for number in itertools.count())


class Silent:
    """A person who says yes and needs no words."""

    def show_plan(self, plan: RerunPlan, report: JobReport) -> None: ...

    def confirm(self, question: str) -> bool:
        return True

    def wrote(self, request: GroupRequest) -> None: ...

    def decided(self, job: ListedJob) -> None: ...

    def waiting(self, what: str) -> None: ...


@asynccontextmanager
async def gateway(rig: Rig) -> AsyncIterator[None]:
    """The tenant's ActionsGateway, which tells gw whose jobs these are."""
    with contextlib.suppress(AlreadyExists):
        await rig.client.create(CRDS, gateway_crd())
    manifest = {
        "apiVersion": ACTIONSGATEWAYS.api_version,
        "kind": ACTIONSGATEWAYS.kind,
        "metadata": {"name": "ci", "namespace": NAMESPACE},
        "spec": {
            "gitHubURL": f"{rig.simulator.url}/octo/demo",
            "gitHubAppRef": {"name": "app"},
            "runnerGroups": [{"name": "cpu", "runnerLabels": list(CPU)}],
        },
    }
    await until_served(rig.client, ACTIONSGATEWAYS.path(NAMESPACE))
    await rig.client.create(ACTIONSGATEWAYS, manifest)
    try:
        yield
    finally:
        await rig.client.delete(ACTIONSGATEWAYS, "ci", namespace=NAMESPACE)


async def rerun(
    rig: Rig, *references: JobReference, selection: Selection | None = None, dry_run: bool = False
) -> RerunResult:
    order = RerunOrder(NAMESPACE, references, selection, next(TOKENS), timeout_seconds=30.0, dry_run=dry_run, yes=True)
    return await rerun_jobs(rig.client, order, clock=SystemClock(), conversation=Silent())


async def lost_job(rig: Rig, job: Job) -> LostJob:
    ledger = await rig.client.get(CONFIGMAPS, RERUN_LEDGER, NAMESPACE)
    (lost,) = parse(ledger["data"][str(job.run.id)]).jobs.values()
    return lost


async def has_ledger(rig: Rig, job: Job) -> bool:
    with contextlib.suppress(KubeError, KeyError):
        await lost_job(rig, job)
        return True
    return False


async def runs_again(rig: Rig, agent: RunningAgent, job: Job, *, workers: int) -> None:
    """The rerun job gets a worker and succeeds there."""
    await agent.until(lambda: job.run.attempt == 2)
    await agent.until(lambda: len(rig.player.played) == workers)
    await agent.until(lambda: job.run.status == "completed")
    assert job.run.conclusion == "success"


def test_a_job_without_retries_left_is_rerun_once_though_the_agent_is_restarted(play: Play) -> None:
    async def scenario(rig: Rig, _: Api) -> None:
        rig.player.ending = gate = Gate()
        await rig.create(runner_group("ci-cpu", *CPU, maxEvictionRetries=0))
        (job,) = rig.enqueue(1, *CPU)
        async with gateway(rig), rig.agent() as agent:
            await agent.until(lambda: len(rig.player.running) == 1)
            (name,) = rig.player.running
            evicted = {"status": {"phase": "Failed", "reason": "Evicted"}}
            await rig.client.patch(PODS, name, evicted, namespace=NAMESPACE, subresource="status")
            await agent.eventually(lambda: has_ledger(rig, job))
            await agent.until(lambda: job.run.status == "completed")
            (listed,) = (await list_jobs(rig.client, NAMESPACE, (), SystemClock())).lost
            assert (listed.fact.state, listed.budget_left, listed.needs_person) == ("exhausted", 0, True)
            assert listed.url == f"{rig.simulator.url}/octo/demo/actions/runs/{job.run.id}"

            assert (await rerun(rig, selection=Selection.EXHAUSTED, dry_run=True)).plan.jobs == (listed,)
            assert (await lost_job(rig, job)).request == ""
            gate.open()
            result = await rerun(rig, parse_job_reference(listed.url))
            assert (result.exit_code, [one.fact.state for one in result.decided]) == (ExitCode.OK, ["requested"])
            assert (await lost_job(rig, job)).request == result.token
            await runs_again(rig, agent, job, workers=2)
            # GitHub may run it before the agent has told of it.
            await agent.eventually(lambda: rig.has_event("JobRerun"))
            assert agent.value(RERUNS, "ci-cpu", outcome="requested") == 1
            assert agent.value(EVICTION_RETRIES, "ci-cpu", cause="eviction") in (None, 0)
            (event,) = await rig.events("JobRerun")
            assert "as was asked for" in event["note"]
        async with gateway(rig), rig.agent(pod_name="agent-2") as second:
            # Not by the status, which still has the first one's words.
            await second.until(lambda: second.value(ACTIVE_SESSIONS, "ci-cpu") == 1)
            await second.until(second.health.is_ready)
            found = await rig.client.get(RUNNERGROUPS, "ci-cpu", NAMESPACE)
            assert result.token in found["metadata"]["annotations"][labels.RERUN]
            with pytest.raises(Refused, match="none of the 1 lost job needs a rerun"):
                await rerun(rig, selection=Selection.LOST)
            assert job.run.attempt == 2
            assert len(rig.github.requests("rest.rerun_job")) == 1

    play_tenant(play, scenario)


def test_a_job_whose_lock_lapsed_waits_for_a_person_and_is_rerun_on_request(play: Play) -> None:
    async def scenario(rig: Rig, _: Api) -> None:
        rig.player.ending = run_until_deleted
        await rig.create(runner_group("ci-cpu", *CPU))
        async with gateway(rig), rig.agent(replace(FAST, renew_interval_seconds=0.2)) as agent:
            (job,) = rig.enqueue(1, *CPU)
            await agent.until(lambda: len(rig.player.running) == 1)
            rig.github.conclude(job, "failure")
            await agent.eventually(lambda: has_ledger(rig, job))
            (listed,) = (await list_jobs(rig.client, NAMESPACE, (), SystemClock())).lost
            assert (listed.fact.cause, listed.fact.state, listed.budget_left) == ("lock_lost", "manual", 2)
            rig.player.ending = gate = Gate()
            gate.open()
            result = await rerun(rig, selection=Selection.LOST)
            assert result.exit_code is ExitCode.OK
            await runs_again(rig, agent, job, workers=2)
            (listed,) = (await list_jobs(rig.client, NAMESPACE, (), SystemClock())).lost
            assert (listed.fact.state, listed.budget_left) == ("requested", 2)

    play_tenant(play, scenario)


def test_a_cancellation_that_only_a_lost_lock_tells_of_is_not_taken_for_a_loss(play: Play) -> None:
    """An adopted job has no session that would hear of it."""

    async def scenario(rig: Rig, _: Api) -> None:
        rig.player.ending = run_until_deleted
        await rig.create(runner_group("ci-cpu", *CPU, evictionRetryDelay="1s"))
        (job,) = rig.enqueue(1, *CPU)
        async with rig.agent() as first:
            await first.until(lambda: len(rig.player.running) == 1)
        async with gateway(rig), rig.agent(replace(FAST, renew_interval_seconds=0.2), pod_name="agent-2") as second:
            await second.until(lambda: second.value(JOBS_ADOPTED, "ci-cpu", outcome="resumed") == 1)
            rig.github.cancel(job.run, force=True)
            await second.eventually(lambda: has_ledger(rig, job))
            assert (await lost_job(rig, job)).cause is Cause.LOCK_LOST
            await second.until(lambda: second.value(RERUNS, "ci-cpu", outcome="withheld") == 1)
            with pytest.raises(Refused, match="none of the 1 lost job needs a rerun"):
                await rerun(rig, selection=Selection.LOST)
            assert job.run.attempt == 1

    play_tenant(play, scenario)


def test_a_request_that_was_made_while_no_agent_ran_is_carried_out_by_the_next_one(play: Play) -> None:
    """The API server keeps when an annotation got its value: after the loss, here."""

    async def scenario(rig: Rig, _: Api) -> None:
        rig.player.ending = gate = Gate()
        await rig.create(runner_group("ci-cpu", *CPU, maxEvictionRetries=0))
        (job,) = rig.enqueue(1, *CPU)
        async with rig.agent() as first:
            await first.until(lambda: len(rig.player.running) == 1)
            (name,) = rig.player.running
            evicted = {"status": {"phase": "Failed", "reason": "Evicted"}}
            await rig.client.patch(PODS, name, evicted, namespace=NAMESPACE, subresource="status")
            await first.eventually(lambda: has_ledger(rig, job))
            await first.until(lambda: job.run.status == "completed")
        request = f"by-hand {(await lost_job(rig, job)).runner}"
        annotations = {"metadata": {"annotations": {labels.RERUN: request}}}
        await rig.client.patch(RUNNERGROUPS, "ci-cpu", annotations, namespace=NAMESPACE)
        gate.open()
        async with rig.agent(pod_name="agent-2") as second:
            await runs_again(rig, second, job, workers=2)
            assert (await lost_job(rig, job)).request == "by-hand"

    play_tenant(play, scenario)
