"""Cases of alerts on jobs: locks, lost workers, quotas."""

from collections.abc import Mapping

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts.cases import latency
from gw_alerts.cases.model import Case, Proof, Series
from gw_alerts.cases.plant import GROUP, TENANT, agent_process
from gw_alerts.cases.samples import Samples, counting, mapped, steps
from gw_alerts.cases.shapes import BEGIN, Subject, any_event, gauge, of, rate
from gw_alerts.catalog import jobs as alerts
from gw_alerts.model import Alert


def _subject(alert: Alert, metric: m.Metric, by: Mapping[str, str] = GROUP, arm: int = 0, **labels: str) -> Subject:
    def build(samples: Samples) -> tuple[Series, ...]:
        return (of(metric, samples, **labels),)

    return Subject(alert, alert.arms[arm], build, by)


def _renewal() -> list[Case]:
    errors = _subject(alerts.RENEWJOB_ERRORS_ALERT, m.RENEWJOB_ERRORS, TENANT)
    lock = _subject(alerts.RENEWJOB_ERRORS_ALERT, m.LOCK_REMAINING, arm=1)
    # One job is renewed once a minute: its errors never reach the rate, its lock runs out all the same.
    failing = errors.build(counting(30, (0, 0), (BEGIN, 1)))
    left = mapped(steps(30, (0, 600)), lambda all_, second: all_ - max(0.0, second - BEGIN * 60))
    over = BEGIN + int((600 - lock.threshold.value) // 60) + 1
    return [
        *rate(errors, window=3, unit=1),
        *gauge(lock, calm=600, step=1),
        lock.case("rare", left, lock.span(over, None, 1), proofs=frozenset({Proof.RARE}), series=failing),
        lock.case("no job", steps(20, (0, float("inf"))), proofs=frozenset({Proof.IDLE})),
    ]


def _eviction_loop() -> list[Case]:
    subject = _subject(alerts.EVICTION_RETRY_ABUSE, m.EVICTION_RETRIES, cause="eviction")
    until = 60
    loop = counting(until, (BEGIN, 60))

    told = {"node": "n1", "condition": "MemoryPressure", "status": "true"}
    pressure = of(foreign.NODE_CONDITION, steps(until, (0, 1)), **told)
    preempted = _subject(alerts.EVICTION_RETRY_ABUSE, m.EVICTION_RETRIES, cause="preemption")
    return [
        *rate(subject, window=15, unit=60),
        subject.case("a node has pressure", loop, subject.span(BEGIN + 1, None, 1),
                     proofs=frozenset({Proof.ONE_SOURCE}), series=(pressure,)),
        preempted.case("preempted", loop, proofs=frozenset({Proof.IDLE})),
    ]  # fmt: skip


def _quota() -> list[Case]:
    alert = alerts.QUOTA_SATURATED
    hard = 10.0

    def build(samples: Samples) -> tuple[Series, ...]:
        return (
            of(m.QUOTA_USED, mapped(samples, lambda share, _: share * hard), key="requests.cpu"),
            of(m.QUOTA_HARD, mapped(samples, lambda _, __: hard), key="requests.cpu"),
        )

    subject = Subject(alert, alert.arms[0], build, {**TENANT, "key": "requests.cpu"})
    nothing = (of(m.QUOTA_USED, steps(60, (0, 0)), key="pods"), of(m.QUOTA_HARD, steps(60, (0, 0)), key="pods"))
    full = steps(60, (0, 5))
    meant = (of(m.QUOTA_USED, full, key="count/secrets"), of(m.QUOTA_HARD, full, key="count/secrets"))
    return [
        *gauge(subject, calm=0.5, step=0.1),
        subject.case("full by intention", steps(60, (0, 0.5)), proofs=frozenset({Proof.IDLE}), series=meant),
        subject.case("nothing is admitted", steps(60, (0, 0.5)), proofs=frozenset({Proof.IDLE}), series=nothing),
    ]


def _all() -> list[Case]:
    lost: dict[Alert, tuple[m.Metric, Mapping[str, str], str]] = {
        alerts.EVICTION_RETRIES_EXHAUSTED: (m.EVICTION_RETRIES_EXHAUSTED, GROUP, ""),
        alerts.QUOTA_RETRIES_EXHAUSTED: (m.QUOTA_RETRIES_EXHAUSTED, GROUP, ""),
        alerts.WORKERS_REAPED: (m.WORKER_PODS_REAPED, GROUP, "pending_deadline"),
        alerts.LOCKS_LOST: (m.RENEW_JOB_TEARDOWNS, TENANT, "lock_expired"),
    }
    cases = [*latency.CASES, *_renewal()]
    for alert, (metric, by, reason) in lost.items():
        subject = _subject(alert, metric, by, reason=reason) if reason else _subject(alert, metric, by)
        cases += any_event(subject, window=15, exporter=agent_process)
    return [
        *cases,
        *gauge(_subject(alerts.WORKER_QUOTA_EXCEEDED, m.WORKER_QUOTA_EXCEEDED), calm=0, step=1),
        *_quota(),
        *_eviction_loop(),
    ]


CASES: tuple[Case, ...] = tuple(_all())
