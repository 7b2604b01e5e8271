"""Whether an Alertmanager sends each alert of this project where it should, in time, and keeps no page quiet; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gw.ops.alerting.inhibitions import (
    ForeignInhibition,
    InhibitionDifference,
    compare_inhibitions,
    foreign_inhibitions,
)
from gw.ops.alerting.routes import LoadedConfiguration
from gw.ops.alerting.shipped import every_alert, is_receiver, wanted_routes
from gw.ops.alerting.timing import TimingDifference, compare_timing
from gw_alerts.catalog import ALERTS
from gw_alerts.routing import Receiver
from gw_alerts.values import REQUIRED

_SAMPLE = ("a-tenant",)


@dataclass(frozen=True, slots=True)
class RouteDifference:
    """Alerts that reach others than they should."""

    alerts: tuple[str, ...]
    wanted: tuple[str, ...]
    """Receivers."""
    found: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class RoutesComparison:
    """One Alertmanager against this release."""

    source: str
    version: str
    alert_count: int
    routes: tuple[RouteDifference, ...]
    timing: tuple[TimingDifference, ...]
    inhibitions: tuple[InhibitionDifference, ...]
    foreign: tuple[ForeignInhibition, ...]

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.routes or self.timing or self.inhibitions or self.foreign)


def compare_routes(
    loaded: LoadedConfiguration,
    version: str,
    source: str,
    *,
    tenants: Sequence[str] = (),
    cluster: str = "",
    receivers: frozenset[Receiver] | None = None,
) -> RoutesComparison:
    """With each tenant's labels; `receivers` are those that an installation's values have."""
    has = receivers if receivers is not None else frozenset(REQUIRED) | _optional(loaded)
    wanted = has | {Receiver.NOBODY}
    places = tuple(tenants) or _SAMPLE
    return RoutesComparison(
        source,
        version,
        len(ALERTS),
        tuple(_routes(loaded, places, cluster, wanted)),
        tuple(compare_timing(loaded, places, cluster, wanted)),
        tuple(compare_inhibitions(loaded, places[0], cluster)),
        tuple(foreign_inhibitions(loaded, places, cluster)),
    )


def _optional(loaded: LoadedConfiguration) -> frozenset[Receiver]:
    return frozenset(each for each in Receiver if any(is_receiver(each, name) for name in loaded.receivers))


def _routes(
    loaded: LoadedConfiguration, tenants: tuple[str, ...], cluster: str, receivers: frozenset[Receiver]
) -> Iterator[RouteDifference]:
    wrong: dict[tuple[tuple[str, ...], tuple[str, ...], str], dict[str, None]] = {}
    for alert, labels in every_alert(tenants, cluster):
        wanted = [route.receiver for route in wanted_routes(labels, receivers)]
        found = loaded.receivers_of(labels)
        if detail := _wrong(loaded, wanted, found):
            key = (tuple(each.value for each in wanted), tuple(found), detail)
            wrong.setdefault(key, {})[alert.name] = None
    for (should, reaches, detail), names in wrong.items():
        yield RouteDifference(tuple(names), should, reaches, detail)


def _wrong(loaded: LoadedConfiguration, wanted: Sequence[Receiver], found: Sequence[str]) -> str:
    """Why it is wrong; empty when it is right. Others may be told as well, but nobody is woken by more than pages."""
    for receiver in wanted:
        reached = [name for name in found if is_receiver(receiver, name)]
        if receiver is Receiver.NOBODY:
            told = [name for name in found if loaded.receivers.get(name)]
            if told:
                return f"{', '.join(told)} is told of what is only there to keep others quiet"
        elif not reached:
            return f"{receiver.value} is not told"
        elif not any(loaded.receivers.get(name) for name in reached):
            return f"the receiver {', '.join(reached)} tells nobody"
    if Receiver.ONCALL not in wanted and any(is_receiver(Receiver.ONCALL, name) for name in found):
        return f"{Receiver.ONCALL.value} is woken by what is no page"
    return ""
