"""Makers of stored objects: a healthy base each, and the small changes that a test is about."""

from datetime import timedelta
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.ledger import Cause, LostJob, RerunState, RunEntry, render
from support.clock import START

Manifest = dict[str, Any]


def moment(seconds_ago: float) -> str:
    """A Kubernetes time before the tests' now."""
    return (START - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(
    kind: ConditionType, status: str, reason: Reason, message: str = "", *, seconds_ago: float = 3600
) -> Manifest:
    return {
        "type": kind.value,
        "status": status,
        "reason": reason.value,
        "message": message,
        "lastTransitionTime": moment(seconds_ago),
    }


def ready(status: str = "True", reason: Reason = Reason.ALL_AVAILABLE, message: str = "", **when: float) -> Manifest:
    return condition(ConditionType.READY, status, reason, message, **when)


def agent_available(status: str = "True", reason: Reason = Reason.AGC_READY, message: str = "") -> Manifest:
    return condition(ConditionType.AGC_AVAILABLE, status, reason, message)


def proxy_available(status: str = "True", reason: Reason = Reason.PROXY_READY, message: str = "") -> Manifest:
    return condition(ConditionType.PROXY_AVAILABLE, status, reason, message)


def credential_missing(
    status: str = "False", reason: Reason = Reason.CREDENTIAL_AVAILABLE, message: str = ""
) -> Manifest:
    return condition(ConditionType.CREDENTIAL_UNAVAILABLE, status, reason, message)


def healthy_conditions() -> list[Manifest]:
    """What a manager says of a gateway that lacks nothing."""
    return [
        ready(),
        agent_available(),
        proxy_available(),
        credential_missing(),
        condition(ConditionType.RATE_LIMITED, "False", Reason.WITHIN_RATE_LIMIT),
        condition(ConditionType.RUNNER_GROUPS_DEGRADED, "False", Reason.RUNNER_GROUPS_HEALTHY),
    ]


def gateway(
    namespace: str = "team-a",
    name: str | None = None,
    *,
    conditions: list[Manifest] | None = None,
    sessions: int = 2,
    jobs: int = 1,
    seconds_old: float = 86400,
    spec: Manifest | None = None,
) -> Manifest:
    """A gateway with two groups that is Ready."""
    return {
        "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
        "kind": "ActionsGateway",
        "metadata": {
            "name": name or namespace,
            "namespace": namespace,
            "uid": f"uid-{namespace}",
            "generation": 1,
            "creationTimestamp": moment(seconds_old),
        },
        "spec": {
            "gitHubURL": "https://github.com/octo/demo",
            "gitHubAppRef": {"name": "github-app-v1"},
            "runnerGroups": [{"name": "cpu", "runnerLabels": ["self-hosted", "linux"]}],
            **(spec or {}),
        },
        "status": {
            "observedGeneration": 1,
            "activeSessions": sessions,
            "activeJobs": jobs,
            "proxyReadyReplicas": 2,
            "conditions": healthy_conditions() if conditions is None else conditions,
            "credential": {
                "appId": "1234",
                "installationId": "5678",
                "keyFingerprint": "SHA256:abc=",
                "tokenExpiresAt": moment(-1800),
                "permissions": {"actions": "write", "administration": "write"},
            },
        },
    }


def runner_group(
    namespace: str = "team-a",
    name: str = "cpu",
    *,
    runner_labels: tuple[str, ...] = ("self-hosted", "linux"),
    sessions: int = 1,
    jobs: int = 0,
    seconds_old: float = 86400,
    conditions: list[Manifest] | None = None,
    gateway_name: str | None = None,
    **spec: Any,
) -> Manifest:
    """A runner group with an open session."""
    owner = gateway_name or namespace
    return {
        "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
        "kind": "RunnerGroup",
        "metadata": {
            "name": names.runner_group_name(owner, name),
            "namespace": namespace,
            "labels": {labels.OWNER_NAME: owner},
            "creationTimestamp": moment(seconds_old),
        },
        "spec": {"runnerLabels": list(runner_labels), "maxListeners": 10, "maxWorkers": 30, **spec},
        "status": {
            "activeSessions": sessions,
            "activeJobs": jobs,
            "conditions": [ready(reason=Reason.LISTENER_ACTIVE)] if conditions is None else conditions,
        },
    }


def container(
    name: str = "runner", *, restarts: int = 0, state: Manifest | None = None, last: Manifest | None = None
) -> Manifest:
    return {
        "name": name,
        "restartCount": restarts,
        "state": state or {"running": {"startedAt": moment(60)}},
        "lastState": last or {},
    }


def agent_pod(
    namespace: str = "team-a",
    *,
    containers: list[Manifest] | None = None,
    phase: str = "Running",
    is_ready: bool = True,
) -> Manifest:
    pod = _pod(
        f"{names.AGENT}-abc12",
        namespace,
        {labels.APP: names.AGENT, labels.COMPONENT: labels.WORKLOAD},
        phase,
        containers or [container(names.AGENT_CONTAINER)],
        seconds_old=86400,
    )
    pod["status"]["conditions"] = [{"type": "Ready", "status": str(is_ready)}]
    return pod


def proxy_pod(namespace: str = "team-a", number: int = 1, *, is_ready: bool = True) -> Manifest:
    pod = _pod(
        f"{names.PROXY}-abc1{number}",
        namespace,
        {labels.APP: names.PROXY},
        "Running",
        [container("proxy")],
        seconds_old=86400,
    )
    pod["status"]["conditions"] = [{"type": "Ready", "status": str(is_ready)}]
    return pod


def autoscaler(namespace: str = "team-a", *, current: int | None = 42, seconds_old: float = 86400) -> Manifest:
    """A proxy pool's autoscaler; without a reading kubectl shows `<unknown>`."""
    readings = [] if current is None else [_resource_metric("current", current)]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": names.PROXY,
            "namespace": namespace,
            "labels": {labels.APP_COMPONENT: names.PROXY},
            "creationTimestamp": moment(seconds_old),
        },
        "spec": {"minReplicas": 2, "maxReplicas": 10, "metrics": [_resource_metric("target", 70)]},
        "status": {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": readings},
    }


def _resource_metric(part: str, percent: int) -> Manifest:
    return {"type": "Resource", "resource": {"name": "cpu", part: {"averageUtilization": percent}}}


def worker_pod(
    namespace: str = "team-a",
    name: str = "runner-team-a-cpu-0001",
    *,
    phase: str = "Running",
    containers: list[Manifest] | None = None,
    seconds_old: float = 60,
    conditions: list[Manifest] | None = None,
) -> Manifest:
    pod = _pod(
        name,
        namespace,
        {labels.RUNNER_GROUP: f"{namespace}-cpu", labels.COMPONENT: labels.WORKLOAD},
        phase,
        [container()] if containers is None else containers,
        seconds_old=seconds_old,
    )
    pod["metadata"]["annotations"] = {
        labels.JOB_NAME: "build",
        labels.REPOSITORY: "octo/demo",
        labels.RUN_ID: "17000000001",
    }
    pod["status"]["conditions"] = conditions or []
    return pod


def given_up(namespace: str = "team-a", *, seconds_ago: float, note: str) -> Manifest:
    """What an agent writes of a worker that it deleted since it did not start, told for the second time."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{namespace}-cpu-{seconds_ago:.0f}", "namespace": namespace},
        "eventTime": moment(seconds_ago + 300),
        "series": {"count": 2, "lastObservedTime": moment(seconds_ago)},
        "reason": "WorkerPodStuckPending",
        "involvedObject": {"kind": "RunnerGroup", "name": f"{namespace}-cpu", "namespace": namespace},
        "message": note,
    }


def _pod(
    name: str, namespace: str, pod_labels: dict[str, str], phase: str, containers: list[Manifest], *, seconds_old: float
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": pod_labels,
            "creationTimestamp": moment(seconds_old),
        },
        "spec": {},
        "status": {"phase": phase, "containerStatuses": containers},
    }


def lost(
    runner: str, state: RerunState, cause: Cause = Cause.EVICTION, *, seconds_ago: float = 600, **more: Any
) -> LostJob:
    at = START - timedelta(seconds=seconds_ago)
    fields: dict[str, Any] = {
        "job_id": 11,
        "name": "build",
        "group": "team-a-cpu",
        "attempt": 1,
        "is_own_ending": False,
    } | more
    return LostJob(runner=runner, cause=cause, lost_at=at, not_before=at, state=state, **fields)


def ledger(entries: dict[int, RunEntry], tenant: str = "team-a", **more: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.RERUN_LEDGER,
            "namespace": tenant,
            "labels": {labels.MANAGED_BY: labels.BY_AGENT, labels.APP_PART_OF: labels.PART_OF},
        },
        "data": {str(run_id): render(entry) for run_id, entry in entries.items()} | more,
    }


def entry(*jobs: LostJob, retries: int = 2) -> RunEntry:
    return RunEntry("octo/demo", retries, {job.runner: job for job in jobs})


def manager(*, ready_pods: int = 2, wanted: int = 2, renewed_seconds_ago: float = 3) -> list[Manifest]:
    """The manager's Deployment and its lease."""
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": names.MANAGER, "namespace": names.MANAGER_NAMESPACE},
            "spec": {"replicas": wanted},
            "status": {"readyReplicas": ready_pods},
        },
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": names.MANAGER_LEASE, "namespace": names.MANAGER_NAMESPACE},
            "spec": {
                "holderIdentity": "gmc-0",
                "renewTime": moment(renewed_seconds_ago),
                "leaseDurationSeconds": 15,
            },
        },
    ]


def namespace(name: str = "team-a", **metadata: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


def service(name: str, port: int, namespace: str = "monitoring", **more_labels: str) -> Manifest:
    """A Service as Prometheus's and Alertmanager's charts label it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": name.partition("-")[0], **more_labels},
        },
        "spec": {"ports": [{"name": "web", "port": port}]},
    }


def healthy_cluster() -> list[Manifest]:
    """A manager, one tenant with two groups and a running job, and monitoring."""
    return [
        *manager(),
        service("prometheus", 9090),
        service("alertmanager", 9093),
        namespace(),
        gateway(
            spec={
                "runnerGroups": [{"name": "cpu", "runnerLabels": ["linux"]}, {"name": "gpu", "runnerLabels": ["gpu"]}]
            }
        ),
        runner_group(name="cpu", jobs=1),
        runner_group(name="gpu", runner_labels=("self-hosted", "gpu")),
        agent_pod(),
        *(proxy_pod(number=number) for number in (1, 2)),
        autoscaler(),
        worker_pod(),
    ]
