"""Jobs from their delivery to their end: late starts, lost locks, lost workers, quotas."""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.expressions import (
    NO_WORKER_YET,
    RENEWJOB_ERRORS,
    RUNNER_GROUP,
    SLOW_JOBS,
    TENANT,
    any_event,
    compare,
    counted,
    latest,
    select,
    slow_jobs,
)
from gw_alerts.model import Alert, Arm, Depends, Part, Recording, Scope, Signal
from gw_alerts.recordings import POD_LATENCY_P95, POD_LATENCY_P99

UNSTARTED_SECONDS = t.Threshold(
    subject="time since the delivery of a job that is claimed and whose worker does not run",
    comparison=">",
    value=300,
    unit="seconds",
    severity=t.Severity.PAGE,
    source=t.OURS + "half of the default pendingPodDeadline, at which the job is given up; the runbook's minute is of "
    "scheduling, and an image is pulled within this one. Health waits for the whole deadline: it judges one pod, "
    "which its own agent gives up then, and this the job's whole wait from its delivery",
)
EVICTION_RETRIES_PER_SECOND = t.Threshold(
    subject="workers that were evicted and rerun",
    comparison=">",
    value=0.05,
    unit="per second",
    severity=t.Severity.PAGE,
    source=t.OURS + "upstream's security page: 0.05 a second for half an hour is a loop, not a bad node",
)
QUOTA_FULL_SHARE = t.Threshold(
    subject="share of a quota that is used",
    comparison=">=",
    value=1,
    unit="of 1",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's security page: a full quota for half an hour",
)
NONE_LOST = t.Threshold(
    subject="jobs of which nothing more is done by itself",
    comparison=">",
    value=0,
    unit="jobs",
    severity=t.Severity.TICKET,
    source=t.OURS + "as with exhausted retries, each requires a manual re-run",
)
GIVEN_UP = t.Threshold(
    subject="workers that were given up at their group's pendingPodDeadline",
    comparison=">",
    value=0,
    unit="pods",
    severity=t.Severity.TICKET,
    source=t.OURS + "the job is rerun within its run's budget, and waits as long again while the cause lasts",
)
QUOTA_REFUSES = t.Threshold(
    subject="1 while a quota refuses what jobs need",
    comparison=">=",
    value=1,
    unit="state",
    severity=t.Severity.TICKET,
    source=t.OURS + "the page is the jobs that wait; this names the cause",
)


_CONSUMED = (
    'key=~"(count/)?pods|cpu|memory|ephemeral-storage|hugepages-.+|persistentvolumeclaims|(requests|limits)[.].+"'
)
"""Selects what workers take and give back; a quota on objects of configuration may be meant to be full."""


def _slow(recorded: Recording, threshold: t.Threshold) -> str:
    return f"{compare(recorded.name, threshold)} and on ({TENANT}) {slow_jobs(threshold)} >= {SLOW_JOBS}"


def _lost(
    name: str, metric: m.Metric, what: str, why: str, page: str, *, matchers: str = "", by: str = RUNNER_GROUP,
    check: str, seed: str = "", threshold: t.Threshold = NONE_LOST,
) -> Alert:  # fmt: skip
    """A counter each of whose steps somebody has to make good by hand."""
    return Alert(
        name,
        t.Severity.TICKET,
        Part.WORKER,
        Scope.TENANT,
        Signal.SYMPTOM,
        (Arm(any_event(metric, "15m", by, matchers), 0, what, why, (threshold,), checks=(check,)),),
        page,
        tuple(by.split(", ")),
        seed=seed,
    )


POD_CREATION_P95 = Alert(
    "ActionsGatewayPodCreationLatencyP95",
    t.Severity.TICKET,
    Part.WORKER,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            _slow(POD_LATENCY_P95, t.POD_CREATION_P95_SECONDS),
            10,
            "Worker pods of {{ $labels.namespace }} start slowly",
            "p95 from a job's delivery to its pod scheduled is {{ $value | humanizeDuration }}; jobs are completing.",
            (t.POD_CREATION_P95_SECONDS,),
            checks=("worker.latency",),
        ),
    ),
    "runbooks/alerts/pod-creation-latency.md",
    ("cluster", "namespace"),
    seed="actions_gateway_pod_creation_latency_seconds p95",
)

POD_CREATION_P99 = Alert(
    "ActionsGatewayPodCreationLatencyP99",
    t.Severity.PAGE,
    Part.WORKER,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            _slow(POD_LATENCY_P99, t.POD_CREATION_P99_SECONDS),
            6,
            "Scheduling of worker pods of {{ $labels.namespace }} is stalled",
            "p99 from a job's delivery to its pod scheduled is {{ $value | humanizeDuration }}.",
            (t.POD_CREATION_P99_SECONDS,),
            "scheduled",
            checks=("worker.latency",),
        ),
        Arm(
            # What a full group of its own makes wait is what its owner asked for.
            compare(
                latest(m.OLDEST_WAITING_JOB, RUNNER_GROUP, NO_WORKER_YET),
                t.POD_CREATION_P99_SECONDS,
            ),
            5,
            "Jobs of {{ $labels.namespace }}/{{ $labels.runner_group }} are not started",
            "One has waited for {{ $value | humanizeDuration }} and has no worker yet: a quota is full, or no worker "
            "can be made.",
            (t.POD_CREATION_P99_SECONDS,),
            "held",
            checks=("job.waiting", "quota.headroom", "worker.starting"),
        ),
        Arm(
            compare(latest(m.OLDEST_WAITING_JOB, RUNNER_GROUP, 'reason="start"'), UNSTARTED_SECONDS),
            1,
            "Workers of {{ $labels.namespace }}/{{ $labels.runner_group }} do not start",
            "One has waited for {{ $value | humanizeDuration }}: no node has room, or its image cannot be pulled.",
            (UNSTARTED_SECONDS,),
            "unstarted",
            checks=("worker.starting", "job.waiting", "quota.headroom"),
        ),
    ),
    "runbooks/alerts/pod-creation-latency.md",
    ("cluster", "namespace", "runner_group"),
    seed="actions_gateway_pod_creation_latency_seconds p99",
)

RENEWJOB_ERRORS_ALERT = Alert(
    "ActionsGatewayRenewJobErrors",
    t.Severity.PAGE,
    Part.AGENT,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            compare(RENEWJOB_ERRORS, t.RENEWJOB_ERRORS_PER_MINUTE),
            2,
            "{{ $labels.namespace }} cannot renew its jobs' locks",
            "A job whose lock runs out, after about 10 min, is cancelled. {{ $value }} errors a minute.",
            (t.RENEWJOB_ERRORS_PER_MINUTE,),
            "errors",
            checks=("job.renewal",),
        ),
        Arm(
            # A tenant with one job never reaches five errors a minute.
            compare(latest(m.LOCK_REMAINING, RUNNER_GROUP, worst="min"), t.LOCK_LEFT_SECONDS),
            1,
            "A job of {{ $labels.namespace }}/{{ $labels.runner_group }} loses its lock",
            "{{ $value | humanizeDuration }} are left of 10 minutes; at the end GitHub cancels the job.",
            (t.LOCK_LEFT_SECONDS,),
            "lock",
            checks=("job.locks",),
        ),
    ),
    "runbooks/alerts/renewjob.md",
    ("cluster", "namespace", "runner_group"),
    frozenset({Depends.GITHUB, Depends.AGENT}),
    seed="actions_gateway_renewjob_errors_total",
)

EVICTION_RETRIES_EXHAUSTED = _lost(
    "ActionsGatewayEvictionRetriesExhausted",
    m.EVICTION_RETRIES_EXHAUSTED,
    "A job of {{ $labels.namespace }}/{{ $labels.runner_group }} lost its worker and has no rerun left",
    "{{ $value }} jobs. Each requires a manual re-run.",
    "runbooks/alerts/evictions.md",
    seed="actions_gateway_eviction_retries_exhausted_total",
    check="retries.exhausted",
    threshold=t.RETRIES_EXHAUSTED_PER_DAY,
)
QUOTA_RETRIES_EXHAUSTED = _lost(
    "ActionsGatewayQuotaRetriesExhausted",
    m.QUOTA_RETRIES_EXHAUSTED,
    "A job of {{ $labels.namespace }}/{{ $labels.runner_group }} was given up since the quota refused its pod",
    "{{ $value }} jobs. Raise the quota, or let the group run fewer jobs at once.",
    "runbooks/alerts/quota.md",
    check="quota.headroom",
)
WORKERS_REAPED = _lost(
    "ActionsGatewayWorkersReapedPending",
    m.WORKER_PODS_REAPED,
    "A worker of {{ $labels.namespace }}/{{ $labels.runner_group }} was given up before it started",
    "{{ $value }} pods reached their group's pendingPodDeadline.",
    "runbooks/alerts/pod-creation-latency.md",
    matchers='reason="pending_deadline"',
    check="worker.starting",
    threshold=GIVEN_UP,
)
LOCKS_LOST = _lost(
    "ActionsGatewayLockLost",
    m.RENEW_JOB_TEARDOWNS,
    "A job of {{ $labels.namespace }} lost its lock and was ended",
    "{{ $value }} jobs that GitHub had given up. Each requires a look, and perhaps a manual re-run.",
    "runbooks/alerts/renewjob.md",
    matchers='reason="lock_expired"',
    by=TENANT,
    check="job.lost",
)

WORKER_QUOTA_EXCEEDED = Alert(
    "ActionsGatewayWorkerQuotaExceeded",
    t.Severity.TICKET,
    Part.WORKER,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(latest(m.WORKER_QUOTA_EXCEEDED, RUNNER_GROUP), QUOTA_REFUSES),
            15,
            "Jobs of {{ $labels.namespace }}/{{ $labels.runner_group }} wait for quota",
            "The namespace's quotas admit no more worker.",
            (QUOTA_REFUSES,),
            checks=("quota.headroom",),
        ),
    ),
    "runbooks/alerts/quota.md",
    ("cluster", "namespace", "runner_group"),
    frozenset({Depends.AGENT, Depends.CLAIMS}),
)

QUOTA_SATURATED = Alert(
    "ActionsGatewayQuotaSaturated",
    t.Severity.TICKET,
    Part.WORKER,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(
                f"max by ({TENANT}, key) ({select(m.QUOTA_USED, _CONSUMED)} / ({select(m.QUOTA_HARD, _CONSUMED)} > 0))",
                QUOTA_FULL_SHARE,
            ),
            30,
            "{{ $labels.key }} of {{ $labels.namespace }} is used up",
            "It has been full for half an hour.",
            (QUOTA_FULL_SHARE,),
            checks=("quota.headroom",),
        ),
    ),
    "runbooks/alerts/quota.md",
    ("cluster", "namespace", "key"),
    frozenset({Depends.MANAGER}),
)

EVICTION_RETRY_ABUSE = Alert(
    "ActionsGatewayEvictionRetryAbuse",
    t.Severity.PAGE,
    Part.WORKER,
    Scope.TENANT,
    Signal.ABUSE,
    (
        Arm(
            # One node's pressure excuses nobody: it may be another tenant's, or the loop's own work.
            compare(
                counted("rate", m.EVICTION_RETRIES, "15m", RUNNER_GROUP, 'cause="eviction"'),
                EVICTION_RETRIES_PER_SECOND,
            ),
            30,
            "Workers of {{ $labels.namespace }}/{{ $labels.runner_group }} are evicted and rerun in a loop",
            "{{ $value | humanize }} a second for half an hour. Nodes under pressure explain that for a while: look at "
            "them first.",
            (EVICTION_RETRIES_PER_SECOND,),
            checks=("worker.evicted",),
        ),
    ),
    "runbooks/alerts/abuse-eviction-loop.md",
    ("cluster", "namespace", "runner_group"),
)
