"""The parts that PromQL expressions are made of; metrics are named through the catalogues only.

Grouping begins with `cluster`, which a fleet's Prometheus adds and a single one lacks: a missing label is empty in
PromQL, so the expressions are right in both.
"""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.foreign import ForeignSeries

CLUSTER = "cluster"
TENANT = f"{CLUSTER}, namespace"
GATEWAY = f"{TENANT}, name"
RUNNER_GROUP = f"{TENANT}, runner_group"

MEMORY = "96h"
"""For how long a manager that is gone is still believed: a long weekend and the working day after it."""
_KNOWN = "6h"
"""For so long a process that was not scraped is no new one."""
SLOW_JOBS = 2
"""So many make a slow start a problem: one image pull at night is no incident."""


def select(metric: m.Metric, matchers: str = "", part: str = "") -> str:
    """The selector of a metric's series, or of a histogram's part.

    A manager tells of tenants in its own label `namespace`. Where a scrape puts its target's namespace there the
    tenant's is lost: such series are taken for none, which has an alert, and never for what the manager's own namespace
    lacks.
    """
    is_of_tenants = metric.components == (m.Component.MANAGER,) and "namespace" in metric.labels
    every = ",".join(filter(None, (matchers, 'exported_namespace=""' if is_of_tenants else "")))
    return f"{metric.name}{part}{{{every}}}" if every else metric.name + part


def latest(metric: m.Metric, by: str, matchers: str = "", *, worst: str = "max") -> str:
    """A gauge by labels, whichever of several processes exports it."""
    return f"{worst} by ({by}) ({select(metric, matchers)})"


def counted(function: str, series: m.Metric | ForeignSeries, window: str, by: str, matchers: str = "",
            *, part: str = "", own: tuple[str, ...] = ()) -> str:  # fmt: skip
    """What all processes count within `window`, each of them once, however often it is scraped.

    Two Prometheus servers that write into one store, or two jobs, tell of one target twice, by labels that are theirs.
    `own`: labels of the part.
    """
    selector = series.chosen(matchers) if isinstance(series, ForeignSeries) else select(series, matchers, part)
    return f"sum by ({by}) (max by ({_process(by, series, own)}) ({function}({selector}[{window}])))"


def _process(by: str, series: m.Metric | ForeignSeries, own: tuple[str, ...] = ()) -> str:
    """The labels by which one process's series is one, whoever scrapes it."""
    return ", ".join(dict.fromkeys((*by.split(", "), *TENANT.split(", "), *series.labels, *own, "pod", "instance")))


def events(metric: m.Metric, window: str, by: str = TENANT, matchers: str = "") -> str:
    """Whole events within `window`: what extrapolation adds to a single one must not make it more than one."""
    return f"round({counted('increase', metric, window, by, matchers)})"


def errors(metric: m.Metric, window: str, seconds: int, by: str = TENANT, matchers: str = "") -> str:
    """The rate over `window`, in the threshold's unit of so many seconds."""
    return f"round({counted('rate', metric, window, by, matchers)} * {seconds}, 0.01)"


def any_event(metric: m.Metric, window: str, by: str, matchers: str = "") -> str:
    """Whether anything was counted within `window`, also by a series whose first sample is not zero.

    Such a series is new only to who was looking: its exporter was seen before it, and it was not. It is no other one by
    another scrape's labels, as when its target is found in another way.
    """
    series = select(metric, matchers)
    own = ", ".join(dict.fromkeys((*TENANT.split(", "), *metric.labels, "pod")))
    where = TENANT if metric.components[0] is m.Component.AGENT else CLUSTER
    seen = f"last_over_time({series}[{_KNOWN}] offset {window})"
    exporter = f"count by ({where}) ({_build_info(metric.components[0])} offset {window})"
    new = f"{series} unless on ({own}) {seen} and on ({where}) {exporter}"
    born = f"sum by ({by}) (max by ({_process(by, metric)}) ({new}))"
    return f"{events(metric, window, by, matchers)} > 0 or {born} > 0"


def _build_info(which: m.Component) -> str:
    return select(m.BUILD_INFO, f'component="{which.value}"')


def compare(expression: str, threshold: t.Threshold) -> str:
    """The expression against the threshold, as the threshold says."""
    sign = "==" if threshold.comparison == "=" else threshold.comparison
    return f"{expression} {sign} {threshold.value:g}"


def age(metric: m.Metric, by: str) -> str:
    """Seconds since the moment that the gauge tells; one that is zero tells none."""
    return f"time() - min by ({by}) ({select(metric)} > 0)"


def quantile(metric: m.Metric, share: float, window: str, by: str = TENANT) -> str:
    """Of a histogram; NaN without an observation in the window."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({metric.name}_bucket[{window}])))"


def within(function: str, metric: m.Metric, bound: float, window: str) -> str:
    """Observations up to a bucket's bound: clients write `15` or `15.0` (Prometheus 3 always the latter)."""
    return counted(function, metric, window, TENANT, f'le=~"{bound:g}([.]0)?"', part="_bucket", own=("le",))


def pod_latency(share: float) -> str:
    """Over 30 minutes, to the millisecond, so that exactly at a bound is not above it; NaN without a job in them."""
    return f"round({quantile(m.POD_CREATION_LATENCY, share, '30m')}, 0.001)"


def slow_jobs(threshold: t.Threshold) -> str:
    """How many jobs of 30 minutes were slower; the threshold is the bound of a bucket."""
    metric = m.POD_CREATION_LATENCY
    all_jobs = counted("increase", metric, "30m", TENANT, part="_count")
    return f"round({all_jobs} - {within('increase', metric, threshold.value, '30m')})"


def condition(kind: str, types: str, by: str, status: str = "True") -> str:
    """1 where a condition of one of the types (a regular expression) has the status, as the manager says."""
    return latest(m.CONDITION, by, f'kind="{kind}",type=~"{types}",status="{status}"')


RENEWJOB_ERRORS = errors(m.RENEWJOB_ERRORS, "3m", 60)
TOKEN_ERRORS = events(m.TOKEN_REFRESH_ERRORS, "1h")
RECONCILE_ERRORS = errors(m.RECONCILE_ERRORS, "15m", 300)
OPEN_SESSIONS = latest(m.ACTIVE_SESSIONS, RUNNER_GROUP)
JUST_CLAIMED = events(m.JOBS_ACQUIRED, "2m", RUNNER_GROUP)
"""Each job uses a session up, and with a long queue that is sooner than anybody looks."""
SESSIONS = f"({OPEN_SESSIONS} + {JUST_CLAIMED} or {OPEN_SESSIONS})"
"""Open ones, and those that have just taken a job, of an agent that is there."""
MANAGER = latest(m.MANAGED_GATEWAYS, CLUSTER)
"""There while a manager of the cluster leads and knows its gateways."""


def component(which: m.Component, by: str = TENANT) -> str:
    """There while a process of the component is scraped."""
    return f"count by ({by}) ({_build_info(which)})"


NO_WORKER_YET = 'reason=~"quota|backoff|claim"'
"""Selects the jobs that wait and that nobody meant to wait: what a group's own ceiling holds is its owner's wish."""


def budget_left(matchers: str = "") -> str:
    """The share of a tenant's REST budget that is left; nothing of one that GitHub has not told yet."""
    limit = select(m.GITHUB_RATE_LIMIT_LIMIT, matchers)
    return f"min by ({TENANT}) ({select(m.GITHUB_RATE_LIMIT_REMAINING, matchers)} / ({limit} > 0))"
