"""Colours and units of panels, made from the thresholds of alerts and from nothing else."""

from dataclasses import dataclass

from gw_alerts.thresholds import Severity, Threshold

GOOD = "green"
PLAIN = "blue"
"""Of a value that is neither good nor bad."""
UNKNOWN = "#808080"
"""Where nothing is known; Grafana would take the colour of the lowest value."""
BAD: dict[Severity, str] = {Severity.PAGE: "red", Severity.TICKET: "orange", Severity.INFO: "yellow"}
_UNITS = {
    "seconds": "s",
    "of 1": "percentunit",
    "bytes per second": "Bps",
    "per second": "cps",
    "minutes": "m",
}
"""Of a threshold's unit; the others count things."""


@dataclass(frozen=True, slots=True)
class Step:
    """The colour from a value on; the first step has none."""

    value: float | None
    color: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The thresholds by which a panel's values are judged, all in one direction."""

    thresholds: tuple[Threshold, ...]
    is_whole: bool = False
    """Whether the values are counts, so that the next one above a bound is the first beyond it."""
    is_instances: bool = False
    """Whether the values count what is beyond the threshold, so that a single one is bad."""
    is_exact: bool = False
    """Of instances: whether fewer than none is as bad as more."""
    severity: Severity | None = None
    """Of the alerts that the values count; they have their thresholds behind them."""

    @property
    def unit(self) -> str:
        """Grafana's name of the thresholds' unit."""
        return "short" if self.is_instances else _UNITS.get(self.thresholds[0].unit, "short")

    def steps(self) -> tuple[Step, ...]:
        """From the lowest value to the highest."""
        if self.is_instances:
            severities = [self.severity] if self.severity else [each.severity for each in self.thresholds]
            worst = min(severities, key=lambda severity: severity.rank)
            below = (Step(None, BAD[worst]), Step(0, GOOD)) if self.is_exact else (Step(None, GOOD),)
            return *below, Step(1, BAD[worst])
        if self.thresholds[0].comparison in {">", ">="}:
            rising = sorted(self.thresholds, key=lambda threshold: threshold.value)
            return Step(None, GOOD), *(Step(self._first_bad(each), BAD[each.severity]) for each in rising)
        rising = sorted(self.thresholds, key=lambda threshold: threshold.value)
        colors = [*(BAD[each.severity] for each in rising), GOOD]
        values = [None, *(self._first_good(each) for each in rising)]
        return tuple(Step(value, color) for value, color in zip(values, colors, strict=True))

    def color_of(self, value: float) -> str:
        """The colour in which a value is shown."""
        color = ""
        for step in self.steps():
            if step.value is None or value >= step.value:
                color = step.color
        return color

    def _first_bad(self, threshold: Threshold) -> float:
        return threshold.value + 1 if self.is_whole and threshold.comparison == ">" else threshold.value

    def _first_good(self, threshold: Threshold) -> float:
        return threshold.value + 1 if self.is_whole and threshold.comparison in {"=", "<="} else threshold.value


def beyond(*thresholds: Threshold) -> Bounds:
    """Judges measured values."""
    return Bounds(thresholds)


def counted(*thresholds: Threshold) -> Bounds:
    """Judges whole numbers."""
    return Bounds(thresholds, is_whole=True)


def instances(*thresholds: Threshold) -> Bounds:
    """Judges how many things are beyond the thresholds."""
    return Bounds(thresholds, is_instances=True)


def difference(*thresholds: Threshold) -> Bounds:
    """Judges how far a number is from what it should be."""
    return Bounds(thresholds, is_instances=True, is_exact=True)


def firing(severity: Severity) -> Bounds:
    """Judges how many alerts of a severity fire."""
    return Bounds((), is_instances=True, severity=severity)
