"""Durations as Kubernetes writes them (Go's `time.ParseDuration`): `300ms`, `5s`, `1h30m`."""

import re

PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_LONGEST_SECONDS = 100 * 365 * 86400.0
"""A century is for ever; a moment that lies further ahead has no date."""
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration_seconds(text: str) -> float:
    """The seconds of a duration, a century at most; raises ValueError that shows the accepted form."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is no duration; write it like 30s, 5m or 1h30m")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))
    return min(seconds, _LONGEST_SECONDS)
