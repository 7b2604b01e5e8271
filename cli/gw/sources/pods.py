"""Pods of manager, agents, proxies and workers as facts: phase, age, and what each container waits for or died of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from actions_gateway.api import labels, names
from gw.sources.gateways import parse_time

Manifest = Mapping[str, Any]

AGENT_SELECTOR = f"{labels.APP}={names.AGENT}"
PROXY_SELECTOR = f"{labels.APP}={names.PROXY}"
MANAGER_SELECTOR = f"{labels.APP_NAME}=gmc"
WORKER_SELECTOR = labels.RUNNER_GROUP
"""Any pod that carries a runner group's label."""

OOM_KILLED = "OOMKilled"
CRASH_LOOP = "CrashLoopBackOff"


class PodRole(StrEnum):
    AGENT = "agent"
    PROXY = "proxy"
    WORKER = "worker"
    MANAGER = "manager"


@dataclass(frozen=True, slots=True)
class ContainerFact:
    """One container of a pod, init containers included."""

    name: str
    restart_count: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    terminated_reason: str = ""
    """Why it is not running now, when it ended."""
    terminated_at: datetime | None = None
    exit_code: int | None = None
    last_reason: str = ""
    """Why its previous run ended, when it was restarted."""
    last_ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodFact:
    """One pod of a tenant, or of the manager."""

    namespace: str
    name: str
    role: PodRole
    phase: str
    created_at: datetime | None
    group: str = ""
    job_name: str = ""
    repository: str = ""
    run_id: str = ""
    run_attempt: str = ""
    runner: str = ""
    """The registration that took its job."""
    reason: str = ""
    message: str = ""
    unscheduled_message: str = ""
    """What the scheduler says while it finds no node."""
    is_unscheduled: bool = False
    """Whether it has no node yet, whether or not the scheduler has said so."""
    is_ready: bool = False
    """Whether the kubelet says that it serves; a pod on its way out counts no more, though it may still say so."""
    containers: tuple[ContainerFact, ...] = ()


def parse_pod(manifest: Manifest, role: PodRole) -> PodFact:
    """The facts of a stored pod."""
    metadata, spec, status = (manifest.get(part) or {} for part in ("metadata", "spec", "status"))
    annotations = metadata.get("annotations") or {}
    is_leaving = "deletionTimestamp" in metadata
    entries = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return PodFact(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        role=role,
        phase=str(status.get("phase") or "Pending"),
        created_at=parse_time(metadata.get("creationTimestamp")),
        group=str((metadata.get("labels") or {}).get(labels.RUNNER_GROUP) or ""),
        job_name=str(annotations.get(labels.JOB_NAME) or ""),
        repository=str(annotations.get(labels.REPOSITORY) or ""),
        run_id=str(annotations.get(labels.RUN_ID) or ""),
        run_attempt=str(annotations.get(labels.RUN_ATTEMPT) or ""),
        runner=str(annotations.get(labels.RUNNER_NAME) or ""),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or ""),
        unscheduled_message=_unscheduled(status),
        is_unscheduled=not spec.get("nodeName") and not entries and status.get("phase", "Pending") == "Pending",
        is_ready=not is_leaving
        and any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in _conditions(status)),
        containers=tuple(_container(entry) for entry in entries),
    )


def _container(entry: Manifest) -> ContainerFact:
    state, last = entry.get("state") or {}, (entry.get("lastState") or {}).get("terminated") or {}
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    code = terminated.get("exitCode")
    return ContainerFact(
        name=str(entry.get("name") or ""),
        restart_count=int(entry.get("restartCount") or 0),
        waiting_reason=str(waiting.get("reason") or ""),
        waiting_message=str(waiting.get("message") or ""),
        terminated_reason=str(terminated.get("reason") or ""),
        terminated_at=parse_time(terminated.get("finishedAt")),
        exit_code=int(code) if code is not None else None,
        last_reason=str(last.get("reason") or ""),
        last_ended_at=parse_time(last.get("finishedAt")),
    )


def _unscheduled(status: Manifest) -> str:
    for condition in _conditions(status):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def _conditions(status: Manifest) -> list[Manifest]:
    return status.get("conditions") or []
