"""What is done to a played cluster so that an alert fires: a drill for each alert, and for each arm of a page.

Four alerts have none: the slow burns, whose windows are longer than six hours, are proven with promtool alone. Ages
that an alert compares with (of a poll, a key, a release, a waiting job) are set as old as they have to be.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from support.watched_fleet import ADMISSION, AGENT, INTEGRATION, MANAGER, RULE_GROUP, PlayedCluster

_DAY = 86400.0
_BURN = "ActionsGatewaySLO{}BurnFast"
_NO_SESSION = "ActionsGatewayNoActiveSessions"
_UNAVAILABLE = _BURN.format("SessionAvailability")


@dataclass(frozen=True)
class AlertDrill:
    """One fault of one cluster."""

    name: str
    """The cluster's, too."""
    fault: str
    tells: tuple[str, ...]
    """The alerts of which people are told."""
    bring: Callable[[PlayedCluster, int], None]
    """Is called again and again while the fault lasts, with how often it was before: what counts counts on."""
    silent: tuple[str, ...] = ()
    """Alerts that fire and of which nobody is told."""
    told_late: tuple[str, ...] = ()
    """Alerts that fire silently; people are told only of those that outlast what silences them."""
    expects_sessions: bool = False
    """Whether the fault is one of sessions."""


def _counts(metric: m.Metric, amount: float = 1, **labels: str) -> Callable[[PlayedCluster, int], None]:
    return lambda cluster, _: cluster.inc(metric, amount, **labels)


def _is(metric: m.Metric, value: float, **labels: str) -> Callable[[PlayedCluster, int], None]:
    return lambda cluster, before: None if before else cluster.set(metric, value, **labels)


def _was(metric: m.Metric, age_seconds: float) -> Callable[[PlayedCluster, int], None]:
    return lambda cluster, before: None if before else cluster.set(metric, cluster.now - age_seconds)


def _condition(kind: str, status: str) -> Callable[[PlayedCluster, int], None]:
    return lambda cluster, before: None if before else cluster.condition(kind, status)


def _others(series: foreign.ForeignSeries, value: float, matchers: str = "") -> Callable[[PlayedCluster, int], None]:
    return lambda cluster, before: None if before else cluster.other(series, value, matchers)


def _others_count(*counted: tuple[foreign.ForeignSeries, str]) -> Callable[[PlayedCluster, int], None]:
    def bring(cluster: PlayedCluster, _: int) -> None:
        for series, matchers in counted:
            cluster.count(series, 1, matchers)

    return bring


def _starts_late(seconds: float) -> Callable[[PlayedCluster, int], None]:
    return lambda cluster, _: cluster.observe(m.POD_CREATION_LATENCY, seconds)


def _all(*parts: Callable[[PlayedCluster, int], None]) -> Callable[[PlayedCluster, int], None]:
    def bring(cluster: PlayedCluster, before: int) -> None:
        for part in parts:
            part(cluster, before)

    return bring


def _goes(part: str) -> Callable[[PlayedCluster, int], None]:
    return lambda cluster, before: None if before else cluster.fall_silent(part)


def _drills() -> Iterator[AlertDrill]:
    yield from _of_sessions()
    yield from _of_credentials()
    yield from _of_jobs()
    yield from _of_components()
    yield from _of_proxies()
    yield from _of_watching()


def _of_sessions() -> Iterator[AlertDrill]:
    no_session = _is(m.ACTIVE_SESSIONS, 0)
    yield AlertDrill("no-session", "no session is open", (_NO_SESSION, _UNAVAILABLE), no_session, expects_sessions=True)
    yield AlertDrill("silent-session", "no poll is answered", (_NO_SESSION,), _was(m.LAST_POLL_TIMESTAMP, 300))
    unanswered = _counts(m.GITHUB_REQUESTS, endpoint="poll", code_class="error")
    yield AlertDrill(
        "github-unreachable",
        "requests stay unanswered, sessions end",
        ("ActionsGatewayGitHubUnreachable",),
        _all(unanswered, no_session),
        (_NO_SESSION,),
        (_UNAVAILABLE,),
        expects_sessions=True,
    )
    yield AlertDrill(
        "claims-fail",
        "claims are refused",
        ("ActionsGatewayJobAcquisitionStalled", _BURN.format("JobAcquisition")),
        _counts(m.JOB_ACQUISITION_ERRORS, reason="acquirejob_failed"),
    )
    yield AlertDrill(
        "polls-fail", "polls fail", ("ActionsGatewayMessagePollErrors",), _counts(m.MESSAGE_POLL_ERRORS, reason="other")
    )
    yield AlertDrill(
        "registrations-fail",
        "runners cannot be registered",
        ("ActionsGatewayAgentRecycleErrors",),
        _counts(m.AGENT_RECYCLE_ERRORS),
    )
    yield AlertDrill("loop-lag", "the loop is held up", ("ActionsGatewayEventLoopLag",), _is(m.EVENT_LOOP_LAG, 10))
    yield AlertDrill(
        "paused",
        "the tenant is paused, and its quota is full",
        (),
        _all(_condition("Paused", "True"), _is(m.WORKER_QUOTA_EXCEEDED, 1)),
        ("ActionsGatewayTenantPaused", "ActionsGatewayWorkerQuotaExceeded"),
    )


def _of_credentials() -> Iterator[AlertDrill]:
    yield AlertDrill(
        "token-errors", "no token is minted", ("ActionsGatewayTokenRefreshErrors",), _counts(m.TOKEN_REFRESH_ERRORS)
    )
    yield AlertDrill(
        "token-expiring",
        "a token is not renewed",
        ("ActionsGatewayTokenExpiring",),
        # Negative: it ends later than now, by less than what is demanded.
        _was(m.TOKEN_EXPIRY_TIMESTAMP, -120),
    )
    yield AlertDrill(
        "rate-limited", "the condition RateLimited", ("ActionsGatewayRateLimited",), _condition("RateLimited", "True")
    )
    yield AlertDrill(
        "rate-limited-since", "limited for 20 min", ("ActionsGatewayRateLimited",), _was(m.RATE_LIMITED_SINCE, 1200)
    )
    yield AlertDrill(
        "budget-low",
        "the hour's budget is spent",
        ("ActionsGatewayRateLimitBudgetLow",),
        _is(m.GITHUB_RATE_LIMIT_REMAINING, 100),
    )
    yield AlertDrill(
        "old-key",
        "the key is 100 days old",
        ("ActionsGatewayCredentialOld",),
        _was(m.CREDENTIAL_REFERENCED, 100 * _DAY),
    )
    yield AlertDrill(
        "old-runner",
        "the runner is 70 days old",
        ("ActionsGatewayRunnerVersionOld",),
        _was(m.RUNNER_VERSION_RELEASED, 70 * _DAY),
    )
    yield AlertDrill(
        "key-refused",
        "GitHub refuses the key",
        ("ActionsGatewayTokenRefreshAbuse",),
        _counts(m.GITHUB_REQUESTS, 2, endpoint="token", code_class="4xx"),
    )


def _of_jobs() -> Iterator[AlertDrill]:
    late, later = _BURN.format("PodCreation15s"), _BURN.format("PodCreation60s")
    p95, p99 = "ActionsGatewayPodCreationLatencyP95", "ActionsGatewayPodCreationLatencyP99"
    yield AlertDrill("late-pods", "pods are scheduled after 40 s", (p95, late), _starts_late(40))
    yield AlertDrill("later-pods", "pods are scheduled after 80 s", (p99, late, later), _starts_late(80), (p95,))
    yield AlertDrill("held-job", "a job waits for quota", (p99,), _is(m.OLDEST_WAITING_JOB, 120, reason="quota"))
    yield AlertDrill("unstarted-job", "a worker does not start", (p99,), _is(m.OLDEST_WAITING_JOB, 400, reason="start"))
    yield AlertDrill("renewals-fail", "renewals fail", ("ActionsGatewayRenewJobErrors",), _counts(m.RENEWJOB_ERRORS))
    yield AlertDrill("lock-ends", "a lock runs out", ("ActionsGatewayRenewJobErrors",), _is(m.LOCK_REMAINING, 120))
    for name, fault, alert, bring in (
        (
            "retries-exhausted",
            "jobs have no rerun left",
            "ActionsGatewayEvictionRetriesExhausted",
            _counts(m.EVICTION_RETRIES_EXHAUSTED, cause="eviction"),
        ),
        (
            "quota-exhausted",
            "jobs are given up for quota",
            "ActionsGatewayQuotaRetriesExhausted",
            _counts(m.QUOTA_RETRIES_EXHAUSTED),
        ),
        (
            "reaped",
            "workers never start",
            "ActionsGatewayWorkersReapedPending",
            _counts(m.WORKER_PODS_REAPED, reason="pending_deadline"),
        ),
        (
            "lock-lost",
            "locks are lost",
            "ActionsGatewayLockLost",
            _counts(m.RENEW_JOB_TEARDOWNS, reason="lock_expired"),
        ),
        ("no-quota", "a quota refuses workers", "ActionsGatewayWorkerQuotaExceeded", _is(m.WORKER_QUOTA_EXCEEDED, 1)),
        ("full-quota", "a quota is used up", "ActionsGatewayQuotaSaturated", _is(m.QUOTA_USED, 10)),
        (
            "evictions",
            "workers are evicted in a loop",
            "ActionsGatewayEvictionRetryAbuse",
            _counts(m.EVICTION_RETRIES, cause="eviction"),
        ),
    ):
        yield AlertDrill(name, fault, (alert,), bring)


def _of_components() -> Iterator[AlertDrill]:
    yield AlertDrill(
        "agent-down",
        "the agent is gone",
        ("ActionsGatewayAgentDown",),
        _goes(AGENT),
        (_NO_SESSION,),
        (_UNAVAILABLE,),
        expects_sessions=True,
    )
    yield AlertDrill(
        "agent-out-of-memory",
        "the agent is killed for memory again and again",
        ("ActionsGatewayAgentOOMKilled", "ActionsGatewayAgentCrashLooping"),
        _counts(m.AGENT_TERMINATIONS, reason="OOMKilled"),
    )
    yield AlertDrill(
        "agent-fails",
        "the agent fails again and again",
        ("ActionsGatewayAgentCrashLooping",),
        _counts(m.AGENT_TERMINATIONS, reason="Error"),
    )
    yield AlertDrill("manager-down", "the manager is gone", ("ActionsGatewayManagerDown",), _goes(MANAGER))
    for name, fault, alert, bring in (
        ("reconciles-fail", "reconciles fail", "ActionsGatewayReconcileErrors", _counts(m.RECONCILE_ERRORS)),
        ("stuck", "an object never reconciles", "ActionsGatewayReconcileStuck", _is(m.RECONCILE_FAILING_OBJECTS, 1)),
        ("not-ready", "a gateway is not Ready", "ActionsGatewayGatewayNotReady", _condition("Ready", "False")),
        ("degraded", "the condition Degraded", "ActionsGatewayGatewayImpaired", _condition("Degraded", "True")),
        ("rollout-stopped", "a rollout stands still", "ActionsGatewayRolloutStopped", _is(m.ROLLOUT_WAITING, 3)),
        (
            "many-gateways",
            "many gateways appear",
            "ActionsGatewayManagedGatewaysJump",
            _counts(m.GATEWAYS_CREATED, 10),
        ),
        (
            "denials",
            "policies deny requests",
            "ActionsGatewayAdmissionDenials",
            _others_count((foreign.ADMISSION_CHECKS, ADMISSION)),
        ),
    ):
        yield AlertDrill(name, fault, (alert,), bring)


def _of_proxies() -> Iterator[AlertDrill]:
    proxy_gone = _all(_is(m.PROXY_READY_REPLICAS, 0), _others(foreign.PROXY_LIVE, 0))
    for name, fault, alert, bring in (
        ("no-proxy", "no proxy is live", "ActionsGatewayProxyDown", proxy_gone),
        (
            "blind-autoscaler",
            "the autoscaler reads nothing",
            "ActionsGatewayProxyHPAMetricUnknown",
            _is(m.PROXY_HPA_METRIC_AVAILABLE, 0),
        ),
        ("proxy-quota", "a quota refuses proxies", "ActionsGatewayProxyQuotaExceeded", _is(m.PROXY_QUOTA_EXCEEDED, 1)),
        (
            "full-proxy",
            "600 tunnels, all busy",
            "ActionsGatewayProxyConnectionsSaturated",
            _all(_others(foreign.TUNNELS, 600), lambda cluster, _: cluster.count(foreign.RECEIVED_BYTES, 10_000)),
        ),
        ("idle-tunnels", "150 idle tunnels", "ActionsGatewayProxySlowlorisSuspected", _others(foreign.TUNNELS, 150)),
        (
            "long-tunnels",
            "tunnels of an hour close",
            "ActionsGatewayProxyLongLivedTunnels",
            lambda cluster, _: cluster.count(foreign.TUNNEL_LENGTH_COUNT, 5),
        ),
        (
            "longest-life",
            "tunnels live six hours",
            "ActionsGatewayProxyTunnelLifetimeCapHit",
            _others_count((foreign.LIFETIME_REACHED, "")),
        ),
        (
            "dials-fail",
            "hosts do not connect",
            "ActionsGatewayProxyDialErrorSpike",
            _others_count((foreign.CONNECT_FAILURES, "")),
        ),
        (
            "denied-hosts",
            "jobs try forbidden hosts",
            "ActionsGatewayProxyConnectDenied",
            _others_count((foreign.DENIED, "")),
        ),
    ):
        yield AlertDrill(name, fault, (alert,), bring)


def _of_watching() -> Iterator[AlertDrill]:
    yield AlertDrill(
        "series-missing",
        "a family is not exported",
        ("ActionsGatewaySeriesMissing",),
        lambda cluster, before: None if before else cluster.end(m.TOKEN_EXPIRY_TIMESTAMP),
    )
    for name, fault, alert, bring in (
        (
            "rules-fail",
            "rules cannot be evaluated",
            "ActionsGatewayRuleFailures",
            _others_count((foreign.RULE_FAILURES, RULE_GROUP)),
        ),
        (
            "late-rules",
            "evaluations are missed",
            "ActionsGatewayRuleEvaluationsMissed",
            _others_count((foreign.ITERATIONS_MISSED, RULE_GROUP)),
        ),
        (
            "no-delivery",
            "notifications fail",
            "ActionsGatewayNotificationsFailing",
            _others_count((foreign.NOTIFICATIONS_FAILED, INTEGRATION), (foreign.NOTIFICATIONS, INTEGRATION)),
        ),
        (
            "missing-rule",
            "a Prometheus lacks rules",
            "ActionsGatewayRulesNotLoaded",
            _others(foreign.RULES_LOADED, 90, RULE_GROUP),
        ),
    ):
        yield AlertDrill(name, fault, (alert,), bring)


DRILLS = tuple(_drills())
