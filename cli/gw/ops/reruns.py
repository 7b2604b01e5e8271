"""Has lost jobs rerun that nobody reruns by themselves: plan, ask, write, and follow until it is decided.

The request is an annotation on the jobs' RunnerGroup, which the tenant's agent carries out (`labels.RERUN`).
"""

from dataclasses import dataclass, replace
from typing import Protocol

from actions_gateway.api import labels
from actions_gateway.api.ledger import MOST_OF_A_REQUEST, RerunRequest, RerunState, parse_request
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.wording import counted
from gw.errors import Refused, TimedOut
from gw.exits import ExitCode
from gw.ops.jobs import JobReport, LostJob
from gw.ops.rerun_plan import GroupRequest, RerunOrder, RerunPlan, decide_plan, described, gather_losses
from gw.sources.cluster import Cluster, asking
from gw.sources.lostjobs import LostJobFact, gather_lost_jobs

FIELD_MANAGER = "gw-job-rerun"
_LOOK_SECONDS = 1.0
_WRITES = 5
"""A group's object changes with every job: so often a write that met a change is repeated on what is there by then."""
_DONE = (RerunState.REQUESTED, RerunState.UNNEEDED)
_Loss = tuple[str, str, str]
"""Namespace, group and runner."""


@dataclass(frozen=True, slots=True)
class RerunResult:
    """What came of it; after a dry run nothing is decided."""

    plan: RerunPlan
    token: str
    dry_run: bool
    decided: tuple[LostJob, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        is_good = all(job.fact.state in _DONE for job in self.decided)
        return ExitCode.OK if is_good else ExitCode.PROBLEM


class Conversation(Protocol):
    """Progress and one question."""

    def show_plan(self, plan: RerunPlan, report: JobReport) -> None:
        """What is about to be asked for."""

    def confirm(self, question: str) -> bool:
        """Whether to go on; raises Refused when there is nobody to ask."""

    def wrote(self, request: GroupRequest) -> None:
        """A request stands."""

    def decided(self, job: LostJob) -> None:
        """The agent has decided about a job."""

    def waiting(self, what: str) -> None:
        """What is waited for now."""


async def rerun_jobs(cluster: Cluster, order: RerunOrder, *, clock: Clock, conversation: Conversation) -> RerunResult:
    """The decided reruns; raises GwError. Nothing is written before the server checked the plan and a person agreed."""
    report = await gather_losses(cluster, order, clock)
    plan = decide_plan(report, order)
    for request in plan.requests:
        await _write(cluster, request, order.token, dry_run=True)
    conversation.show_plan(plan, report)
    if order.dry_run:
        return RerunResult(plan, order.token, dry_run=True)
    if not order.yes and not conversation.confirm(f"Have {counted(len(plan.jobs), 'job')} rerun?"):
        raise Refused("the plan was not confirmed, and nothing was asked for", "Run it again once the plan is right.")
    decided = await _carry_out(cluster, plan, order, clock, conversation)
    return RerunResult(plan, order.token, dry_run=False, decided=decided)


async def _write(cluster: Cluster, request: GroupRequest, token: str, *, dry_run: bool) -> None:
    """Sets the annotation, or has the server try to; what an earlier one asked for and no agent took stays in it."""
    doing = f"ask for reruns at the runner group {request.group} of {request.namespace}"
    with asking(doing, writes=True):
        for attempt in range(_WRITES):
            try:
                group = await cluster.get(r.RUNNERGROUPS, request.group, request.namespace)
                metadata = group["metadata"]
                before = parse_request((metadata.get("annotations") or {}).get(labels.RERUN))
                unseen = await _unseen(cluster, request.namespace, before) if before else ()
                wanted = RerunRequest(
                    token, tuple(dict.fromkeys((*unseen, *(job.fact.runner for job in request.jobs))))
                )
                if parse_request(wanted.render()) != wanted:
                    raise _unfit(request, len(unseen))
                patch = {"metadata": {"annotations": {labels.RERUN: wanted.render()}}}
                if metadata.get("resourceVersion"):
                    patch["metadata"]["resourceVersion"] = metadata["resourceVersion"]
                await cluster.patch(
                    r.RUNNERGROUPS,
                    request.group,
                    patch,
                    namespace=request.namespace,
                    dry_run=dry_run,
                    field_manager=FIELD_MANAGER,
                )
            except errors.NotFound as problem:
                what = f"the runner group {request.group} of {request.namespace} is gone, and its agent's part with it"
                raise Refused(what, "Rerun its jobs at GitHub: *Re-run jobs* on the run's page.") from problem
            except errors.Conflict:
                if attempt == _WRITES - 1:
                    raise
            else:
                return


def _unfit(request: GroupRequest, unseen_count: int) -> Refused:
    place, count = f"{request.namespace}/{request.group}", counted(len(request.jobs), "job")
    earlier = f" and {unseen_count} that an earlier one names and no agent has taken" if unseen_count else ""
    return Refused(
        f"a request at {place} for {count}{earlier} is none that an agent understands",
        f"At most {MOST_OF_A_REQUEST} fit into one. Name fewer runs, or see why none takes the earlier request: "
        f"`gw health {request.namespace} --check agent.available`.",
    )


async def _unseen(cluster: Cluster, namespace: str, before: RerunRequest) -> tuple[str, ...]:
    facts = await gather_lost_jobs(cluster, namespace)
    return tuple(fact.runner for fact in facts if fact.runner in before.runners and fact.request != before.token)


async def _carry_out(
    cluster: Cluster, plan: RerunPlan, order: RerunOrder, clock: Clock, conversation: Conversation
) -> tuple[LostJob, ...]:
    """The jobs once all are decided; raises TimedOut that names the others.

    A group's next request is written once its agent has taken the one before, since an annotation holds only one. A job
    is taken when its request is another than in the plan: somebody else's later one names what ours asked for, too.
    """
    deadline = clock.monotonic() + order.timeout_seconds
    left, decided = list(plan.requests), list[LostJob]()
    asked, untaken = dict[_Loss, LostJob](), dict[_Loss, LostJob]()
    namespaces = sorted({request.namespace for request in plan.requests})
    while True:
        for request in list(left):
            if not any(loss[:2] == (request.namespace, request.group) for loss in untaken):
                await _write(cluster, request, order.token, dry_run=False)
                conversation.wrote(request)
                left.remove(request)
                untaken |= {_loss_of(job.fact): job for job in request.jobs}
                asked |= untaken
        with asking("follow the ledger of lost jobs"):
            facts = [fact for namespace in namespaces for fact in await gather_lost_jobs(cluster, namespace)]
        now = {_loss_of(fact): fact for fact in facts}
        untaken = {loss: job for loss, job in asked.items() if now.get(loss, job.fact).request == job.fact.request}
        for loss in [loss for loss in asked if loss not in untaken and now[loss].state != RerunState.PENDING]:
            decided.append(replace(asked.pop(loss), fact=now[loss]))
            conversation.decided(decided[-1])
        if not asked and not left:
            return tuple(decided)
        if asked and clock.monotonic() >= deadline:
            taken = [replace(job, fact=now[loss]) for loss, job in asked.items() if loss not in untaken]
            unasked = [job for request in left for job in request.jobs]
            raise _timed_out(taken, list(untaken.values()), unasked, order.timeout_seconds)
        conversation.waiting(_awaited(len(asked), len(asked) - len(untaken)))
        await clock.sleep(_LOOK_SECONDS)


def _loss_of(fact: LostJobFact) -> _Loss:
    return fact.namespace, fact.group, fact.runner


def _awaited(count: int, taken: int) -> str:
    if not taken:
        return "the tenant's agent has not taken the request yet"
    return f"GitHub reruns a job when its run has ended: {counted(count, 'job')} to go"


def _timed_out(taken: list[LostJob], untaken: list[LostJob], unasked: list[LostJob], seconds: float) -> TimedOut:
    parts = (("", taken), ("not taken by an agent yet: ", untaken), ("not asked for yet: ", unasked))
    details = tuple(f"{words}{described(job)}" for words, jobs in parts for job in jobs)
    place = (untaken or taken)[0].fact.namespace
    if untaken:
        what = f"no agent has taken the request for {counted(len(untaken), 'job')}"
        step = (
            "It stays asked for, unless somebody else's annotation takes its place. An agent of this release takes it "
        )
        step += f"at once: `gw health {place} --check agent.available`."
    else:
        verb = "waits for its run's end" if len(taken) == 1 else "wait for their runs' ends"
        what = f"{counted(len(taken), 'job')} still {verb}"
        step = f"What is asked for stays so, and is rerun when its run has ended; see `gw job list {place}`."
    step += " Run the same command again for the rest." if unasked else ""
    return TimedOut(f"{what} after {seconds:.0f} s", step, details=details)
