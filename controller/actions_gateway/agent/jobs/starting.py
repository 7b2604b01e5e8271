"""From a claimed job to its pod: tries for as long as retries, deadline, lock and cancellation let it."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

import structlog

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.attempts import Attempts
from actions_gateway.agent.jobs.outcome import PodView
from actions_gateway.agent.jobs.renewing import Renewal
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.worker import Worker
from actions_gateway.agent.signals import first_of
from actions_gateway.kube.errors import KubeError, NamespaceTerminating


class Start(Enum):
    """What became of it."""

    PLACED = auto()
    """The pod exists."""
    ELSEWHERE = auto()
    """Another agent's pod runs the job, or has run it to its end."""
    GIVEN_UP = auto()
    """Not now; later it may."""
    POINTLESS = auto()
    """Neither now nor later."""


class Starter:
    """Starts the worker of one job."""

    def __init__(
        self,
        claimed: ClaimedJob,
        group: Group,
        services: JobServices,
        worker: Worker,
        renewal: Renewal,
        *,
        tell: Callable[[str, str], Awaitable[None]],
        on_change: Callable[[], None],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._claimed = claimed
        self._group = group
        self._services = services
        self._worker = worker
        self._renewal = renewal
        self._tell = tell
        self._on_change = on_change
        self._log = log
        self.settled = asyncio.Event()
        """The pod exists, or will not be made by this agent: nothing is half-done."""
        self._is_leaving = False
        self._is_pausing = False
        self.refusal = ""
        """Why the API server does not admit the pod; empty when it does."""
        self.other: PodView | None = None
        """The pod of another slot that has the job's name."""

    def leave(self) -> None:
        """The agent ends: what is under way is carried to its end, and nothing new is tried."""
        self._is_leaving = True
        if self._is_pausing:
            self.settled.set()

    async def run(self) -> Start:
        """Tries until the pod exists or is given up; raises nothing of Kubernetes."""
        attempts = Attempts(self._group, self._services.basics)
        if not self._claimed.worker_keys:
            await self._tell("PayloadTooLarge", "the job is larger than a Secret can hold, and cannot be started")
            return Start.POINTLESS
        while True:
            changed, headroom = self._claimed.line.changed.next, self._services.headroom.changed.next
            try:
                self.other = await self._worker.start()
            except NamespaceTerminating as problem:
                # It takes nothing new any more, however long one waits.
                self._log.info("worker not created: the namespace is being deleted", problem=problem.message)
                self._claimed.reservation.failed()
                return Start.POINTLESS
            except KubeError as problem:
                pause = attempts.pause_after(problem)
                self._refused(problem.message)
                text = f"pod {self._worker.name} is not created: {problem.message}"
                await self._tell("WorkerPodCreateFailed", text)
            else:
                return self._placed()
            if pause is None:
                await self._give_up(attempts)
            if pause is None or self._renewal.loss or self._claimed.line.cancel_deadline:
                return Start.GIVEN_UP
            await self._pause(changed, headroom, pause)
            attempts.was_woken = headroom.is_set()

    def _placed(self) -> Start:
        name = self._claimed.slot.name
        if self.other is None:
            self._log.info("worker created", slot=name)
            self._claimed.reservation.placed()
            self._refused("")
            self.settled.set()
            return Start.PLACED
        self._log.info("job runs in another pod", slot=name, other=self.other.slot, has_ended=self.other.has_ended)
        return Start.GIVEN_UP if self.other.has_ended and not self.other.has_reported else Start.ELSEWHERE

    async def _give_up(self, attempts: Attempts) -> None:
        self._claimed.reservation.failed()
        if attempts.are_retries_exhausted:
            text = f"the quota refused pod {self._worker.name} {attempts.quota_refusals} times"
            await self._tell("QuotaRetriesExhausted", f"{text}; its job is given up and rerun later")

    async def _pause(self, changed: asyncio.Event, headroom: asyncio.Event, seconds: float) -> None:
        self._is_pausing = True
        if self._is_leaving:
            self.settled.set()
        await first_of(changed.wait(), headroom.wait(), self._services.basics.clock.sleep(seconds))
        if self._is_leaving:
            # The next agent goes on, from what the slot says.
            await asyncio.Event().wait()
        self._is_pausing = False

    def _refused(self, refusal: str) -> None:
        if refusal != self.refusal:
            self.refusal = refusal
            self._on_change()
