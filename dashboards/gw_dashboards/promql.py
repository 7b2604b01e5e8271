"""Selections by the boards' variables, and the shapes of queries that several boards have.

`.*` stands for all, since a label that is not there, as `cluster` is not with a single cluster, is empty. As in the
alerts, what two Prometheus servers or two jobs tell of one process is counted once.
"""

from actions_gateway.metrics import catalog as m
from gw_alerts import expressions
from gw_alerts.expressions import RUNNER_GROUP, TENANT
from gw_alerts.foreign import ForeignSeries
from gw_alerts.model import Recording

ALL = "All"
"""What Grafana takes in an address for every value of a variable."""
INTERVAL = "$__rate_interval"
"""Four scrapes at least, more where a point of a graph stands for more."""
OF_CLUSTER = 'cluster=~"$cluster"'
OF_TENANT = f'{OF_CLUSTER},namespace=~"$namespace"'
OF_GROUP = f'{OF_TENANT},runner_group=~"$runner_group"'

Exported = m.Metric | ForeignSeries
Series = Exported | Recording


def select(series: Series, scope: str, matchers: str = "", *, part: str = "") -> str:
    """The instant selector of a series within a board's scope; `part` is one of a histogram's of ours."""
    every = _both(scope, matchers)
    if isinstance(series, m.Metric):
        return expressions.select(series, every, part)
    return series.chosen(every) if isinstance(series, ForeignSeries) else f"{series.name}{{{every}}}"


def over(function: str, series: Exported, window: str, by: str, scope: str, matchers: str = "", *,
         part: str = "") -> str:  # fmt: skip
    """A function over a window, added up over processes."""
    return expressions.counted(function, series, window, by, _both(scope, matchers), part=part)


def per(series: Exported, seconds: int, by: str, scope: str, matchers: str = "", *, part: str = "") -> str:
    """How often something is counted within so many seconds."""
    rate = over("rate", series, INTERVAL, by, scope, matchers, part=part)
    return rate if seconds == 1 else f"{seconds} * {rate}"


def within(series: Exported, window: str, by: str, scope: str, matchers: str = "") -> str:
    """Whole events within a window that an alert, or the panel's title, names."""
    return f"round({over('increase', series, window, by, scope, matchers)})"


def quantile(series: Exported, share: float, by: str, scope: str) -> str:
    """Of a histogram, at each point of a graph; nothing where nothing was observed."""
    return f"histogram_quantile({share}, {over('rate', series, INTERVAL, f'{by}, le', scope, part='_bucket')}) >= 0"


def buckets(series: Exported, scope: str) -> str:
    """What a heatmap draws of a histogram."""
    return over("increase", series, INTERVAL, "le", scope, part="_bucket")


def total(series: Exported, by: str, scope: str, matchers: str = "") -> str:
    """A gauge added up by labels, or over all; whichever of several processes exports it."""
    return f"sum{f' by ({by})' if by else ''} ({worst(series, _labels(by, *series.labels), scope, matchers)})"


def processes(series: Exported, by: str, scope: str) -> str:
    """How many export it."""
    return f"count by ({by}) ({worst(series, _labels(by, 'pod', 'instance'), scope)})"


def number(bad: str, universe: str) -> str:
    """How many series `bad` has: 0 while there are any of the universe, nothing while there are none.

    `bad` is grouped by what is counted, so that what two servers tell is one.
    """
    return f"count({bad}) or 0 * count({universe})"


def named_all(expression: str, label: str) -> str:
    """Series without the label get one for a link to lead to: all of them."""
    return f'label_replace({expression}, "{label}", "{ALL}", "{label}", "")'


def worst(series: Series, by: str, scope: str, matchers: str = "", *, how: str = "max") -> str:
    """A gauge by labels."""
    return f"{how} by ({by}) ({select(series, scope, matchers)})"


def _both(scope: str, matchers: str) -> str:
    return ",".join(filter(None, (scope, matchers)))


def _labels(by: str, *others: str) -> str:
    return ", ".join(dict.fromkeys(filter(None, (*by.split(", "), *TENANT.split(", "), *others))))


__all__ = [
    "ALL",
    "INTERVAL",
    "OF_CLUSTER",
    "OF_GROUP",
    "OF_TENANT",
    "RUNNER_GROUP",
    "TENANT",
    "buckets",
    "named_all",
    "number",
    "over",
    "per",
    "processes",
    "quantile",
    "select",
    "total",
    "within",
    "worst",
]
