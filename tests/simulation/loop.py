"""An asyncio event loop on virtual time: nothing is waited for, the clock jumps to the next timer.

Ours instead of looptime, which patches a loop that still polls real descriptors: a simulation has none, must notice
that nobody can ever wake up again, and must run the same way each time. Tasks are numbered, since the standard library
keeps some of them in sets, whose order would otherwise follow the addresses in memory.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

_MOST_TURNS_AT_ONE_MOMENT = 20_000
EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

process: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)
"""The simulated process that the running task belongs to; tasks inherit it from those that start them."""


class Hang(RuntimeError):
    """Nothing can ever happen any more."""


class HotLoop(RuntimeError):
    """The loop turns and turns without time passing."""


class Stopped(RuntimeError):
    """Enough was seen."""


class Process:
    """A simulated process: its tasks, and whether it has been killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_killed = False
        self.tasks: dict[int, asyncio.Task[Any]] = {}

    def kill(self) -> None:
        """Ends it as SIGKILL would: its tasks are thrown away, and nothing that they try has an effect any more."""
        self.is_killed = True
        for task in list(self.tasks.values()):
            task.cancel()

    def check(self) -> None:
        """What every way out of the process asks first."""
        if self.is_killed:
            raise asyncio.CancelledError

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Runs `work`, and all that it starts, as this process."""
        context = contextvars.copy_context()
        context.run(process.set, self)
        return asyncio.get_running_loop().create_task(work, name=name, context=context)


class _NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number."""

    _numbers = 0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        _NumberedTask._numbers += 1
        self.number = _NumberedTask._numbers
        super().__init__(*arguments, **keywords)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    """Raises Hang and HotLoop out of `run_until_complete`; `on_advance` is called each time that time has moved."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._turns = 0
        self.is_enough = False
        """Ends the run at the next step."""
        self.on_advance: Callable[[], None] | None = None
        self.failures: list[str] = []
        """What nobody awaited and therefore nobody heard of."""
        self._selector = self
        self._clock_resolution = 1e-9
        _NumberedTask._numbers = 0
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note_failure)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """In the selector's place: lets time pass when nothing is ready."""
        if self.is_enough:
            self.is_enough = False
            raise Stopped
        if timeout is None:
            raise Hang("every task waits for something that nobody will do")
        if timeout <= 0:
            self._turns += 1
            if self._turns > _MOST_TURNS_AT_ONE_MOMENT:
                raise HotLoop(f"{self._turns} turns of the event loop at {self._now:.3f} s")
            return []
        self._turns = 0
        self._now = max(self._now, min(handle.when() for handle in self._scheduled[:1]))  # type: ignore[attr-defined]
        if self.on_advance is not None:
            self.on_advance()
        return []

    def _make_task(self, loop: asyncio.AbstractEventLoop, work: Any, **keywords: Any) -> asyncio.Task[Any]:
        task = _NumberedTask(work, loop=loop, **keywords)
        context = keywords.get("context")
        owner = context.get(process) if context is not None else process.get()
        if owner is not None:
            owner.tasks[task.number] = task
            task.add_done_callback(lambda done: owner.tasks.pop(task.number, None))
            if owner.is_killed:
                task.cancel()
        return task

    def _note_failure(self, _: asyncio.AbstractEventLoop, facts: dict[str, Any]) -> None:
        problem = facts.get("exception")
        self.failures.append(f"{facts.get('message')}: {type(problem).__name__}: {problem}")

    def _process_events(self, event_list: list[Any]) -> None:
        """No descriptors, no events."""

    def _write_to_self(self) -> None:
        """There are no other threads to be woken by."""


class SimulatedClock:
    """A process's clock: monotonic time is the loop's, wall time can be set wrong."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.skew_seconds = 0.0
        """How far the wall clock is ahead of everybody else's."""

    def now(self) -> datetime:
        """The wall-clock time."""
        return EPOCH + timedelta(seconds=self._loop.time() + self.skew_seconds)

    def monotonic(self) -> float:
        """Seconds of the loop."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Waits on virtual time."""
        await asyncio.sleep(max(0.0, seconds))


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> VirtualLoop:
    """Runs `main` on a loop of its own to its end, and the loop afterwards, for its figures."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(main(loop))
    finally:
        # Whatever still runs gets its cancellation, so that nothing is left to the garbage collector.
        leftovers = sorted(asyncio.all_tasks(loop), key=hash)
        for task in leftovers:
            task.cancel()
        if leftovers:
            loop.run_until_complete(asyncio.gather(*leftovers, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    return loop
