"""Which pods and containers a request for logs means."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gw.checks.wording import counted
from gw.errors import Blind, GwError, Refused
from gw.ops.logs.request import Filter, LogRequest
from gw.ops.tenants import not_a_tenant, reading_types
from gw.sources.cluster import Cluster, asking
from gw.sources.gathering import gather_gateways, gather_manager_pods, gather_pods
from gw.sources.jobs import JobReference
from gw.sources.logs import LogSource
from gw.sources.pods import CRASH_LOOP, ContainerFact, PodFact, PodRole


@dataclass(frozen=True, slots=True)
class Selected:
    """The pods whose logs are meant, and those of the job that was named beside them."""

    pods: tuple[PodFact, ...]
    workers: tuple[PodFact, ...] = ()

    @property
    def containers(self) -> dict[LogSource, ContainerFact]:
        return {
            LogSource(pod.namespace, pod.name, container.name): container
            for pod in self.pods
            for container in pod.containers
        }


async def select(cluster: Cluster, request: LogRequest) -> Selected:
    """The pods that are meant, which may be none; raises GwError."""
    if request.target is PodRole.MANAGER:
        with asking("list the manager's pods"):
            pods = await gather_manager_pods(cluster)
        return Selected(pods)
    with reading_types("read the logs"):
        if request.namespace is not None and not await gather_gateways(cluster, request.namespace):
            raise await not_a_tenant(cluster, request.namespace)
        pods = await gather_pods(cluster, request.namespace)
    workers = tuple(pod for pod in pods if request.job is not None and _is_meant(pod, request.job))
    if isinstance(request.target, JobReference):
        chosen = tuple(pod for pod in pods if _is_meant(pod, request.target))
    elif request.target is PodRole.WORKER and request.job is not None:
        chosen = workers
    else:
        chosen = tuple(pod for pod in pods if pod.role is request.target)
    return Selected(chosen, workers)


def nothing(request: LogRequest) -> GwError:
    """What to say when no pod is meant."""
    reference, tenant = request.reference, request.namespace
    if reference is not None and request.target in (reference, PodRole.WORKER):
        where = f"in {tenant}" if tenant else "in any tenant"
        if close := difflib.get_close_matches(reference.text, list(PodRole), n=1):
            return Refused(f"no worker of {reference.text} is {where}", f"Did you mean `gw logs {close[0]}`?")
        return Refused(
            f"no worker of {reference.text} is {where}",
            "See what runs with `gw job list`; what a job printed before its worker went is at GitHub.",
        )
    match request.target:
        case PodRole.MANAGER:
            return Blind("the manager has no pod, so there is no log", "See why: `gw health --check manager.running`.")
        case PodRole.WORKER:
            return Refused(f"{tenant} has no worker now", f"See what waits with `gw job list {tenant}`.")
        case _:
            return Blind(f"{tenant} has no {request.target} pod, so there is no log", f"See why: `gw health {tenant}`.")


def filter_of(request: LogRequest, selected: Selected) -> Filter:
    """Which lines pass; in another component's log a job is known by its run and by its workers."""
    words: list[str] = []
    if request.job is not None and request.target is not PodRole.WORKER:
        job = request.job
        words = [str(job.run_id) if job.run_id is not None else job.pod]
        words += [name for pod in selected.workers for name in (pod.name, pod.runner) if name]
    patterns = tuple(re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in dict.fromkeys(words))
    return Filter(request.level, request.text, patterns)


def has_log(container: ContainerFact, *, previous: bool = False) -> bool:
    """Whether the container has ever run; for `previous`, whether it has more than once."""
    if previous:
        return container.restart_count > 0
    return not container.waiting_reason or container.restart_count > 0 or bool(container.last_reason)


def is_running(container: ContainerFact) -> bool:
    return not container.waiting_reason and not container.terminated_reason


def state_notes(request: LogRequest, selected: Selected) -> Iterator[str]:
    """What the reader has to know of the containers: those that have not started, and those that start again."""
    for source, container in selected.containers.items():
        place = f"{source.container} of {source.pod}"
        if not has_log(container):
            words = " ".join(filter(None, (container.waiting_reason, container.waiting_message)))
            yield f"{place} has not started: {words}"
        elif container.restart_count and not request.previous:
            now = f" and is in {CRASH_LOOP}" if container.waiting_reason == CRASH_LOOP else ""
            why = f", last after {container.last_reason}" if container.last_reason else ""
            yield (
                f"{place} was restarted {counted(container.restart_count, 'time')}{why}{now}; "
                "what it wrote before its last start: --previous"
            )
    for pod in selected.pods:
        if not pod.containers:
            yield f"{pod.name} has not started{f': {pod.unscheduled_message}' if pod.unscheduled_message else ''}"


def _is_meant(pod: PodFact, reference: JobReference) -> bool:
    if reference.run_id is None:
        return pod.name == reference.pod
    return (
        pod.role is PodRole.WORKER
        and pod.run_id == str(reference.run_id)
        and reference.repository.lower() in ("", pod.repository.lower())
    )
