"""Since when GitHub has limited a group's requests without a good answer in between, by kind of call.

The kinds differ in host and budget, so a good answer to one says nothing of another: the polls of a busy session go on
while no successor can be registered.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from actions_gateway.engine.clock import Clock
from actions_gateway.github.errors import RateLimited


class Call(Enum):
    """What GitHub was asked for."""

    REGISTRATION = auto()
    SESSION = auto()
    """A session's opening, the runner's token included."""
    POLL = auto()


class Throttle:
    """Of one group; limits are 429 and those 403 that name a limit (`github.classification`)."""

    def __init__(self, clock: Clock, *, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._since: dict[Call, float] = {}

    @property
    def limited_since(self) -> float | None:
        """Of the kind that is limited longest, in seconds of the monotonic clock; None while GitHub limits nothing."""
        return min(self._since.values(), default=None)

    def limited(self, call: Call) -> None:
        """GitHub limited a call; only the first one of its kind after a good answer counts."""
        if call not in self._since:
            self._since[call] = self._clock.monotonic()
            self._on_change()

    def relieved(self, *calls: Call) -> None:
        """GitHub did what it was asked, or nobody asks any more."""
        if self._since.keys() & calls:
            self._since = {call: since for call, since in self._since.items() if call not in calls}
            self._on_change()

    @contextmanager
    def noting(self, call: Call) -> Iterator[None]:
        """Around a call: notes how it ends."""
        try:
            yield
        except RateLimited:
            self.limited(call)
            raise
        self.relieved(call)
