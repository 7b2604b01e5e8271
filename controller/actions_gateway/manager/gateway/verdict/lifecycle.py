"""Conditions about what people asked for: paused, contained, deleted; and about the manager's own steps."""

from actions_gateway.api import labels
from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import NETWORKPOLICIES
from actions_gateway.manager.gateway.snapshot import Failure, Snapshot


def is_contained(gateway: Manifest) -> bool:
    """Whether the annotation is there, whatever its value."""
    return labels.CONTAINED in (gateway["metadata"].get("annotations") or {})


def deleting_condition(reason: Reason, message: str) -> Condition:
    """Deleting, which exists only while the gateway is on its way out: REMOVING_REGISTRATIONS or REMOVING_OBJECTS."""
    return Condition(ConditionType.DELETING, ConditionStatus.TRUE, reason, message)


def paused_condition(snapshot: Snapshot) -> Condition:
    """Paused: by containment, which outweighs everything, or by the spec."""
    gateway = snapshot.gateway
    if is_contained(gateway):
        text = f"The annotation {labels.CONTAINED} is set: no agent runs and no traffic passes until it is removed."
        if open_ways := _open_ways(snapshot):
            text = f"The annotation {labels.CONTAINED} is set and not carried out yet: {', '.join(open_ways)}."
        return Condition(ConditionType.PAUSED, ConditionStatus.TRUE, Reason.CONTAINED, text)
    if (gateway.get("spec") or {}).get("paused"):
        text = "spec.paused is true: no job is claimed; running jobs go on to their end."
        return Condition(ConditionType.PAUSED, ConditionStatus.TRUE, Reason.PAUSED_BY_SPEC, text)
    return Condition(ConditionType.PAUSED, ConditionStatus.FALSE, Reason.NOT_PAUSED, "Nobody asked for a pause.")


def _open_ways(snapshot: Snapshot) -> list[str]:
    """What of a contained gateway still works: an agent that is to run, policies with rules."""
    agent = snapshot.agent
    runs = agent is not None and (agent.get("spec") or {}).get("replicas", 1) != 0
    admitting = [
        f"NetworkPolicy {policy['metadata']['name']} has rules"
        for policy in snapshot.owned(NETWORKPOLICIES)
        if policy["spec"].get("ingress") or policy["spec"].get("egress")
    ]
    return [*(["the agent is to run"] if runs else []), *admitting]


def degraded_condition(failures: tuple[Failure, ...]) -> Condition:
    """Degraded: the last pass could not write everything; the message names the first step that failed."""
    if not failures:
        return Condition(
            ConditionType.DEGRADED, ConditionStatus.FALSE, Reason.RECONCILED, "The last reconcile completed."
        )
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return Condition(
        ConditionType.DEGRADED,
        ConditionStatus.TRUE,
        Reason.PROVISIONING_FAILED,
        f"{failures[0]}{more}; the manager tries again.",
    )
