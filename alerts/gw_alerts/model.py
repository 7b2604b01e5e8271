"""What an alert is: data that become rules, tests, tables, panels and routes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from actions_gateway.api.names import MANAGER_NAMESPACE
from gw_alerts import thresholds as t

TEAM = "ci-platform"


class Part(StrEnum):
    """Which part of the system an alert is about."""

    AGENT = "agent"
    WORKER = "worker"
    MANAGER = "manager"
    PROXY = "proxy"
    GITHUB = "github"
    MONITORING = "monitoring"


class Scope(StrEnum):
    """Whose alert it is: one tenant's, or the platform's."""

    TENANT = "tenant"
    FLEET = "fleet"


class Signal(StrEnum):
    """What kind of news it is."""

    SYMPTOM = "symptom"
    """Somebody's jobs suffer."""
    CAUSE = "cause"
    """Something is broken that may make them suffer."""
    ABUSE = "abuse"
    """Somebody may misuse the gateway; never inhibited."""
    WATCH = "watch"
    """About the watching itself."""


class Depends(StrEnum):
    """What has to work for an alert to mean anything of its own; the values are label names."""

    GITHUB = "depends_on_github"
    AGENT = "depends_on_agent"
    MANAGER = "depends_on_manager"
    """It reads series that the manager exports."""
    CLAIMS = "depends_on_claims"
    """It speaks of a tenant that claims jobs, which a paused one does not by intention."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One rule of an alert. Several arms of one alert carry different `arm` labels and one meaning for who is paged."""

    expression: str
    for_minutes: int
    """How long the expression holds before the alert fires."""
    summary: str
    description: str
    thresholds: tuple[t.Threshold, ...]
    """Every number that the expression compares with."""
    name: str = ""
    """Empty for the only one."""
    checks: tuple[str, ...] = ()
    """The checks of `gw health` that see the same, or why."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert."""

    name: str
    severity: t.Severity
    part: Part
    scope: Scope
    signal: Signal
    arms: tuple[Arm, ...]
    page: str
    """The runbook page, from the project's root."""
    grouping: tuple[str, ...]
    """The labels that its instances differ in."""
    depends: frozenset[Depends] = frozenset()
    seed: str = ""
    """The row of the production runbook's table that it is, by its first cell."""
    slo: str = ""
    keep_firing_minutes: int = 0
    """How long it fires on when its series end: a manager's restart resolves nothing."""
    is_always_firing: bool = False
    """The dead-man's switch: it is a problem when it does not fire."""

    @property
    def thresholds(self) -> tuple[t.Threshold, ...]:
        """Of all arms, each once."""
        return tuple(dict.fromkeys(threshold for arm in self.arms for threshold in arm.thresholds))

    @property
    def checks(self) -> tuple[str, ...]:
        """Of all arms, each once."""
        return tuple(dict.fromkeys(check for arm in self.arms for check in arm.checks))

    @property
    def tells_of_problem(self) -> bool:
        """Whether somebody has to act when it fires: not on the dead-man's switch, nor on what only inhibits."""
        return not self.is_always_firing and self.severity is not t.Severity.INFO

    @property
    def anchor(self) -> str:
        """Where its page speaks of it."""
        return self.name.lower()

    def static_labels(self, arm: Arm) -> dict[str, str]:
        """The labels that every instance of the arm has."""
        return {
            "severity": self.severity.value,
            "team": TEAM,
            "part": self.part.value,
            "scope": self.scope.value,
            "signal": self.signal.value,
            **{each.value: "true" for each in sorted(self.depends)},
            **({"slo": self.slo} if self.slo else {}),
            **({"arm": arm.name} if arm.name else {}),
        }

    def rules(self, links: "Links") -> list[dict[str, Any]]:
        """The entries of a rule group."""
        return [self._rule(arm, links) for arm in self.arms]

    def _rule(self, arm: Arm, links: "Links") -> dict[str, Any]:
        command = self._command(arm)
        keep = {"keep_firing_for": f"{self.keep_firing_minutes}m"} if self.keep_firing_minutes else {}
        return {
            "alert": self.name,
            "expr": arm.expression,
            "for": f"{arm.for_minutes}m",
            **keep,
            "labels": self.static_labels(arm),
            "annotations": {
                "summary": arm.summary,
                "description": arm.description,
                "runbook": self.page,
                "runbook_url": links.page(self.page, self.anchor),
                **({"dashboard_url": links.board(self)} if links.grafana else {}),
                **({"command": command} if command else {}),
            },
        }

    def _command(self, arm: Arm) -> str:
        """What to begin with: the checks, or the page where none sees it; nothing where nobody has to act."""
        if arm.checks:
            return f"gw health {self._subject}{' '.join(f'--check {check}' for check in arm.checks)}"
        return f"gw runbook show {self.name}" if self.tells_of_problem else ""

    @property
    def _subject(self) -> str:
        return _of_tenant("{{ $labels.namespace }} ") if self.scope is Scope.TENANT else ""


@dataclass(frozen=True, slots=True)
class Links:
    """Where a reader of a notification finds pages and boards."""

    runbooks: str = ""
    """The URL under which the project's `runbooks/` folder is published, without it; empty for paths in the project."""
    grafana: str = ""
    """Grafana's URL; empty for no links to boards."""

    def page(self, path: str, anchor: str) -> str:
        """The URL of a page's place."""
        where = f"{self.runbooks.rstrip('/')}/{path}" if self.runbooks else path
        return f"{where}#{anchor}"

    def board(self, alert: Alert) -> str:
        """The URL of the board that shows the alert's subject."""
        base = f"{self.grafana.rstrip('/')}/d"
        fleet = f"{FLEET_BOARD}{_cluster_of('?')}"
        if alert.scope is Scope.FLEET:
            return f"{base}/{fleet}"
        tenant = f"{TENANT_BOARD}?var-namespace={{{{ $labels.namespace }}}}{_cluster_of('&')}"
        return f"{base}/{_of_tenant(tenant, fleet)}"


def _of_tenant(text: str, otherwise: str = "") -> str:
    """The text where the alert is a tenant's: the manager counts its own work under its own namespace."""
    other = f"{{{{ else }}}}{otherwise}" if otherwise else ""
    return f'{{{{ if ne $labels.namespace "{MANAGER_NAMESPACE}" }}}}{text}{other}{{{{ end }}}}'


def _cluster_of(separator: str) -> str:
    """The board's variable, where series have a cluster: one that only notifications name selects nothing there."""
    return f"{{{{ with $labels.cluster }}}}{separator}var-cluster={{{{ . }}}}{{{{ end }}}}"


TENANT_BOARD = "actions-gateway-tenant"
FLEET_BOARD = "actions-gateway-fleet"
"""The uids of boards that notifications lead to; `gw_dashboards` builds them."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule."""

    name: str
    expression: str
    what: str
    """What its series say, for people."""
    labels: Mapping[str, str] = field(default_factory=dict)

    def rule(self) -> dict[str, Any]:
        """The entry of a rule group."""
        return {"record": self.name, "expr": self.expression, **({"labels": dict(self.labels)} if self.labels else {})}
