"""Cases in which one number of a rule alone decides: how far it looks back, and what its guards let through.

Where everything else of a case is steady, a window of twice or half the length says the same; so each of these changes
while the window in question passes over it. Numbers stand here as they are, in minutes.
"""

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts.cases.latency import histogram
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.plant import GROUP, TENANT, agent_process, manager, manager_process
from gw_alerts.cases.rendering import Clock
from gw_alerts.cases.samples import STALE, Samples, counting, steps
from gw_alerts.cases.shapes import POD, of
from gw_alerts.catalog import components, jobs, proxies, sessions, watching
from gw_alerts.foreign import ForeignSeries
from gw_alerts.model import Alert

QUARTERS = Clock(15 * 60)
HOURS = Clock(60 * 60)

_BELIEVED_HOURS = 96


def _case(alert: Alert, name: str, series: tuple[Series, ...], *fires: Span, arm: int = 0) -> Case:
    until = max((len(each.samples) - 1) // 2 for each in series)
    return Case(alert, alert.arms[arm], f"edge {name}", frozenset({Proof.EDGE}), series, until, fires)


def _sessions() -> list[Case]:
    none, stalled = sessions.NO_ACTIVE_SESSIONS, sessions.JOB_ACQUISITION_STALLED
    until = 25
    closed = of(m.ACTIVE_SESSIONS, steps(until, (0, 0)))
    one_by_one = steps(until, (0, 0), *((minute, (minute + 1) // 2) for minute in range(1, until, 2)))
    deaf = of(m.LAST_POLL_TIMESTAMP, steps(until, (0, -1000)))
    waits = of(m.OLDEST_WAITING_JOB, steps(until, (0, 100)), reason="claim")
    claimed = of(m.JOBS_ACQUIRED, steps(until, (0, 0), (2, 1)))
    held = jobs.POD_CREATION_P99.arms[1]
    return [
        _case(none, "a claim every two minutes", (closed, of(m.JOBS_ACQUIRED, one_by_one))),
        _case(none, "no session polls", (deaf, of(m.LISTENER_SLOTS, steps(until, (0, 0)), state="polling")), arm=1),
        # A claim of minute 2 says for ten minutes that claims succeed.
        _case(stalled, "one was claimed", (waits, claimed), Span(stalled, stalled.arms[0], 17, None, GROUP),
              Span(jobs.POD_CREATION_P99, held, 5, None, GROUP)),
    ]  # fmt: skip


def _jobs() -> list[Case]:
    p95, p99, saturated = jobs.POD_CREATION_P95, jobs.POD_CREATION_P99, jobs.QUOTA_SATURATED
    until = 45
    early, late = steps(until, (0, 0), (2, 2)), steps(until, (0, 0), (2, 2), (18, 3))
    many = steps(30, (0, 0), (5, 250))
    key = {"key": "pods"}

    def quota(used: float, hard: float) -> tuple[Series, ...]:
        return of(m.QUOTA_USED, steps(until, (0, used)), **key), of(m.QUOTA_HARD, steps(until, (0, hard)), **key)

    return [
        # One slow job, and two quick ones that are between a quarter and half an hour old.
        *(_case(alert, "one of few is slow", histogram({0.25: early, 90.0: late})) for alert in (p95, p99)),
        # 247 of 250 are quick, so p99 is a sixth of the way from 60 to 90 seconds.
        _case(p99, "just over a minute", histogram({0.25: steps(30, (0, 0), (5, 247)), 90.0: many}),
              Span(p99, p99.arms[0], 11, None, TENANT)),
        _case(saturated, "one of one", quota(1, 1), Span(saturated, saturated.arms[0], 30, None, {**TENANT, **key})),
        _case(saturated, "one of none", quota(1, 0)),
    ]  # fmt: skip


_COUNTERS: tuple[tuple[Alert, m.Metric, dict[str, str]], ...] = (
    (jobs.EVICTION_RETRIES_EXHAUSTED, m.EVICTION_RETRIES_EXHAUSTED, {}),
    (jobs.QUOTA_RETRIES_EXHAUSTED, m.QUOTA_RETRIES_EXHAUSTED, {}),
    (jobs.WORKERS_REAPED, m.WORKER_PODS_REAPED, {"reason": "pending_deadline"}),
    (jobs.LOCKS_LOST, m.RENEW_JOB_TEARDOWNS, {"reason": "lock_expired"}),
    (components.AGENT_OOM_KILLED, m.AGENT_TERMINATIONS, {"reason": "OOMKilled"}),
)


def _labels(metric: m.Metric) -> dict[str, str]:
    return GROUP if "runner_group" in metric.labels else TENANT


def _exporters(metric: m.Metric, samples: Samples) -> tuple[Series, ...]:
    is_agents = m.Component.AGENT in metric.components
    return (agent_process(samples),) if is_agents else (manager_process(samples), manager(samples))


def _born() -> list[Case]:
    """A series that begins counts for a quarter of an hour, if its exporter was there before."""
    until, cases = 40, []
    for alert, metric, labels in _COUNTERS:
        at_zero = (of(metric, steps(until, (20, 0)), **labels), *_exporters(metric, steps(until, (0, 1))))
        cases.append(_case(alert, "born at zero", at_zero))
        young = (of(metric, steps(until, (12, 3)), **labels), *_exporters(metric, steps(until, (10, 1))))
        fires = Span(alert, alert.arms[0], 25, 27, _labels(metric), 3)
        cases.append(_case(alert, "its exporter is new", young, fires))
    return cases


def _back() -> list[Case]:
    """A series that comes back is no news within six hours; in quarters of an hour."""
    until, cases = 40, []
    for alert, metric, labels in _COUNTERS:
        exporters = _exporters(metric, steps(until, (0, 1)))
        for name, quarter in (("back after hours", 20), ("back after a night", 34)):
            known = of(metric, steps(until, (0, 3), (4, STALE), (quarter, 3)), **labels)
            is_news = quarter > 6 * 4 + 4
            fires = (Span(alert, alert.arms[0], quarter, quarter + 1, _labels(metric), 3),) if is_news else ()
            cases.append(_case(alert, name, (known, *exporters), *fires))
    return cases


def _memory() -> list[Case]:
    """In hours: for how long it counts that somebody was there."""
    until, gone = 125, 10
    down, proxy = components.MANAGER_DOWN, proxies.PROXY_DOWN
    # The last sample lies half an hour before the end.
    forgotten = gone + _BELIEVED_HOURS
    told = (of(m.EXPECTED_PROXIES, steps(until, (0, 2))), manager(steps(until, (0, 1))))
    ends = steps(until, (0, 1), (gone, STALE))
    return [
        _case(down, "forgotten", (manager(ends),), Span(down, down.arms[0], gone + 1, forgotten)),
        _case(proxy, "forgotten", (of(foreign.PROXY_LIVE, ends), *told),
              Span(proxy, proxy.arms[0], gone + 1, forgotten, TENANT)),
    ]  # fmt: skip


def _proxies() -> list[Case]:
    down, slow = proxies.PROXY_DOWN, proxies.SLOWLORIS
    until, labels = 60, {**TENANT, "pod": POD}
    told = (of(m.EXPECTED_PROXIES, steps(until, (0, 2))), manager(steps(until, (0, 1))))
    # Of 15 minutes a fifth still had traffic in minute 32, which is less than a byte a second for each of 200 tunnels.
    stops = (
        of(foreign.TUNNELS, steps(until, (0, 200))),
        of(foreign.RECEIVED_BYTES, counting(until, (0, 55000), (20, 0))),
    )
    # There were more than 100 on average from minute 28 on.
    comes = (
        of(foreign.TUNNELS, steps(until, (0, 0), (20, 200))),
        of(foreign.RECEIVED_BYTES, counting(until, (0, 6000))),
    )
    return [
        _case(down, "one is ready", (*told, of(m.PROXY_READY_REPLICAS, steps(until, (0, 1))))),
        _case(slow, "its traffic stops", stops, Span(slow, slow.arms[0], 47, None, labels, 200)),
        _case(slow, "its tunnels come", comes, Span(slow, slow.arms[0], 43, None, labels, 200)),
    ]


def _watching() -> list[Case]:
    """Something that fails every four minutes is never out of a window of five, nor every nine out of one of ten."""
    until = 40
    rarely = steps(until, (0, 7), *((minute, 8 + minute // 9) for minute in range(5, until, 9)))
    now_and_then = steps(until, (0, 7), *((minute, 8 + minute // 4) for minute in range(5, until, 4)))
    group = {"rule_group": "/etc/prometheus/rules/actions-gateway.rules.yaml;actions-gateway"}
    told = {"integration": "webhook"}

    def failing(alert: Alert, series: ForeignSeries) -> Case:
        fires = Span(alert, alert.arms[0], 5 + alert.arms[0].for_minutes, None, group)
        return _case(alert, "now and then", (of(series, now_and_then, **group),), fires)

    notifying = watching.NOTIFICATIONS_FAILING
    sent = of(foreign.NOTIFICATIONS, counting(until, (0, 1)), **told)
    return [
        failing(watching.RULE_FAILURES, foreign.RULE_FAILURES),
        failing(watching.EVALUATIONS_MISSED, foreign.ITERATIONS_MISSED),
        _case(notifying, "now and then", (of(foreign.NOTIFICATIONS_FAILED, rarely, reason="other", **told), sent),
              Span(notifying, notifying.arms[0], 5 + notifying.arms[0].for_minutes, None, told)),
    ]  # fmt: skip


CASES: tuple[Case, ...] = (*_sessions(), *_jobs(), *_born(), *_proxies(), *_watching())
CASES_OF_QUARTERS: tuple[Case, ...] = tuple(_back())
CASES_OF_HOURS: tuple[Case, ...] = tuple(_memory())
