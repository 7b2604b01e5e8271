"""Thresholds as data: the number, what it bounds, how bad it is, and the line of the production runbook that says so.

The numbers of the runbook are taken literally; `OURS` marks one that it does not give, with the reason. Checks, alert
rules and pages read a number from here and nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum

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
SESSION_GAP_SECONDS = Threshold(
    subject="time without an open session after one closed",
    comparison=">",
    value=30,
    unit="seconds",
    severity=Severity.PAGE,
    source=OURS + "a registration is used up by each job, and its successor takes a few seconds to open a session",
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

ALL: tuple[Threshold, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Threshold))
