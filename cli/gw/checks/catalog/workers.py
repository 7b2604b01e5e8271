"""Checks of workers: are they admitted, do they find a node, do they start, are they evicted."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from actions_gateway.api.conditions import ConditionType, Reason
from gw.checks.catalog.causes import Reports, look
from gw.checks.catalog.pods import belonging_of, pods_of, subject_of_pod
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, lasting, seconds_since
from gw.sources.events import GivenUpFact
from gw.sources.facts import Facts, Need
from gw.sources.pods import ContainerFact, PodFact, PodRole
from gw_alerts.thresholds import (
    POD_CREATION_P95_SECONDS,
    POD_CREATION_P99_SECONDS,
    WORKER_GIVEN_UP_SECONDS,
    WORKER_IMAGE_FAILING,
    WORKER_PENDING_SECONDS,
    WORKER_REFUSED_SECONDS,
    WORKERS_EVICTED,
    Severity,
)

IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
    }
)
"""The kubelet's waiting reasons around images (Kubernetes pkg/kubelet/images/types.go)."""
_UNSCHEDULED = "not scheduled ("
"""How an agent's event begins to tell what kept a worker from its node."""
_EVICTED = "Evicted"
"""The reason of a failed pod (Kubernetes pkg/kubelet/eviction/eviction_manager.go)."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _worker_admitted(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    for group in facts.groups.value:
        subject, gateway = f"{group.namespace}/{group.name}", reports.gateway_of(group)
        refused = group.condition(ConditionType.DEGRADED)
        # The condition's other reasons keep no job from being claimed: `gateway.groups` tells of them.
        is_refused = refused is not None and refused.is_true and refused.reason == Reason.WORKERS_REFUSED
        waited_seconds = seconds_since(refused.since, facts.now) if refused is not None and is_refused else None
        if gateway is not None and gateway.wants_no_agent:
            yield skipped(subject, f"no agent is wanted: its gateway is {gateway.intention}")
        elif not reports.has_agent(group.namespace):
            yield unknown(subject, "no agent is ready to try it; see agent.available")
        elif not group.conditions:
            yield unknown(subject, "no agent has reported on it yet")
        elif refused is None or waited_seconds is None:
            yield ok(subject, "no refusal of workers keeps it from jobs")
        elif waited_seconds > WORKER_REFUSED_SECONDS.value:
            yield problem(
                subject,
                # Its time is that of the first problem, when another reason became this one.
                f"no worker would be admitted; it has been Degraded for {lasting(waited_seconds)}",
                since=refused.since,
                evidence=(refused.message,),
                next_step=_way_out(group.namespace, group.name, refused.message),
            )
        else:
            yield ok(subject, f"no worker would be admitted; it has been Degraded for only {lasting(waited_seconds)}")


def _way_out(namespace: str, group: str, message: str) -> str:
    """The command that goes on from the API server's words."""
    if "quota" in message:
        return look(namespace, "quota.headroom")
    if "PriorityClass" in message:
        return "kubectl get priorityclass"
    return f"kubectl describe runnergroup -n {namespace} {group}"


def _worker_scheduling(facts: Facts) -> Iterator[Finding]:
    for pod in pods_of(facts, PodRole.WORKER):
        age_seconds = seconds_since(pod.created_at, facts.now)
        if not pod.is_unscheduled or age_seconds is None:
            yield ok(subject_of_pod(pod), "it has a node")
        elif age_seconds <= POD_CREATION_P95_SECONDS.value:
            yield ok(subject_of_pod(pod), f"no node yet, for {lasting(age_seconds)}")
        else:
            is_stall = age_seconds > POD_CREATION_P99_SECONDS.value
            yield problem(
                subject_of_pod(pod),
                f"no node takes it for {lasting(age_seconds)}, so its job waits",
                since=pod.created_at,
                evidence=(pod.unscheduled_message or "the scheduler has said nothing of it", *belonging_of(pod)),
                next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}",
                severity=(POD_CREATION_P99_SECONDS if is_stall else POD_CREATION_P95_SECONDS).severity,
            )
    yield from _given_up(facts, _is_unscheduled)


def _worker_starting(facts: Facts) -> Iterator[Finding]:
    for pod in pods_of(facts, PodRole.WORKER):
        age_seconds = seconds_since(pod.created_at, facts.now)
        if pod.phase != "Pending" or age_seconds is None or age_seconds <= WORKER_PENDING_SECONDS.value:
            yield ok(subject_of_pod(pod), pod.phase)
        elif pod.is_unscheduled:
            yield skipped(subject_of_pod(pod), "it has no node; see worker.scheduling")
        elif _failing_images(pod):
            yield skipped(subject_of_pod(pod), "its image cannot be used; see worker.image")
        else:
            yield problem(
                subject_of_pod(pod),
                f"Pending for {lasting(age_seconds)} with a node, so its job does not start",
                since=pod.created_at,
                evidence=(*_waiting(pod), *belonging_of(pod)),
                next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}",
            )
    yield from _given_up(facts, lambda note: not _is_of_image(note) and not _is_unscheduled(note))


def _worker_image(facts: Facts) -> Iterator[Finding]:
    for pod in pods_of(facts, PodRole.WORKER):
        failing = _failing_images(pod)
        for container in failing:
            yield problem(
                subject_of_pod(pod),
                f"the image of {container.name} cannot be used: {container.waiting_reason}",
                since=pod.created_at,
                evidence=(container.waiting_message, *belonging_of(pod)),
                next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}",
            )
        if not failing:
            yield ok(subject_of_pod(pod), "no image has failed")
    yield from _given_up(facts, _is_of_image)


def _worker_evicted(facts: Facts) -> Iterator[Finding]:
    evicted: dict[tuple[str, str], list[PodFact]] = defaultdict(list)
    for pod in pods_of(facts, PodRole.WORKER):
        evicted[pod.namespace, pod.group] += [pod] if pod.phase == "Failed" and pod.reason == _EVICTED else []
    for (namespace, group), pods in evicted.items():
        subject, count = f"{namespace}/{group}", len(pods)
        if not pods:
            yield ok(subject, "no worker lies there evicted")
            continue
        is_many = count >= WORKERS_EVICTED.value
        yield problem(
            subject,
            f"its nodes have evicted {counted(count, 'worker')}; the agent reruns their jobs within budgets",
            since=min((pod.created_at for pod in pods if pod.created_at), default=None),
            evidence=(f"{pods[-1].name}: {pods[-1].message or _EVICTED}", *belonging_of(pods[-1])),
            next_step=f"kubectl describe pod -n {namespace} {pods[-1].name}",
            severity=WORKERS_EVICTED.severity if is_many else Severity.INFO,
        )


def given_up_lately(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Namespace, group and the check that tells of each group whose last worker was given up, with none started."""
    for namespace, group, event in _last_given_up(facts):
        kind = "image" if _is_of_image(event.note) else "scheduling" if _is_unscheduled(event.note) else "starting"
        yield namespace, group, f"worker.{kind}"


def check_of_pending(pod: PodFact) -> str:
    """The check that tells what keeps a worker that is Pending; empty when it is neither its image nor its node."""
    return "worker.image" if _failing_images(pod) else "worker.scheduling" if pod.is_unscheduled else ""


def _failing_images(pod: PodFact) -> list[ContainerFact]:
    return [container for container in pod.containers if container.waiting_reason in IMAGE_REASONS]


def _is_of_image(note: str) -> bool:
    return any(reason in note for reason in IMAGE_REASONS)


def _is_unscheduled(note: str) -> bool:
    return _UNSCHEDULED in note


def _given_up(facts: Facts, is_told_here: Callable[[str], bool]) -> Iterator[Finding]:
    for namespace, group, event in _last_given_up(facts):
        age_seconds = seconds_since(event.at, facts.now)
        if age_seconds is not None and is_told_here(event.note):
            yield problem(
                f"{namespace}/{group}",
                f"its last worker was given up {lasting(age_seconds)} ago without having started",
                since=event.at,
                evidence=(event.note,),
                next_step=f"kubectl describe runnergroup -n {namespace} {group}",
            )


def _last_given_up(facts: Facts) -> Iterator[tuple[str, str, GivenUpFact]]:
    """Of each group whose last worker was deleted before it started, while none has started since.

    Such a pod is gone within seconds when its image does not exist, and nothing but the event is left of it.
    """
    latest: dict[tuple[str, str], GivenUpFact] = {}
    for event in sorted(facts.events.value, key=lambda event: event.at or _LONG_AGO):
        latest[event.namespace, event.group] = event
    for (namespace, group), event in latest.items():
        age_seconds = seconds_since(event.at, facts.now)
        is_recent = age_seconds is not None and age_seconds <= WORKER_GIVEN_UP_SECONDS.value
        if is_recent and not _has_started_since(facts, event):
            yield namespace, group, event


def _has_started_since(facts: Facts, event: GivenUpFact) -> bool:
    workers = (
        pod for pod in pods_of(facts, PodRole.WORKER) if (pod.namespace, pod.group) == (event.namespace, event.group)
    )
    since = event.at or _LONG_AGO
    return any(pod.phase != "Pending" and (pod.created_at or _LONG_AGO) >= since for pod in workers)


def _waiting(pod: PodFact) -> tuple[str, ...]:
    return tuple(
        f"{container.name} waits: {container.waiting_reason} {container.waiting_message}".rstrip()
        for container in pod.containers
        if container.waiting_reason
    )


_PODS = frozenset({Need.PODS})
_PODS_AND_EVENTS = frozenset({Need.PODS, Need.EVENTS})

CHECKS: tuple[Check, ...] = (
    Check(
        "worker.admitted",
        "No group is kept from jobs by refused workers",
        WORKER_REFUSED_SECONDS.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.GROUPS, Need.PODS}),
        _worker_admitted,
        category=Category.WORKERS,
        looks_at="the condition Degraded of every RunnerGroup",
    ),
    Check(
        "worker.scheduling",
        "Every worker finds a node",
        POD_CREATION_P99_SECONDS.severity,
        Scope.TENANT,
        _PODS_AND_EVENTS,
        _worker_scheduling,
        category=Category.WORKERS,
        looks_at="worker pods without a node and what the scheduler says of them, and events of those given up so",
    ),
    Check(
        "worker.starting",
        f"No worker is Pending for over {WORKER_PENDING_SECONDS.value / 60:.0f} min or was given up",
        WORKER_PENDING_SECONDS.severity,
        Scope.TENANT,
        _PODS_AND_EVENTS,
        _worker_starting,
        category=Category.WORKERS,
        looks_at="worker pods that are Pending on a node, and the events of those that were given up there",
    ),
    Check(
        "worker.image",
        "Every worker's image can be used",
        WORKER_IMAGE_FAILING.severity,
        Scope.TENANT,
        _PODS_AND_EVENTS,
        _worker_image,
        category=Category.WORKERS,
        looks_at="the container states of worker pods, and the events of those that were given up",
    ),
    Check(
        "worker.evicted",
        "No worker lies there evicted",
        WORKERS_EVICTED.severity,
        Scope.TENANT,
        _PODS,
        _worker_evicted,
        category=Category.WORKERS,
        looks_at="worker pods that their nodes evicted, for as long as finished pods are kept",
    ),
)
