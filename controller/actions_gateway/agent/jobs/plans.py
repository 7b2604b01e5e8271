"""One job, several deliveries: it runs once, and the others are completed with its result when it has ended.

Under bursts GitHub delivers one job to several sessions, each under a request id and with a token of its own; all of
them can be claimed and have the same plan. A claimed delivery that nobody completes keeps its job from concluding, and
after a quarter of an hour the whole job is cancelled; completing it before the job has ended would conclude the job
unrun, but for `skipped`, which concludes nothing (measured against github.com). So what is still open shortly before
that limit is skipped. A duplicate keeps its slot until it is completed, for an agent that follows.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.acquirer import JobService
from actions_gateway.agent.jobs.outcome import Result
from actions_gateway.agent.jobs.reporting import Completion, complete
from actions_gateway.agent.jobs.slots import Slot
from actions_gateway.agent.signals import Signal, first_of
from actions_gateway.github.runservice import Conclusion
from actions_gateway.metrics.catalog import DUPLICATE_COMPLETIONS, DUPLICATE_DELIVERIES

log = structlog.get_logger(__name__)

_TITLE = "Delivered twice"
_MESSAGE = "The job ran under another delivery."
_LEAD_SECONDS = 60.0
"""Before GitHub's limit."""
_UNKNOWN_SECONDS = 120.0
"""Within which a duplicate that was found meets its job, if that still runs."""
_IDLE_SECONDS = 3600.0


def skipped_at(claimed: float, basics: Basics) -> float:
    """When a duplicate delivery that is still open is skipped; moments of the monotonic clock."""
    return claimed + basics.tunables.unstarted_limit_seconds - _LEAD_SECONDS


async def complete_duplicate(
    service: JobService, conclusion: str, basics: Basics, log: structlog.typing.FilteringBoundLogger
) -> Completion:
    """Completes a delivery whose job another one runs."""
    return await complete(service, conclusion, title=_TITLE, message=_MESSAGE, basics=basics, log=log)


class SlotRelease(Protocol):
    """What frees a duplicate's slot."""

    async def release(self, slot: Slot) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Sibling:
    """A duplicate delivery that was claimed; times are seconds of the monotonic clock."""

    group: str
    service: JobService
    slot: Slot
    claimed: float
    joined: float


@dataclass(slots=True)
class _Plan:
    is_claimed: bool = False
    """Its job runs here."""
    was_claimed: bool = False
    """It runs here, or did."""
    siblings: list[_Sibling] = field(default_factory=list)
    result: Result | None = None
    """Of its job, once that has ended and GitHub knows how."""
    forgotten_at: float | None = None


class Plans:
    """The plans of the jobs in flight, and of those that ended a moment ago."""

    def __init__(self, basics: Basics, slots: SlotRelease) -> None:
        self._basics = basics
        self._clock = basics.clock
        self._slots = slots
        self._plans: dict[str, _Plan] = {}
        self._changed = Signal()

    def claim(self, plan_id: str) -> bool:
        """Whether the plan's job is to be run by who asks: nobody else runs it or has just run it.

        One that was lost may be delivered again at once, and would run nowhere otherwise.
        """
        self._forget()
        plan = self._plans.setdefault(plan_id, _Plan())
        if plan.is_claimed or plan.result is not None:
            return False
        plan.is_claimed, plan.was_claimed, plan.forgotten_at = True, True, None
        return True

    def join(self, plan_id: str, group: str, service: JobService, slot: Slot, *, claimed: float) -> None:
        """A delivery of a plan whose job runs under another one, or did; it is completed when that has ended."""
        self._basics.metrics.inc(DUPLICATE_DELIVERIES, 1, **self._basics.labels_of(group))
        now = self._clock.monotonic()
        plan = self._plans.setdefault(plan_id, _Plan(forgotten_at=now))
        plan.siblings.append(_Sibling(group, service, slot, claimed, now))
        self._changed.notify()

    def ended(self, plan_id: str, result: Result) -> None:
        """The plan's job has ended; the other deliveries of a lost one stay open, since it may be delivered again."""
        plan = self._plans.get(plan_id)
        if plan is not None and plan.is_claimed:
            plan.is_claimed, plan.result = False, None if result is Result.LOST else result
            plan.forgotten_at = self._clock.monotonic() + self._basics.tunables.plan_memory_seconds
            self._changed.notify()

    def _forget(self) -> None:
        now = self._clock.monotonic()
        for plan_id, plan in list(self._plans.items()):
            if plan.forgotten_at is not None and plan.forgotten_at <= now and not plan.siblings:
                del self._plans[plan_id]

    async def run(self) -> None:
        """Completes duplicate deliveries until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                changed = self._changed.next
                for sibling, conclusion in list(self._due()):
                    tasks.create_task(self._complete_one(sibling, conclusion), name=f"complete {sibling.slot.name}")
                await first_of(changed.wait(), self._clock.sleep(self._wait_seconds()))

    def _due(self) -> Iterator[tuple[_Sibling, str]]:
        now = self._clock.monotonic()
        for plan in self._plans.values():
            for sibling in list(plan.siblings):
                is_late = self._skipped_at(plan, sibling) <= now
                if plan.result is not None or is_late:
                    plan.siblings.remove(sibling)
                    yield sibling, plan.result.value if plan.result is not None else Conclusion.SKIPPED.value

    def _skipped_at(self, plan: _Plan, sibling: _Sibling) -> float:
        due = skipped_at(sibling.claimed, self._basics)
        return due if plan.was_claimed else min(due, sibling.joined + _UNKNOWN_SECONDS)

    def _wait_seconds(self) -> float:
        now = self._clock.monotonic()
        dues = (self._skipped_at(plan, sibling) - now for plan in self._plans.values() for sibling in plan.siblings)
        return min(_IDLE_SECONDS, max(0.0, min(dues, default=_IDLE_SECONDS)))

    async def _complete_one(self, sibling: _Sibling, conclusion: str) -> None:
        bound = log.bind(runner_group=sibling.group)
        said = await complete_duplicate(sibling.service, conclusion, self._basics, bound)
        outcome = "completed" if said in (Completion.ACCEPTED, Completion.CLOSED) else "error"
        self._basics.metrics.inc(DUPLICATE_COMPLETIONS, 1, **self._basics.labels_of(sibling.group), outcome=outcome)
        await self._slots.release(sibling.slot)
