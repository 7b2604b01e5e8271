"""What `gw health` says of each fault as a whole: the cause with its severity, its true consequences, nothing false.

Objects are as they would be: the statuses of groups are decided by the agent's own code and those of gateways by the
manager's, from what either of them sees; only what kubelet, scheduler and autoscaler write is written here.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from actions_gateway.agent.runnergroups.status import GroupFacts, decide_status
from actions_gateway.agent.runnergroups.waits import Wait
from actions_gateway.agent.tokens.verdict import AVAILABLE, Verdict
from actions_gateway.api import labels, names
from actions_gateway.api.conditions import NO_ANSWER, Reason
from actions_gateway.api.ledger import RerunState
from actions_gateway.api.waits import WaitReason
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import errors
from actions_gateway.manager.gateway.conditions import decide_conditions
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.gateway.snapshot import Plan
from actions_gateway.manager.gateway.status import build_status
from gw.checks.catalog import HEALTH
from gw.sources.facts import Need
from support import manager_objects as make
from support.clock import START

from . import objects
from .double import ClusterDouble
from .objects import Manifest, container, entry, ledger, lost, moment
from .rig import Gw

CREDENTIAL = {
    "appId": "1234",
    "installationId": "5678",
    "keyFingerprint": "SHA256:abc=",
    "tokenExpiresAt": moment(-1800),
    "permissions": {"actions": "write", "organization_self_hosted_runners": "write"},
}
IDLE = GroupFacts(
    is_suspended=False,
    spec_problem="",
    active_sessions=1,
    busy_sessions=0,
    active_jobs=1,
    pending_jobs=0,
    registrations=1,
    is_rate_limited=False,
    session_problem="",
    verdict=AVAILABLE,
    credential=CREDENTIAL,
)
GROUP = ("RunnerGroup", "ci-cpu")
AGENT, PROXY = ("Deployment", names.AGENT), ("Deployment", names.PROXY)
AUTOSCALER = ("HorizontalPodAutoscaler", names.PROXY)
READINGS = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 20}}}]


@dataclass
class World:
    """One tenant, its manager and its cluster, all well at first; faults change it, and its writers look again."""

    owner: Manifest = field(
        default_factory=lambda: make.gateway(
            runnerGroups=[{"name": "cpu", "runnerLabels": ["linux"], "maxWorkers": 4}],
            metadata={"creationTimestamp": moment(86400)},
        )
    )
    children: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    agent: list[Manifest] = field(default_factory=list)
    proxies: list[Manifest] = field(default_factory=list)
    workers: list[Manifest] = field(default_factory=lambda: [objects.worker_pod()])
    beside: list[Manifest] = field(default_factory=list)
    manager: dict[str, Any] = field(default_factory=dict)
    clock_ahead_seconds: float = 0
    definitions: list[Manifest] = field(default_factory=lambda: [established(each) for each in crd_manifests()])

    def __post_init__(self) -> None:
        self.children = make.with_proxy(make.with_agent(make.children_of(self.owner)))
        self.children[GROUP]["metadata"]["creationTimestamp"] = moment(86400)
        self.children[AUTOSCALER]["metadata"]["creationTimestamp"] = moment(86400)
        self.children[AUTOSCALER]["status"] = {
            "currentReplicas": 2,
            "desiredReplicas": 2,
            "currentMetrics": READINGS,
            "conditions": [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}],
        }
        self.agent = [self._placed(objects.agent_pod(), AGENT)]
        self.proxies = [self._placed(objects.proxy_pod(number=number), PROXY) for number in (1, 2)]
        self.workers[0]["spec"]["nodeName"] = "node-1"
        self.workers[0]["metadata"]["labels"][labels.RUNNER_GROUP] = GROUP[1]
        self.report(IDLE, 3600)
        self.look(3590)

    def _placed(self, pod: Manifest, deployment: tuple[str, str]) -> Manifest:
        pod["spec"] = self.children[deployment]["spec"]["template"]["spec"] | {"nodeName": "node-1"}
        return pod

    # -- who writes statuses

    def report(self, facts: GroupFacts, seconds_ago: float) -> None:
        """The agent writes what it knows of its group."""
        group = self.children[GROUP]
        patch = decide_status(group, facts, now=START - timedelta(seconds=seconds_ago)) or {"status": {}}
        kept = {**group.get("status", {}), **patch["status"]}
        self.children[GROUP] = {**group, "status": {key: value for key, value in kept.items() if value is not None}}

    def look(self, seconds_ago: float) -> None:
        """The manager writes what it makes of it."""
        snapshot = make.snapshot(self.owner, children=self.children, pods=(*self.agent, *self.proxies))
        now = START - timedelta(seconds=seconds_ago)
        verdict = decide_conditions(snapshot, Plan(parse_gateway(self.owner), None, ()), (), now)
        written = build_status(snapshot, verdict, now)
        if written is not None:
            self.owner = {**self.owner, "status": written["status"]}

    # -- what happens to pods

    def lose_agent(self) -> None:
        """Its pod is gone, and none comes in its place."""
        self.agent = []
        self.available(AGENT, 0)

    def lose_proxies(self) -> None:
        self.proxies = []
        self.available(PROXY, 0)

    def available(self, key: tuple[str, str], count: int) -> None:
        deployment = self.children[key]
        status = {**deployment["status"], "availableReplicas": count, "readyReplicas": count}
        self.children[key] = {**deployment, "status": status}

    def worker(self, *, seconds_old: float, reason: str = "", **parts: Any) -> None:
        """One more worker pod; one with a container has a node."""
        pod = objects.worker_pod(name=f"runner-{len(self.workers)}", seconds_old=seconds_old, **parts)
        pod["metadata"]["labels"][labels.RUNNER_GROUP] = GROUP[1]
        pod["spec"] = {"nodeName": "node-1"} if pod["status"]["containerStatuses"] or reason else {}
        pod["status"] |= {"reason": reason} if reason else {}
        self.workers.append(pod)

    def cluster(self) -> ClusterDouble:
        deployment, lease = objects.manager(**self.manager)
        settings = make.SETTINGS
        images = {
            "CONTROLLER_IMAGE": settings.controller_image,
            "WORKER_IMAGE": settings.worker_image,
            "PROXY_IMAGE": settings.proxy_image,
        }
        env = [{"name": name, "value": value} for name, value in images.items()]
        containers = [{"name": "manager", "image": settings.controller_image, "env": env}]
        deployment["spec"]["template"] = {"spec": {"containers": containers}}
        pods = [*self.agent, *self.proxies, *self.workers]
        cluster = ClusterDouble(
            *(deployment, lease, objects.namespace(), self.owner, *pods, *self.beside, *self.definitions),
            *(self.children[key] for key in (GROUP, AGENT, PROXY, AUTOSCALER)),
        )
        review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        cluster.answers[review] = {"metadata": {"creationTimestamp": moment(-self.clock_ahead_seconds)}}
        return cluster


def established(definition: Manifest) -> Manifest:
    conditions = [{"type": "Established", "status": "True"}, {"type": "NamesAccepted", "status": "True"}]
    return {**copy.deepcopy(definition), "status": {"conditions": conditions}}


def deaf(cause: str = "", **facts: Any) -> GroupFacts:
    """A group without a session."""
    return replace(IDLE, active_sessions=0, active_jobs=0, registrations=0, session_problem=cause, **facts)


def waiting(reason: WaitReason, seconds: float, message: str) -> Wait:
    return Wait(reason, 2, START - timedelta(seconds=seconds), "", message)


# -- the faults


def credential(reason: Reason, message: str, *, keeps: bool = False) -> Callable[[World], None]:
    def happen(world: World) -> None:
        world.report(deaf(verdict=Verdict(reason, message), credential=CREDENTIAL if keeps else None), 600)
        world.look(590)

    return happen


def missing_permission(world: World) -> None:
    granted = {**CREDENTIAL, "permissions": {"actions": "write", "metadata": "read"}}
    verdict = Verdict(Reason.PERMISSION_MISSING, "Registering runners needs organization_self_hosted_runners: write.")
    world.report(deaf(verdict=verdict, credential=granted), 600)
    world.look(590)


def agent_down(world: World) -> None:
    world.lose_agent()
    world.look(590)


def agent_starting(world: World) -> None:
    """As after a mount that does not exist: a pod that never becomes ready."""
    world.agent = [objects.agent_pod(phase="Pending", is_ready=False, containers=[container("agc", state=CREATING)])]
    world.agent[0]["metadata"]["creationTimestamp"] = moment(600)
    world.available(AGENT, 0)
    world.look(590)


def agent_killed(world: World) -> None:
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": moment(90)}}
    looping = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    world.agent = [
        objects.agent_pod(is_ready=False, containers=[container("agc", restarts=4, state=looping, last=killed)])
    ]
    world.available(AGENT, 0)
    world.look(590)


def manager_down(world: World) -> None:
    world.manager = {"ready_pods": 0, "wanted": 2, "renewed_seconds_ago": 600}


def both_down(world: World) -> None:
    manager_down(world)
    world.lose_agent()


def deaf_listener(world: World) -> None:
    world.report(deaf("the broker's answer cannot be read"), 600)
    world.look(500)


def rate_limit(world: World) -> None:
    world.report(replace(IDLE, is_rate_limited=True), 60)
    world.look(55)


def unfolded_limit(world: World) -> None:
    """What a manager has folded up stands in the gateway's status as if all were well."""
    manager_down(world)
    world.report(replace(IDLE, is_rate_limited=True), 60)


def full(world: World, *, seconds: float) -> None:
    numbers = {"hard": {"requests.cpu": "2"}, "used": {"requests.cpu": "2"}}
    metadata = {"namespace": "team-a", "name": "team"}
    world.beside.append({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "status": numbers})
    short = "the quota team has no room: requests.cpu needs 500m, used 2 of 2"
    problem = short if seconds >= 30 else ""
    told = (waiting(WaitReason.QUOTA, seconds, f"T{short[1:]}."),) if seconds else ()
    world.report(
        replace(IDLE, pending_jobs=2 if seconds else 0, waits=told, quota_problem=problem), max(0, seconds - 30)
    )
    world.look(max(0, seconds - 31))


def unschedulable(world: World, *, seconds: float) -> None:
    words = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    world.worker(seconds_old=seconds, phase="Pending", containers=[], conditions=[words])
    told = (waiting(WaitReason.START, seconds, "Pod runner-1 does not start: not scheduled."),)
    world.report(replace(IDLE, pending_jobs=1, active_jobs=2, waits=told), 0)


def missing_image(world: World) -> None:
    pulling = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    world.worker(seconds_old=90, phase="Pending", containers=[container(state=pulling)])
    told = (waiting(WaitReason.START, 90, "Pod runner-1 does not start: container runner: ImagePullBackOff."),)
    world.report(replace(IDLE, pending_jobs=1, active_jobs=2, waits=told), 0)


def given_up(world: World) -> None:
    event = objects.given_up(seconds_ago=30, note="pod runner-9 is deleted: container runner: ErrImagePull: not found")
    event["involvedObject"]["name"] = GROUP[1]
    event["apiVersion"] = "events.k8s.io/v1"
    world.beside.append(event)
    world.workers.clear()
    told = (waiting(WaitReason.BACKOFF, 90, "The last worker of this group could not be made or did not start."),)
    world.report(replace(IDLE, pending_jobs=1, active_jobs=0, waits=told), 0)


def missing_class(world: World) -> None:
    said = 'pods "runner-1" is forbidden: no PriorityClass with name gold was found'
    told = (waiting(WaitReason.START, 90, f"The API server does not admit pod runner-1: {said}."),)
    world.report(replace(IDLE, pending_jobs=1, active_jobs=1, waits=told, refusals=(said,)), 90)
    world.look(85)


def eviction_loop(world: World) -> None:
    for _ in range(3):
        world.worker(seconds_old=60, phase="Failed", reason="Evicted", containers=[])
    job = lost(
        *("ci-cpu-1", RerunState.EXHAUSTED),
        seconds_ago=60,
        job_id=7,
        group=GROUP[1],
        attempt=3,
        is_own_ending=True,
    )
    world.beside.append(ledger({17: entry(job)}))


def worker_killed(world: World) -> None:
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": moment(30)}}
    world.worker(seconds_old=90, phase="Failed", containers=[container(state=killed)])


def proxy_down(world: World) -> None:
    world.lose_proxies()
    verdict = Verdict(Reason.GITHUB_UNREACHABLE, "GitHub gave no usable answer; it is asked again: no tunnel.")
    world.report(deaf(verdict=verdict), 600)
    world.look(590)


def blind_autoscaler(world: World) -> None:
    message = "the HPA was unable to compute the replica count: unable to get metrics for resource cpu"
    active = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": message}
    active["lastTransitionTime"] = moment(600)
    world.children[AUTOSCALER]["status"] = {"currentReplicas": 2, "desiredReplicas": 2, "conditions": [active]}


def old_definition(world: World) -> None:
    for version in world.definitions[0]["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("paused")


def no_session(world: World) -> None:
    world.report(deaf(f"{NO_ANSWER}: github.com refuses the connection"), 600)
    world.look(500)


def silent_sessions(world: World) -> None:
    """Sessions were open when GitHub went, and stay so."""
    world.report(replace(IDLE, silence=f"{NO_ANSWER}: github.com refuses the connection"), 600)
    world.look(500)


def no_tunnel(world: World) -> None:
    world.lose_proxies()
    no_session(world)


def skewed(world: World) -> None:
    """The cluster's clock is ahead of GitHub's and of this machine's."""
    world.clock_ahead_seconds = 900
    credential(Reason.GITHUB_UNREACHABLE, "GitHub gave no usable answer: this machine's clock is 900 s ahead.")(world)


def behind(world: World) -> None:
    containers = world.children[PROXY]["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = "envoy:older"


def stuck_deletion(world: World) -> None:
    world.owner["metadata"]["deletionTimestamp"] = moment(700)


def contained(world: World) -> None:
    world.owner["metadata"]["annotations"] = {labels.CONTAINED: "incident-1"}
    world.lose_agent()
    world.look(600)


def paused(world: World) -> None:
    world.owner["spec"]["paused"] = True
    world.children[GROUP]["spec"]["suspended"] = True
    world.report(deaf(is_suspended=True), 600)
    world.look(590)


OF_MONITORING = frozenset({Need.SERIES, Need.MONITORING, Need.ALERTING})
NOT_TOLD = {"credential.available", "credential.edited", "credential.permissions", "credential.token"}
ABOUT_AGENT = {
    *(*NOT_TOLD, "github.reachable", "job.waiting", "runner.version", "worker.admitted"),
    *("gateway.groups", "gateway.rate-limit"),
}
PAGE, TICKET, INFO = "page", "ticket", "info"
DEAF = {"gateway.ready": PAGE, "session.open": PAGE}
NO_CREDENTIAL = DEAF | {"credential.available": PAGE}
CREATING = {"waiting": {"reason": "ContainerCreating"}}

FAULTS: list[tuple[str, Callable[[World], None], dict[str, str], set[str]]] = [
    ("nothing", lambda _: None, {}, set()),
    (
        "wrong key",
        credential(Reason.KEY_REJECTED, "GitHub does not accept it."),
        NO_CREDENTIAL,
        set(),
    ),
    (
        "missing Secret",
        credential(Reason.SECRET_NOT_FOUND, "It is gone."),
        NO_CREDENTIAL,
        set(),
    ),
    (
        "missing permission",
        missing_permission,
        DEAF | {"credential.available": PAGE, "credential.permissions": PAGE},
        set(),
    ),
    ("agent down", agent_down, DEAF | {"agent.available": PAGE}, ABOUT_AGENT),
    (
        "agent not starting",
        agent_starting,
        {"gateway.ready": PAGE, "agent.available": PAGE},
        ABOUT_AGENT | {"session.open"},
    ),
    (
        "agent killed for memory",
        agent_killed,
        {"gateway.ready": PAGE, "agent.available": PAGE, "agent.stable": PAGE},
        ABOUT_AGENT | {"session.open"},
    ),
    ("manager down", manager_down, {"manager.running": TICKET, "manager.leading": TICKET}, set()),
    (
        "manager down, then the agent",
        both_down,
        {"manager.running": TICKET, "manager.leading": TICKET, "agent.available": PAGE, "session.open": PAGE},
        ABOUT_AGENT | {"gateway.ready"},
    ),
    ("deaf listener", deaf_listener, DEAF, set()),
    ("rate limit", rate_limit, {"gateway.rate-limit": PAGE}, set()),
    (
        "manager down, then a rate limit",
        unfolded_limit,
        {"manager.running": TICKET, "manager.leading": TICKET, "gateway.rate-limit": PAGE},
        set(),
    ),
    ("quota full, and nobody waits", lambda world: full(world, seconds=0), {"quota.headroom": INFO}, set()),
    ("quota full for 20 s", lambda world: full(world, seconds=20), {"quota.headroom": INFO}, set()),
    (
        "quota full for 100 s",
        lambda world: full(world, seconds=100),
        {"quota.headroom": PAGE, "job.waiting": INFO, "worker.admitted": PAGE, "gateway.groups": TICKET},
        set(),
    ),
    ("no node for 20 s", lambda world: unschedulable(world, seconds=20), {"worker.scheduling": TICKET}, set()),
    (
        "no node for 100 s",
        lambda world: unschedulable(world, seconds=100),
        {"worker.scheduling": PAGE, "job.waiting": INFO},
        set(),
    ),
    ("missing image", missing_image, {"worker.image": PAGE, "job.waiting": INFO}, set()),
    ("missing image, given up", given_up, {"worker.image": PAGE, "job.waiting": INFO}, set()),
    (
        "missing PriorityClass",
        missing_class,
        {"worker.admitted": PAGE, "job.waiting": INFO, "gateway.groups": TICKET},
        set(),
    ),
    ("eviction loop", eviction_loop, {"worker.evicted": TICKET, "job.lost": TICKET}, set()),
    ("worker killed for memory", worker_killed, {"worker.stable": TICKET}, set()),
    ("proxy down", proxy_down, DEAF | {"gateway.proxy": PAGE}, NOT_TOLD | {"github.reachable"}),
    ("HPA unknown", blind_autoscaler, {"proxy.autoscaler": TICKET}, set()),
    (
        "GitHub unreachable",
        credential(Reason.GITHUB_UNREACHABLE, "GitHub gave no usable answer: refused.", keeps=True),
        DEAF | {"github.reachable": PAGE},
        NOT_TOLD,
    ),
    ("GitHub unreachable, token left", no_session, DEAF | {"github.reachable": PAGE}, set()),
    ("GitHub unreachable, sessions left", silent_sessions, {"gateway.ready": PAGE, "github.reachable": PAGE}, set()),
    ("proxy down, token left", no_tunnel, DEAF | {"gateway.proxy": PAGE}, {"github.reachable"}),
    ("clock skew", skewed, DEAF | {"clock.agrees": TICKET, "github.reachable": PAGE}, NOT_TOLD),
    ("a release that does not arrive", behind, {"versions.agree": TICKET}, set()),
    ("old CRD", old_definition, {"api.crds-current": PAGE}, set()),
    ("stuck deletion", stuck_deletion, {"gateway.deleting": TICKET}, set()),
    ("contained", contained, {"gateway.contained": TICKET}, set()),
    ("paused", paused, {"gateway.paused": INFO}, set()),
]
POINTS_AT: dict[tuple[str, str], str] = {
    ("GitHub unreachable, token left", "session.open"): "github.reachable",
    ("proxy down, token left", "session.open"): "gateway.proxy",
    ("clock skew", "github.reachable"): "clock.agrees",
    ("wrong key", "session.open"): "credential.available",
    ("wrong key", "gateway.ready"): "credential.available",
    ("missing permission", "credential.available"): "credential.permissions",
    ("agent down", "session.open"): "agent.available",
    ("agent down", "gateway.ready"): "agent.available",
    ("quota full for 100 s", "job.waiting"): "quota.headroom",
    ("quota full for 100 s", "worker.admitted"): "quota.headroom",
    ("no node for 100 s", "job.waiting"): "worker.scheduling",
    ("missing image", "job.waiting"): "worker.image",
    ("missing image, given up", "job.waiting"): "worker.image",
    ("missing PriorityClass", "job.waiting"): "worker.admitted",
    ("missing PriorityClass", "worker.admitted"): "kubectl get priorityclass",
    ("proxy down", "session.open"): "gateway.proxy",
    ("proxy down", "gateway.ready"): "gateway.proxy",
    ("GitHub unreachable", "session.open"): "github.reachable",
    ("GitHub unreachable", "gateway.ready"): "github.reachable",
}
"""By fault and consequence: what the next step names."""


def report(world: World, *arguments: str) -> Any:
    answer = Gw(world.cluster())("health", *arguments, "-o", "json")
    return json.loads(answer.out)


def told(document: Any) -> list[Any]:
    """What the checks say that Kubernetes alone answers; the others have no Prometheus here."""
    needs = {check.id: check.needs for check in HEALTH}
    return [check for check in document["checks"] if not needs[check["id"]] & OF_MONITORING]


def problems(document: Any) -> dict[str, str]:
    """By check the severity of the worst that it found."""
    return {check["id"]: check["severity"] for check in told(document) if check["outcome"] == "problem"}


def unknown(document: Any) -> set[str]:
    findings = ((check["id"], finding) for check in told(document) for finding in check["findings"])
    return {check_id for check_id, finding in findings if finding["outcome"] == "unknown"}


@pytest.mark.parametrize(("name", "happen", "found", "untold"), [pytest.param(*each, id=each[0]) for each in FAULTS])
def test_a_fault_is_named_and_nothing_false_beside_it(
    name: str, happen: Callable[[World], None], found: dict[str, str], untold: set[str]
) -> None:
    world = World()
    happen(world)
    document = report(world)
    assert (problems(document), unknown(document)) == (found, untold)
    for check in document["checks"]:
        for finding in check["findings"]:
            if finding["outcome"] == "problem":
                assert finding["next"], f"{check['id']} does not say how to go on"
                assert POINTS_AT.get((name, check["id"]), "") in finding["next"]


@pytest.mark.parametrize(("name", "happen", "found", "untold"), [pytest.param(*each, id=each[0]) for each in FAULTS])
def test_a_tenants_own_rights_show_the_same_of_its_own(
    name: str, happen: Callable[[World], None], found: dict[str, str], untold: set[str]
) -> None:
    """Without any right on the platform: what belongs to it is skipped, what is the tenant's own stays."""
    world = World()
    happen(world)
    cluster = world.cluster()
    for verb, plural in (("get", "deployments"), ("get", "leases"), ("get", "customresourcedefinitions")):
        cluster.refusals[verb, plural] = errors.Forbidden(f'User "eve" cannot {verb} {plural}', status=403)
    document = json.loads(Gw(cluster)("health", "team-a", "-o", "json").out)
    platforms = ("manager.", "api.", "versions.")
    own = {check: severity for check, severity in found.items() if not check.startswith(platforms)}
    assert (problems(document), unknown(document)) == (own, untold)


def test_each_pointer_is_of_a_fault_and_a_consequence() -> None:
    consequences = {(name, check) for name, _, found, _ in FAULTS for check in found}
    assert consequences >= POINTS_AT.keys()
