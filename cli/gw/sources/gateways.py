"""Gateways and runner groups as facts: what their specs ask for and what their statuses report.

Read leniently, since a status may be old, partial or written by another version; absent numbers are zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionStatus, ConditionType, Reason

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ConditionFact:
    """One entry of `status.conditions`."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None

    @property
    def is_true(self) -> bool:
        return self.status == ConditionStatus.TRUE

    @property
    def is_problem(self) -> bool:
        """Ready and the `…Available` ones are fine when True, every other one when not True; intention is fine."""
        if self.reason == Reason.SUSPENDED or self.type in (ConditionType.PAUSED, ConditionType.DELETING):
            return False
        states_health = self.type == ConditionType.READY or self.type.endswith("Available")
        return not self.is_true if states_health else self.is_true


@dataclass(frozen=True, slots=True)
class CredentialFact:
    """What is public of a gateway's App credential."""

    app_id: str
    installation_id: str
    key_fingerprint: str
    token_expires_at: datetime | None
    permissions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GatewayFact:
    """One ActionsGateway."""

    namespace: str
    name: str
    created_at: datetime | None
    github_url: str
    secret_name: str
    paused: bool
    group_names: tuple[str, ...]
    conditions: tuple[ConditionFact, ...]
    active_sessions: int
    active_jobs: int
    is_observed: bool
    """Whether the status speaks of the current spec."""
    credential: CredentialFact | None = None
    proxy_ready_replicas: int = 0
    contained: bool = False
    """An incident's answer: no agent runs, and no traffic passes."""
    deleted_at: datetime | None = None
    uid: str = ""

    @property
    def intention(self) -> str:
        """Why the gateway takes no jobs by somebody's will: deleting, contained, paused; empty when it should."""
        states = (("deleting", self.deleted_at is not None), ("contained", self.contained), ("paused", self.paused))
        return next((name for name, holds in states if holds), "")

    @property
    def wants_no_agent(self) -> bool:
        """By somebody's will nothing of it runs: it is contained, or being deleted."""
        return self.contained or self.deleted_at is not None

    def condition(self, kind: ConditionType) -> ConditionFact | None:
        """The condition of that type, or None while nobody reported it."""
        return find_condition(self.conditions, kind)

    @property
    def is_ready(self) -> bool:
        ready = self.condition(ConditionType.READY)
        return ready is not None and ready.is_true and self.is_observed


@dataclass(frozen=True, slots=True)
class WaitFact:
    """What some of a group's jobs wait for, as its agent says."""

    reason: str
    """`ceiling`, `quota`, `backoff`, `claim` or `start`; another agent may know more."""
    jobs: int
    since: datetime | None
    """Since when the oldest of them waits."""
    message: str


@dataclass(frozen=True, slots=True)
class GroupFact:
    """One RunnerGroup."""

    namespace: str
    name: str
    gateway: str
    created_at: datetime | None
    runner_labels: tuple[str, ...]
    max_listeners: int
    worker_ceiling: int
    suspended: bool
    active_sessions: int
    active_jobs: int
    pending_jobs: int
    conditions: tuple[ConditionFact, ...] = field(default=())
    waiting: tuple[WaitFact, ...] = ()
    max_eviction_retries: int | None = None
    """Reruns of lost jobs that each run of it has; the API server fills the default in."""
    tiers: tuple[tuple[int, str], ...] = ()
    """Ascending: up to so many workers have that priority class."""
    worker: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The spec, as far as it says what a worker is like; for `gw.checks.headroom.worker_outline`."""
    token_expires_at: datetime | None = None
    """Of the installation token that its agent uses."""
    key_fingerprint: str = ""
    """Of the App's key that its agent uses."""
    is_observed: bool = True
    """Whether its agent's status speaks of the current spec."""
    registrations: int | None = None
    """Runners at GitHub that its agent knows of; None while it cannot tell."""
    deleted_at: datetime | None = None

    @property
    def priority_class(self) -> str | None:
        """Of one more worker; None leaves that to the template."""
        return next((name for threshold, name in self.tiers if self.active_jobs < threshold), None)

    def condition(self, kind: ConditionType) -> ConditionFact | None:
        """The condition of that type, or None while nobody reported it."""
        return find_condition(self.conditions, kind)


def find_condition(conditions: tuple[ConditionFact, ...], kind: ConditionType) -> ConditionFact | None:
    """The condition of that type, or None."""
    return next((condition for condition in conditions if condition.type == kind.value), None)


def parse_gateway(manifest: Manifest) -> GatewayFact:
    """The facts of a stored ActionsGateway."""
    metadata, spec, status = _parts(manifest)
    conditions = parse_conditions(status)
    observed = int(status.get("observedGeneration") or 0)
    return GatewayFact(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        created_at=parse_time(metadata.get("creationTimestamp")),
        github_url=str(spec.get("gitHubURL") or ""),
        secret_name=str((spec.get("gitHubAppRef") or {}).get("name") or ""),
        paused=bool(spec.get("paused")),
        group_names=tuple(str(group.get("name")) for group in spec.get("runnerGroups") or []),
        conditions=conditions,
        active_sessions=int(status.get("activeSessions") or 0),
        active_jobs=int(status.get("activeJobs") or 0),
        is_observed=observed >= int(metadata.get("generation") or 0),
        credential=_credential(status.get("credential")),
        proxy_ready_replicas=int(status.get("proxyReadyReplicas") or 0),
        contained=labels.CONTAINED in (metadata.get("annotations") or {}),
        deleted_at=parse_time(metadata.get("deletionTimestamp")),
        uid=str(metadata.get("uid") or ""),
    )


def parse_group(manifest: Manifest) -> GroupFact:
    """The facts of a stored RunnerGroup."""
    metadata, spec, status = _parts(manifest)
    listeners = int(spec.get("maxListeners") or 1)
    tiers = spec.get("priorityTiers") or []
    ceiling = spec.get("maxWorkers") or (tiers[-1].get("threshold") if tiers else None) or listeners
    return GroupFact(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        gateway=str((metadata.get("labels") or {}).get(labels.OWNER_NAME) or ""),
        created_at=parse_time(metadata.get("creationTimestamp")),
        runner_labels=tuple(spec.get("runnerLabels") or ()),
        max_listeners=listeners,
        worker_ceiling=int(ceiling),
        suspended=bool(spec.get("suspended")),
        active_sessions=int(status.get("activeSessions") or 0),
        active_jobs=int(status.get("activeJobs") or 0),
        pending_jobs=int(status.get("pendingJobs") or 0),
        conditions=parse_conditions(status),
        max_eviction_retries=spec.get("maxEvictionRetries"),
        waiting=tuple(_wait(entry) for entry in status.get("waiting") or [] if isinstance(entry, Mapping)),
        tiers=tuple((int(tier.get("threshold") or 0), str(tier.get("priorityClassName") or "")) for tier in tiers),
        worker={key: spec[key] for key in ("podTemplate", "maxWorkerLifetime") if spec.get(key)},
        token_expires_at=parse_time((status.get("credential") or {}).get("tokenExpiresAt")),
        key_fingerprint=str((status.get("credential") or {}).get("keyFingerprint") or ""),
        is_observed=int(status.get("observedGeneration") or 0) >= int(metadata.get("generation") or 0),
        registrations=status.get("registrations"),
        deleted_at=parse_time(metadata.get("deletionTimestamp")),
    )


def parse_conditions(status: Manifest) -> tuple[ConditionFact, ...]:
    """The conditions of a status, in its order."""
    return tuple(
        ConditionFact(
            type=str(entry.get("type") or ""),
            status=str(entry.get("status") or ConditionStatus.UNKNOWN),
            reason=str(entry.get("reason") or ""),
            message=str(entry.get("message") or ""),
            since=parse_time(entry.get("lastTransitionTime")),
        )
        for entry in status.get("conditions") or []
    )


def parse_time(text: object) -> datetime | None:
    """A Kubernetes time as aware UTC; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parts(manifest: Manifest) -> tuple[Manifest, Manifest, Manifest]:
    return manifest.get("metadata") or {}, manifest.get("spec") or {}, manifest.get("status") or {}


def _wait(entry: Manifest) -> WaitFact:
    return WaitFact(
        reason=str(entry.get("reason") or ""),
        jobs=int(entry.get("jobs") or 0),
        since=parse_time(entry.get("since")),
        message=str(entry.get("message") or ""),
    )


def _credential(entry: Manifest | None) -> CredentialFact | None:
    if not entry:
        return None
    return CredentialFact(
        app_id=str(entry.get("appId") or ""),
        installation_id=str(entry.get("installationId") or ""),
        key_fingerprint=str(entry.get("keyFingerprint") or ""),
        token_expires_at=parse_time(entry.get("tokenExpiresAt")),
        permissions={str(name): str(level) for name, level in (entry.get("permissions") or {}).items()},
    )
