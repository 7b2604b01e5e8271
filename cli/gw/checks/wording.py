"""Short words for numbers and durations, the same in every finding."""

from datetime import datetime


def counted(count: int, noun: str) -> str:
    """`1 pod`, `3 pods`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def lasting(seconds: float) -> str:
    """A duration as kubectl writes ages, two units at most: `42s`, `12m`, `3h5m`, `2d4h`."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 120:
        return f"{minutes}m"
    if hours < 48:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"


def seconds_since(moment: datetime | None, now: datetime) -> float | None:
    """Seconds from `moment` to `now`; None when the moment is not known."""
    return None if moment is None else (now - moment).total_seconds()
