"""Checks of pods that die: the manager's, agents, proxies, workers."""

from collections.abc import Iterator

from actions_gateway.api import names
from gw.checks.model import Category, Check, Finding, Scope, ok, problem
from gw.checks.wording import counted
from gw.sources.facts import Facts, Need
from gw.sources.pods import CRASH_LOOP, OOM_KILLED, ContainerFact, PodFact, PodRole
from gw_alerts.thresholds import (
    AGENT_CRASH_LOOPING,
    AGENT_OOM_KILLED,
    PLATFORM_POD_DYING,
    WORKER_DYING,
)


def _agent_stable(facts: Facts) -> Iterator[Finding]:
    for pod in pods_of(facts, PodRole.AGENT):
        logs = f"gw logs agent -n {pod.namespace} --previous"
        yield from _deaths(pod, f"; no session is open while {names.AGENT} restarts", next_step=logs)


def _manager_stable(facts: Facts) -> Iterator[Finding]:
    for pod in facts.manager_pods.value:
        yield from _deaths(pod, "; tenants keep running, changes wait", next_step="gw logs manager --previous")


def _proxy_stable(facts: Facts) -> Iterator[Finding]:
    for pod in pods_of(facts, PodRole.PROXY):
        logs = f"gw logs proxy -n {pod.namespace} --previous"
        yield from _deaths(pod, "; tunnels through it are cut", next_step=logs)


def _worker_stable(facts: Facts) -> Iterator[Finding]:
    for pod in pods_of(facts, PodRole.WORKER):
        yield from _deaths(pod, "", next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}")


def _deaths(pod: PodFact, consequence: str, *, next_step: str) -> Iterator[Finding]:
    """A problem for each container that is killed or crash-looping, else that the pod is fine."""
    dying = [(container, how) for container in pod.containers if (how := _death(container))]
    for container, how in dying:
        yield problem(
            subject_of_pod(pod),
            f"its container {container.name} is {how}{consequence}",
            since=container.terminated_at or container.last_ended_at,
            evidence=(counted(container.restart_count, "restart"), container.waiting_message, *belonging_of(pod)),
            next_step=next_step,
            severity=AGENT_CRASH_LOOPING.severity if pod.role is PodRole.AGENT and how == CRASH_LOOP else None,
        )
    if not dying:
        restarts = sum(container.restart_count for container in pod.containers)
        yield ok(subject_of_pod(pod), f"{pod.phase}, {counted(restarts, 'restart')}")


def _death(container: ContainerFact) -> str:
    """OOMKilled or CrashLoopBackOff, now or in the run before; empty when neither.

    A container that was killed for memory and runs again stays a problem: nothing has changed that would keep it from
    happening again, and a new limit makes a new pod.
    """
    if OOM_KILLED in (container.terminated_reason, container.last_reason, container.waiting_reason):
        return OOM_KILLED
    return CRASH_LOOP if container.waiting_reason == CRASH_LOOP else ""


def belonging_of(pod: PodFact) -> Iterator[str]:
    """Whose work the pod does."""
    if pod.group:
        yield f"runner group {pod.group}"
    if pod.job_name:
        yield f"job {pod.job_name} of {pod.repository}"


def pods_of(facts: Facts, role: PodRole) -> Iterator[PodFact]:
    return (pod for pod in facts.pods.value if pod.role is role)


def subject_of_pod(pod: PodFact) -> str:
    return f"{pod.namespace}/{pod.name}"


_PODS = frozenset({Need.PODS})

CHECKS: tuple[Check, ...] = (
    Check(
        "manager.stable",
        "No manager is killed or crash-looping",
        PLATFORM_POD_DYING.severity,
        Scope.PLATFORM,
        frozenset({Need.MANAGER_PODS}),
        _manager_stable,
        category=Category.PLATFORM,
        looks_at="the container states of the manager's pods in gmc-system",
    ),
    Check(
        "proxy.stable",
        "No proxy is killed or crash-looping",
        PLATFORM_POD_DYING.severity,
        Scope.TENANT,
        _PODS,
        _proxy_stable,
        category=Category.PROXY,
        looks_at="the container states of the proxies' pods",
    ),
    Check(
        "agent.stable",
        "No agent is killed or crash-looping",
        AGENT_OOM_KILLED.severity,
        Scope.TENANT,
        _PODS,
        _agent_stable,
        category=Category.GATEWAY,
        looks_at="the container states of the agents' pods",
    ),
    Check(
        "worker.stable",
        "No worker is killed or crash-looping",
        WORKER_DYING.severity,
        Scope.TENANT,
        _PODS,
        _worker_stable,
        category=Category.WORKERS,
        looks_at="the container states of worker pods",
    ),
)
