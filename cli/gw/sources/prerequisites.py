"""What an installation needs of a cluster, as facts: definitions, Pod Security, network, metrics, a free place.

Nothing here writes: what can only be tried is tried as a dry run.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster, one_line
from gw.sources.definitions import DefinitionFact, parse_definition
from gw.sources.ownership import UPSTREAM_WEBHOOK, upstream_marks
from gw.sources.server import METRICS_GROUP

Manifest = Mapping[str, Any]

_ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"

ENFORCING_PLUGINS: Mapping[str, str] = {
    "calico-node": "Calico",
    "canal": "Canal",
    "cilium": "Cilium",
    "anetd": "GKE Dataplane V2",
    "antrea-agent": "Antrea",
    "ovnkube-node": "OVN-Kubernetes",
    "ovs-ovn": "Kube-OVN",
    "kube-router": "kube-router",
    "kube-network-policies": "kube-network-policies",
    "weave-net": "Weave Net",
    "azure-npm": "Azure NPM",
}
"""DaemonSets of network plugins that enforce NetworkPolicies, by the names of their own manifests."""
IDLE_PLUGINS: Mapping[str, str] = {"kube-flannel-ds": "Flannel"}
"""Those that do not."""
UNSURE_PLUGINS: Mapping[str, str] = {
    "kindnet": "kindnet, which enforces them since kind 0.24",
    "aws-node": "the AWS VPC plugin, which enforces them when its network policy agent is on",
}
"""Those that do by version or setting, which a DaemonSet does not tell for sure."""


@dataclass(frozen=True, slots=True)
class NetworkFact:
    """The network plugins that were recognized, by what they do with NetworkPolicies."""

    enforcing: tuple[str, ...] = ()
    """With a ready pod on every node that they are meant for."""
    idle: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    """Those that would enforce, and where not all of their pods do: as `Cilium has 0 of 3 pods ready`."""


@dataclass(frozen=True, slots=True)
class MetricsFact:
    """The resource metrics API: registered, and whether it answers."""

    is_registered: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PlaceFact:
    """What stands where an installation goes, beside its definitions."""

    upstream_marks: tuple[str, ...] = ()
    is_namespace_going: bool = False


async def gather_definitions(cluster: Cluster) -> tuple[DefinitionFact, ...]:
    """This release's definitions beside the cluster's."""
    wanted = crd_manifests()
    live = await asyncio.gather(*(_get(cluster, r.CRDS, manifest["metadata"]["name"]) for manifest in wanted))
    return tuple(parse_definition(manifest, each) for manifest, each in zip(wanted, live, strict=True))


async def gather_pod_security(cluster: Cluster) -> bool:
    """Whether the PodSecurity admission plugin is on: it refuses a namespace with a level that does not exist.

    Source: Kubernetes, staging/src/k8s.io/pod-security-admission, ValidateNamespace.
    """
    namespace = {"metadata": {"generateName": "gw-check-", "labels": {_ENFORCE_LABEL: "no-such-level"}}}
    try:
        await cluster.create(r.NAMESPACES, namespace, dry_run=True)
    except errors.Invalid as problem:
        if _ENFORCE_LABEL in problem.message:
            return True
        raise
    return False


async def gather_network(cluster: Cluster) -> NetworkFact:
    """The network plugins among the cluster's DaemonSets."""
    return parse_network((await cluster.list(r.DAEMONSETS)).items)


async def gather_metrics(cluster: Cluster) -> MetricsFact:
    """Whether the resource metrics API answers."""
    try:
        await cluster.request("GET", f"/apis/{METRICS_GROUP}/v1beta1")
    except errors.NotFound:
        return MetricsFact(is_registered=False)
    except errors.ServerError as problem:
        return MetricsFact(is_registered=True, problem=one_line(problem.message))
    return MetricsFact(is_registered=True)


async def gather_place(cluster: Cluster) -> PlaceFact:
    """Marks of the upstream project, and whether the manager's namespace is on its way out."""
    namespace, webhook, deployment = await asyncio.gather(
        _get(cluster, r.NAMESPACES, MANAGER_NAMESPACE),
        _get(cluster, r.VALIDATINGWEBHOOKS, UPSTREAM_WEBHOOK),
        _get(cluster, r.DEPLOYMENTS, MANAGER, MANAGER_NAMESPACE),
    )
    marks = [f"{r.VALIDATINGWEBHOOKS.kind} {UPSTREAM_WEBHOOK}"] if webhook else []
    marks += [f"{r.DEPLOYMENTS.kind} {MANAGER} has the {mark}" for mark in upstream_marks(deployment or {})]
    return PlaceFact(tuple(marks), bool(namespace and namespace["metadata"].get("deletionTimestamp")))


def parse_network(daemonsets: Sequence[Manifest]) -> NetworkFact:
    """The plugins that DaemonSets tell by their names; one enforces only where all of its pods are ready."""
    named: dict[str, list[Manifest]] = {}
    for each in daemonsets:
        named.setdefault(str(each["metadata"]["name"]), []).append(each)
    there = {name: words for name, words in ENFORCING_PLUGINS.items() if name in named}
    return NetworkFact(
        enforcing=tuple(words for name, words in there.items() if any(map(_is_complete, named[name]))),
        idle=_found(IDLE_PLUGINS, named),
        unsure=_found(UNSURE_PLUGINS, named),
        unready=tuple(
            f"{words} has {_pods(named[name][0])}"
            for name, words in there.items()
            if not any(map(_is_complete, named[name]))
        ),
    )


def _found(table: Mapping[str, str], names: Iterable[str]) -> tuple[str, ...]:
    there = set(names)
    return tuple(words for name, words in table.items() if name in there)


def _is_complete(daemonset: Manifest) -> bool:
    ready, wanted = _counts(daemonset)
    return wanted > 0 and ready == wanted


def _pods(daemonset: Manifest) -> str:
    ready, wanted = _counts(daemonset)
    return f"{ready} of {wanted} pods ready" if wanted else "no pod anywhere"


def _counts(daemonset: Manifest) -> tuple[int, int]:
    """Pods that are ready, and nodes that should have one."""
    status = daemonset.get("status") or {}
    return int(status.get("numberReady") or 0), int(status.get("desiredNumberScheduled") or 0)


async def _get(cluster: Cluster, resource: r.Resource, name: str, namespace: str | None = None) -> Manifest | None:
    try:
        return await cluster.get(resource, name, namespace)
    except errors.NotFound:
        return None
