"""How each fault of a sandbox shows: pure questions to what is there, which hold once it has taken hold."""

from actions_gateway.api.names import AGENT, PROXY
from gateway_sandbox.drills.causes import ABSENT_LABEL, FOREIGN_FINALIZER, LOST_FIELD, QUOTA, groups_definition
from gateway_sandbox.drills.model import Snapshot, has_condition

_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff")


def credential(now: Snapshot, *reasons: str) -> bool:
    return any(has_condition(one, "CredentialUnavailable", "True", *reasons) for one in now.gateways)


def manager_is_gone(now: Snapshot) -> bool:
    status = (now.manager or {}).get("status") or {}
    return now.manager is not None and not status.get("readyReplicas") and not now.manager["spec"]["replicas"]


def proxies_are_gone(now: Snapshot) -> bool:
    is_told = has_condition(now.gateway, "ProxyAvailable", "False") if now.gateways else False
    return is_told and not any(has_condition(pod, "Ready", "True") for pod in now.pods_of(PROXY))


def autoscaler_is_blind(now: Snapshot) -> bool:
    return any(has_condition(one, "ScalingActive", "False") for one in now.autoscalers)


def is_deaf(now: Snapshot) -> bool:
    titles = {f"deaf listener of {one['metadata']['namespace']}/{one['metadata']['name']}" for one in now.groups}
    hits = [fault["hits"] for fault in now.github["faults"] if fault["title"] in titles]
    return bool(hits) and all(hits)


def is_silent(now: Snapshot) -> bool:
    """No group has a session although its agent is there to open one."""
    return bool(now.groups) and all(has_condition(one, "Ready", "False") for one in now.groups)


def quota_is_full(now: Snapshot) -> bool:
    return any(
        one["metadata"]["name"] == QUOTA and (status := one.get("status") or {}).get("used") == status.get("hard")
        for one in now.quotas
        if one.get("status")
    )


def image_fails(now: Snapshot) -> bool:
    return any(
        (one.get("state") or {}).get("waiting", {}).get("reason") in _IMAGE_REASONS
        for pod in now.workers
        for one in (pod.get("status") or {}).get("containerStatuses") or []
    )


def is_evicted_again(now: Snapshot) -> bool:
    evicted = [pod for pod in now.workers if (pod.get("status") or {}).get("reason") == "Evicted"]
    return len(evicted) > 1


def is_oom_killed(now: Snapshot) -> bool:
    return any(
        (one.get("state") or {}).get("terminated", {}).get("reason") == "OOMKilled"
        for pod in now.workers
        for one in (pod.get("status") or {}).get("containerStatuses") or []
    )


def crd_is_old(now: Snapshot) -> bool:
    definition = groups_definition(now)
    return definition is not None and all(
        LOST_FIELD not in version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        for version in definition["spec"]["versions"]
    )


def deletion_is_stuck(now: Snapshot) -> bool:
    return any(
        one["metadata"].get("deletionTimestamp")
        and any(
            each["type"] == "Deleting" and FOREIGN_FINALIZER in each.get("message", "")
            for each in (one.get("status") or {}).get("conditions") or []
        )
        for one in now.gateways
    )


def agent_is_gone(now: Snapshot) -> bool:
    """The manager has said so, and no pod of it is ready."""
    is_told = any(has_condition(one, "AGCAvailable", "False") for one in now.gateways)
    return is_told and not any(has_condition(pod, "Ready", "True") for pod in now.pods_of(AGENT))


def is_unschedulable(now: Snapshot) -> bool:
    """A worker has no node."""
    return any(has_condition(pod, "PodScheduled", "False", "Unschedulable") for pod in now.workers)


def job_is_unserved(now: Snapshot) -> bool:
    """A job for the label that nobody serves waits at GitHub."""
    return any(ABSENT_LABEL in wanted for wanted in now.github["queued_labels"])


def clock_is_blamed(now: Snapshot) -> bool:
    """A credential is refused, in words that name the clock."""
    return any(
        each["type"] == "CredentialUnavailable" and each["status"] != "False" and "clock" in each.get("message", "")
        for one in now.gateways
        for each in (one.get("status") or {}).get("conditions") or []
    )
