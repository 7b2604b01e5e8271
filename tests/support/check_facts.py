"""The facts of a healthy cluster, and makers of what is not as it should be, for the cases of the checks."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from actions_gateway.api.conditions import NO_ANSWER, ConditionType, Reason
from gw.sources.autoscalers import AutoscalerFact
from gw.sources.definitions import OWN_VERSION, DefinitionFact
from gw.sources.events import GivenUpFact
from gw.sources.facts import Facts, Known
from gw.sources.gateways import ConditionFact, CredentialFact, GatewayFact, GroupFact, WaitFact
from gw.sources.github import GitHubFact, QueuedJobFact
from gw.sources.lostjobs import LostJobFact
from gw.sources.platform import DeploymentFact, LeaseFact, ManagerFact, ServedTypes, WorkloadFact
from gw.sources.pods import ContainerFact, PodFact, PodRole
from gw.sources.policies import PolicyFact
from gw.sources.prerequisites import MetricsFact, NetworkFact, PlaceFact
from gw.sources.quotas import QuotaFact, parse_quota
from gw.sources.rights import RightFact
from gw.sources.server import ClockFact, ServerFact
from support import series_cases
from support.clock import START


def ago(seconds: float) -> datetime:
    return START - timedelta(seconds=seconds)


def condition(kind: ConditionType, status: str, reason: Reason, *, seconds_ago: float = 3600) -> ConditionFact:
    return ConditionFact(kind.value, status, reason.value, "the cluster's own words.", ago(seconds_ago))


READY = condition(ConditionType.READY, "True", Reason.ALL_AVAILABLE)
AGENT_READY = condition(ConditionType.AGC_AVAILABLE, "True", Reason.AGC_READY)
PROXY_READY = condition(ConditionType.PROXY_AVAILABLE, "True", Reason.PROXY_READY)
WITHIN_LIMIT = condition(ConditionType.RATE_LIMITED, "False", Reason.WITHIN_RATE_LIMIT)
GROUPS_FINE = condition(ConditionType.RUNNER_GROUPS_DEGRADED, "False", Reason.RUNNER_GROUPS_HEALTHY)
CREDENTIAL_FINE = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "False", Reason.CREDENTIAL_AVAILABLE)
CREDENTIAL = CredentialFact(
    "1234", "5678", "SHA256:a=", ago(-3000), {"organization_self_hosted_runners": "write", "actions": "write"}
)
GATEWAY = GatewayFact(
    namespace="team-a",
    name="ci",
    created_at=ago(86400),
    github_url="https://github.com/octo",
    secret_name="github-app-v1",
    paused=False,
    group_names=("cpu",),
    conditions=(READY, AGENT_READY, PROXY_READY, CREDENTIAL_FINE, WITHIN_LIMIT, GROUPS_FINE),
    active_sessions=1,
    active_jobs=0,
    is_observed=True,
    credential=CREDENTIAL,
    uid="uid-ci",
)
GROUP = GroupFact(
    namespace="team-a",
    name="ci-cpu",
    gateway="ci",
    created_at=ago(86400),
    runner_labels=("self-hosted", "linux"),
    max_listeners=1,
    worker_ceiling=30,
    suspended=False,
    active_sessions=1,
    active_jobs=0,
    pending_jobs=0,
    conditions=(condition(ConditionType.READY, "True", Reason.LISTENER_ACTIVE),),
)
PINNED = f"registry.example.com/controller@sha256:{'0' * 64}"
AGENT = PodFact(
    *("team-a", "agent-1", PodRole.AGENT, "Running", ago(86400)),
    is_ready=True,
    containers=(ContainerFact("agc"),),
)
MANAGER_POD = replace(AGENT, namespace="gmc-system", name="gmc-1", role=PodRole.MANAGER)
PROXY = PodFact("team-a", "proxy-1", PodRole.PROXY, "Running", ago(86400), is_ready=True)
WORKER = PodFact(
    "team-a", "runner-1", PodRole.WORKER, "Running", ago(60), group="ci-cpu", containers=(ContainerFact("runner"),)
)
WORKLOAD = WorkloadFact("team-a", "actions-gateway-controller", (PINNED,))
AUTOSCALER = AutoscalerFact("team-a", "proxy", 2, 10, 2, "42%", "70%", created_at=ago(86400))
LOST = LostJobFact(
    "team-a", "octo/demo", 17, 1, "build", "ci-cpu", "ci-cpu-1", "eviction", 3, ago(60), "requested", retries=2
)
QUEUED = QueuedJobFact("team-a", "octo/demo", 17, "build", ("Self-Hosted", "linux"), ago(3600), "https://x/17")
DEPLOYMENT = DeploymentFact("gmc", 2, 2, images=(PINNED,))
SERVER = ServerFact("https://cluster", "v1.36.3", (1, 36), frozenset({"apps", "monitoring.coreos.com"}))
DEFINITION = DefinitionFact("actionsgateways.actions-gateway.github.com", version=OWN_VERSION)


def quota(hard: str, used: str = "0", key: str = "requests.cpu") -> QuotaFact:
    status = {"hard": {key: hard}, "used": {key: used}}
    return parse_quota({"metadata": {"namespace": "team-a", "name": "team"}, "status": status})


HEALTHY = Facts(
    now=START,
    served=Known(ServedTypes("https://cluster", frozenset({"actionsgateways", "runnergroups"}))),
    manager=Known(ManagerFact(DEPLOYMENT, LeaseFact("gmc-0", ago(3), 15.0))),
    gateways=Known((GATEWAY,)),
    groups=Known((GROUP,)),
    pods=Known((AGENT, PROXY, WORKER)),
    manager_pods=Known((MANAGER_POD,)),
    workloads=Known((WORKLOAD,)),
    quotas=Known((quota("8"),)),
    autoscalers=Known((AUTOSCALER,)),
    lost_jobs=Known((LOST,)),
    github=Known(GitHubFact((QUEUED,))),
    events=Known(()),
    server=Known(SERVER),
    clock=Known(ClockFact(0.4)),
    definitions=Known((DEFINITION,)),
    rights=Known((RightFact("patch", "apps", "deployments", "gmc-system", True),)),
    policies=Known((PolicyFact("gmc-agent-pods"),)),
    pod_security=Known(True),
    network=Known(NetworkFact(enforcing=("Cilium",))),
    metrics=Known(MetricsFact(is_registered=True)),
    place=Known(PlaceFact()),
    **series_cases.OBSERVED,
)


def manager(*, ready: int = 2, renewed_seconds_ago: float = 3, holder: str = "gmc-0") -> dict[str, Any]:
    lease = LeaseFact(holder, ago(renewed_seconds_ago), 15.0)
    return {"manager": Known(ManagerFact(DeploymentFact("gmc", 2, ready), lease))}


SCALED_TO_0 = {"manager": Known(ManagerFact(DeploymentFact("gmc", 0, 0), LeaseFact("", ago(90), 15.0)))}


def gateway(*conditions: ConditionFact, **changes: Any) -> dict[str, Any]:
    kept = [entry for entry in GATEWAY.conditions if entry.type not in {each.type for each in conditions}]
    return {"gateways": Known((replace(GATEWAY, conditions=(*kept, *conditions), **changes),))}


def group(*, silent_seconds: float = 600, **changes: Any) -> dict[str, Any]:
    silent = condition(ConditionType.READY, "False", Reason.NO_ACTIVE_SESSIONS, seconds_ago=silent_seconds)
    silenced: dict[str, Any] = {"active_sessions": 0, "conditions": (silent,)}
    return {"groups": Known((replace(GROUP, **(silenced | changes)),))}


def between_sessions() -> dict[str, Any]:
    """A claim was a moment ago: the agent says Ready, and counts the busy session no more."""
    return group(conditions=GROUP.conditions, active_jobs=1)


def agent(**container: Any) -> dict[str, Any]:
    return {"pods": Known((replace(AGENT, containers=(ContainerFact("agc", **container),)),))}


def worker(*, container: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    containers = (ContainerFact("runner", **(container or {})),)
    return {"pods": Known((replace(WORKER, containers=containers, **changes),))}


def definition(**changes: Any) -> dict[str, Any]:
    return {"definitions": Known((replace(DEFINITION, **changes),))}


def policy(**changes: Any) -> dict[str, Any]:
    return {"policies": Known((PolicyFact("gmc-agent-pods", **changes),))}


def server(**changes: Any) -> dict[str, Any]:
    return {"server": Known(replace(SERVER, **changes))}


def images(*references: str) -> dict[str, Any]:
    lease = LeaseFact("gmc-0", ago(3), 15.0)
    return {"manager": Known(ManagerFact(DeploymentFact("gmc", 2, 2, images=references), lease))}


NO_PROXY = (ConditionType.PROXY_AVAILABLE, "False", Reason.PROXY_NOT_READY)
EDITED = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.EDITED_SECRET_UNUSABLE)
DELETING = condition(ConditionType.DELETING, "True", Reason.REMOVING_OBJECTS)
UNSERVED = condition(ConditionType.READY, "False", Reason.CONTAINED)
NOT_READY = condition(ConditionType.READY, "False", Reason.AGC_NOT_READY)


def untried(reason: Reason) -> dict[str, Any]:
    return gateway(condition(ConditionType.CREDENTIAL_UNAVAILABLE, "Unknown", reason))


def refused(seconds: float, reason: Reason = Reason.WORKERS_REFUSED, message: str = "no room.") -> dict[str, Any]:
    entry = replace(condition(ConditionType.DEGRADED, "True", reason, seconds_ago=seconds), message=message)
    return {"groups": Known((replace(GROUP, conditions=(*GROUP.conditions, entry)),))}


NO_IMAGE = "pod runner-1 is deleted: container runner: ErrImagePull: not found"
NO_MOUNT = "pod runner-1 is deleted: container runner: CreateContainerConfigError: configmap not found"
NO_NODE = "pod runner-1 is deleted: not scheduled (Unschedulable): 0/3 nodes are available"


def given_up(note: str, *seconds_ago: float, pods: tuple[PodFact, ...] = (), proxy: bool = False) -> dict[str, Any]:
    events = tuple(GivenUpFact("team-a", "ci-cpu", ago(seconds), note) for seconds in seconds_ago)
    return {"events": Known(events), "pods": Known((AGENT, *pods, *((PROXY,) if proxy else ())))}


def waits(reason: str, seconds: float, *, jobs: int = 2, **facts: Any) -> dict[str, Any]:
    told = WaitFact(reason, jobs, ago(seconds), "the agent's own words.")
    return {"groups": Known((replace(GROUP, pending_jobs=jobs, waiting=(told,)),)), **facts}


def pending(seconds: float, **changes: Any) -> dict[str, Any]:
    """A worker without a node."""
    words = "0/3 nodes are available: 3 Insufficient cpu."
    fact: dict[str, Any] = {
        "phase": "Pending",
        "is_unscheduled": True,
        "unscheduled_message": words,
        "containers": (),
    } | changes
    return {"pods": Known((AGENT, PROXY, replace(WORKER, created_at=ago(seconds), **fact)))}


def evicted(count: int) -> dict[str, Any]:
    pods = (replace(WORKER, name=f"w{each}", phase="Failed", reason="Evicted") for each in range(count))
    return {"pods": Known((AGENT, PROXY, *pods))}


def permissions(**granted: str) -> dict[str, Any]:
    return gateway(credential=replace(CREDENTIAL, permissions=granted))


def at_github(granted: Mapping[str, str], **facts: Any) -> dict[str, Any]:
    """GitHub was asked with the App's key."""
    return {"github": Known(GitHubFact(permissions={"team-a": granted}))} | facts


def token(seconds_left: float) -> dict[str, Any]:
    return gateway(credential=replace(CREDENTIAL, token_expires_at=ago(-seconds_left)))


def no_answer(seconds: float) -> ConditionFact:
    silent = condition(ConditionType.READY, "False", Reason.NO_ACTIVE_SESSIONS, seconds_ago=seconds)
    return replace(silent, message=f"No session is open: {NO_ANSWER}: github.com did not answer in time.")


def undeclared() -> dict[str, Any]:
    sidecar = {"podTemplate": {"spec": {"containers": [{"name": "sidecar"}]}}}
    return {"groups": Known((replace(GROUP, worker=sidecar),))}


def quotas(*facts: QuotaFact) -> dict[str, Any]:
    return {"quotas": Known(facts)}


def autoscaler(**changes: Any) -> dict[str, Any]:
    return {"autoscalers": Known((replace(AUTOSCALER, **changes),))}


def lost(*states: str) -> dict[str, Any]:
    return {"lost_jobs": Known(tuple(replace(LOST, state=state, runner=state) for state in states))}


def enterprise() -> dict[str, Any]:
    granted = replace(CREDENTIAL, permissions={"actions": "write"})
    return gateway(github_url="https://github.com/enterprises/octo", credential=granted)


def renewed() -> dict[str, Any]:
    return token(-60) | {"groups": Known((replace(GROUP, token_expires_at=ago(-3000)),))}


def unserved(seconds: float) -> dict[str, Any]:
    return queued(replace(QUEUED, labels=("self-hosted", "gpu"), queued_at=ago(seconds)))


def queued(*jobs: QueuedJobFact, left_out: int = 0) -> dict[str, Any]:
    return {"github": Known(GitHubFact(jobs, left_out))}


def without(*roles: PodRole) -> dict[str, Any]:
    return {"pods": Known(tuple(pod for pod in (AGENT, PROXY, WORKER) if pod.role not in roles))}


def stale_wait() -> dict[str, Any]:
    return waits("quota", 3600) | quotas(quota("8", "8")) | without(PodRole.AGENT)


def rolling() -> dict[str, Any]:
    workloads = Known((replace(WORKLOAD, images=(OLD_IMAGE,)),))
    return {"workloads": workloads, "manager_pods": Known((replace(MANAGER_POD, created_at=ago(3600)),))}


def refused_version_of_a_dead_agent() -> dict[str, Any]:
    return {"groups": Known((replace(GROUP, conditions=(TOO_OLD,)),))} | without(PodRole.AGENT)


def lone(changes: dict[str, Any]) -> dict[str, Any]:
    return {"pods": Known(changes["pods"].value[-1:])}


def odd_template() -> dict[str, Any]:
    cpu = {"resources": {"requests": {"cpu": "much"}}}
    return {"groups": Known((replace(GROUP, worker={"podTemplate": {"spec": {"containers": [cpu]}}}),))}


def told(*conditions: ConditionFact) -> dict[str, Any]:
    """What the agent says of the group, and nothing else."""
    return {"groups": Known((replace(GROUP, conditions=conditions),))}


def beside(another: GroupFact) -> dict[str, Any]:
    return {"groups": Known((GROUP, another))}


UNDATED = WaitFact("start", 1, None, "")
LIMITED = condition(ConditionType.RATE_LIMITED, "True", Reason.SUSTAINED_RATE_LIMIT)
OLD_IMAGE = "registry.example.com/controller:0.0.1"
UNREACHABLE = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "Unknown", Reason.GITHUB_UNREACHABLE)
TOO_OLD = condition(ConditionType.RUNNER_VERSION_TOO_OLD, "True", Reason.VERSION_TOO_OLD)
NO_READING: dict[str, Any] = {"current": "", "problem": "unable to fetch metrics", "problem_since": ago(300)}
