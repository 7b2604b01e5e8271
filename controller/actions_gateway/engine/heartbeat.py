"""The event loop's own pulse: what liveness means for an asyncio process, and how late it runs."""

from collections.abc import Callable

from actions_gateway.engine.clock import Clock

_BEAT_SECONDS = 1.0
_DEAD_AFTER_SECONDS = 30.0


class Heartbeat:
    """Beats once a second and tells how late (seconds); a loop that is blocked for half a minute is dead."""

    def __init__(self, clock: Clock, on_lag: Callable[[float], None]) -> None:
        self._clock = clock
        self._on_lag = on_lag
        self._last_beat = clock.monotonic()

    def is_alive(self) -> bool:
        """Whether the loop beat within the last 30 s."""
        return self._clock.monotonic() - self._last_beat < _DEAD_AFTER_SECONDS

    async def run(self) -> None:
        """Beats until cancelled."""
        while True:
            expected = self._clock.monotonic() + _BEAT_SECONDS
            await self._clock.sleep(_BEAT_SECONDS)
            self._last_beat = self._clock.monotonic()
            self._on_lag(max(0.0, self._last_beat - expected))
