"""What a board is: rows of panels with queries, as data. Nothing here knows how Grafana writes them down."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from gw_alerts.model import Alert
from gw_alerts.thresholds import Threshold
from gw_dashboards.bounds import Bounds


class Kind(StrEnum):
    """How a panel is drawn; the values are Grafana's names of its panel types."""

    TIME_SERIES = "timeseries"
    STAT = "stat"
    GAUGE = "gauge"
    BAR_GAUGE = "bargauge"
    HEATMAP = "heatmap"
    STATE_TIMELINE = "state-timeline"
    TABLE = "table"
    ALERT_LIST = "alertlist"

    @property
    def is_over_time(self) -> bool:
        """Whether it shows the whole time range; the others show the present."""
        return self in {Kind.TIME_SERIES, Kind.HEATMAP, Kind.STATE_TIMELINE}


class Presence(StrEnum):
    """When a query has series."""

    ALWAYS = "always"
    """In a healthy system, busy or idle."""
    JOBS = "while jobs run"
    """An idle system has none."""
    OPTIONAL = "where a tenant has it"
    """In health, of tenants that have what it is about."""
    FAULT = "in a fault"
    """A healthy system has none."""
    ELSEWHERE = "where somebody else exports it"
    """It is read from an exporter that an installation may lack."""


class Variable(StrEnum):
    """What a reader chooses, each among what the earlier ones leave."""

    CLUSTER = "cluster"
    NAMESPACE = "namespace"
    RUNNER_GROUP = "runner_group"


class Tag(StrEnum):
    """What boards are found by."""

    ALL = "actions-gateway"
    PLATFORM = "platform"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Word:
    """What a value means."""

    value: str
    text: str
    is_bad: bool = False
    is_plain: bool = False
    """Neither good nor bad."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, and the series that it promises."""

    expression: str
    labels: tuple[str, ...] = ()
    """The labels in which its series differ. `cluster`, which only a fleet's Prometheus adds, is there beside others
    without being named."""
    name: str = ""
    """Of its line or column, where a panel has several queries."""
    presence: Presence = Presence.ALWAYS
    bounds: Bounds | None = None
    """In place of its panel's."""
    words: tuple[Word, ...] = ()
    """In place of its panel's."""
    unit: str = ""
    """In place of its panel's."""
    is_dashed: bool = False
    """For a limit or an expectation beside what is measured."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it asks, what bad looks like, and where a reader goes on."""

    title: str
    description: str
    """What it shows and what bad looks like; the alerts that watch it are added."""
    kind: Kind
    queries: tuple[Query, ...]
    no_value: str
    """What it means when nothing is there."""
    is_bad_without: bool = False
    """Whether it is bad that nothing is there; otherwise nobody knows, but for what is there in faults only."""
    unit: str = ""
    """Grafana's name of it; empty for the unit of the bounds."""
    alerts: tuple[Alert, ...] = ()
    """Those that watch what it shows; the first one's page is linked."""
    bounds: Bounds | None = None
    words: tuple[Word, ...] = ()
    width: int = 6
    height: int = 0
    """0 for the usual one of its kind."""
    is_stacked: bool = False
    lowest: float | None = None
    highest: float | None = None
    leads_to_tenant: bool = False
    """Whether its series are tenants, each a link to the tenant's board."""
    columns: tuple[str, ...] = ()
    """Of a table: its labels, in order; the queries' values follow."""
    is_worst_first: bool = True
    """Of a table: sorted by its first value, falling or rising."""

    def thresholds(self) -> tuple[Threshold, ...]:
        """Every threshold that colours a part of it."""
        each = [self.bounds, *(query.bounds for query in self.queries)]
        return tuple(dict.fromkeys(threshold for bounds in each if bounds for threshold in bounds.thresholds))

    def bounds_of(self, query: Query) -> Bounds | None:
        """What colours the values of one of its queries."""
        return query.bounds or self.bounds

    def words_of(self, query: Query) -> tuple[Word, ...]:
        """What the values of one of its queries mean."""
        return query.words or self.words

    @property
    def is_good_without(self) -> bool:
        """Whether nothing is there in health."""
        return all(query.presence is Presence.FAULT for query in self.queries)

    def unit_of(self, query: Query | None = None) -> str:
        """Grafana's name of the unit of a query's values."""
        bounds = query.bounds if query else None
        return (query.unit if query else "") or (bounds.unit if bounds else "") or self.unit or self._bounds_unit

    @property
    def _bounds_unit(self) -> str:
        return self.bounds.unit if self.bounds else "short"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading, from left to right."""

    title: str
    panels: tuple[Panel, ...]
    is_collapsed: bool = False
    """Detail that a reader opens when the rows above leave a question."""


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    tags: tuple[Tag, ...]
    since: str = "now-6h"
    refresh: str = "1m"
    links: tuple[str, ...] = field(default=(Tag.ALL,))
    """Tags of the boards that its menu leads to."""

    def panels(self) -> Iterator[Panel]:
        """All of them, in reading order."""
        for row in self.rows:
            yield from row.panels

    def queries(self) -> Iterator[tuple[Panel, Query]]:
        """All of them, each with its panel."""
        for panel in self.panels():
            for query in panel.queries:
                yield panel, query
