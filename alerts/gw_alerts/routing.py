"""Who is told what, and which alert keeps quiet while another one names the cause: routes and inhibitions as data.

An inhibition's source fires no later than its target where it is the cause from the start: of an agent that comes and
goes its sessions are told first. It never is inhibited itself by its target, and a ticket never silences a page. Abuse
and the dead-man's switch carry none of the labels that targets are chosen by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gw_alerts.catalog import components, jobs, sessions, watching
from gw_alerts.expressions import CLUSTER, TENANT
from gw_alerts.model import TEAM, Alert, Depends, Signal
from gw_alerts.thresholds import Severity

_TENANT = tuple(TENANT.split(", "))


class Receiver(StrEnum):
    """The receivers that routes name; a values file says how each is reached."""

    ONCALL = "oncall-sre"
    """Pages."""
    TICKETS = "tickets"
    """What is looked at the next working day."""
    DEAD_MAN = "dead-man"
    """Somebody outside who pages when the switch is heard no more."""
    SECURITY = "security"
    """Whom abuse reaches besides; an installation need not have it."""
    NOBODY = "nobody"
    """What is only there to inhibit."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route; the first that matches takes the alert."""

    receiver: Receiver
    matchers: Mapping[str, str]
    group_by: tuple[str, ...]
    wait: str
    interval: str
    repeat: str
    continues: bool = False
    """The routes after it are asked, too."""


@dataclass(frozen=True, slots=True)
class Inhibition:
    """`source` fires: alerts that carry `targets` and the same `equal` labels notify nobody."""

    source: Alert
    targets: Mapping[str, str]
    equal: tuple[str, ...]
    why: str
    but: Mapping[str, str] = field(default_factory=dict)
    """Labels that a target must not have."""

    def inhibits(self, alert: Alert) -> bool:
        """Whether the alert's own labels make it a target."""
        return any(self._takes({"alertname": alert.name, **alert.static_labels(arm)}) for arm in alert.arms)

    def _takes(self, labels: Mapping[str, str]) -> bool:
        is_one = all(labels.get(name) == value for name, value in self.targets.items())
        return is_one and all(labels.get(name) != value for name, value in self.but.items())


ROOT = Route(Receiver.TICKETS, {}, _TENANT, "30s", "5m", "12h")
"""What no route takes is looked at: nothing is dropped."""

ROUTES: tuple[Route, ...] = (
    # Other projects have one of that name; and while one cluster's is silent, another's must not stand in for it.
    Route(Receiver.DEAD_MAN, {"alertname": watching.WATCHDOG.name, "team": TEAM}, (CLUSTER,), "0s", "1m", "1m"),
    Route(Receiver.NOBODY, {"severity": Severity.INFO.value}, (), "5m", "1h", "24h"),
    Route(
        Receiver.SECURITY,
        {"severity": Severity.PAGE.value, "signal": Signal.ABUSE.value},
        _TENANT,
        "10s",
        "5m",
        "1h",
        continues=True,
    ),
    Route(Receiver.ONCALL, {"severity": Severity.PAGE.value}, _TENANT, "10s", "5m", "1h"),
    Route(Receiver.TICKETS, {"severity": Severity.TICKET.value}, _TENANT, "5m", "5m", "24h"),
)
"""A page waits for the few seconds in which its cause is told, too; tickets of one tenant become one."""

INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        sessions.GITHUB_UNREACHABLE,
        {Depends.GITHUB.value: "true"},
        _TENANT,
        "no tenant can mend it; one whose GitHub answers keeps its alerts",
    ),
    Inhibition(
        components.AGENT_DOWN,
        {Depends.AGENT.value: "true"},
        _TENANT,
        "one page that names the cause",
    ),
    Inhibition(
        components.MANAGER_DOWN,
        {Depends.MANAGER.value: "true", "severity": Severity.TICKET.value},
        ("cluster",),
        "what they read is not told any more; pages stay, since tenants go on",
    ),
    Inhibition(
        components.TENANT_PAUSED,
        {Depends.CLAIMS.value: "true", "severity": Severity.TICKET.value},
        _TENANT,
        "it claims nothing by intention; running jobs are watched as before",
    ),
    Inhibition(
        jobs.POD_CREATION_P99,
        {"alertname": jobs.POD_CREATION_P95.name},
        _TENANT,
        "the page says more",
    ),
)
