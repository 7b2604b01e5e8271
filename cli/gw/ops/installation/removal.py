"""What there is to remove: tenants, the installation's objects, its namespace, its definitions, and what stays."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from actions_gateway.api.names import MANAGER_LEASE, MANAGER_NAMESPACE
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import Refused
from gw.ops.installation.refusal import RIGHTS_STEP
from gw.ops.installation.snapshot import Identity, Snapshot, gather_ours, gather_snapshot, identity_of
from gw.ops.installation.strangers import gather_strangers
from gw.ops.installation.wanted import resource_for
from gw.sources.cluster import Cluster
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.gathering import gather_gateways, gather_groups, gather_pods
from gw.sources.ownership import gitops_owner, is_ours
from gw.sources.pods import PodRole
from gw.sources.rights import Right, ask_rights
from gw.sources.server import ServerFact

T = TypeVar("T")
Manifest = dict[str, Any]

_SHOWN = 5
_DELETE_STEP = (
    "Remove each with `kubectl delete actionsgateway -n NAMESPACE NAME`, or all of them with --remove-tenants."
)
_LEAVING_STEP = (
    "What is being deleted already goes with --remove-tenants, which waits for the manager, and releases it where none "
    "takes it down."
)


@dataclass(frozen=True, slots=True)
class Removal:
    """Everything that could go."""

    snapshot: Snapshot
    gateways: tuple[GatewayFact, ...] = ()
    groups: tuple[GroupFact, ...] = ()
    running_jobs: int = 0
    objects: tuple[Manifest, ...] = ()
    """In the order in which they go."""
    namespace: Manifest | None = None
    strangers: tuple[Identity, ...] = ()
    """Objects in the namespace that are not the installation's."""
    definitions: tuple[Manifest, ...] = ()

    @property
    def removes_namespace(self) -> bool:
        return self.namespace is not None and not self.strangers

    @property
    def orphans(self) -> tuple[GroupFact, ...]:
        """Runner groups without a gateway beside them."""
        served = {gateway.namespace for gateway in self.gateways}
        return tuple(group for group in self.groups if group.namespace not in served)

    def removed(self, *, keep_crds: bool) -> Iterator[str]:
        """What goes, in its order, one line each."""
        for gateway in self.gateways:
            yield f"ActionsGateway {gateway.namespace}/{gateway.name} with its agent, runner groups and jobs"
        yield from (f"RunnerGroup {group.namespace}/{group.name}" for group in self.orphans)
        yield from (str(identity_of(manifest)) for manifest in self.objects)
        if self.removes_namespace:
            yield f"Namespace {MANAGER_NAMESPACE}"
        if not keep_crds:
            yield from (str(identity_of(manifest)) for manifest in self.definitions)

    def kept(self, *, keep_crds: bool) -> Iterator[str]:
        """What stays, and why."""
        if self.strangers:
            more = f" and {len(self.strangers) - _SHOWN} more" if len(self.strangers) > _SHOWN else ""
            shown = ", ".join(str(each) for each in self.strangers[:_SHOWN])
            yield f"Namespace {MANAGER_NAMESPACE}, which holds what gw did not install: {shown}{more}"
        if keep_crds and self.definitions:
            yield "the custom resource definitions, as asked"
        if self.gateways or self.groups:
            yield "the tenants' namespaces with their Secrets, quotas and whatever else is theirs"


async def gather_removal(cluster: Cluster, server: ServerFact) -> Removal:
    """Reads everything once; raises KubeError."""
    snapshot = await gather_snapshot(cluster, server, crd_manifests())
    pods = await gather_pods(cluster, None)
    namespace = await _namespace(cluster)
    objects = await gather_ours(cluster, server)
    return Removal(
        snapshot=snapshot,
        gateways=await _unless_unserved(gather_gateways(cluster, None)),
        groups=await _unless_unserved(gather_groups(cluster, None)),
        running_jobs=sum(pod.role is PodRole.WORKER and pod.phase in ("Pending", "Running") for pod in pods),
        objects=objects,
        namespace=namespace,
        strangers=await gather_strangers(cluster, objects) if namespace is not None else (),
        definitions=tuple(snapshot.live.values()),
    )


def refuse_removal(removal: Removal, *, remove_tenants: bool) -> None:
    """Raises Refused for what would be brought back by somebody else, or would strand a tenant."""
    for manifest in (*removal.objects, *removal.definitions):
        if owner := gitops_owner(manifest):
            raise Refused(
                f"{owner} keeps the {identity_of(manifest)} and would bring it back",
                "Take Actions Gateway out of the repository that it watches, tenants first, then run this again.",
            )
    if removal.gateways and not remove_tenants:
        names = [f"{gateway.namespace}/{gateway.name}" for gateway in removal.gateways]
        leaving = [gateway.deleted_at is not None for gateway in removal.gateways]
        steps = ([] if all(leaving) else [_DELETE_STEP]) + ([_LEAVING_STEP] if any(leaving) else [])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise Refused(
            f"{len(names)} tenants are still served ({', '.join(names[:_SHOWN])}{more}), and would be stranded"
            if len(names) > 1
            else f"the tenant {names[0]} is still served, and would be stranded",
            " ".join(steps),
        )
    if removal.orphans and not remove_tenants:
        first, others = removal.orphans[0], len(removal.orphans) - 1
        raise Refused(
            f"the RunnerGroup {first.namespace}/{first.name}{f' and {others} more' if others else ''} "
            "without a gateway would be deleted with its jobs",
            "Remove it with `kubectl delete runnergroup -n NAMESPACE NAME`, or all of them with --remove-tenants.",
        )


async def refuse_without_rights(cluster: Cluster, removal: Removal, *, keep_crds: bool) -> None:
    """Raises Refused that names the rights to delete which the caller lacks, or KubeError; nothing is deleted."""
    facts = await ask_rights(cluster, _deletions(removal, keep_crds=keep_crds))
    missing = list(dict.fromkeys(str(fact) for fact in facts if not fact.is_allowed))
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise Refused(f"you may not {', '.join(missing[:_SHOWN])}{more}, and nothing was removed", RIGHTS_STEP)


def _deletions(removal: Removal, *, keep_crds: bool) -> Iterator[Right]:
    """What the removal is going to do, object by object."""
    for gateway in removal.gateways:
        yield Right("delete", r.ACTIONSGATEWAYS, gateway.namespace, gateway.name)
        # Where no manager runs, its finalizer is taken away.
        yield Right("patch", r.ACTIONSGATEWAYS, gateway.namespace, gateway.name)
    for group in removal.groups:
        yield Right("delete", r.RUNNERGROUPS, group.namespace, group.name)
    going = [*removal.objects, *(removal.definitions if not keep_crds else ())]
    if removal.namespace is not None and removal.removes_namespace:
        going.append(removal.namespace)
    elif removal.namespace is not None:
        yield Right("delete", r.LEASES, MANAGER_NAMESPACE, MANAGER_LEASE)
    for manifest in going:
        identity = identity_of(manifest)
        yield Right("delete", resource_for(manifest), identity.namespace, identity.name)


async def _unless_unserved(read: Awaitable[tuple[T, ...]]) -> tuple[T, ...]:
    """What is read, or nothing when the cluster does not serve that type."""
    try:
        return await read
    except errors.NotFound:
        return ()


async def _namespace(cluster: Cluster) -> Manifest | None:
    """The manager's namespace, unless somebody else made it and nothing marks it as ours."""
    try:
        namespace = await cluster.get(r.NAMESPACES, MANAGER_NAMESPACE)
    except errors.NotFound:
        return None
    return namespace if is_ours(namespace) else None
