"""What there is of a tenant to remove, and in which steps: a pure decision over what was found."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actions_gateway.api import labels
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.wording import counted
from gw.errors import Refused
from gw.ops.changes.plan import Plan, Step, change_step, delete_step, unchanged_step
from gw.ops.keys.manifests import BY_GW
from gw.ops.namespaces import can_be_tenant
from gw.ops.tenancy.following import LIVE_PHASES
from gw.ops.tenants import ServedGateway, groups_of, not_a_tenant, read_served, reading_types
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import GroupFact
from gw.sources.gathering import gather_groups, gather_pods
from gw.sources.ownership import gitops_owner, labels_of
from gw.sources.pods import PodFact, PodRole

Manifest = Mapping[str, Any]

_SHOWN = 4
_OTHERS = (
    r.DEPLOYMENTS,
    r.STATEFULSETS,
    r.DAEMONSETS,
    r.CRONJOBS,
    r.JOBS,
    r.PERSISTENTVOLUMECLAIMS,
    r.SERVICES,
)
"""Kinds that people would miss, were they in a tenant's namespace by mistake or by design."""
_OURS = frozenset({BY_GW, labels.BY_MANAGER, labels.BY_AGENT})


@dataclass(frozen=True, slots=True)
class Found:
    """A tenant as it stands before it goes; `served` is None where an earlier run has removed its gateway."""

    namespace: Manifest | None
    """None for one that the caller may not read, or that is gone."""
    served: ServedGateway | None = None
    others: tuple[Manifest, ...] = ()
    """Gateways beside the served one."""
    groups: tuple[GroupFact, ...] = ()
    workers: tuple[PodFact, ...] = ()
    """Pods of jobs that have not ended."""
    has_agent: bool = False
    strangers: tuple[str, ...] = ()
    """What else lives in the namespace, by kind and name."""
    unseen: str = ""
    """Why it is not known what else does."""
    is_absent: bool = False
    """No namespace of that name exists: an earlier run has ended, or there never was one."""

    @property
    def is_made_by_gw(self) -> bool:
        return self.namespace is not None and labels_of(self.namespace).get(labels.MANAGED_BY) == BY_GW


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to be done."""

    plan: Plan
    drains: bool
    """Whether running jobs are waited for first."""
    takes_namespace: bool


async def gather_removal(cluster: Cluster, namespace: str) -> Found:
    """Reads everything once; raises Refused when a namespace of that name neither is a tenant nor was one."""
    place: Manifest | None = None
    is_absent = False
    with asking(f"read the namespace {namespace}"):
        try:
            place = await cluster.get(r.NAMESPACES, namespace)
        except errors.NotFound:
            is_absent = can_be_tenant(namespace)
        except errors.Forbidden:
            pass  # Whoever may not see it may still see the gateway in it.
    with reading_types(f"read the tenant {namespace}"):
        gateways = (await cluster.list(r.ACTIONSGATEWAYS, namespace)).items
        if not gateways:
            if is_absent:
                return Found(None, is_absent=True)
            if place is None or not _was_tenant(place):
                raise await not_a_tenant(cluster, namespace)
            strangers, unseen = await _strangers(cluster, namespace)
            return Found(place, strangers=strangers, unseen=unseen)
        served = await read_served(cluster, namespace)
        groups, pods, (strangers, unseen) = await asyncio.gather(
            gather_groups(cluster, namespace), gather_pods(cluster, namespace), _strangers(cluster, namespace)
        )
    name = served.fact.name
    return Found(
        place,
        served,
        tuple(each for each in gateways if each["metadata"]["name"] != name),
        groups_of(served.fact, groups),
        tuple(pod for pod in pods if pod.role is PodRole.WORKER and pod.phase in LIVE_PHASES),
        any(pod.role is PodRole.AGENT and pod.is_ready for pod in pods),
        strangers,
        unseen,
    )


def decide_removal(found: Found, namespace: str, *, is_forced: bool, keeps_namespace: bool) -> Removal:
    """The plan in its order; raises Refused for what a GitOps controller would bring back."""
    takes_namespace = found.is_made_by_gw and not keeps_namespace
    drains = not is_forced and found.served is not None and not found.served.fact.wants_no_agent
    steps = tuple(_steps(found, drains=drains, takes_namespace=takes_namespace))
    _refuse_kept(steps, takes_namespace=takes_namespace)
    consequences = [*_jobs(found, drains=drains), *_rest(found, namespace, takes_namespace=takes_namespace)]
    unseen = (found.unseen,) if takes_namespace and found.unseen else ()
    return Removal(Plan(namespace, steps, tuple(consequences), unseen), drains, takes_namespace)


def told_job(pod: PodFact) -> str:
    """A running job in a few words."""
    run = f" (run {pod.run_id})" if pod.run_id else ""
    return f"{pod.job_name or pod.name} of {pod.repository}{run}" if pod.repository else pod.job_name or pod.name


def enumerated(words: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _was_tenant(namespace: Manifest) -> bool:
    marks = labels_of(namespace)
    return marks.get(labels.MANAGED_BY) == BY_GW or marks.get(labels.TENANT) == labels.TENANT_MARK


def _steps(found: Found, *, drains: bool, takes_namespace: bool) -> Iterator[Step]:
    if found.served is not None:
        live = found.served.live
        if drains:
            yield change_step(
                live, {"spec": {"paused": True}}, "paused, so that running jobs end and no new one begins"
            )
        # The others first, or one of them would be served in its place.
        for manifest in (*found.others, live):
            is_leaving = "deletionTimestamp" in manifest["metadata"]
            yield unchanged_step(manifest, "goes already") if is_leaving else delete_step(manifest, _contents(found))
    if found.namespace is not None and takes_namespace:
        if "deletionTimestamp" in found.namespace["metadata"]:
            yield unchanged_step(found.namespace, "goes already")
        else:
            yield delete_step(found.namespace, "with everything in it")


def _contents(found: Found) -> str:
    return f"with agent, proxies and {counted(len(found.groups), 'runner group')}"


def _refuse_kept(steps: tuple[Step, ...], *, takes_namespace: bool) -> None:
    for step in steps:
        if step.live and (owner := gitops_owner(step.live)):
            is_namespace = step.resource == r.NAMESPACES
            raise Refused(
                f"{owner} keeps the {step} and would bring it back",
                "Take it out of the repository that it watches, then run this again"
                + (", or keep it with --keep-namespace." if is_namespace and takes_namespace else "."),
            )


def _jobs(found: Found, *, drains: bool) -> Iterator[str]:
    if found.served is None:
        return
    running = [told_job(pod) for pod in found.workers]
    count = counted(len(running), "running job") + (" is" if len(running) == 1 else " are")
    if drains:
        words = f"{count} waited for: {enumerated(running)}" if running else "No job runs now"
        yield f"{words}; what GitHub has queued stays there, for a day at most"
        return
    if running:
        yield (
            f"{count} cut off ({enumerated(running)}): pods go at once, GitHub cancels such jobs about 10 min after "
            "their last renewal, and nothing reruns them"
        )
    left = [group.registrations for group in found.groups]
    number = "an unknown number of" if None in left or not left else str(sum(each or 0 for each in left))
    if number != "0":
        why = "" if found.has_agent else ": no agent is ready to sign them off"
        yield (
            f"Up to {number} runners stay registered at GitHub, offline and for a day at most, where the agent does "
            f"not sign them off in time{why}"
        )


def _rest(found: Found, namespace: str, *, takes_namespace: bool) -> Iterator[str]:
    if takes_namespace:
        others = f", also {enumerated(list(found.strangers))}" if found.strangers else ""
        yield f"The namespace {namespace} goes with its Secrets, quotas and everything else in it{others}"
    elif found.namespace is not None and not found.is_made_by_gw:
        yield f"The namespace {namespace} stays with its Secrets and quotas, since gw did not make it"
    else:
        yield f"The namespace {namespace} stays with its Secrets and quotas"
    if found.served is not None:
        yield (
            f"It cannot be undone; `kubectl get actionsgateway -n {namespace} -o yaml` tells before what it takes to "
            "make it again"
        )


async def _strangers(cluster: Cluster, namespace: str) -> tuple[tuple[str, ...], str]:
    """What is neither the gateway's nor gw's, and owned by nothing; and why that is not known."""
    try:
        pages = await asyncio.gather(*(cluster.list(resource, namespace) for resource in _OTHERS))
    except errors.KubeError:
        return (), "what else is in the namespace: you may not read all of it"
    found = [
        f"{resource.kind} {item['metadata']['name']}"
        for resource, page in zip(_OTHERS, pages, strict=True)
        for item in page.items
        if not item["metadata"].get("ownerReferences") and labels_of(item).get(labels.MANAGED_BY) not in _OURS
    ]
    return tuple(found), ""
