"""AGCAvailable and ProxyAvailable: what the Deployments' statuses say, and why no pod is ready when none is."""

from collections.abc import Sequence
from typing import Any

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.snapshot import Refusal, Snapshot
from actions_gateway.manager.gateway.verdict.lifecycle import is_contained
from actions_gateway.manager.gateway.verdict.pods import pods_cause


def agent_condition(snapshot: Snapshot, refusal: Refusal | None = None) -> Condition:
    """AGCAvailable: the Deployment runs its current template and the pod is ready."""
    deployment = snapshot.agent
    if deployment is None:
        return _absent(ConditionType.AGC_AVAILABLE, AGENT, Reason.AGC_NOT_READY, refusal)
    if is_available(deployment):
        text = f"Deployment {AGENT} has a ready pod."
        return Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.TRUE, Reason.AGC_READY, text)
    if refusal is None and is_contained(snapshot.gateway):
        text = f"Deployment {AGENT} has no pod while the gateway is contained."
        return Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.FALSE, Reason.CONTAINED, text)
    if (
        refusal is not None
        and not is_contained(snapshot.gateway)
        and (deployment.get("spec") or {}).get("replicas") == 0
    ):
        # A containment that ended while the spec was invalid.
        text = f"Deployment {AGENT} stays at zero, and its policies without rules, until the spec is corrected."
        return Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.FALSE, Reason.AGC_NOT_READY, text)
    text = (
        f"Deployment {AGENT} has no ready pod of its current template"
        f"{_cause(deployment, snapshot.pods_of(AGENT))}; {_look(snapshot, AGENT)}."
    )
    return Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.FALSE, Reason.AGC_NOT_READY, text)


def proxy_condition(snapshot: Snapshot, spec: ActionsGatewaySpec | None, refusal: Refusal | None = None) -> Condition:
    """ProxyAvailable: any ready proxy carries the tenant's traffic, whichever template it runs."""
    deployment = snapshot.proxy
    if deployment is None:
        return _absent(ConditionType.PROXY_AVAILABLE, PROXY, Reason.PROXY_NOT_READY, refusal)
    ready_count, wanted_count = ready_replicas(deployment), spec.proxy.min_replicas if spec else 1
    cause = "" if ready_count >= wanted_count else _cause(deployment, snapshot.pods_of(PROXY))
    if ready_count >= wanted_count:
        # Without the count, which autoscaling moves all day.
        status, reason, text = ConditionStatus.TRUE, Reason.PROXY_READY, f"Ready proxies: at least {wanted_count}"
    elif ready_count:
        status, reason = ConditionStatus.TRUE, Reason.PROXY_REDUCED
        text = f"Ready proxies: {ready_count} of at least {wanted_count}{cause}; {_look(snapshot, PROXY)}"
    else:
        status, reason = ConditionStatus.FALSE, Reason.PROXY_NOT_READY
        text = f"Deployment {PROXY} has no ready pod{cause}; {_look(snapshot, PROXY)}"
    return Condition(ConditionType.PROXY_AVAILABLE, status, reason, f"{text}.")


def is_available(deployment: Manifest) -> bool:
    """Whether the Deployment's controller has seen the spec and its one pod is available."""
    status = deployment.get("status") or {}
    return (
        int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
        and int(status.get("updatedReplicas") or 0) >= 1
        and int(status.get("availableReplicas") or 0) >= 1
    )


def ready_replicas(deployment: Manifest | None) -> int:
    """How many pods are ready, of any template; 0 without a Deployment."""
    return int(((deployment or {}).get("status") or {}).get("readyReplicas") or 0)


def _absent(kind: ConditionType, name: str, reason: Reason, refusal: Refusal | None) -> Condition:
    if refusal:
        return Condition(kind, ConditionStatus.FALSE, refusal.reason, f"There is no Deployment {name}: not served.")
    return Condition(kind, ConditionStatus.FALSE, reason, f"The gateway has no Deployment {name} yet.")


def _look(snapshot: Snapshot, name: str) -> str:
    return f"see 'kubectl describe pod -n {snapshot.gateway['metadata']['namespace']} -l app={name}'"


def _cause(deployment: Manifest, pods: Sequence[Manifest]) -> str:
    """The last known cause: why pods are not made, why they do not run, or that the rollout makes no progress."""
    known: dict[str, Any] = {entry["type"]: entry for entry in (deployment.get("status") or {}).get("conditions") or []}
    refused, stuck = known.get("ReplicaFailure") or {}, known.get("Progressing") or {}
    cause = refused.get("message", "") if refused.get("status") == "True" else ""
    cause = cause or pods_cause(pods) or (stuck.get("message", "") if stuck.get("status") == "False" else "")
    return f": {cause.rstrip('.')}" if cause else ""
