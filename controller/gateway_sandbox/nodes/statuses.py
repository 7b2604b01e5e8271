"""A pod's status as the kubelet writes it, rendered from the node's records: pure functions.

Source: Kubernetes "Pod Lifecycle" and kubernetes pkg/kubelet/status/generate.go (conditions, reasons, messages) and
pkg/kubelet/kubelet_pods.go (getPhase). Conditions of others are left to the strategic merge by type.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway_sandbox.nodes.records import ContainerRecord, Running, State, Terminated, Waiting
from gateway_sandbox.nodes.restarts import RestartPolicy, wants_restart

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
TERMINAL_PHASES = frozenset({SUCCEEDED, FAILED})

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A phase that does not follow from the containers: the pod ran out of time, was refused, or is being deleted."""

    phase: str
    reason: str = ""
    message: str = ""


def build_status(
    pod: dict[str, Any],
    records: Sequence[ContainerRecord],
    *,
    host: str,
    address: str,
    started_at: datetime,
    verdict: Verdict | None,
    before: Status,
    now: datetime,
) -> Status:
    """The status fields that the node owns: `host` and `address` are the node's and the pod's own.

    `before` is the status as it was last known.
    """
    inits = [record for record in records if record.is_init]
    mains = [record for record in records if not record.is_init]
    policy = RestartPolicy(pod["spec"].get("restartPolicy") or "Always")
    phase = verdict.phase if verdict else phase_of(policy, inits, mains)
    status: Status = {
        "phase": phase,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": timestamp(started_at),
        "conditions": _conditions(phase, inits, mains, before, now),
        "containerStatuses": [_container_status(record) for record in mains],
    }
    if inits:
        status["initContainerStatuses"] = [_container_status(record) for record in inits]
    if verdict and verdict.reason:
        status |= {"reason": verdict.reason, "message": verdict.message}
    return status


def phase_of(policy: RestartPolicy, inits: Sequence[ContainerRecord], mains: Sequence[ContainerRecord]) -> str:
    """The phase that follows from the containers' states."""
    if policy is RestartPolicy.NEVER and any(_has_failed(record) for record in inits):
        return FAILED
    if not all(record.has_succeeded for record in inits) or any(_never_ran(record) for record in mains):
        return PENDING
    states = [record.state for record in mains]
    if any(not isinstance(state, Terminated) for state in states):
        return RUNNING
    ends = [state for state in states if isinstance(state, Terminated)]
    if any(wants_restart(policy, end.exit_code, is_init=False) for end in ends):
        return RUNNING
    return SUCCEEDED if all(end.exit_code == 0 for end in ends) else FAILED


def timestamp(moment: datetime) -> str:
    """The API's time format, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _has_failed(record: ContainerRecord) -> bool:
    return isinstance(record.state, Terminated) and record.state.exit_code != 0


def _never_ran(record: ContainerRecord) -> bool:
    return isinstance(record.state, Waiting) and record.last is None


def _conditions(
    phase: str, inits: list[ContainerRecord], mains: list[ContainerRecord], status: Status, now: datetime
) -> list[dict[str, Any]]:
    uninitialised = [record.name for record in inits if not record.has_succeeded]
    unready = [record.name for record in mains if not record.is_ready]
    if phase == SUCCEEDED:
        initialised: tuple[str, str] | None = None
        ready: tuple[str, str] | None = ("PodCompleted", "")
    else:
        initialised = _unless_empty(uninitialised, "ContainersNotInitialized", "containers with incomplete status")
        ready = _unless_empty(unready, "ContainersNotReady", "containers with unready status")
        if phase == FAILED:
            ready = ("PodFailed", "")
    before = {condition["type"]: condition for condition in status.get("conditions") or []}
    problems = {"Initialized": initialised, "ContainersReady": ready, "Ready": ready}
    return [_condition(kind, problem, before.get(kind), now) for kind, problem in problems.items()]


def _unless_empty(names: list[str], reason: str, text: str) -> tuple[str, str] | None:
    return (reason, f"{text}: [{' '.join(names)}]") if names else None


def _condition(
    kind: str, problem: tuple[str, str] | None, before: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    value = "False" if problem else "True"
    changed = before is None or before.get("status") != value
    condition = {
        "type": kind,
        "status": value,
        "lastTransitionTime": timestamp(now) if changed or before is None else before.get("lastTransitionTime"),
    }
    # Null takes a reason of an earlier time away: a strategic merge keeps what is not named.
    reason, message = problem or (None, None)
    return condition | {"reason": reason, "message": message or None}


def _container_status(record: ContainerRecord) -> dict[str, Any]:
    status: dict[str, Any] = {
        "name": record.name,
        "image": record.image,
        "imageID": record.image_id,
        "ready": record.is_ready,
        "started": record.has_started,
        "restartCount": record.restart_count,
        "state": _state(record.state),
        "lastState": _state(record.last) if record.last else {},
    }
    return status | ({"containerID": record.container_id} if record.container_id else {})


def _state(state: State) -> dict[str, Any]:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        case Running(started_at):
            return {"running": {"startedAt": timestamp(started_at)}}
        case Terminated():
            ended: dict[str, Any] = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "startedAt": timestamp(state.started_at or state.finished_at),
                "finishedAt": timestamp(state.finished_at),
            }
            if state.message:
                ended["message"] = state.message
            if state.container_id:
                ended["containerID"] = state.container_id
            return {"terminated": ended}
