"""Durations as Prometheus and Alertmanager write them, such as `1h30m`."""

import re

UNITS_MS = {
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000,
}  # fmt: skip
"""Of a unit; a year has 365 days (Prometheus documentation, "Time durations")."""
_UNIT = "|".join(UNITS_MS)
DURATION = rf"(?:[0-9]+(?:{_UNIT}))+"
"""As a regular expression."""


def parse_milliseconds(text: str) -> int:
    """Of a duration; raises ValueError for anything else."""
    if not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r} is no duration of Prometheus")
    return sum(int(count) * UNITS_MS[unit] for count, unit in re.findall(rf"([0-9]+)({_UNIT})", text))
