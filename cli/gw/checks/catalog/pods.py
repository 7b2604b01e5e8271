"""Checks of a tenant's pods: does the agent stay up, do workers start, do they die."""

from collections.abc import Iterator

from actions_gateway.api import names
from actions_gateway.api.conditions import ConditionType
from gw.checks.model import Check, Finding, Scope, ok, problem
from gw.checks.wording import counted, lasting, seconds_since
from gw.sources.facts import Facts, Need
from gw.sources.pods import CRASH_LOOP, OOM_KILLED, ContainerFact, PodFact, PodRole
from gw_alerts.thresholds import (
    AGENT_OOM_KILLED,
    WORKER_DYING,
    WORKER_IMAGE_FAILING,
    WORKER_PENDING_SECONDS,
    WORKER_REFUSED_SECONDS,
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


def _agent_stable(facts: Facts) -> Iterator[Finding]:
    for pod in _pods(facts, PodRole.AGENT):
        logs = f"kubectl logs -n {pod.namespace} deploy/{names.AGENT} --previous --tail=100"
        yield from _deaths(pod, f"; no session is open while {names.AGENT} restarts", next_step=logs)


def _worker_admitted(facts: Facts) -> Iterator[Finding]:
    for group in facts.groups.value:
        subject = f"{group.namespace}/{group.name}"
        refused = group.condition(ConditionType.DEGRADED)
        waited_seconds = seconds_since(refused.since, facts.now) if refused is not None and refused.is_true else None
        if refused is None or waited_seconds is None:
            yield ok(subject, "no claimed job waits for its pod to be admitted")
        elif waited_seconds > WORKER_REFUSED_SECONDS.value:
            yield problem(
                subject,
                f"claimed jobs wait, since their pods are not admitted for {lasting(waited_seconds)}",
                since=refused.since,
                evidence=(refused.message,),
                next_step=f"kubectl describe resourcequota -n {group.namespace}",
            )
        else:
            yield ok(subject, f"claimed jobs wait for admission for {lasting(waited_seconds)}")


def _worker_starting(facts: Facts) -> Iterator[Finding]:
    for pod in _pods(facts, PodRole.WORKER):
        age_seconds = seconds_since(pod.created_at, facts.now)
        if pod.phase == "Pending" and age_seconds is not None and age_seconds > WORKER_PENDING_SECONDS.value:
            yield problem(
                _subject(pod),
                f"Pending for {lasting(age_seconds)}, so its job does not start",
                since=pod.created_at,
                evidence=(pod.unscheduled_message, *_waiting(pod), *_belonging(pod)),
                next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}",
            )
        else:
            yield ok(_subject(pod), pod.phase)


def _worker_image(facts: Facts) -> Iterator[Finding]:
    for pod in _pods(facts, PodRole.WORKER):
        failing = [container for container in pod.containers if container.waiting_reason in IMAGE_REASONS]
        for container in failing:
            yield problem(
                _subject(pod),
                f"the image of {container.name} cannot be used: {container.waiting_reason}",
                since=pod.created_at,
                evidence=(container.waiting_message, *_belonging(pod)),
                next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}",
            )
        if not failing:
            yield ok(_subject(pod), "no image has failed")


def _worker_stable(facts: Facts) -> Iterator[Finding]:
    for pod in _pods(facts, PodRole.WORKER):
        yield from _deaths(pod, "", next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}")


def _deaths(pod: PodFact, consequence: str, *, next_step: str) -> Iterator[Finding]:
    """A problem for each container that is killed or crash-looping, else that the pod is fine."""
    dying = [(container, how) for container in pod.containers if (how := _death(container))]
    for container, how in dying:
        yield problem(
            _subject(pod),
            f"its container {container.name} is {how}{consequence}",
            since=container.terminated_at or container.last_ended_at,
            evidence=(counted(container.restart_count, "restart"), container.waiting_message, *_belonging(pod)),
            next_step=next_step,
        )
    if not dying:
        restarts = sum(container.restart_count for container in pod.containers)
        yield ok(_subject(pod), f"{pod.phase}, {counted(restarts, 'restart')}")


def _death(container: ContainerFact) -> str:
    """OOMKilled or CrashLoopBackOff, now or in the run before; empty when neither.

    A container that was killed for memory and runs again stays a problem: nothing has changed that would keep it from
    happening again, and a new limit makes a new pod.
    """
    if OOM_KILLED in (container.terminated_reason, container.last_reason, container.waiting_reason):
        return OOM_KILLED
    return CRASH_LOOP if container.waiting_reason == CRASH_LOOP else ""


def _waiting(pod: PodFact) -> tuple[str, ...]:
    return tuple(
        f"{container.name} waits: {container.waiting_reason} {container.waiting_message}".rstrip()
        for container in pod.containers
        if container.waiting_reason
    )


def _belonging(pod: PodFact) -> Iterator[str]:
    """Whose work the pod does."""
    if pod.group:
        yield f"runner group {pod.group}"
    if pod.job_name:
        yield f"job {pod.job_name} of {pod.repository}"


def _pods(facts: Facts, role: PodRole) -> Iterator[PodFact]:
    return (pod for pod in facts.pods.value if pod.role is role)


def _subject(pod: PodFact) -> str:
    return f"{pod.namespace}/{pod.name}"


_PODS = frozenset({Need.PODS})

CHECKS: tuple[Check, ...] = (
    Check(
        "agent.stable",
        "No agent is killed or crash-looping",
        AGENT_OOM_KILLED.severity,
        Scope.TENANT,
        _PODS,
        _agent_stable,
    ),
    Check(
        "worker.admitted",
        "No claimed job waits for its pod to be admitted",
        WORKER_REFUSED_SECONDS.severity,
        Scope.TENANT,
        frozenset({Need.GROUPS}),
        _worker_admitted,
    ),
    Check(
        "worker.starting",
        f"No worker pod is Pending for over {WORKER_PENDING_SECONDS.value / 60:.0f} min",
        WORKER_PENDING_SECONDS.severity,
        Scope.TENANT,
        _PODS,
        _worker_starting,
    ),
    Check(
        "worker.image",
        "Every worker's image can be used",
        WORKER_IMAGE_FAILING.severity,
        Scope.TENANT,
        _PODS,
        _worker_image,
    ),
    Check(
        "worker.stable",
        "No worker is killed or crash-looping",
        WORKER_DYING.severity,
        Scope.TENANT,
        _PODS,
        _worker_stable,
    ),
)
