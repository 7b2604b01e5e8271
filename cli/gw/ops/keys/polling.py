"""Whether GitHub has answered a poll since the agent works with its new key, as Prometheus tells.

A status tells of open sessions, not of polls; GitHub holds an idle poll for 50 s, and a scrape comes later still.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from actions_gateway.engine.clock import Clock
from gw.checks.belonging import own_series
from gw.ops.keys.following import Listener
from gw.sources.cluster import Cluster
from gw.sources.facts import Need, NotKnown
from gw.sources.gathering import DISCOVERED, gather_facts
from gw.sources.places import Sources
from gw.sources.series import POLL_AGE

_LOOK_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 90.0
_NEEDS = frozenset({Need.SERIES, Need.GATEWAYS})


@dataclass(frozen=True, slots=True)
class Polls:
    """What is known of polls with the new key."""

    unseen: tuple[str, ...] = ()
    """What could not be seen of it, a sentence without a full stop for each group."""
    is_silent: bool = False
    """Whether Prometheus can be asked and has told of no answered poll."""


async def until_polls_answered(
    cluster: Cluster,
    namespace: str,
    groups: Sequence[str],
    *,
    timeout_seconds: float,
    clock: Clock,
    listener: Listener,
    sources: Sources = DISCOVERED,
) -> Polls:
    """What is known once GitHub has answered, or the time is up; raises CredentialsRejected."""
    begun = clock.monotonic()
    deadline = begun + min(timeout_seconds, _LONGEST_WAIT_SECONDS)
    while groups:
        elapsed = clock.monotonic() - begun
        try:
            ages = own_series(await gather_facts(cluster, namespace, _NEEDS, clock, sources)).of(POLL_AGE)
        except NotKnown as blind:
            return Polls((f"that GitHub answers polls: {blind.missing.reason}",))
        late = [name for name in groups if ages.get((namespace, name), float("inf")) > elapsed]
        if not late:
            listener.reached("GitHub has answered a poll of every runner group")
            break
        if clock.monotonic() >= deadline:
            unseen = (f"that GitHub answers polls of {name}: Prometheus has told of none yet" for name in late)
            return Polls(tuple(unseen), is_silent=True)
        listener.waiting(f"no poll is known to be answered yet for {', '.join(late)}")
        await clock.sleep(_LOOK_SECONDS)
    return Polls()
