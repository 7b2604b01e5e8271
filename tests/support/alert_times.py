"""The table of alerts: how long after its fault each fires and is told, and how long after the end its end is told."""

from dataclasses import dataclass

ALERT_ROW = "alert row"
"""The property of a test's report that holds a row."""
ALERT_HEADER = "alert | fault | receiver | fires after | told after | resolved after"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one alert of a drill; seconds since the fault was brought in or, of the end, taken back."""

    alert: str
    fault: str
    receiver: str
    fires_seconds: float
    told_seconds: float
    resolved_seconds: float | None = None
    """None where nobody waited for it."""

    def __str__(self) -> str:
        seconds = (self.fires_seconds, self.told_seconds, self.resolved_seconds)
        shown = ("-" if each is None else f"{each:.1f} s" for each in seconds)
        return " | ".join((self.alert, self.fault, self.receiver, *shown))
