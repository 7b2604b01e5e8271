"""The last step of whatever writes: the checks that must be fine now, by their ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actions_gateway.engine.clock import Clock
from gw.checks.catalog import CATALOG
from gw.checks.engine import judge, may_come, needs_of, select
from gw.checks.model import CheckResult, Finding, Outcome
from gw.errors import TimedOut
from gw.sources.cluster import Cluster
from gw.sources.gathering import gather_facts

_LOOK_SECONDS = 0.5


class Listener(Protocol):
    """Whoever wants to hear how it goes."""

    def reached(self, what: str) -> None:
        """Something that was waited for is true."""

    def waiting(self, what: str) -> None:
        """What is waited for now."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What the checks said in the end: none found a problem."""

    results: tuple[CheckResult, ...]

    @property
    def unproven(self) -> tuple[str, ...]:
        """What they could not see, one line for each check."""
        return tuple(
            f"{result.check.id}: {_first(result, Outcome.UNKNOWN).summary}"
            for result in self.results
            if result.outcome is Outcome.UNKNOWN
        )


async def verify(
    cluster: Cluster,
    check_ids: Sequence[str],
    *,
    namespace: str | None,
    timeout_seconds: float,
    clock: Clock,
    listener: Listener,
    takes_due: bool = True,
) -> Verified:
    """Looks until none of the checks finds a problem, and none waits for something new to come up.

    What a check cannot see is left unproven, and so is what is due and did not come, unless `takes_due` is False.
    Raises TimedOut that names what a check says, CredentialsRejected when the cluster no longer knows the caller.
    """
    checks, deadline = select(CATALOG, check_ids), clock.monotonic() + timeout_seconds
    while True:
        facts = await gather_facts(cluster, namespace, needs_of(checks), clock)
        results = judge(checks, facts, named=check_ids)
        problems = [result for result in results if result.outcome is Outcome.PROBLEM]
        early = [result for result in results if any(may_come(finding) for finding in result.findings)]
        awaited = [*problems, *early]
        is_over = clock.monotonic() >= deadline
        is_due = any(finding.subject and may_come(finding) for result in early for finding in result.findings)
        if not awaited or (is_over and not problems and (takes_due or not is_due)):
            listener.reached(f"{', '.join(_fine(results))} verified")
            return Verified(results)
        outcome = Outcome.PROBLEM if problems else Outcome.UNKNOWN
        worst = _first(awaited[0], outcome)
        words = f"{awaited[0].check.id}: {worst.summary}"
        if is_over:
            verb = "finds a problem" if problems else "waits"
            raise TimedOut(
                f"it is written, and after {timeout_seconds:.0f} s a check still {verb} ({words})",
                worst.next_step or f"See {awaited[0].check.page}.",
            )
        listener.waiting(words)
        await clock.sleep(_LOOK_SECONDS)


def _first(result: CheckResult, outcome: Outcome) -> Finding:
    return next(finding for finding in result.findings if finding.outcome is outcome)


def _fine(results: Sequence[CheckResult]) -> list[str]:
    return [result.check.id for result in results if result.outcome in (Outcome.OK, Outcome.SKIPPED)] or ["nothing"]
