"""Rules and routes whose time passes faster, for drills: what an alert waits and looks back is divided, nothing else.

Divided are windows, steps and offsets of expressions, `for`, `keep_firing_for`, intervals of evaluation, and how long a
route waits. Numbers that are compared stay: a rate is the same in a shorter window, a count of events is reached by the
same events in less time, and an age in seconds is told by components, whose time does not pass faster. Repetitions
stay, too, so that whoever is told twice was told by mistake.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gw_alerts.durations import DURATION, UNITS_MS, parse_milliseconds

_WINDOW = re.compile(rf"\[({DURATION})(?::({DURATION})?)?\]|(\boffset )({DURATION})")
_SCRAPES_IN_WINDOW = 4
"""In a window of a rate: one that is late or missed leaves enough. In production two minutes are as many."""

_LONGEST_SCRAPE_MS = 5000
_SCRAPE_IN_PRODUCTION_MS = 30_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How many times faster time passes, 1 or more."""

    factor: float = 1.0
    shortest_scrape_seconds: float = 1.0
    """A machine that is busy misses what it is asked for more often, and an alert ends with a scrape that is missed."""

    @property
    def scrape_interval(self) -> str:
        """How often a Prometheus has to scrape and evaluate at that pace."""
        return _render(self._scrape_ms)

    @property
    def _scrape_ms(self) -> int:
        wanted = round(_SCRAPE_IN_PRODUCTION_MS / self.factor)
        return min(_LONGEST_SCRAPE_MS, max(round(self.shortest_scrape_seconds * 1000), wanted))

    def wait(self, duration: str) -> str:
        """The duration divided."""
        return self._divided(duration, at_least=0)

    def interval(self, duration: str) -> str:
        """The same, though not below a scrape's: between two of them nothing changes."""
        return self._divided(duration, at_least=self._scrape_ms)

    def settling(self, duration: str) -> str:
        """The same, though three scrapes long: what a cause silences waits for the cause."""
        return self._divided(duration, at_least=3 * self._scrape_ms)

    def window(self, duration: str) -> str:
        """The same, though a few scrapes long."""
        return self._divided(duration, at_least=_SCRAPES_IN_WINDOW * self._scrape_ms)

    def expression(self, promql: str) -> str:
        """The expression with its windows, steps and offsets divided."""
        return _WINDOW.sub(self._replaced, promql)

    def _divided(self, duration: str, *, at_least: int) -> str:
        """Never longer than it was."""
        whole = parse_milliseconds(duration)
        return _render(min(whole, max(at_least, round(whole / self.factor))))

    def _replaced(self, found: re.Match[str]) -> str:
        window, step, offset, back = found.groups()
        if offset:
            return f"{offset}{self.window(back)}"
        colon = ":" if ":" in found.group() else ""
        return f"[{self.window(window)}{colon}{self.interval(step) if step else ''}]"


def paced_groups(groups: Iterable[Mapping[str, Any]], pace: Pace) -> list[dict[str, Any]]:
    """Groups of a rule file at that pace."""
    return [
        {
            **group,
            "interval": pace.interval(group["interval"]),
            "rules": [_paced_rule(rule, pace) for rule in group["rules"]],
        }
        for group in groups
    ]


def paced_alertmanager(configuration: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    """An Alertmanager's configuration at that pace."""
    return {**configuration, "route": _paced_route(configuration["route"], pace)}


def _paced_rule(rule: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    waits = {key: pace.wait(rule[key]) for key in ("for", "keep_firing_for") if key in rule}
    return {**rule, "expr": pace.expression(rule["expr"]), **waits}


def _paced_route(route: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    ways = {"group_wait": pace.settling, "group_interval": pace.interval}
    waits = {key: divided(route[key]) for key, divided in ways.items() if key in route}
    below = [_paced_route(each, pace) for each in route.get("routes", ())]
    return {**route, **waits, **({"routes": below} if below else {})}


def _render(milliseconds: int) -> str:
    unit = max((name for name, size in UNITS_MS.items() if milliseconds % size == 0), key=UNITS_MS.__getitem__)
    return f"{milliseconds // UNITS_MS[unit]}{unit}" if milliseconds else "0s"
