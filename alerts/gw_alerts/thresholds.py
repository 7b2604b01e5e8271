"""Thresholds as data: the number, what it bounds, how bad it is, and the line of the production runbook that says so.

The numbers of the runbook are taken literally; `OURS` marks one that it does not give, with the reason. Checks, alert
rules and pages read a number from here and nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum

from actions_gateway.api.conditions import SUSTAINED_LIMIT_SECONDS

OURS = "ours: "


class Severity(StrEnum):
    """How soon somebody must act, worst first."""

    PAGE = "page"
    """Someone is woken."""
    TICKET = "ticket"
    """Someone looks the next working day."""
    INFO = "info"
    """Worth knowing."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)

    def reaches(self, other: "Severity") -> bool:
        """Whether this is at least as bad as `other`."""
        return self.rank <= other.rank


@dataclass(frozen=True, slots=True)
class Threshold:
    """One bound: `subject` `comparison` `value` `unit` is a problem of that severity."""

    subject: str
    comparison: str
    value: float
    unit: str
    severity: Severity
    source: str
    """The runbook's own words, or `OURS` and the reason."""


NO_ACTIVE_SESSION = Threshold(
    subject="sessions of a RunnerGroup that can take a job",
    comparison="=",
    value=0,
    unit="sessions",
    severity=Severity.PAGE,
    source="actions_gateway_active_sessions | = 0 for a RunnerGroup | Page | "
    "No listener polling; jobs queue indefinitely",
)
WORKER_REFUSED_SECONDS = Threshold(
    subject="time for which the workers of a RunnerGroup are not admitted, or would not be if a job came",
    comparison=">",
    value=60,
    unit="seconds",
    severity=Severity.PAGE,
    source="actions_gateway_pod_creation_latency_seconds p99 | > 60s | Page | "
    "Indicates scheduling stall or quota exhaustion",
)
AGENT_OOM_KILLED = Threshold(
    subject="containers of an agent's pod that were OOMKilled",
    comparison=">",
    value=0,
    unit="containers",
    severity=Severity.PAGE,
    source="AGC pod OOMKilled | any | Page | AGC has no active sessions while restarting",
)
AGENT_CRASH_LOOPING = Threshold(
    subject="containers of an agent's pod in CrashLoopBackOff",
    comparison=">",
    value=0,
    unit="containers",
    severity=Severity.PAGE,
    source="AGC pod in OOMKilled / CrashLoopBackOff.",
)
WORKER_DYING = Threshold(
    subject="worker pods in CrashLoopBackOff or OOMKilled state",
    comparison=">",
    value=0,
    unit="pods",
    severity=Severity.TICKET,
    source="No pods in CrashLoopBackOff or OOMKilled state.",
)
GATEWAY_NOT_READY = Threshold(
    subject="ActionsGateways whose Ready condition is not True",
    comparison=">",
    value=0,
    unit="gateways",
    severity=Severity.PAGE,
    source="All ActionsGateway conditions Ready=True across active tenant namespaces.",
)
PROVISIONING_SECONDS = Threshold(
    subject="time from a new ActionsGateway to its provisioned resources",
    comparison=">",
    value=30,
    unit="seconds",
    severity=Severity.PAGE,
    source="Confirm the GMC has provisioned resources within ~30 seconds:",
)
PROXY_NOT_READY = Threshold(
    subject="ready proxies of a gateway",
    comparison="<",
    value=1,
    unit="pods",
    severity=Severity.PAGE,
    source=OURS + "nothing of the tenant reaches GitHub: sessions and locks end, as without an agent",
)
RATE_LIMITED_MINUTES = Threshold(
    subject="time for which GitHub limits a gateway's requests",
    comparison=">",
    value=SUSTAINED_LIMIT_SECONDS / 60,
    unit="minutes",
    severity=Severity.PAGE,
    source="ActionsGateway condition RateLimited=True | duration > 10 minutes | Page | Installation is over API budget",
)
DELETION_SLOW_SECONDS = Threshold(
    subject="time that the deletion of a gateway takes, before it is a ticket",
    comparison=">",
    value=60,
    unit="seconds",
    severity=Severity.INFO,
    source=OURS + "with nothing in its way a deletion takes seconds: what it waits for is worth a look",
)
DELETION_SECONDS = Threshold(
    subject="time that the deletion of a gateway takes",
    comparison=">",
    value=600,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "the manager ends a deletion after this time whatever remains, so it does not work",
)
SESSION_GAP_SECONDS = Threshold(
    subject="time without an open session after one closed",
    comparison=">",
    value=60,
    unit="seconds",
    severity=Severity.PAGE,
    source=OURS + "a registration is used up by each job, and its successor takes a few seconds to open a session; "
    "the manager bears it as long on a gateway that is Ready",
)
WORKER_PENDING_SECONDS = Threshold(
    subject="time of a worker pod in Pending",
    comparison=">",
    value=600,
    unit="seconds",
    severity=Severity.PAGE,
    source=OURS
    + "a RunnerGroup's default pendingPodDeadline, at which its agent gives a worker up; one that is Pending "
    "longer has a longer deadline, or no agent",
)
WORKER_GIVEN_UP_SECONDS = Threshold(
    subject="time since a RunnerGroup's last worker was given up before it started",
    comparison="<=",
    value=1200,
    unit="seconds",
    severity=Severity.PAGE,
    source=OURS + "a group that gives its workers up tries one job after 5 min at most, and gives that up by default "
    "after 10 min: its events are at most so far apart while jobs come",
)
WORKER_IMAGE_FAILING = Threshold(
    subject="worker pods whose image cannot be pulled",
    comparison=">",
    value=0,
    unit="pods",
    severity=Severity.PAGE,
    source=OURS + "no job of that group starts; the runbook pages on scheduling stalls of a minute",
)
MANAGER_NOT_AVAILABLE = Threshold(
    subject="ready pods of gmc-controller-manager",
    comparison="<",
    value=1,
    unit="pods",
    severity=Severity.TICKET,
    source="Existing tenant gateways continue operating normally. The GMC is not in the data plane",
)
CLOCK_SKEW_SECONDS = Threshold(
    subject="difference between the API server's clock and this machine's",
    comparison=">",
    value=30,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "half of the minute that GitHub allows a token's issue time; leases and ages are judged by clocks",
)
IMAGE_FLOATING = Threshold(
    subject="images of the installation without a digest",
    comparison=">",
    value=0,
    unit="images",
    severity=Severity.TICKET,
    source=OURS + "what runs could change without anybody's doing, and a roll back could not bring it back",
)
TOKEN_REFRESH_ERRORS_PER_HOUR = Threshold(
    subject="installation tokens that could not be minted, per namespace",
    comparison=">",
    value=1,
    unit="errors per hour",
    severity=Severity.PAGE,
    source="actions_gateway_token_refresh_errors_total | rate > 1/hour per namespace | Page | "
    "Token expiry causes session failures within ~1 hour",
)
RENEWJOB_ERRORS_PER_MINUTE = Threshold(
    subject="lock renewals that failed, per namespace",
    comparison=">",
    value=5,
    unit="errors per minute",
    severity=Severity.PAGE,
    source="actions_gateway_renewjob_errors_total | rate > 5/minute per namespace | Page | "
    "Sustained failures cancel running jobs",
)
POD_CREATION_P95_SECONDS = Threshold(
    subject="pod creation latency, p95",
    comparison=">",
    value=15,
    unit="seconds",
    severity=Severity.TICKET,
    source="actions_gateway_pod_creation_latency_seconds p95 | > 15s | Ticket | SLO target from Appendix A",
)
POD_CREATION_P99_SECONDS = Threshold(
    subject="pod creation latency, p99",
    comparison=">",
    value=60,
    unit="seconds",
    severity=Severity.PAGE,
    source="actions_gateway_pod_creation_latency_seconds p99 | > 60s | Page | "
    "Indicates scheduling stall or quota exhaustion",
)
RECONCILE_ERRORS_PER_5_MINUTES = Threshold(
    subject="reconciles that failed",
    comparison=">",
    value=1,
    unit="errors per 5 minutes",
    severity=Severity.TICKET,
    source="actions_gateway_reconcile_errors_total | rate > 1/5min | Ticket | "
    "Persistent reconcile failure; resources may be stale",
)

PLATFORM_POD_DYING = Threshold(
    subject="pods of the manager or of a proxy in CrashLoopBackOff or OOMKilled state",
    comparison=">",
    value=0,
    unit="pods",
    severity=Severity.TICKET,
    source="No pods in CrashLoopBackOff or OOMKilled state.",
)
WORKERS_EVICTED = Threshold(
    subject="worker pods of a RunnerGroup that lie there evicted",
    comparison=">=",
    value=3,
    unit="pods",
    severity=Severity.TICKET,
    source=OURS + "a run has two reruns by default, so the third eviction in a row leaves its job to a person",
)
AUTOSCALER_BLIND = Threshold(
    subject="proxy autoscalers without a reading",
    comparison=">",
    value=0,
    unit="autoscalers",
    severity=Severity.TICKET,
    source="Proxy HPA TARGETS: <unknown> | any | Ticket | HPA metric broken; autoscaling not working",
)
AUTOSCALER_FIRST_READING_SECONDS = Threshold(
    subject="time from a proxy autoscaler's creation to its first reading",
    comparison=">",
    value=120,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "the metrics API has no number of a pod in its first minute, and an autoscaler looks every 15 s",
)
TOKEN_EXPIRED_SECONDS = Threshold(
    subject="time that an agent's installation token is still valid, when it has to be a page",
    comparison="<=",
    value=0,
    unit="seconds",
    severity=Severity.PAGE,
    source=OURS + "the page of failed refreshes says it: without a token sessions fail",
)
TOKEN_LEFT_SECONDS = Threshold(
    subject="time that an agent's installation token is still valid",
    comparison="<",
    value=240,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "an agent renews its token 5 min before its end, a tenth of that sooner or later",
)
GITHUB_UNREACHABLE = Threshold(
    subject="gateways whose agent gets no usable answer from GitHub for a token or a session",
    comparison=">",
    value=0,
    unit="gateways",
    severity=Severity.PAGE,
    source=OURS + "no job can be taken, and locks of running jobs end within 10 min",
)
PERMISSION_MISSING = Threshold(
    subject="permissions that an installation lacks for registering runners",
    comparison=">",
    value=0,
    unit="permissions",
    severity=Severity.PAGE,
    source=OURS + "no runner can be registered, so every job of the tenant waits; what reruns alone need is a ticket",
)
RUNNER_VERSION_TOO_OLD = Threshold(
    subject="RunnerGroups to whose runner version GitHub gives no jobs",
    comparison=">",
    value=0,
    unit="groups",
    severity=Severity.PAGE,
    source=OURS + "no session takes a job, as with a group without any",
)
RELEASE_BEHIND_SECONDS = Threshold(
    subject="time for which agents or proxies run other images than the manager gives out",
    comparison=">",
    value=3600,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "the manager rolls a fleet a few tenants at a time; what is behind for an hour waits for somebody",
)
JOB_UNSERVED_SECONDS = Threshold(
    subject="time for which a job waits at GitHub whose labels no RunnerGroup has",
    comparison=">",
    value=120,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "runners that others provide take a job within a minute or two; after a day GitHub gives it up",
)
LOST_JOB_OWED = Threshold(
    subject="lost jobs that nobody reruns until a person asks for it",
    comparison=">",
    value=0,
    unit="jobs",
    severity=Severity.TICKET,
    source=OURS + "a ticket as the exhausted retries are, each of which requires a manual re-run",
)

SERIES_OLD_SECONDS = Threshold(
    subject="age of the newest sample that Prometheus has of a cluster",
    comparison=">",
    value=300,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "Prometheus itself believes a series for five minutes after its last sample, and rules go by that",
)
POLL_AGE_SECONDS = Threshold(
    subject="time since GitHub last answered a poll of a RunnerGroup that has polling sessions",
    comparison=">",
    value=180,
    unit="seconds",
    severity=Severity.PAGE,
    source=OURS + "GitHub holds a poll for 50 s, and an agent asks again after 55 s: three answers are missing, "
    "so nobody listens although a session is open",
)
POLL_LATE_SECONDS = Threshold(
    subject="time since GitHub last answered a poll of a RunnerGroup that has polling sessions, before it is a page",
    comparison=">",
    value=120,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "two answers are missing, which no rest of a long poll explains; the page waits for the third",
)
LOCK_LEFT_SECONDS = Threshold(
    subject="least time left of a running job's lock",
    comparison="<",
    value=300,
    unit="seconds",
    severity=Severity.PAGE,
    source=OURS + "a renewal each minute buys ten: half of it gone means four failed renewals, and GitHub cancels the "
    "job at the end, also of a tenant too small for the rate of errors",
)
BUDGET_LEFT_SHARE = Threshold(
    subject="share of the installation's hourly REST budget that is left",
    comparison="<",
    value=0.1,
    unit="of 1",
    severity=Severity.TICKET,
    source=OURS + "registrations and reruns wait when it is used up; sessions and locks do not count against it",
)
RETRIES_EXHAUSTED_PER_DAY = Threshold(
    subject="jobs that lost their worker and whose run had no rerun left",
    comparison=">",
    value=0,
    unit="jobs",
    severity=Severity.TICKET,
    source="actions_gateway_eviction_retries_exhausted_total | rate > 0 | Ticket | "
    "Each increment requires a manual re-run",
)
MONITORING_DOWN = Threshold(
    subject="Prometheus or Alertmanager that is there and does not serve",
    comparison=">",
    value=0,
    unit="servers",
    severity=Severity.TICKET,
    source=OURS + "the gateway works on, and gw still asks the cluster; what is lost is that somebody is told",
)
RULES_NOT_LOADED = Threshold(
    subject="alert rules of this project that Prometheus has not loaded or cannot evaluate",
    comparison=">",
    value=0,
    unit="rules",
    severity=Severity.TICKET,
    source=OURS + "such an alert never fires, whatever happens",
)
TARGETS_NOT_SCRAPED = Threshold(
    subject="ready pods of managers, agents and proxies that Prometheus does not scrape",
    comparison=">",
    value=0,
    unit="pods",
    severity=Severity.TICKET,
    source=OURS + "alerts and checks on their series are blind there",
)
SCRAPE_DUE_SECONDS = Threshold(
    subject="time from a pod's start to its first scrape",
    comparison=">",
    value=120,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "discovery takes seconds and the monitors' interval is 30 s: three scrapes are missing",
)
SWITCH_DUE_SECONDS = Threshold(
    subject="time from the start of Prometheus's dead-man's switch, or of Alertmanager, until that has heard it",
    comparison=">",
    value=180,
    unit="seconds",
    severity=Severity.TICKET,
    source=OURS + "Prometheus repeats what fires a minute later at the earliest, with the next evaluation: two repeats "
    "are missing",
)

ALL: tuple[Threshold, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Threshold))
