"""Whether an Alertmanager keeps quiet what it should while another alert fires, and no page besides; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gw.ops.alerting.routes import LoadedConfiguration, LoadedInhibition, Matcher
from gw.ops.alerting.shipped import Labels, labels_of
from gw_alerts.catalog import ALERTS, PAGES
from gw_alerts.model import Alert
from gw_alerts.routing import INHIBITIONS, Inhibition

_ANOTHER = "another-tenant"
_NAME = "alertname"


@dataclass(frozen=True, slots=True)
class InhibitionDifference:
    """Alerts that are kept quiet while another one fires and should not be, or the reverse."""

    source: str
    alerts: tuple[str, ...]
    is_missing: bool
    """Whether they should be."""


@dataclass(frozen=True, slots=True)
class ForeignInhibition:
    """A loaded rule that this release does not ship, and that keeps pages quiet, whoever's alert is its source."""

    source: tuple[str, ...]
    """Matchers, as a configuration has them."""
    target: tuple[str, ...]
    equal: tuple[str, ...]
    alerts: tuple[str, ...]


def compare_inhibitions(loaded: LoadedConfiguration, tenant: str, cluster: str) -> Iterator[InhibitionDifference]:
    """By each pair of this release's alerts."""
    by_source: dict[str, list[Inhibition]] = {}
    for inhibition in INHIBITIONS:
        by_source.setdefault(inhibition.source.name, []).append(inhibition)
    for source in ALERTS:
        ours = by_source.get(source.name, [])
        missing: dict[str, None] = {}
        surplus: dict[str, None] = {}
        for target in ALERTS:
            for wanted, found in _pairs(loaded, source, target, ours, tenant, cluster):
                if wanted != found:
                    (missing if wanted else surplus)[target.name] = None
        if missing:
            yield InhibitionDifference(source.name, tuple(missing), is_missing=True)
        if surplus:
            yield InhibitionDifference(source.name, tuple(surplus), is_missing=False)


def foreign_inhibitions(
    loaded: LoadedConfiguration, tenants: tuple[str, ...], cluster: str
) -> Iterator[ForeignInhibition]:
    """Of those that keep pages quiet."""
    for rule in loaded.inhibitions:
        alerts = {
            page.name: None
            for page in PAGES
            for tenant in tenants
            for labels in labels_of(page, tenant, cluster)
            if rule.takes(labels) and not _is_known(rule, page, labels)
        }
        if alerts:
            yield ForeignInhibition(_texts(rule.source), _texts(rule.target), rule.equal, tuple(alerts))


def _is_known(rule: LoadedInhibition, page: Alert, labels: Labels) -> bool:
    """Whether it inhibits this page by no more than a shipped inhibition does.

    With the same `alertname` on both sides only an alert of ours can be its source, and those are compared in pairs;
    but for the dead-man's switch, which other projects call the same.
    """
    if _NAME in rule.equal and not page.is_always_firing:
        return True
    return any(
        _spares_others(rule, each.source) and _takes(each, labels) and set(each.equal) <= set(rule.equal)
        for each in INHIBITIONS
    )


def _spares_others(rule: LoadedInhibition, source: Alert) -> bool:
    """Whether that alert alone can be its source."""
    return any(each.name == _NAME and each.sign == "=" and each.value == source.name for each in rule.source)


def _pairs(
    loaded: LoadedConfiguration, source: Alert, target: Alert, ours: Sequence[Inhibition], tenant: str, cluster: str
) -> Iterator[tuple[bool, bool]]:
    """(whether it should be kept quiet, whether it is) within one tenant, and between two."""
    source_labels = next(labels_of(source, tenant, cluster))
    for place in (tenant, _ANOTHER):
        for labels in labels_of(target, place, cluster):
            is_wanted = any(_inhibits(each, source_labels, labels) for each in ours)
            yield is_wanted, any(each.inhibits(source_labels, labels) for each in loaded.inhibitions)


def _inhibits(inhibition: Inhibition, source: Labels, target: Labels) -> bool:
    is_near = all(source.get(name, "") == target.get(name, "") for name in inhibition.equal)
    return is_near and _takes(inhibition, target)


def _takes(inhibition: Inhibition, target: Labels) -> bool:
    takes = all(target.get(name) == value for name, value in inhibition.targets.items())
    return takes and all(target.get(name) != value for name, value in inhibition.but.items())


def _texts(matchers: tuple[Matcher, ...]) -> tuple[str, ...]:
    return tuple(each.text for each in matchers)
