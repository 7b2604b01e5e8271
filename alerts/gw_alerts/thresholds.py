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
    subject="time for which claimed jobs wait because their pods are not admitted",
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
    source=OURS + "a RunnerGroup's default pendingPodDeadline of 10 min, after which its job is lost to the wait",
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

ALL: tuple[Threshold, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Threshold))
