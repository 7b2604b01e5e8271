"""How often the dead-man's switch is told in the page's way, so that none of its notifications is taken for the page's.

A notification is repeated when its route's `repeat_interval` is over and its group is looked at, each `group_interval`
(Alertmanager documentation, "Configuration"): so two of one group are at least the longer of both apart.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gw.ops.alerting.routes import LoadedConfiguration, LoadedRoute, seconds_of
from gw.sources.alertmanager import Documents
from gw_alerts.catalog.watching import WATCHDOG

_LATE_SECONDS = 3.0
"""By so much a notification is seen later than Alertmanager set out to send it: the receiver's time and ours."""
_SHORTEST_SECONDS = 1.0
"""Of an interval; also of one that no loaded route tells."""


@dataclass(frozen=True, slots=True)
class SharedSwitch:
    """The groups of the dead-man's switch that are told in one of the page's ways; one for each cluster."""

    groups: tuple[Mapping[str, int], ...] = ()
    """Of each: how many requests one notification makes, by integration."""
    interval_seconds: float = _SHORTEST_SECONDS
    """One group is told at most once in these."""

    def most_successes(self, integration: str, seconds: float, *, was_seen: bool) -> int:
        """How many successes since the beginning may be the switch's.

        The next notification of the group that was seen right before comes after the interval, one of any other group
        at any time.
        """
        repeats = int((seconds + _LATE_SECONDS) // self.interval_seconds) if self.groups else 0
        requests = sorted((group.get(integration, 0) for group in self.groups), reverse=True)
        of_others = requests[:-1] if was_seen else requests
        return sum(requests) * repeats + sum(of_others)


def shared_switch(loaded: LoadedConfiguration, groups: Documents, integrations: Collection[str]) -> SharedSwitch:
    """Of the groups that Alertmanager has now."""
    found, intervals = [], []
    for group in groups:
        ours = [each for each in group["alerts"] if each["labels"].get("alertname") == WATCHDOG.name]
        requests = Counter(way for way in loaded.receivers.get(_receiver(group), ()) if way in integrations)
        if ours and requests:
            found.append(requests)
            ends = loaded.root.ends(ours[0]["labels"])
            intervals += [_interval(route) for route in ends if route.receiver == _receiver(group)]
    return SharedSwitch(tuple(found), min(intervals, default=_SHORTEST_SECONDS))


def _receiver(group: Mapping[str, Any]) -> str:
    return str(group["receiver"]["name"])


def _interval(route: LoadedRoute) -> float:
    return max(seconds_of(route.interval), seconds_of(route.repeat), _SHORTEST_SECONDS)
