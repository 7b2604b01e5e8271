"""Waits until a new tenant works: agent up, credential accepted, a session open for each group, Ready."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.engine.clock import Clock
from gw.errors import CredentialsRejected, GwError, Refused, TimedOut
from gw.ops.changes.conversation import Conversation
from gw.ops.tenants import TenantSummary, groups_of
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact
from gw.sources.gathering import gather_gateways, gather_groups

_LOOK_SECONDS = 0.3

FINAL_CREDENTIAL_REASONS = frozenset(
    {
        Reason.SECRET_FIELD_MISSING,
        Reason.SECRET_FIELD_INVALID,
        Reason.KEY_REJECTED,
        Reason.INSTALLATION_NOT_FOUND,
        Reason.INSTALLATION_SUSPENDED,
        Reason.PERMISSION_MISSING,
    }
)
_FINAL_READY_REASONS = frozenset({Reason.ANOTHER_GATEWAY, Reason.INVALID_SPEC, Reason.RESERVED_NAMESPACE})
"""Waiting does not help against these."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at the tenant."""

    gateway: GatewayFact | None
    groups: tuple[GroupFact, ...]

    @property
    def is_done(self) -> bool:
        """Ready, and every group that shall listen has an open session."""
        if self.gateway is None or not self.gateway.is_ready:
            return False
        listening = [group for group in self.groups if not group.suspended]
        return len(self.groups) >= len(self.gateway.group_names) and all(group.active_sessions for group in listening)

    def milestones(self) -> Iterator[str]:
        """What is true by now, in the order in which it becomes true."""
        if self.gateway is None:
            return
        if _is_true(self.gateway.condition(ConditionType.AGC_AVAILABLE)):
            yield "the agent is available"
        credential = self.gateway.condition(ConditionType.CREDENTIAL_UNAVAILABLE)
        if credential is not None and credential.status == "False":
            yield "GitHub accepts the App credential"
        for group in self.groups:
            if group.active_sessions:
                yield f"runner group {group.name} has an open session"
        if self.is_done:
            yield f"gateway {self.gateway.name} is Ready"

    def awaited(self) -> str:
        """What stands in the way, in the cluster's own words."""
        ready = self.gateway.condition(ConditionType.READY) if self.gateway else None
        if ready is None:
            return "no manager has reported on the gateway yet"
        silent = ", ".join(group.name for group in self.groups if not group.active_sessions and not group.suspended)
        if ready.is_true:
            return f"no session is open yet for {silent}" if silent else "the runner groups are being made"
        return f"{ready.reason}: {_words(ready)}"


async def wait_until_working(
    cluster: Cluster,
    namespace: str,
    gateway_name: str,
    *,
    timeout_seconds: float,
    clock: Clock,
    conversation: Conversation,
) -> TenantSummary:
    """The working tenant; raises TimedOut, or another GwError as soon as waiting cannot help."""
    deadline = clock.monotonic() + timeout_seconds
    told: set[str] = set()
    while True:
        progress = await _look(cluster, namespace, gateway_name)
        for milestone in progress.milestones():
            if milestone not in told:
                told.add(milestone)
                conversation.reached(milestone)
        if progress.gateway is not None:
            if progress.is_done:
                return TenantSummary(progress.gateway, progress.groups)
            if (hopeless := _hopeless(progress.gateway)) is not None:
                raise hopeless
        if clock.monotonic() >= deadline:
            raise _timed_out(progress, namespace, timeout_seconds)
        conversation.waiting(progress.awaited())
        await clock.sleep(_LOOK_SECONDS)


async def _look(cluster: Cluster, namespace: str, gateway_name: str) -> Progress:
    with asking("watch the new tenant"):
        gateways, groups = await asyncio.gather(gather_gateways(cluster, namespace), gather_groups(cluster, namespace))
    gateway = next((fact for fact in gateways if fact.name == gateway_name), None)
    return Progress(gateway, groups_of(gateway, groups) if gateway else ())


def _hopeless(gateway: GatewayFact) -> GwError | None:
    credential = gateway.condition(ConditionType.CREDENTIAL_UNAVAILABLE)
    if credential is not None and credential.is_true and credential.reason in FINAL_CREDENTIAL_REASONS:
        return CredentialsRejected(
            f"the agent cannot use the App credential ({credential.reason}: {_words(credential)})",
            f"Put a working one into a new Secret and its name into spec.gitHubAppRef.name of {gateway.name}.",
        )
    ready = gateway.condition(ConditionType.READY)
    if ready is not None and not ready.is_true and ready.reason in _FINAL_READY_REASONS:
        return Refused(f"the manager does not serve this gateway ({ready.reason}: {_words(ready)})", "Do what it says.")
    return None


def _timed_out(progress: Progress, namespace: str, timeout_seconds: float) -> TimedOut:
    what = f"{namespace} is not Ready after {timeout_seconds:.0f} s ({progress.awaited().rstrip('.')})"
    if progress.gateway is None or progress.gateway.condition(ConditionType.READY) is None:
        return TimedOut(what, "Look at the manager: `gw health --check manager.running --check manager.leading`.")
    return TimedOut(
        what, f"It stays as it is and may yet come up; see `gw health {namespace}`, or `gw tenant show {namespace}`."
    )


def _is_true(condition: ConditionFact | None) -> bool:
    return condition is not None and condition.is_true


def _words(condition: ConditionFact) -> str:
    return " ".join(condition.message.split()).rstrip(".")
