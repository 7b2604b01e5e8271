"""Follows a run on the sandbox to its end; refuses jobs that nothing could run before they are queued."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from actions_gateway.engine.clock import Clock
from gw.errors import Refused
from gw.exits import ExitCode
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import GroupFact
from gw.sources.gathering import gather_groups
from gw.sources.simulator import RunFact, Simulator

JobLabels = tuple[tuple[str, tuple[str, ...]], ...]
"""Each job's name and the labels that it asks for."""

_LOOK_SECONDS = 0.25
_GOOD_CONCLUSIONS = frozenset({"success", "skipped", "neutral"})


class FailOn(StrEnum):
    """What makes `gw sandbox run` end with 1."""

    NOT_CONCLUDED = "not-concluded"
    """A job that did not conclude. A red job is an outcome, not a failure of the gateway."""
    FAILURE = "failure"
    """Also a job whose conclusion is not success."""


def parse_fail_on(text: str) -> FailOn:
    """Raises Refused for anything else."""
    try:
        return FailOn(text)
    except ValueError:
        raise Refused(f"--fail-on {text!r} is none of {', '.join(FailOn)}", "Name one of them.") from None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """A run that ended, or that was given up waiting for."""

    run: RunFact
    fail_on: FailOn
    timed_out: bool

    @property
    def exit_code(self) -> ExitCode:
        """5 for the wait, 1 for what --fail-on names, else 0."""
        if self.timed_out:
            return ExitCode.TIMED_OUT
        if any(not job.is_concluded for job in self.run.jobs):
            return ExitCode.PROBLEM
        is_red = any(job.conclusion not in _GOOD_CONCLUSIONS for job in self.run.jobs)
        return ExitCode.PROBLEM if is_red and self.fail_on is FailOn.FAILURE else ExitCode.OK


async def check_labels(cluster: Cluster, job_labels: JobLabels) -> None:
    """Raises Refused for a job that no runner group serves, naming its labels and the groups that exist."""
    with asking("list the runner groups"):
        groups = await gather_groups(cluster, None)
    for name, labels in job_labels:
        matching = [group for group in groups if has_labels(group, labels)]
        if not any(not group.suspended for group in matching):
            raise _unserved(name, labels, matching, groups)


def has_labels(group: GroupFact, labels: tuple[str, ...]) -> bool:
    """Whether a runner of the group carries all of these labels (GitHub ignores their case)."""
    has = {label.lower() for label in group.runner_labels}
    return has >= {label.lower() for label in labels}


def _unserved(
    job: str, labels: tuple[str, ...], suspended: Sequence[GroupFact], groups: Sequence[GroupFact]
) -> Refused:
    asks = f"the job {job} asks for the labels {', '.join(labels)}, which"
    if suspended:
        group = suspended[0]
        return Refused(
            f"{asks} only the runner group {group.name} serves, and it is suspended or its gateway paused",
            f"Look at it with `gw tenant show {group.namespace}`, and resume it with "
            f"`kubectl edit actionsgateway -n {group.namespace} {group.gateway}`; nothing was queued.",
        )
    if not groups:
        return Refused(
            f"{asks} no runner group serves, since there is none",
            "Add a tenant with `gw tenant add`; nothing was queued.",
        )
    there = "; ".join(f"{group.name}: {', '.join(group.runner_labels)}" for group in groups)
    return Refused(
        f"{asks} no runner group serves ({there})", "Change its runs-on, or add a group; nothing was queued."
    )


async def follow(
    simulator: Simulator,
    run: RunFact,
    *,
    fail_on: FailOn,
    timeout_seconds: float,
    clock: Clock,
    on_change: Callable[[RunFact], None],
) -> RunOutcome:
    """Looks until the run is over or the time is; tells of every look."""
    deadline = clock.monotonic() + timeout_seconds
    on_change(run)
    while not run.is_over:
        if clock.monotonic() >= deadline:
            return RunOutcome(run, fail_on, timed_out=True)
        await clock.sleep(_LOOK_SECONDS)
        run = await simulator.get_run(run.id)
        on_change(run)
    return RunOutcome(run, fail_on, timed_out=False)
