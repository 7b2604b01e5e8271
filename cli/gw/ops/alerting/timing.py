"""Whether an Alertmanager tells alerts in time: no hours in which a page is mute, no wait longer than shipped; pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from gw.ops.alerting.routes import LoadedConfiguration, LoadedRoute, seconds_of
from gw.ops.alerting.shipped import every_alert, is_receiver, wanted_routes
from gw_alerts.model import Alert
from gw_alerts.routing import Receiver, Route
from gw_alerts.thresholds import Severity


@dataclass(frozen=True, slots=True)
class TimingDifference:
    """A field of a loaded route by which alerts reach a receiver late, or at some hours not at all."""

    receiver: str
    field: str
    ours: str
    """The longest that it may be; empty for a field that nothing ships."""
    theirs: str
    alerts: tuple[str, ...]

    @property
    def is_mute(self) -> bool:
        """Whether there are hours in which it tells nobody."""
        return not self.ours


def compare_timing(
    loaded: LoadedConfiguration, tenants: tuple[str, ...], cluster: str, receivers: frozenset[Receiver]
) -> Iterator[TimingDifference]:
    """Of what only inhibits nobody is told at all; a route that is not there is no concern of this."""
    late: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for alert, labels in every_alert(tenants, cluster):
        ends = list(loaded.root.ends(labels))
        for wanted in wanted_routes(labels, receivers - {Receiver.NOBODY}):
            reached = [route for route in ends if is_receiver(wanted.receiver, route.receiver)]
            found = [list(_fields(alert, wanted, route)) for route in reached]
            # One route that is in time suffices.
            for key in found[0] if found and all(found) else ():
                late.setdefault((reached[0].receiver, *key), {})[alert.name] = None
    for (receiver, field, ours, theirs), names in late.items():
        yield TimingDifference(receiver, field, ours, theirs, tuple(names))


def _fields(alert: Alert, wanted: Route, route: LoadedRoute) -> Iterator[tuple[str, str, str]]:
    # Tickets may wait for the working day; a page may not, nor what tells that pages still come.
    if alert.severity is Severity.PAGE:
        for field, names in (
            ("mute_time_intervals", route.mute_times),
            ("active_time_intervals", route.active_times),
        ):
            if names:
                yield field, "", ", ".join(names)
    for field, ours, theirs in (
        ("group_wait", wanted.wait, route.wait),
        ("group_interval", wanted.interval, route.interval),
        ("repeat_interval", wanted.repeat, route.repeat),
    ):
        if seconds_of(theirs) > seconds_of(ours):
            yield field, ours, theirs
