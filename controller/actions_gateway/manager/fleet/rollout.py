"""The turns of a release's rollout: a few tenants at a time, and no further while those do not become available.

Everything it knows it has from the tenants' Deployments, as the passes over them find them; turns are given once all
of the first list has been passed over, so that a new leader counts what its predecessor began.
"""

from collections.abc import Callable

import structlog

from actions_gateway.manager.gateway.release import Standing
from actions_gateway.manager.gateway.snapshot import Key
from actions_gateway.metrics.catalog import ROLLOUT_WAITING
from actions_gateway.metrics.registry import Metrics

log = structlog.get_logger(__name__)

_LEAST_AT_ONCE = 3
_ONE_IN = 20
_NAMED = 5
_WAITING = (Standing.HANGING, Standing.WAITING)
"""In the order in which they get their turns."""


class Rollout:
    """Whose turn it is."""

    def __init__(self, metrics: Metrics, *, look_at: Callable[[Key], None]) -> None:
        self._metrics = metrics
        self._look_at = look_at
        self._standings: dict[Key, Standing] = {}
        self._turns: set[Key] = set()
        """Those that got a turn and have not been brought to the release yet."""
        self._failed: dict[Key, int] = {}
        """How often a turn came to nothing."""
        self._pausing: set[Key] = set()
        """Those whose last pass failed: their next one comes by itself."""
        self._is_begun = False

    @property
    def places(self) -> int:
        """How many tenants may be between two releases at the same time: 5 % of those that are served, at least 3."""
        return max(_LEAST_AT_ONCE, len(self._standings) // _ONE_IN)

    def may_roll(self, key: Key, standing: Standing) -> bool:
        """Whether this tenant's Deployments get the newest release now; one that is half through goes on."""
        return key in self._turns or standing not in _WAITING

    def observe(self, key: Key, standing: Standing | None) -> None:
        """Takes in where a tenant is after a pass; None when it is not served."""
        self._pausing.discard(key)
        before = self._standings.get(key)
        if standing is before:
            return
        if standing is None:
            del self._standings[key]
        else:
            self._standings[key] = standing
        if standing not in _WAITING:
            self._turns.discard(key)
            self._failed.pop(key, None)
        if standing is Standing.STUCK:
            log.warning("gateway does not become available with the new release", namespace=key[0], name=key[1])
        self._give_turns()

    def give_up(self, key: Key) -> None:
        """Takes the turn of a tenant whose pass failed before its Deployments were reached, for those behind it.

        It gets another one only after them: what is broken in its own namespace must not hold up the fleet.
        """
        self._pausing.add(key)
        if key in self._turns:
            self._turns.discard(key)
            self._failed[key] = self._failed.get(key, 0) + 1
            self._give_turns()

    def begin(self) -> None:
        """Every tenant of the first list has been passed over."""
        self._is_begun = True
        self._give_turns()

    def _give_turns(self) -> None:
        if not self._is_begun:
            return
        waiting = [key for key, standing in self._standings.items() if standing in _WAITING]
        self._metrics.set(ROLLOUT_WAITING, len(waiting))
        queue = sorted(
            set(waiting) - self._turns,
            key=lambda key: (self._failed.get(key, 0), _WAITING.index(self._standings[key]), key),
        )
        held = sum(standing in (Standing.IN_FLIGHT, Standing.STUCK) for standing in self._standings.values())
        given = queue[: max(0, self.places - held - len(self._turns))]
        for key in given:
            self._turns.add(key)
            if key not in self._pausing:
                self._look_at(key)
        if given:
            names = ["/".join(key) for key in given[:_NAMED]]
            log.info("release rollout goes on", gateways=names, count=len(given), waiting=len(waiting))
