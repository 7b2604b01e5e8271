"""What there is to remove: tenants, the installation's objects, its namespace, its definitions, and what stays."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import Refused
from gw.ops.installation.snapshot import Identity, Snapshot, gather_ours, gather_snapshot, identity_of
from gw.sources.cluster import Cluster
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.gathering import gather_gateways, gather_groups, gather_pods
from gw.sources.ownership import gitops_owner, is_ours
from gw.sources.pods import PodRole
from gw.sources.server import ServerFact

T = TypeVar("T")
Manifest = dict[str, Any]

_SERVERS_OWN_CONFIGMAP = "kube-root-ca.crt"
"""In every namespace (Kubernetes docs, root CA publication)."""
_SHOWN = 5


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
    def is_empty(self) -> bool:
        return not (self.gateways or self.groups or self.objects or self.namespace or self.definitions)

    @property
    def removes_namespace(self) -> bool:
        return self.namespace is not None and not self.strangers

    def removed(self, *, keep_crds: bool) -> Iterator[str]:
        """What goes, in its order, one line each."""
        for gateway in self.gateways:
            yield f"ActionsGateway {gateway.namespace}/{gateway.name} with its agent, runner groups and jobs"
        for group in self.groups:
            if not any(group.namespace == gateway.namespace for gateway in self.gateways):
                yield f"RunnerGroup {group.namespace}/{group.name}"
        yield from (str(identity_of(manifest)) for manifest in self.objects)
        if self.removes_namespace:
            yield f"Namespace {MANAGER_NAMESPACE}"
        if not keep_crds:
            yield from (str(identity_of(manifest)) for manifest in self.definitions)

    def kept(self, *, keep_crds: bool) -> Iterator[str]:
        """What stays, and why."""
        if self.strangers:
            shown = ", ".join(str(each) for each in self.strangers[:_SHOWN])
            yield f"Namespace {MANAGER_NAMESPACE}, which holds what gw did not install: {shown}"
        if keep_crds and self.definitions:
            yield "the custom resource definitions, as asked"
        if self.gateways:
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
        strangers=await _strangers(cluster, objects) if namespace is not None else (),
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
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise Refused(
            f"{len(names)} tenants are still served ({', '.join(names[:_SHOWN])}{more}), and would be stranded"
            if len(names) > 1
            else f"the tenant {names[0]} is still served, and would be stranded",
            "Remove each with `kubectl delete actionsgateway -n NAMESPACE NAME`, or all of them with --remove-tenants.",
        )


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


async def _strangers(cluster: Cluster, objects: tuple[Manifest, ...]) -> tuple[Identity, ...]:
    """Workloads, Services and settings that nobody may lose by an uninstallation."""
    known = {identity_of(manifest) for manifest in objects}
    found: list[Identity] = []
    for resource in (r.DEPLOYMENTS, r.DAEMONSETS, r.SERVICES, r.CONFIGMAPS):
        items = (await cluster.list(resource, MANAGER_NAMESPACE)).items
        found += [identity_of(item) for item in items if item["metadata"]["name"] != _SERVERS_OWN_CONFIGMAP]
    return tuple(identity for identity in found if identity not in known)
