"""From the delivery of jobs to their start: what comes in, what waits, what is lost."""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.catalog import components, jobs, sessions
from gw_alerts.recordings import EXPECTED_SESSIONS, JOB_DURATION_P50, JOB_DURATION_P95, POD_LATENCY_P95, POD_LATENCY_P99
from gw_dashboards.bounds import beyond, counted
from gw_dashboards.model import Kind, Panel, Presence, Query, Row
from gw_dashboards.promql import OF_GROUP, OF_TENANT, RUNNER_GROUP, TENANT, buckets, per, total, within, worst
from gw_dashboards.tenant.words import BY_GROUP, BY_TENANT, NO_AGENT

JOBS = Row(
    "Jobs",
    (
        Panel(
            title="Sessions: open and expected",
            description="Open sessions can take a job; busy ones do not count. Bad is 0 where one is expected.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(worst(m.ACTIVE_SESSIONS, RUNNER_GROUP, OF_GROUP), BY_GROUP, "open"),
                Query(worst(EXPECTED_SESSIONS, RUNNER_GROUP, OF_GROUP), BY_GROUP, "at least", is_dashed=True),
            ),
            no_value="No agent and no manager says anything of this tenant",
            alerts=(sessions.NO_ACTIVE_SESSIONS, components.AGENT_DOWN),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Jobs claimed per minute",
            description="What the tenant takes on. Bad is none while jobs wait.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.JOBS_ACQUIRED, 60, RUNNER_GROUP, OF_GROUP), BY_GROUP),),
            no_value=NO_AGENT,
            alerts=(sessions.JOB_ACQUISITION_STALLED,),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Failed claims and held deliveries per minute",
            description="A job that another runner claimed first is harmless. Held ones come again by themselves.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(per(m.JOB_ACQUISITION_ERRORS, 60, "reason", OF_GROUP), ("reason",), "failed"),
                Query(per(m.JOBS_ADMISSION_REJECTED, 60, "reason", OF_GROUP), ("reason",), "held for"),
            ),
            no_value=NO_AGENT,
            alerts=(sessions.JOB_ACQUISITION_STALLED,),
            lowest=0,
            is_stacked=True,
            width=8,
        ),
        Panel(
            title="What jobs wait for",
            description="The longest wait by its reason, a group's own ceiling included: that one is its owner's wish.",
            kind=Kind.TIME_SERIES,
            queries=(Query(worst(m.OLDEST_WAITING_JOB, "cluster, reason", OF_GROUP), ("reason",)),),
            no_value=NO_AGENT,
            unit="s",
            alerts=(jobs.POD_CREATION_P99, sessions.JOB_ACQUISITION_STALLED),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Pod creation, p95 and p99 of 30 minutes",
            description="From a job's delivery to its pod scheduled, by tenant, as the alerts read it.",
            kind=Kind.BAR_GAUGE,
            queries=(
                Query(
                    f"{worst(POD_LATENCY_P95, TENANT, OF_TENANT)} >= 0",
                    BY_TENANT,
                    "p95",
                    Presence.JOBS,
                    bounds=beyond(t.POD_CREATION_P95_SECONDS),
                ),
                Query(
                    f"{worst(POD_LATENCY_P99, TENANT, OF_TENANT)} >= 0",
                    BY_TENANT,
                    "p99",
                    Presence.JOBS,
                    bounds=beyond(t.POD_CREATION_P99_SECONDS),
                ),
            ),
            no_value="No job started in 30 minutes",
            unit="s",
            alerts=(jobs.POD_CREATION_P95, jobs.POD_CREATION_P99),
            lowest=0,
            width=8,
            height=8,
        ),
        Panel(
            title="Jobs given up, of an hour",
            description="Reruns used up, or no quota: each requires a manual re-run. One that never started is rerun "
            "within its run's budget. `gw job list --state lost` names the runs.",
            kind=Kind.TABLE,
            queries=(
                Query(
                    within(m.EVICTION_RETRIES_EXHAUSTED, "1h", RUNNER_GROUP, OF_GROUP),
                    BY_GROUP,
                    "Reruns used up",
                    bounds=counted(t.RETRIES_EXHAUSTED_PER_DAY),
                ),
                Query(
                    within(m.QUOTA_RETRIES_EXHAUSTED, "1h", RUNNER_GROUP, OF_GROUP),
                    BY_GROUP,
                    "No quota",
                    bounds=counted(jobs.NONE_LOST),
                ),
                Query(
                    within(m.WORKER_PODS_REAPED, "1h", RUNNER_GROUP, OF_GROUP, 'reason="pending_deadline"'),
                    BY_GROUP,
                    "Never started",
                    bounds=counted(jobs.GIVEN_UP),
                ),
            ),
            no_value=NO_AGENT,
            unit="short",
            alerts=(jobs.EVICTION_RETRIES_EXHAUSTED, jobs.QUOTA_RETRIES_EXHAUSTED, jobs.WORKERS_REAPED),
            columns=BY_GROUP,
            width=16,
            height=8,
        ),
    ),
)
ENDED = Row(
    "Detail: jobs and workers",
    (
        Panel(
            title="Pod creation",
            description="How long pods took. A second band above the usual one is a slow node, image or quota.",
            kind=Kind.HEATMAP,
            queries=(Query(buckets(m.POD_CREATION_LATENCY, OF_GROUP), ("le",)),),
            no_value=NO_AGENT,
            unit="s",
            alerts=(jobs.POD_CREATION_P95,),
            width=8,
        ),
        Panel(
            title="Workers and the ceiling",
            description="Pending for minutes means that no node has room or a quota is full. At the ceiling jobs wait "
            "by their owner's wish.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(total(m.WORKERS, "phase", OF_GROUP), ("phase",)),
                Query(total(m.JOBS_IN_FLIGHT, "", OF_GROUP), (), "jobs claimed"),
                Query(total(m.WORKER_CEILING, "", OF_GROUP), (), "ceiling", is_dashed=True),
            ),
            no_value=NO_AGENT,
            alerts=(jobs.WORKERS_REAPED,),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Jobs ended per minute, by result",
            description="Lost ones lost their worker. What failed by itself is its author's.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.JOB_DURATION, 60, "result", OF_GROUP, part="_count"), ("result",)),),
            no_value=NO_AGENT,
            lowest=0,
            is_stacked=True,
            width=8,
        ),
        Panel(
            title="Duration of jobs, of 30 minutes",
            description="From the claim to the end of the worker. A jump for all groups is the platform's.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(f"{worst(JOB_DURATION_P50, RUNNER_GROUP, OF_GROUP)} >= 0", BY_GROUP, "median", Presence.JOBS),
                Query(f"{worst(JOB_DURATION_P95, RUNNER_GROUP, OF_GROUP)} >= 0", BY_GROUP, "p95", Presence.JOBS),
            ),
            no_value="No job ended in 30 minutes",
            unit="s",
            lowest=0,
            width=8,
        ),
        Panel(
            title="Locks lost, of an hour",
            description="Jobs that GitHub gave up since their lock ran out. Each requires a look.",
            kind=Kind.STAT,
            queries=(
                Query(within(m.RENEW_JOB_TEARDOWNS, "1h", TENANT, OF_TENANT, 'reason="lock_expired"'), BY_TENANT),
            ),
            no_value=NO_AGENT,
            alerts=(jobs.LOCKS_LOST,),
            bounds=counted(jobs.NONE_LOST),
            width=8,
            height=8,
        ),
        Panel(
            title="Workers lost and rerun per minute, by cause",
            description="A loop of evictions on nodes without pressure may be misuse.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(per(m.EVICTION_RETRIES, 60, "cause", OF_GROUP), ("cause",)),
                Query(per(m.QUOTA_RETRIES, 60, "cluster", OF_GROUP), (), "tried again for quota"),
            ),
            no_value=NO_AGENT,
            alerts=(jobs.EVICTION_RETRY_ABUSE,),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Reruns, adopted jobs and duplicates per minute",
            description="Reruns that were refused or expired wait for a person.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(per(m.RERUNS, 60, "outcome", OF_GROUP), ("outcome",), "rerun:"),
                Query(per(m.JOBS_ADOPTED, 60, "outcome", OF_GROUP), ("outcome",), "adopted:"),
                Query(per(m.DUPLICATE_DELIVERIES, 60, "cluster", OF_GROUP), (), "delivered twice"),
            ),
            no_value=NO_AGENT,
            lowest=0,
            width=8,
        ),
        Panel(
            title="Workers deleted per minute, by cause",
            description="After their end is the usual cause. Others: cancelled, lock lost, never started, orphaned.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.WORKER_PODS_REAPED, 60, "reason", OF_GROUP), ("reason",)),),
            no_value=NO_AGENT,
            alerts=(jobs.WORKERS_REAPED,),
            lowest=0,
            is_stacked=True,
            width=8,
        ),
    ),
    is_collapsed=True,
)
