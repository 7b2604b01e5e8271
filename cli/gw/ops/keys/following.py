"""Follows a changed reference until the agent works with the new key.

The manager rolls the agent's Deployment, whose template names the Secret. An agent becomes ready when every group's
status has its report on the credential (actions_gateway/agent/health.py), and it writes its key's fingerprint, the end
of a token that this very process has minted, and its sessions in one patch: so, once its pod is the new one, a group's
status speaks of the new key alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from actions_gateway.api import labels, names
from actions_gateway.api.conditions import ConditionStatus, ConditionType
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import CredentialsRejected, GwError, Refused, TimedOut
from gw.ops.keys.snapshot import read_both
from gw.ops.onboarding.waiting import FINAL_CREDENTIAL_REASONS
from gw.sources.cluster import Cluster, asking, one_line
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact
from gw.sources.pods import AGENT_SELECTOR, PodRole
from gw.sources.rollouts import PodInstance, gather_instances

Manifest = Mapping[str, Any]

_LOOK_SECONDS = 0.5


class Listener(Protocol):
    """Whoever wants to hear how it goes."""

    def reached(self, what: str) -> None:
        """Something that was waited for is true."""

    def waiting(self, what: str) -> None:
        """What is waited for now."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the gateway shall work with."""

    namespace: str
    gateway_name: str
    secret: str
    fingerprint: str
    """Empty when nobody knows it."""
    silent_groups: frozenset[str] = frozenset()
    """Groups of which no session is asked."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The agent works with the key, as far as an agent is wanted."""

    unproven: tuple[str, ...]
    """What could not be seen on the way, as sentences without a full stop."""
    is_tried: bool
    """Whether the agent has minted a token with the key."""
    listening: tuple[str, ...]
    """The groups with an open session."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the tenant."""

    target: Target
    gateway: GatewayFact | None
    groups: tuple[GroupFact, ...]
    deployment: Manifest | None
    pods: tuple[PodInstance, ...]

    @property
    def is_taken(self) -> bool:
        """Whether the agent's Deployment refers to the Secret."""
        template = ((self.deployment or {}).get("spec") or {}).get("template") or {}
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        return bool(annotations.get(labels.CREDENTIAL_SECRET) == self.target.secret)

    @property
    def is_rolled(self) -> bool:
        """Whether the one pod that there is has the Secret mounted and is ready."""
        if not self.is_taken or self.deployment is None:
            return False
        status, generation = self.deployment.get("status") or {}, self.deployment["metadata"].get("generation") or 0
        counts = [int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        return counts == [1, 1, 1] and int(status.get("observedGeneration") or 0) >= int(generation)

    @property
    def wants_sessions(self) -> tuple[GroupFact, ...]:
        """The groups that shall have a session."""
        if self.gateway is None or self.gateway.intention:
            return ()
        return tuple(
            group for group in self.groups if not group.suspended and group.name not in self.target.silent_groups
        )

    def awaited(self) -> str:
        """What stands in the way, empty when nothing does."""
        return next(self._open_ends(), "")

    def milestones(self) -> Iterator[str]:
        """What is true by now, in the order in which it becomes true."""
        if not self.is_taken:
            return
        yield f"the agent's Deployment refers to the Secret {self.target.secret}"
        if not self.is_rolled or self.gateway is None or self.gateway.wants_no_agent:
            return
        yield "the agent's new pod is ready"
        if self.groups and not any(self._without_token()):
            yield "the agent has minted a token with the key"
            for group in self.wants_sessions:
                if group.active_sessions:
                    yield f"runner group {group.name} has an open session"

    def refusal(self) -> ConditionFact | None:
        """Why the agent cannot use the key, when waiting does not help."""
        if not self.is_rolled:
            return None
        for entry in (group.condition(ConditionType.CREDENTIAL_UNAVAILABLE) for group in self.groups):
            if entry is not None and entry.is_true and entry.reason in FINAL_CREDENTIAL_REASONS:
                return entry
        return None

    def _open_ends(self) -> Iterator[str]:
        if not self.is_taken:
            yield "the manager has not taken up the reference yet"
        if self.gateway is None or self.gateway.wants_no_agent:
            return
        if not self.is_rolled:
            blockers = "; ".join(dict.fromkeys(blocker for pod in self.pods for blocker in pod.blockers))
            yield f"the agent's new pod is not ready{f' ({blockers})' if blockers else ''}"
        if len(self.groups) < len(self.gateway.group_names):
            yield "the runner groups are being made"
        yield from self._without_token()
        if self.groups and self.target.fingerprint and not self._is_folded():
            yield "the gateway's status does not tell of the key yet"
        for group in self.wants_sessions:
            if not group.active_sessions:
                yield f"no session is open yet for {group.name}"

    def _without_token(self) -> Iterator[str]:
        for group in self.groups:
            if self.target.fingerprint and group.key_fingerprint != self.target.fingerprint:
                yield f"the agent has not reported on the key for {group.name} yet"
            entry = group.condition(ConditionType.CREDENTIAL_UNAVAILABLE)
            if entry is None or entry.status != ConditionStatus.FALSE:
                yield f"{entry.reason}: {one_line(entry.message)}" if entry else f"{group.name} has no status yet"
            elif group.token_expires_at is None:
                yield f"the agent has no token yet for {group.name}"

    def _is_folded(self) -> bool:
        told = self.gateway.credential if self.gateway else None
        return told is not None and told.key_fingerprint == self.target.fingerprint


async def follow(
    cluster: Cluster, target: Target, *, timeout_seconds: float, clock: Clock, listener: Listener
) -> Followed:
    """Looks until the agent works with the key.

    Raises TimedOut; CredentialsRejected as soon as the agent says that it cannot use the key; Refused when the gateway
    is gone or refers to another Secret; Blind when the cluster gives no answer.
    """
    deadline, told = clock.monotonic() + timeout_seconds, set[str]()
    while True:
        look = await _look(cluster, target)
        _refuse_another(look)
        for milestone in look.milestones():
            if milestone not in told:
                told.add(milestone)
                listener.reached(milestone)
        awaited = look.awaited()
        if not awaited:
            listening = tuple(group.name for group in look.groups if group.active_sessions)
            is_tried = bool(look.groups) and look.gateway is not None and not look.gateway.wants_no_agent
            return Followed(tuple(_unproven(look)), is_tried, listening if is_tried else ())
        if (refusal := look.refusal()) is not None:
            raise CredentialsRejected(
                f"the agent cannot use the key of the Secret {target.secret} "
                f"({refusal.reason}: {one_line(refusal.message)})",
                f"See `gw health {target.namespace} --check credential.available`.",
            )
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"{target.namespace} does not work with the Secret {target.secret} after {timeout_seconds:.0f} s "
                f"({awaited})",
                f"See `gw health {target.namespace}`.",
            )
        listener.waiting(awaited)
        await clock.sleep(_LOOK_SECONDS)


async def _look(cluster: Cluster, target: Target) -> Look:
    with asking("follow the rollout"):
        gateway, groups = await read_both(cluster, target.namespace, target.gateway_name)
        try:
            deployment = await cluster.get(r.DEPLOYMENTS, names.AGENT, target.namespace)
        except errors.NotFound:
            deployment = None
        pods = await gather_instances(cluster, target.namespace, AGENT_SELECTOR, PodRole.AGENT)
    return Look(target, gateway, groups, deployment, pods)


def _refuse_another(look: Look) -> None:
    """Somebody else is at work on the same gateway."""
    error: GwError | None = None
    if look.gateway is None or look.gateway.deleted_at is not None:
        error = Refused(f"the gateway of {look.target.namespace} is gone meanwhile", "Look who deletes it.")
    elif look.gateway.secret_name != look.target.secret:
        error = Refused(
            f"the gateway of {look.target.namespace} refers to the Secret {look.gateway.secret_name} meanwhile, "
            f"not to {look.target.secret} any more",
            "Look who changes it, then run the same command again.",
        )
    if error is not None:
        raise error


def _unproven(look: Look) -> Iterator[str]:
    assert look.gateway is not None
    intention = look.gateway.intention
    if look.gateway.wants_no_agent:
        yield f"that the agent works with the key: the gateway is {intention}, and no agent runs"
    elif not look.groups:
        yield "that the agent works with the key: the gateway has no runner group, and nothing tries it"
    elif intention:
        yield f"that a session opens with the key: the gateway is {intention}"
    for group in look.groups:
        if not intention and group.name in look.target.silent_groups and not group.active_sessions:
            yield f"that {group.name} has a session: it had none before either"
