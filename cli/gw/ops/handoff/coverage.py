"""Of which part of a shift Prometheus has nothing: a section says so instead of "None."."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from actions_gateway.metrics.catalog import Component
from gw.checks.catalog.gateway import served
from gw.sources.facts import Facts, Known, Missing
from gw.sources.shift import ShiftFacts
from gw.sources.shiftseries import HoleFact
from gw_alerts.thresholds import SERIES_OLD_SECONDS

_SHOWN = 3
"""Holes; further ones are counted."""
_NAMES = {Component.MANAGER: "the manager", Component.AGENT: "agents"}


def holes_of(facts: Facts, shift: ShiftFacts, component: Component) -> tuple[HoleFact, ...]:
    """The holes in which there should have been something; none when Prometheus cannot be asked at all."""
    if isinstance(shift.series, Missing):
        return ()
    due = shift.since if component is Component.MANAGER else _agents_due(facts, shift.since)
    found = [hole for hole in shift.series.value.holes if hole.component is component]
    return tuple(replace(hole, begins_at=max(hole.begins_at, due)) for hole in found if hole.ends_at > due)


def without(facts: Facts, shift: ShiftFacts, *components: Component) -> Iterator[str]:
    """Sentences about the holes of components; those that lack at the same times share one."""
    together: dict[str, list[str]] = {}
    for component in components:
        if holes := holes_of(facts, shift, component):
            together.setdefault(_times(holes), []).append(_NAMES[component])
    if isinstance(shift.series, Known):
        for times, names in together.items():
            yield f"{shift.series.value.source} has nothing of {' and '.join(names)} {times}"


def _agents_due(facts: Facts, since: datetime) -> datetime:
    """When the first agent that there is now should have been scraped; beyond the present when none is wanted."""
    if isinstance(facts.gateways, Missing):
        return since
    made = [each.created_at or since for each in served(facts) if not each.wants_no_agent] or [facts.now]
    return max(since, min(made) + timedelta(seconds=SERIES_OLD_SECONDS.value))


def _times(holes: Sequence[HoleFact]) -> str:
    shown = ", ".join(
        f"from {each.begins_at:%Y-%m-%d %H:%M} to {each.ends_at:%Y-%m-%d %H:%M} UTC" for each in holes[:_SHOWN]
    )
    rest = len(holes) - _SHOWN
    return shown + (f" and {rest} more times" if rest > 0 else "")
