"""Checks of what Prometheus has counted: polls, locks, renewals, tokens, latency, reconciles, GitHub's budget, reruns.

Each reads this cluster's own values; without them it is unknown, with the reason that `own_series` gives.
"""

import math
from collections.abc import Callable, Iterator

from actions_gateway.api import names
from actions_gateway.api.ledger import NEEDS_PERSON, RerunState
from gw.checks.belonging import OwnSeries, own_series
from gw.checks.catalog.causes import Reports, look
from gw.checks.catalog.gateway import served, subject_of
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, lasting
from gw.sources import series as s
from gw.sources.facts import Facts, Need
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.lostjobs import UNREADABLE
from gw_alerts.expressions import SLOW_JOBS
from gw_alerts.thresholds import (
    BUDGET_LEFT_SHARE,
    LOCK_LEFT_SECONDS,
    POD_CREATION_P95_SECONDS,
    POD_CREATION_P99_SECONDS,
    POLL_AGE_SECONDS,
    POLL_LATE_SECONDS,
    RECONCILE_ERRORS_PER_5_MINUTES,
    RENEWJOB_ERRORS_PER_MINUTE,
    RETRIES_EXHAUSTED_PER_DAY,
    TOKEN_REFRESH_ERRORS_PER_HOUR,
    Severity,
)


def _polling(facts: Facts) -> Iterator[Finding]:
    series, reports = own_series(facts), Reports(facts)
    ages, polling = series.of(s.POLL_AGE), series.of(s.POLLING)
    for group in facts.groups.value:
        subject, key = _group(group), (group.namespace, group.name)
        gateway, has_agent = reports.gateway_of(group), reports.has_agent(group.namespace)
        intention = gateway.intention if gateway is not None else ""
        if intention or group.suspended:
            yield skipped(
                subject, f"its gateway is {intention} by intention" if intention else "suspended by intention"
            )
        elif key not in ages or key not in polling or not has_agent:
            yield _unscraped(subject, series, has_agent=has_agent)
        elif not polling[key]:
            yield ok(subject, "none of its sessions is to poll now; see session.open")
        elif ages[key] > POLL_LATE_SECONDS.value:
            cause = reports.cause_of_silence(group)
            severity = (POLL_AGE_SECONDS if ages[key] > POLL_AGE_SECONDS.value else POLL_LATE_SECONDS).severity
            yield problem(
                subject,
                f"GitHub has answered none of its polls for {lasting(ages[key])}, though sessions are open",
                evidence=(
                    f"{counted(int(polling[key]), 'session')} polling",
                    f"labels {', '.join(group.runner_labels)}",
                ),
                next_step=look(group.namespace, cause) if cause else _logs(group.namespace, "poll"),
                # How long that may last is bounded by the check of the limit itself.
                severity=Severity.INFO if cause == "gateway.rate-limit" else severity,
            )
        else:
            yield ok(subject, f"a poll was answered {lasting(ages[key])} ago")


def _locks(facts: Facts) -> Iterator[Finding]:
    def judge(group: GroupFact, left: float) -> Finding:
        if math.isinf(left):
            return ok(_group(group), "no job runs")
        if left < LOCK_LEFT_SECONDS.value:
            return problem(
                _group(group),
                f"a running job's lock has {lasting(left)} left, then GitHub cancels the job",
                evidence=(f"{counted(group.active_jobs, 'job')} running; a lock that is renewed has 9 to 10 min left",),
                next_step=_logs(group.namespace, "renew"),
            )
        return ok(_group(group), f"every running job's lock has at least {lasting(left)} left")

    yield from _by_group(facts, s.LOCK_LEFT, judge, is_momentary=True)


def _renewal(facts: Facts) -> Iterator[Finding]:
    def judge(gateway: GatewayFact, value: float, _: OwnSeries) -> Finding:
        if value > RENEWJOB_ERRORS_PER_MINUTE.value:
            return problem(
                subject_of(gateway),
                f"{value:g} renewals of locks fail a minute; jobs whose lock runs out are cancelled",
                evidence=(f"over {RENEWJOB_ERRORS_PER_MINUTE.value:g} a minute is a page",),
                next_step=_logs(gateway.namespace, "renew"),
            )
        return ok(subject_of(gateway), f"{value:g} failed renewals a minute")

    yield from _by_gateway(facts, s.RENEWAL_ERRORS, judge)


def _refresh(facts: Facts) -> Iterator[Finding]:
    def judge(gateway: GatewayFact, value: float, series: OwnSeries) -> Finding:
        since = series.of(s.TOKEN_FAILURES).get((gateway.namespace,))
        words = f"{counted(int(value), 'token')} could not be minted in the last hour"
        if value <= TOKEN_REFRESH_ERRORS_PER_HOUR.value:
            return ok(subject_of(gateway), words)
        if since is None:
            return unknown(
                subject_of(gateway), f"{words}; whether one has been since, only an agent that runs can tell"
            )
        if since == 0:
            # The alert looks at the whole hour; here, what is over is over.
            return ok(subject_of(gateway), f"{words}, and one has been minted since")
        return problem(
            subject_of(gateway),
            words,
            evidence=("a token lasts an hour; without a new one sessions and locks end",),
            next_step=look(gateway.namespace, "credential.available", "github.reachable"),
        )

    yield from _by_gateway(facts, s.TOKEN_ERRORS, judge)


def _latency(facts: Facts) -> Iterator[Finding]:
    def judge(gateway: GatewayFact, p95: float, series: OwnSeries) -> Finding:
        subject, key = subject_of(gateway), (gateway.namespace,)
        p99 = series.of(s.LATENCY_P99).get(key, math.nan)
        for value, slow, threshold, name in (
            (p99, s.SLOW_P99, POD_CREATION_P99_SECONDS, "p99"),
            (p95, s.SLOW_P95, POD_CREATION_P95_SECONDS, "p95"),
        ):
            slow_jobs = series.of(slow).get(key, 0.0)
            if value > threshold.value and slow_jobs >= SLOW_JOBS:
                return problem(
                    subject,
                    f"jobs wait for their pods: {name} of pod creation is {value:.0f} s, over {threshold.value:g} s",
                    evidence=(
                        f"{counted(int(slow_jobs), 'job')} of the last 30 min took longer than {threshold.value:g} s",
                        f"p95 {p95:.0f} s, p99 {p99:.0f} s",
                    ),
                    next_step=look(gateway.namespace, "job.waiting", "quota.headroom", "worker.starting"),
                    severity=threshold.severity,
                )
        if math.isnan(p95):
            return ok(subject, "no job has got a pod in the last 30 min")
        words = f"p95 {p95:.1f} s, p99 {p99:.1f} s over 30 min"
        if p95 > POD_CREATION_P95_SECONDS.value or p99 > POD_CREATION_P99_SECONDS.value:
            words += f": fewer than {SLOW_JOBS} jobs were so slow, which is no trend"
        return ok(subject, words)

    yield from _by_gateway(facts, s.LATENCY_P95, judge)


def _converging(facts: Facts) -> Iterator[Finding]:
    """The agents' reconciles, and with all tenants the manager's, which stand in its own namespace."""
    series = own_series(facts)
    errors = series.of(s.RECONCILE_ERRORS)
    watched = {gateway.namespace for gateway in served(facts)}
    idle = {each.namespace: each.intention for each in served(facts) if each.wants_no_agent}
    if facts.namespace is None and series.clusters:
        watched.add(names.MANAGER_NAMESPACE)
    for namespace in sorted(watched):
        value, is_manager = errors.get((namespace,)), namespace == names.MANAGER_NAMESPACE
        who = names.MANAGER if is_manager else names.AGENT
        if namespace in idle:
            yield skipped(namespace, f"no agent is wanted: the gateway is {idle[namespace]}")
        elif value is None:
            yield unknown(namespace, f"Prometheus has nothing of {who} there; see monitoring.targets")
        elif value > RECONCILE_ERRORS_PER_5_MINUTES.value:
            yield problem(
                namespace,
                f"{value:g} reconciles fail in 5 min, so what is written may be stale",
                evidence=(f"by {who}, over the last 15 min",),
                next_step=("gw logs manager" if is_manager else f"gw logs agent -n {namespace}") + " --grep reconcile",
            )
        else:
            yield ok(namespace, f"{value:g} reconciles fail in 5 min")


def _budget(facts: Facts) -> Iterator[Finding]:
    def judge(gateway: GatewayFact, left: float, series: OwnSeries) -> Finding:
        subject, key = subject_of(gateway), (gateway.namespace,)
        limit = series.of(s.BUDGET).get(key, 0.0)
        limited, waiting = (series.of(query).get(key, 0.0) for query in (s.LIMITED_POLLS, s.WAITING_CALLS))
        evidence = (
            f"{counted(int(limited), 'poll')} limited in the last 2 min" if limited else "",
            f"{counted(int(waiting), 'REST call')} waiting for their turn" if waiting else "",
        )
        next_step = look(gateway.namespace, "gateway.rate-limit")
        if limit > 0 and left / limit < BUDGET_LEFT_SHARE.value:
            return problem(
                subject,
                f"{left:g} of {limit:g} REST requests are left of the installation's hour",
                evidence=evidence,
                next_step=next_step,
            )
        if limited or waiting:
            return problem(
                subject,
                "GitHub limits its requests now; over 10 min of it is a page",
                evidence=(*evidence, f"{left:g} of {limit:g} REST requests left" if limit > 0 else ""),
                next_step=next_step,
                severity=Severity.INFO,
            )
        if limit <= 0:
            return ok(subject, "GitHub limits nothing, and has told of no REST budget yet")
        return ok(subject, f"{left:g} of {limit:g} REST requests left")

    yield from _by_gateway(facts, s.BUDGET_LEFT, judge, is_momentary=True)


def _exhausted(facts: Facts) -> Iterator[Finding]:
    exhausted = [job for job in facts.lost_jobs.value if job.state == RerunState.EXHAUSTED or job.request]
    unreadable = {job.namespace for job in facts.lost_jobs.value if job.state == UNREADABLE}

    def judge(group: GroupFact, jobs: float) -> Finding:
        if jobs <= RETRIES_EXHAUSTED_PER_DAY.value:
            return ok(_group(group), "no run has used up its reruns within a day")
        told = [job for job in exhausted if (job.namespace, job.group) == (group.namespace, group.name)]
        owed = sum(job.state in NEEDS_PERSON for job in told)
        if not owed and len(told) >= jobs and group.namespace not in unreadable:
            words = f"{counted(int(jobs), 'job')} had no rerun left within a day, and a person has asked for each"
            return ok(_group(group), words)
        missing = int(jobs) - len(told)
        return problem(
            _group(group),
            f"{counted(int(jobs), 'job')} lost their worker within a day when their run had no rerun left",
            evidence=(
                f"{owed} of the {len(told)} in the ledger need a rerun by a person; job.lost names them"
                if owed
                else "",
                f"the ledger does not tell of {missing}: look for failed runs at GitHub" if missing > 0 else "",
            ),
            next_step=f"gw job list {group.namespace} --state lost",
        )

    yield from _by_group(facts, s.EXHAUSTED, judge)


def _by_gateway(
    facts: Facts,
    query: s.SeriesQuery,
    judge: Callable[[GatewayFact, float, OwnSeries], Finding],
    *,
    is_momentary: bool = False,
) -> Iterator[Finding]:
    """A finding for each gateway that has an agent; Prometheus knows it by its namespace.

    A momentary value says nothing once its agent is gone, a count of the last minutes still does.
    """
    series, reports = own_series(facts), Reports(facts)
    values = series.of(query)
    for gateway in served(facts):
        subject, value = subject_of(gateway), values.get((gateway.namespace,))
        has_agent = reports.has_agent(gateway.namespace)
        if gateway.wants_no_agent:
            yield skipped(subject, f"no agent is wanted: the gateway is {gateway.intention}")
        elif value is None or (is_momentary and not has_agent):
            yield _unscraped(subject, series, has_agent=has_agent)
        else:
            yield judge(gateway, value, series)


def _by_group(
    facts: Facts, query: s.SeriesQuery, judge: Callable[[GroupFact, float], Finding], *, is_momentary: bool = False
) -> Iterator[Finding]:
    """The same for each runner group."""
    series, reports = own_series(facts), Reports(facts)
    values = series.of(query)
    for group in facts.groups.value:
        subject, value = _group(group), values.get((group.namespace, group.name))
        gateway, has_agent = reports.gateway_of(group), reports.has_agent(group.namespace)
        if gateway is not None and gateway.wants_no_agent:
            yield skipped(subject, f"no agent is wanted: its gateway is {gateway.intention}")
        elif value is None or (is_momentary and not has_agent):
            yield _unscraped(subject, series, has_agent=has_agent)
        else:
            yield judge(group, value)


def _unscraped(subject: str, series: OwnSeries, *, has_agent: bool) -> Finding:
    if not has_agent:
        return unknown(subject, "no agent is ready to count it; see agent.available")
    return unknown(subject, f"{series.source} has nothing of it; see monitoring.targets")


def _group(group: GroupFact) -> str:
    return f"{group.namespace}/{group.name}"


def _logs(namespace: str, word: str) -> str:
    return f"gw logs agent -n {namespace} --grep {word}"


_OF_GATEWAYS = frozenset({Need.SERIES, Need.GATEWAYS, Need.PODS})
_OF_GROUPS = _OF_GATEWAYS | {Need.GROUPS}


def _check(
    check_id: str,
    title: str,
    severity: Severity,
    run: Callable[[Facts], Iterator[Finding]],
    category: Category,
    looks_at: str,
    needs: frozenset[Need] = _OF_GATEWAYS,
) -> Check:
    return Check(check_id, title, severity, Scope.TENANT, needs, run, category=category, looks_at=looks_at)


CHECKS: tuple[Check, ...] = (
    _check(
        "reconcile.converging",
        "Managers and agents write what they should",
        RECONCILE_ERRORS_PER_5_MINUTES.severity,
        _converging,
        Category.PLATFORM,
        "the rate of failed reconciles of manager and agents in Prometheus",
        frozenset({Need.SERIES, Need.GATEWAYS}),
    ),
    _check(
        "credential.refresh",
        "Every agent gets its installation tokens",
        TOKEN_REFRESH_ERRORS_PER_HOUR.severity,
        _refresh,
        Category.CREDENTIALS,
        "the tokens of the last hour that could not be minted, in Prometheus",
    ),
    _check(
        "session.polling",
        "GitHub answers the polls of every runner group",
        POLL_AGE_SECONDS.severity,
        _polling,
        Category.SESSIONS,
        "the age of every RunnerGroup's last answered poll in Prometheus, while it has polling sessions",
        _OF_GROUPS,
    ),
    _check(
        "job.locks",
        "Every running job's lock has time left",
        LOCK_LEFT_SECONDS.severity,
        _locks,
        Category.JOBS,
        "the least time left of a running job's lock, by RunnerGroup in Prometheus",
        _OF_GROUPS,
    ),
    _check(
        "job.renewal",
        "Locks of running jobs are renewed",
        RENEWJOB_ERRORS_PER_MINUTE.severity,
        _renewal,
        Category.JOBS,
        "the rate of failed renewals of job locks by namespace in Prometheus",
    ),
    _check(
        "retries.exhausted",
        "No used-up rerun is left to a person",
        RETRIES_EXHAUSTED_PER_DAY.severity,
        _exhausted,
        Category.JOBS,
        "the jobs of the last day that lost their worker without a rerun left, by RunnerGroup in Prometheus, and the "
        "ledger's jobs that need a person",
        _OF_GROUPS | {Need.LOST_JOBS},
    ),
    _check(
        "worker.latency",
        "Jobs get their pods in time",
        POD_CREATION_P99_SECONDS.severity,
        _latency,
        Category.WORKERS,
        "p95 and p99 of pod creation over the last half hour in Prometheus, when more than one job was slow",
    ),
    _check(
        "github.budget",
        "GitHub's limits leave room",
        BUDGET_LEFT_SHARE.severity,
        _budget,
        Category.GITHUB,
        "what is left of the installation's REST budget, limited polls and waiting calls, in Prometheus",
    ),
)
