"""What went wrong has to show: each kind of trouble beside the metric, condition or event that tells of it."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.metrics import catalog
from actions_gateway.metrics.catalog import Metric
from gateway_sandbox.github.faults import Fault
from gateway_sandbox.github.models import DeliveryState, Job
from simulation.agents import RunningAgent
from simulation.ceilings import group_of
from simulation.workers import Blow

if TYPE_CHECKING:
    from simulation.world import World

_ENDPOINTS = {
    "rest.create_token": "token", "rest.revoke_token": "token", "rest.generate_jitconfig": "register",
    "rest.delete_runner": "delete_runner", "rest.list_runners": "list_runners", "rest.get_run": "run",
    "rest.list_runs": "run", "rest.list_run_jobs": "jobs", "rest.get_job": "jobs", "rest.rerun_job": "rerun",
    "rest.force_cancel": "cancel", "oauth.token": "oauth", "broker.create_session": "create_session",
    "broker.delete_session": "delete_session", "broker.poll": "poll", "broker.acknowledge": "acknowledge",
    "run.acquire": "acquire", "run.renew": "renew", "run.complete": "complete",
}  # fmt: skip
"""The metric's label for each of the simulator's endpoints."""
_FAILED = ("4xx", "5xx", "error")
_SIGNS: dict[str, tuple[tuple[str, ...], tuple[Metric, ...]]] = {
    "rest.generate_jitconfig": (_FAILED, (catalog.AGENT_RECYCLE_ERRORS,)),
    "rest.create_token": (("4xx",), (catalog.TOKEN_REFRESH_ERRORS,)),
    "broker.poll": (("5xx",), (catalog.MESSAGE_POLL_ERRORS,)),
    "run.acquire": (("4xx",), (catalog.JOB_ACQUISITION_ERRORS, catalog.JOBS_ADOPTED)),
    "run.renew": (("5xx", "error"), (catalog.RENEWJOB_ERRORS, catalog.RENEW_JOB_TEARDOWNS)),
}
"""By endpoint: answers of these classes show in one of these metrics, too."""
_MALFORMED: dict[str, Metric] = {
    "poll-invalid-json": catalog.MESSAGE_POLL_ERRORS,
    "register-corrupt-blob": catalog.AGENT_RECYCLE_ERRORS,
}
"""Faults whose answers have a good status; half of an empty answer is a whole one, so truncation is not among them."""
_LOOK_SECONDS = 75.0
"""By when an agent has compared the Secret's files, which it does each minute, and told of it."""
_HELD_SECONDS = 3.0
"""By when a delivery that cannot be claimed is held; it is offered anew every few seconds."""
_CAUSES = {
    Blow.EVICTION: "eviction", Blow.PREEMPTION: "preemption", Blow.DRAIN: "deletion", Blow.DELETION: "deletion",
    Blow.FORCED_DELETION: "deletion", Blow.NODE_LOSS: "deletion",
}  # fmt: skip
"""The metric's label for what befell a worker."""

Counts = Counter[tuple[str, str]]


class Signs:
    """The signs of one world's troubles."""

    def __init__(self, world: "World") -> None:
        self._world = world

    # -- while it lasts ------------------------------------------------------------------------------------------

    def before(self) -> dict[RunningAgent, dict[str, float]]:
        """What the agents show when a fault begins."""
        return {
            one: {name: one.total(metric) for name, metric in _MALFORMED.items()} for one in self._world.agents.alive
        }

    def after(self, name: str, fault: Fault, hits: int, shown: dict[RunningAgent, dict[str, float]]) -> Iterator[str]:
        """Looked at when a fault of GitHub that met so many requests is over."""
        yield from self.uncounted()
        metric = _MALFORMED.get(name)
        are_same = self._world.agents.alive == list(shown) and not any(one.is_leaving for one in shown)
        if hits and metric and are_same and all(one.total(metric) == shown[one][name] for one in shown):
            yield f"fault without a sign: {name} ({fault.title}) met {hits} requests, {metric.name} has not moved"

    def of_quota(self) -> Iterator[str]:
        """Looked at while a quota is tight: jobs that wait for it are counted as held."""
        world = self._world
        for running in world.agents.alive if not world.profile.kube_faults and not world.profile.github_faults else ():
            held = Counter(
                group_of(delivery)
                for job in world.github.jobs()
                for delivery in job.deliveries
                if delivery.state is DeliveryState.OFFERED
                and world.loop.time() - delivery.offered_seen > _HELD_SECONDS
                and delivery.runner.session is not None
                and delivery.runner.session.owner_name == running.process.name
            )
            for group, count in held.items():
                if running.total(catalog.JOBS_ADMISSION_REJECTED, runner_group=group) < count:
                    yield f"fault without a sign: {count} deliveries to {group} are held, and not counted as that"

    def of_secret(self, seconds: float) -> Iterator[str]:
        """Looked at when the App's Secret has been unusable for so long: every group says so."""
        world = self._world
        young = [one for one in world.agents.alive if world.loop.time() - one.started < seconds]
        if seconds < _LOOK_SECONDS or young or not world.agents.alive or world.profile.kube_faults:
            return
        for group in world.groups():
            for condition in (group.get("status") or {}).get("conditions") or ():
                is_said = condition["reason"] != Reason.CREDENTIAL_AVAILABLE
                if condition["type"] == ConditionType.CREDENTIAL_UNAVAILABLE and not is_said:
                    name = group["metadata"]["name"]
                    yield f"fault without a sign: the Secret was unusable for {seconds:.0f} s, {name} does not say so"

    def of_blows(self) -> Iterator[str]:
        """At the end: each rerun of a job that lost its worker was counted with its cause."""
        world, profile = self._world, self._world.profile
        if profile.kills or profile.restarts or profile.two_agents or profile.deletion or profile.kube_faults:
            return  # an agent may end between a loss's note and its count, and counts go with their group
        lost = Counter(
            (group_of(delivery), _CAUSES[execution.blow])
            for job in (job for run in world.github.runs() for job in run.earlier_jobs)
            for delivery in job.deliveries[-1:]
            for execution in world.executions.get(job.plan_id, ())
            if execution.blow in _CAUSES and is_rerun(job)
        )
        metrics = (catalog.EVICTION_RETRIES, catalog.EVICTION_RETRIES_EXHAUSTED)
        for (group, cause), count in lost.items():
            told = sum(world.agents.total(one, runner_group=group, cause=cause) for one in metrics)
            if told < count:
                yield f"fault without a sign: {count} jobs of {group} were lost by {cause}, {told:.0f} are counted"

    # -- at any time ---------------------------------------------------------------------------------------------

    def uncounted(self) -> Iterator[str]:
        """Answers that came to an agent and are not in its counters."""
        for running in self._world.agents.ever:
            told = _counts(running)
            for (what, kind), count in _seen(running).items():
                if told[what, kind] < count or (told[what, kind] > count and kind != "error"):
                    # A request that its sender gives up counts as one without an answer.
                    text = f"{count} of {what} with {kind}, it counts {told[what, kind]:.0f}"
                    yield f"fault without a sign: {running.process.name} got {text}"

    def unshown(self) -> Iterator[str]:
        """At the end: failures that are counted as answers and have no other sign."""
        yield from self.uncounted()
        yield from self.of_blows()
        # The metrics of a group go with it.
        for running in () if self._world.profile.deletion else self._world.agents.ever:
            for endpoint, (kinds, metrics) in _SIGNS.items():
                count = sum(running.link.answers[endpoint, kind] for kind in kinds)
                if "4xx" in kinds and endpoint != "rest.create_token":
                    count -= running.link.unauthorized[endpoint]  # a new token mends it
                if count and not running.process.is_killed and not any(running.total(one) for one in metrics):
                    names = ", ".join(one.name for one in metrics)
                    yield f"fault without a sign: {running.process.name} got {count} failures of {endpoint}: no {names}"


def is_rerun(job: Job) -> bool:
    """Whether the job has a later attempt."""
    others = (*job.run.jobs, *job.run.earlier_jobs)
    return any(one.plan.name == job.plan.name and one.attempt > job.attempt for one in others)


def _seen(running: RunningAgent) -> Counts:
    """What came back to an agent, by the labels of its metrics."""
    seen: Counts = Counter()
    for (what, kind), count in running.link.answers.items():
        seen[what if what.startswith("kube ") else _ENDPOINTS.get(what, "other"), kind] += count
    return seen


def _counts(running: RunningAgent) -> Counter[tuple[str, str]]:
    """The agent's own counters of answers."""
    counts: Counts = Counter()
    for sample in running.samples(catalog.GITHUB_REQUESTS):
        # The network sees a status alone.
        kind = sample.labels["code_class"].replace("limited", "4xx")
        counts[sample.labels["endpoint"], kind] += int(sample.value)
    for sample in running.samples(catalog.KUBE_REQUESTS):
        counts[f"kube {sample.labels['verb']}", sample.labels["code_class"]] += int(sample.value)
    return counts
