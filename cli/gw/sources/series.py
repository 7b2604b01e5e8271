"""What Prometheus tells of gateways, as numbers with a few labels each; whose they are is judged later.

One query each, all asked at once. Names of metrics come from the catalogue, shapes from the alerts' expressions.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from actions_gateway.metrics import catalog as m
from gw.sources.endpoints import Endpoint, all_of
from gw.sources.prometheus import Prometheus, Sample
from gw_alerts import expressions as x
from gw_alerts import thresholds as t
from gw_alerts.catalog import PROBLEMS

_TENANT = ("namespace",)
_GROUP = ("namespace", "runner_group")
_ALERTS = "|".join(sorted(alert.name for alert in PROBLEMS))


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """One instant query; `labels` are those that tell its results apart, beside `cluster`."""

    name: str
    expression: str
    labels: tuple[str, ...]


def _of_groups(name: str, aggregate: str, series: str) -> SeriesQuery:
    return SeriesQuery(name, f"{aggregate} by ({x.RUNNER_GROUP}) ({series})", _GROUP)


def _of_tenants(name: str, expression: str) -> SeriesQuery:
    return SeriesQuery(name, expression, _TENANT)


_MINUTE = f"max by (cluster) (timestamp({m.BUILD_INFO.name}))"

NOW = SeriesQuery("now", "time()", ())
LAST_SEEN = SeriesQuery("last seen", f"{_MINUTE} or max_over_time(({_MINUTE})[1d:1m])", ())
"""When a cluster's components were last scraped within a day, in Unix seconds."""
GATEWAYS = SeriesQuery(
    "gateways",
    f"max by (cluster, namespace, name, uid) (last_over_time({m.GATEWAY_INFO.name}[1d]))",
    ("namespace", "name", "uid"),
)
POLL_AGE = SeriesQuery("poll age", f"time() - max by ({x.RUNNER_GROUP}) ({m.LAST_POLL_TIMESTAMP.name})", _GROUP)
"""Seconds since a poll was last answered."""
POLLING = _of_groups("polling sessions", "sum", f'{m.LISTENER_SLOTS.name}{{state="polling"}}')
LOCK_LEFT = _of_groups("lock left", "min", m.LOCK_REMAINING.name)
"""Seconds; infinite without a running job."""
RENEWAL_ERRORS = _of_tenants("renewal errors a minute", x.RENEWJOB_ERRORS)
TOKEN_ERRORS = _of_tenants("token errors in an hour", x.TOKEN_ERRORS)
TOKEN_FAILURES = _of_tenants(
    "token errors since the last token", f"max by ({x.TENANT}) ({m.TOKEN_CONSECUTIVE_REFRESH_FAILURES.name})"
)
LATENCY_P95 = _of_tenants("pod creation p95", x.pod_latency(0.95))
LATENCY_P99 = _of_tenants("pod creation p99", x.pod_latency(0.99))
"""Seconds, over half an hour; NaN without a job in it."""
_OF_NO_JOB = (LATENCY_P95, LATENCY_P99)
"""Queries to which NaN is an answer; to every other one it is none."""
SLOW_P95 = _of_tenants("jobs beyond the bound of p95", x.slow_jobs(t.POD_CREATION_P95_SECONDS))
SLOW_P99 = _of_tenants("jobs beyond the bound of p99", x.slow_jobs(t.POD_CREATION_P99_SECONDS))
RECONCILE_ERRORS = _of_tenants("reconcile errors in 5 minutes", x.RECONCILE_ERRORS)
BUDGET_LEFT = _of_tenants(
    "REST budget left",
    # An agent that GitHub has told nothing yet exports two zeros.
    f"min by ({x.TENANT}) ({m.GITHUB_RATE_LIMIT_REMAINING.name} and ({m.GITHUB_RATE_LIMIT_LIMIT.name} > 0))"
    f" or max by ({x.TENANT}) ({m.GITHUB_RATE_LIMIT_LIMIT.name})",
)
BUDGET = _of_tenants("REST budget", f"max by ({x.TENANT}) ({m.GITHUB_RATE_LIMIT_LIMIT.name})")
LIMITED_POLLS = _of_tenants(
    "limited polls in 2 minutes",
    f'round(sum by ({x.TENANT}) (increase({m.MESSAGE_POLL_ERRORS.name}{{reason="rate_limited"}}[2m])))',
)
WAITING_CALLS = _of_tenants("waiting REST calls", f"sum by ({x.TENANT}) ({m.GITHUB_BUDGET_WAITING.name})")
EXHAUSTED = SeriesQuery(
    "exhausted retries in a day", x.events(m.EVICTION_RETRIES_EXHAUSTED, "1d", x.RUNNER_GROUP), _GROUP
)
FIRING = SeriesQuery(
    "alerts that fire",
    # Prometheus keeps a series for each alert while it fires (documentation, "Alerting rules").
    f'count by (alertname, {x.RUNNER_GROUP}) (ALERTS{{alertstate="firing",alertname=~"{_ALERTS}"}})',
    ("alertname", *_GROUP),
)

QUERIES: tuple[SeriesQuery, ...] = tuple(value for value in list(globals().values()) if isinstance(value, SeriesQuery))


@dataclass(frozen=True, slots=True)
class SeriesFact:
    """The answers of one Prometheus at one moment."""

    source: str
    """Where it was found, for people."""
    at: datetime
    """By Prometheus's own clock, which its samples' ages are told by."""
    values: Mapping[SeriesQuery, Mapping[tuple[str, ...], float]]
    """By query and by (cluster, *labels)."""
    gateways: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """`namespace/name` of each gateway that a manager told of within a day, by its series' `cluster` and its uid.

    What belongs to a cluster is known by its gateways' uids, whatever the cluster is called."""


async def gather_series(endpoint: Endpoint) -> SeriesFact:
    """Raises NoAnswer."""
    prometheus = Prometheus(endpoint)
    answers = await all_of(*(prometheus.query(query.expression) for query in QUERIES))
    values = {query: dict(_keyed(query, answer)) for query, answer in zip(QUERIES, answers, strict=True)}
    told = {(cluster, uid): f"{namespace}/{name}" for cluster, namespace, name, uid in values.pop(GATEWAYS)}
    (now,) = values.pop(NOW).values() or (math.nan,)
    if not math.isfinite(now):
        raise endpoint.stranger("it does not say what time it has")
    return SeriesFact(endpoint.source, datetime.fromtimestamp(now, UTC), values, told)


def _keyed(query: SeriesQuery, answer: tuple[Sample, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    """By labels; what is not a number is left out as no value."""
    for sample in answer:
        if math.isnan(sample.value) and query not in _OF_NO_JOB:
            continue
        yield tuple(sample.labels.get(label, "") for label in ("cluster", *query.labels)), sample.value
