"""The rights that installing and removing take, and whether the caller has them, as the server itself answers it."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster
from gw.sources.server import gather_server

_AT_ONCE = 16
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_VERBS = ("get", "list", "create", "patch", "delete")
"""Reading, server-side apply, and the removal of what a later release does not have."""

MONITORING_KINDS = (r.SERVICEMONITORS, r.PODMONITORS, r.PROMETHEUSRULES, r.GRAFANADASHBOARDS)
"""Kinds of operators, which an installation takes along where they are served."""
NAMESPACE_CONTENT: tuple[r.Resource, ...] = (
    r.DEPLOYMENTS,
    r.DAEMONSETS,
    r.STATEFULSETS,
    r.CRONJOBS,
    r.REPLICASETS,
    r.JOBS,
    r.PODS,
    r.SERVICES,
    r.CONFIGMAPS,
    r.SECRETS,
    r.PERSISTENTVOLUMECLAIMS,
    r.SERVICEACCOUNTS,
)
"""What is looked for before the manager's namespace goes; owners stand before what they own."""


@dataclass(frozen=True, slots=True)
class Right:
    """One right: a verb on a kind, in a namespace, on one object when that is named."""

    verb: str
    resource: r.Resource
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class RightFact:
    """One right that an installation takes, and whether the caller has it."""

    verb: str
    group: str
    plural: str
    namespace: str
    is_allowed: bool

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.plural}{f'.{self.group}' if self.group else ''}{where}"


async def gather_rights(cluster: Cluster) -> tuple[RightFact, ...]:
    """Whether the caller has each right that an installation takes; raises KubeError."""
    server = await gather_server(cluster)
    return await ask_rights(cluster, needed_rights(server.groups))


async def ask_rights(cluster: Cluster, rights: Iterable[Right]) -> tuple[RightFact, ...]:
    """The server's answers, in order; raises KubeError."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(right: Right) -> RightFact:
        async with gate:
            allowed = await _may(cluster, right)
        return RightFact(right.verb, right.resource.group, right.resource.plural, right.namespace, allowed)

    return tuple(await asyncio.gather(*(ask(right) for right in dict.fromkeys(rights))))


def needed_rights(served_groups: Collection[str]) -> Iterator[Right]:
    """Everything that `gw install`, `gw check` and `gw uninstall` ask the server for; `served_groups` decide on
    monitoring."""
    written = [r.resource_of(each["apiVersion"], each["kind"]) for each in installation_manifests()]
    kinds = [each for each in written if each is not None]
    kinds += [each for each in MONITORING_KINDS if each.group in served_groups]
    # The Service is for the monitors, and looked for and removed without them, too.
    for resource in dict.fromkeys([*kinds, r.SERVICES]):
        for verb in _VERBS:
            yield Right(verb, resource, MANAGER_NAMESPACE if resource.namespaced else "")
    # Without these two, the server lets nobody make a role, or bind one, that holds more than its maker does.
    for verb in ("escalate", "bind"):
        yield Right(verb, r.CLUSTERROLES)
        yield Right(verb, r.ROLES, MANAGER_NAMESPACE)
    yield from _looks()
    yield from _removals()


def _looks() -> Iterator[Right]:
    """What is read beside what is written: upstream's webhook, the leader, pods, and what else lives beside them."""
    yield Right("get", r.VALIDATINGWEBHOOKS)
    yield Right("get", r.LEASES, MANAGER_NAMESPACE)
    yield Right("list", r.PODS)
    yield Right("get", r.PODS, MANAGER_NAMESPACE)
    for resource in NAMESPACE_CONTENT:
        yield Right("list", resource, MANAGER_NAMESPACE)


def _removals() -> Iterator[Right]:
    """What a removal takes beside the installation's own kinds: tenants, and the leader's lease."""
    for resource in (r.ACTIONSGATEWAYS, r.RUNNERGROUPS):
        yield Right("list", resource)
        yield Right("delete", resource)
    yield Right("patch", r.ACTIONSGATEWAYS)
    yield Right("delete", r.LEASES, MANAGER_NAMESPACE)


async def _may(cluster: Cluster, right: Right) -> bool:
    attributes = {
        "verb": right.verb,
        "group": right.resource.group,
        "resource": right.resource.plural,
        "namespace": right.namespace,
        "name": right.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    answer = await cluster.request("POST", _REVIEWS, body=review)
    return bool((answer.get("status") or {}).get("allowed"))
