"""Every metric that a component exports, as data: the one place where a name, a label or a bucket is spelled.

Alert rules, dashboards and checks name metrics through these constants only. Labels never hold ids, branch names or
messages; a label whose values are known lists them, so that every series exists at zero before its first event and
`increase()` sees that event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """The Prometheus type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Component(StrEnum):
    """Who exports a metric; also the value of `build_info`'s label."""

    MANAGER = "manager"
    AGENT = "agent"


Labels = Mapping[str, tuple[str, ...] | None]
"""Label name to its known values, or None when they come from objects (a namespace, a group)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is complete, with prefix and unit."""

    name: str
    kind: Kind
    help: str
    components: tuple[Component, ...]
    labels: Labels = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


_M = (Component.MANAGER,)
_A = (Component.AGENT,)
_BOTH = (Component.MANAGER, Component.AGENT)

_NAMESPACE: Labels = {"namespace": None}
_GROUP: Labels = {"namespace": None, "runner_group": None}
_GATEWAY: Labels = {"namespace": None, "name": None}

_RECONCILE_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LATENCY_BUCKETS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0)
_JOB_BUCKETS = (
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 21600.0, 43200.0,
)  # fmt: skip
"""Twelve hours is the default cap of a worker's life."""


def _counter(name: str, text: str, components: tuple[Component, ...], labels: Labels) -> Metric:
    return Metric(f"actions_gateway_{name}", Kind.COUNTER, text, components, labels)


def _gauge(name: str, text: str, components: tuple[Component, ...], labels: Labels) -> Metric:
    return Metric(f"actions_gateway_{name}", Kind.GAUGE, text, components, labels)


def _histogram(
    name: str, text: str, components: tuple[Component, ...], labels: Labels, buckets: tuple[float, ...]
) -> Metric:
    return Metric(f"actions_gateway_{name}", Kind.HISTOGRAM, text, components, labels, buckets)


# -- both
BUILD_INFO = _gauge("build_info", "1, with the component's version.", _BOTH, {"component": None, "version": None})
EVENT_LOOP_LAG = _gauge("event_loop_lag_seconds", "How late the last heartbeat of the event loop ran.", _BOTH, {})
RECONCILE_ERRORS = _counter(
    "reconcile_errors_total", "Reconciles that failed.", _BOTH, {"controller": None, "resource": None}
)
CONTROLLER_RUNTIME_RECONCILE_ERRORS = Metric(
    "controller_runtime_reconcile_errors_total",
    Kind.COUNTER,
    "The same as actions_gateway_reconcile_errors_total, under the name that existing boards use.",
    _BOTH,
    {"controller": None},
)
RECONCILE_TOTAL = _counter(
    "reconcile_total", "Reconciles by result.", _BOTH, {"controller": None, "result": ("success", "error")}
)
RECONCILE_DURATION = _histogram(
    "reconcile_duration_seconds", "Length of one reconcile.", _BOTH, {"controller": None}, _RECONCILE_BUCKETS
)
RECONCILE_FAILING_OBJECTS = _gauge(
    "reconcile_failing_objects", "Objects whose last reconcile failed.", _BOTH, {"controller": None}
)
WORKQUEUE_DEPTH = _gauge("workqueue_depth", "Keys that wait for a reconcile.", _BOTH, {"controller": None})

# -- manager
MANAGED_GATEWAYS = _gauge("managed_gateways", "ActionsGateways served; exported after the first full list.", _M, {})
GATEWAY_INFO = _gauge(
    "gateway_info",
    "1 for each ActionsGateway, with its object's uid: by it one cluster's series are told from another's.",
    _M,
    {**_GATEWAY, "uid": None},
)
EXPECTED_SESSIONS = _gauge(
    "expected_sessions", "1 while the group should poll, 0 while it is suspended, paused or contained.", _M, _GROUP
)
EXPECTED_AGENTS = _gauge("expected_agents", "Agents that the gateway should have running.", _M, _GATEWAY)
EXPECTED_PROXIES = _gauge("expected_proxies", "Proxies that the gateway should have ready at least.", _M, _GATEWAY)
PROXY_READY_REPLICAS = _gauge("proxy_ready_replicas", "Proxies of the gateway that are ready.", _M, _GATEWAY)
PROXY_HPA_METRIC_AVAILABLE = _gauge(
    "proxy_hpa_metric_available",
    "0 while the proxy's autoscaler says that it has no reading to go by, else 1.",
    _M,
    _GATEWAY,
)
PROXY_QUOTA_EXCEEDED = _gauge(
    "proxy_quota_exceeded", "1 while the namespace's quota refuses proxies of the gateway, else 0.", _M, _GATEWAY
)
AGENT_TERMINATIONS = _counter(
    "agent_terminations_total",
    "Ends of the agent's container, by reason.",
    _M,
    {**_NAMESPACE, "reason": ("OOMKilled", "Error", "Evicted", "Completed", "Other")},
)
QUOTA_HARD = _gauge(
    "quota_hard", "What a ResourceQuota of a tenant's namespace admits.", _M, {**_NAMESPACE, "quota": None, "key": None}
)
QUOTA_USED = _gauge("quota_used", "What is used of it.", _M, {**_NAMESPACE, "quota": None, "key": None})
GATEWAYS_CREATED = _counter(
    "gateways_created_total", "ActionsGateways that appeared after the first full list.", _M, {}
)
GATEWAYS_DELETED = _counter("gateways_deleted_total", "ActionsGateways that went after the first full list.", _M, {})
ROLLOUT_WAITING = _gauge(
    "rollout_waiting_gateways",
    "Gateways that wait for their turn to get the newest release; stays above 0 while its rollout is stopped.",
    _M,
    {},
)
CONDITION = _gauge(
    "condition",
    "1 for the status that a condition has, 0 for the other two.",
    _M,
    {"namespace": None, "kind": None, "name": None, "type": None, "status": ("True", "False", "Unknown")},
)
CONDITION_LAST_TRANSITION = _gauge(
    "condition_last_transition_timestamp_seconds",
    "When the condition's status last changed, from the object.",
    _M,
    {"namespace": None, "kind": None, "name": None, "type": None},
)

CREDENTIAL_REFERENCED = _gauge(
    "credential_referenced_timestamp_seconds",
    "Since when at the latest the gateway has referred to its App's Secret.",
    _M,
    _GATEWAY,
)

# -- agent: sessions
ACTIVE_SESSIONS = _gauge("active_sessions", "Open sessions that can take a job; busy ones do not count.", _A, _GROUP)
LAST_POLL_TIMESTAMP = _gauge(
    "last_poll_timestamp_seconds", "When a poll was last answered; the process start until then.", _A, _GROUP
)
LISTENER_SLOTS = _gauge(
    "listener_slots",
    "Sessions by what they do.",
    _A,
    {**_GROUP, "state": ("polling", "holding", "busy", "recycling")},
)
MESSAGE_POLL_ERRORS = _counter(
    "message_poll_errors_total",
    "Polls that failed; a session that is renewed on GitHub's word is no error.",
    _A,
    {**_NAMESPACE, "reason": ("rate_limited", "timeout", "other")},
)
AGENT_RECYCLES = _counter(
    "agent_recycles_total",
    "Registrations replaced by a new one.",
    _A,
    {**_GROUP, "trigger": ("post_job", "stale_session", "startup")},
)
AGENT_RECYCLE_ERRORS = _counter("agent_recycle_errors_total", "Registrations that could not be made.", _A, _GROUP)

# -- agent: jobs
JOBS_ACQUIRED = _counter("jobs_acquired_total", "Jobs claimed.", _A, _GROUP)
JOB_ACQUISITION_ERRORS = _counter(
    "job_acquisition_errors_total",
    "Claims that failed.",
    _A,
    {
        **_GROUP,
        "reason": ("already_claimed", "delivery_window_expired", "version_too_old", "acquirejob_failed", "other"),
    },
)
JOBS_ADMISSION_REJECTED = _counter(
    "jobs_admission_rejected_total",
    "Deliveries that were held instead of claimed, by reason.",
    _A,
    {**_GROUP, "reason": ("ceiling", "quota", "backoff")},
)
OLDEST_WAITING_JOB = _gauge(
    "oldest_waiting_job_seconds",
    "How long the job that waits longest has waited since its first delivery, by what it waits for; 0 without one. "
    "Time held for the group's own ceiling counts for the reason ceiling only.",
    _A,
    {**_GROUP, "reason": ("ceiling", "quota", "backoff", "claim", "start")},
)
JOBS_IN_FLIGHT = _gauge("jobs_in_flight", "Jobs claimed that have not ended.", _A, _GROUP)
POD_CREATION_LATENCY = _histogram(
    "pod_creation_latency_seconds",
    "From a job's first delivery to its pod scheduled, less the time held for the group's own ceiling.",
    _A,
    _GROUP,
    _LATENCY_BUCKETS,
)
JOB_DURATION = _histogram(
    "job_duration_seconds",
    "From the claim to the end of the worker.",
    _A,
    {**_GROUP, "result": ("succeeded", "failed", "canceled", "lost")},
    _JOB_BUCKETS,
)
WORKERS = _gauge("workers", "Worker pods by phase.", _A, {**_GROUP, "phase": ("Pending", "Running")})
WORKER_CEILING = _gauge("worker_ceiling", "How many jobs may run at once.", _A, _GROUP)
WORKER_SLOTS_FREE = _gauge("worker_slots_free", "Ceiling less jobs in flight.", _A, _GROUP)
WORKER_QUOTA_PRESSURE = _gauge(
    "worker_quota_pressure", "1 while the namespace's quotas have no room for one more worker, else 0.", _A, _GROUP
)
WORKER_QUOTA_EXCEEDED = _gauge(
    "worker_quota_exceeded", "1 while jobs wait because the namespace's quotas admit no worker, else 0.", _A, _GROUP
)
WORKER_PODS_REAPED = _counter(
    "worker_pods_reaped_total",
    "Worker pods deleted, by cause.",
    _A,
    {**_GROUP, "reason": ("completed_ttl", "cancelled", "lock_lost", "pending_deadline", "orphaned")},
)
EVICTION_RETRIES = _counter(
    "eviction_retries_total",
    "Jobs that lost their worker and are to be rerun, by cause.",
    _A,
    {**_GROUP, "cause": ("eviction", "preemption", "deletion", "abandoned")},
)
EVICTION_RETRIES_EXHAUSTED = _counter(
    "eviction_retries_exhausted_total",
    "Jobs that lost their worker and are not rerun, since their run has used up its retries.",
    _A,
    {**_GROUP, "cause": ("eviction", "preemption", "deletion", "abandoned")},
)
RERUNS = _counter(
    "reruns_total",
    "Reruns by what became of them: requested, no longer needed, withheld since a person cancelled, or impossible.",
    _A,
    {**_GROUP, "outcome": ("requested", "unneeded", "withheld", "refused", "expired", "unidentified")},
)
QUOTA_RETRIES = _counter(
    "quota_retries_total", "Attempts to make a worker's pod that the quota refused and that are repeated.", _A, _GROUP
)
QUOTA_RETRIES_EXHAUSTED = _counter(
    "quota_retries_exhausted_total", "Claimed jobs given up since the quota refused their pod too often.", _A, _GROUP
)
JOBS_ADOPTED = _counter(
    "jobs_adopted_total",
    "Jobs of an earlier agent process found at the start, by what was done with them.",
    _A,
    {**_GROUP, "outcome": ("resumed", "completed", "vanished", "claimed", "found", "unidentified")},
)
DUPLICATE_DELIVERIES = _counter(
    "jobs_duplicate_delivery_total", "Claims of a job that runs already under another delivery.", _A, _GROUP
)
DUPLICATE_COMPLETIONS = _counter(
    "duplicate_delivery_completions_total",
    "Duplicate deliveries completed with the result of the one that ran.",
    _A,
    {**_GROUP, "outcome": ("completed", "error")},
)
RENEWJOB_ERRORS = _counter("renewjob_errors_total", "Lock renewals that failed.", _A, _NAMESPACE)
RENEW_JOB_ERRORS = _counter(
    "renew_job_errors_total", "The same as actions_gateway_renewjob_errors_total, under its later name.", _A, _NAMESPACE
)
RENEW_JOB_TEARDOWNS = _counter(
    "renew_job_teardowns_total",
    "Jobs given up because their lock was lost.",
    _A,
    {**_NAMESPACE, "reason": ("job_not_found", "lock_expired")},
)
LOCK_REMAINING = _gauge(
    "lock_remaining_seconds", "The least time that a running job's lock still has; +Inf without a job.", _A, _GROUP
)

# -- agent: GitHub
TOKEN_REFRESHES = _counter("token_refreshes_total", "Installation tokens minted.", _A, _NAMESPACE)
TOKEN_REFRESH_ERRORS = _counter(
    "token_refresh_errors_total", "Installation tokens that could not be minted.", _A, _NAMESPACE
)
TOKEN_CONSECUTIVE_REFRESH_FAILURES = _gauge(
    "token_consecutive_refresh_failures", "Failures since the last token was minted.", _A, _NAMESPACE
)
TOKEN_EXPIRY_TIMESTAMP = _gauge(
    "token_expiry_timestamp_seconds", "When the current installation token ends; 0 before the first.", _A, _NAMESPACE
)
GITHUB_REQUESTS = _counter(
    "github_requests_total",
    "Answers of GitHub by what was asked and class: `limited` ones ask to wait, `error` means no answer.",
    _A,
    {
        **_NAMESPACE,
        "endpoint": (
            "token",
            "register",
            "delete_runner",
            "list_runners",
            "run",
            "jobs",
            "rerun",
            "cancel",
            "oauth",
            "create_session",
            "delete_session",
            "poll",
            "acknowledge",
            "acquire",
            "renew",
            "complete",
            "other",
        ),
        "code_class": ("2xx", "3xx", "4xx", "limited", "5xx", "error"),
    },
)
GITHUB_RATE_LIMIT_LIMIT = _gauge(
    "github_rate_limit_limit", "The installation's hourly REST budget, from GitHub's headers.", _A, _NAMESPACE
)
GITHUB_RATE_LIMIT_REMAINING = _gauge(
    "github_rate_limit_remaining", "What is left of it, from GitHub's headers.", _A, _NAMESPACE
)
RATE_LIMITED_SINCE = _gauge(
    "rate_limited_since_timestamp_seconds",
    "Since when GitHub has limited the group's requests without a good answer; 0 while it does not.",
    _A,
    _GROUP,
)
GITHUB_BUDGET_WAITING = _gauge(
    "github_budget_waiting",
    "REST calls that wait for their turn in GitHub's limits: vital ones recover jobs, routine ones are registrations.",
    _A,
    {**_NAMESPACE, "priority": ("vital", "routine")},
)
GITHUB_BUDGET_WAIT_SECONDS = _counter(
    "github_budget_wait_seconds_total",
    "How long REST calls have waited for their turn, each counted when it comes.",
    _A,
    {**_NAMESPACE, "priority": ("vital", "routine")},
)

RUNNER_VERSION_RELEASED = _gauge(
    "runner_version_released_timestamp_seconds",
    "When the runner version that agents report was released.",
    _A,
    {"version": None},
)

# -- agent: Kubernetes
KUBE_REQUESTS = _counter(
    "kube_requests_total",
    "Answers of the Kubernetes API server by verb and class; `error` means no answer.",
    _A,
    {
        **_NAMESPACE,
        "verb": ("get", "list", "watch", "create", "update", "patch", "delete"),
        "code_class": ("2xx", "3xx", "4xx", "5xx", "error"),
    },
)

CATALOG: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
