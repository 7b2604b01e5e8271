"""Since when GitHub has limited a group's requests without a good answer in between."""

from collections.abc import Callable

from actions_gateway.engine.clock import Clock


class Throttle:
    """Of one group; limits are 429 and those 403 that name a limit (`github.classification`)."""

    def __init__(self, clock: Clock, *, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self.limited_since: float | None = None
        """Seconds of the monotonic clock; None while GitHub answers."""

    def limited(self) -> None:
        """GitHub limited a request; only the first one after a good answer counts."""
        if self.limited_since is None:
            self.limited_since = self._clock.monotonic()
            self._on_change()

    def answered(self) -> None:
        """GitHub did what it was asked."""
        if self.limited_since is not None:
            self.limited_since = None
            self._on_change()
