"""What an installation needs of a cluster, as facts: rights, policies, Pod Security, network, metrics, a free place.

Nothing here writes: what can only be tried is tried as a dry run.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE
from actions_gateway.installation.manifests import crd_manifests, installation_manifests
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster, one_line
from gw.sources.definitions import DefinitionFact, parse_definition
from gw.sources.ownership import UPSTREAM_WEBHOOK, upstream_marks
from gw.sources.server import METRICS_GROUP

Manifest = Mapping[str, Any]

_AT_ONCE = 16
_VERBS = ("get", "list", "create", "patch", "delete")
"""Reading, server-side apply, and the removal of what a later release does not have."""
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


@dataclass(frozen=True, slots=True)
class PolicyFact:
    """One admission policy of this release beside what the cluster has."""

    name: str
    exists: bool = True
    is_changed: bool = False
    """Whether its rules are not this release's."""
    missing_bindings: tuple[str, ...] = ()
    missing_actions: tuple[str, ...] = ()
    """What a binding should do and does not, such as Deny."""


@dataclass(frozen=True, slots=True)
class NetworkFact:
    """The network plugins that were recognized, by what they do with NetworkPolicies."""

    enforcing: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


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


async def gather_rights(cluster: Cluster) -> tuple[RightFact, ...]:
    """Whether the caller has each right, as the server itself answers it."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(verb: str, resource: r.Resource, namespace: str) -> RightFact:
        async with gate:
            return RightFact(
                verb, resource.group, resource.plural, namespace, await _may(cluster, verb, resource, namespace)
            )

    return tuple(await asyncio.gather(*(ask(*right) for right in _needed_rights())))


async def gather_policies(cluster: Cluster) -> tuple[PolicyFact, ...]:
    """This release's admission policies beside the cluster's."""
    manifests = installation_manifests()
    bindings = [each for each in manifests if each["kind"] == r.ADMISSIONPOLICYBINDINGS.kind]
    policies = [each for each in manifests if each["kind"] == r.ADMISSIONPOLICIES.kind]
    return tuple(await asyncio.gather(*(_policy(cluster, policy, bindings) for policy in policies)))


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
    """The plugins that the names of DaemonSets tell."""
    names = {str(each["metadata"]["name"]) for each in daemonsets}

    def found(table: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(words for name, words in table.items() if name in names)

    return NetworkFact(found(ENFORCING_PLUGINS), found(IDLE_PLUGINS), found(UNSURE_PLUGINS))


def _needed_rights() -> Iterator[tuple[str, r.Resource, str]]:
    """Each verb on each kind that an installation consists of."""
    resources = [r.resource_of(each["apiVersion"], each["kind"]) for each in installation_manifests()]
    for resource in dict.fromkeys(each for each in resources if each is not None):
        for verb in _VERBS:
            yield verb, resource, MANAGER_NAMESPACE if resource.namespaced else ""
    # Without these two, the server lets nobody make a role that holds more than its maker does.
    yield "escalate", r.CLUSTERROLES, ""
    yield "bind", r.CLUSTERROLES, ""


async def _may(cluster: Cluster, verb: str, resource: r.Resource, namespace: str) -> bool:
    attributes = {"verb": verb, "group": resource.group, "resource": resource.plural, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    answer = await cluster.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    return bool((answer.get("status") or {}).get("allowed"))


async def _policy(cluster: Cluster, wanted: Manifest, bindings: Sequence[Manifest]) -> PolicyFact:
    name = str(wanted["metadata"]["name"])
    live = await _get(cluster, r.ADMISSIONPOLICIES, name)
    if live is None:
        return PolicyFact(name, exists=False)
    missing_bindings: list[str] = []
    missing_actions: list[str] = []
    for binding in (each for each in bindings if each["spec"]["policyName"] == name):
        bound = await _get(cluster, r.ADMISSIONPOLICYBINDINGS, binding["metadata"]["name"])
        if bound is None or (bound.get("spec") or {}).get("policyName") != name:
            missing_bindings.append(str(binding["metadata"]["name"]))
        else:
            actions = set(bound["spec"].get("validationActions") or [])
            missing_actions += [each for each in binding["spec"]["validationActions"] if each not in actions]
    return PolicyFact(
        name,
        is_changed=_rules(live) != _rules(wanted),
        missing_bindings=tuple(missing_bindings),
        missing_actions=tuple(missing_actions),
    )


def _rules(policy: Manifest) -> tuple[Any, ...]:
    """What a policy refuses, and what becomes of an object when the policy itself fails."""
    spec = policy.get("spec") or {}
    expressions = tuple(str(each.get("expression")) for each in spec.get("validations") or [])
    conditions = tuple(str(each.get("expression")) for each in spec.get("matchConditions") or [])
    return expressions, conditions, spec.get("failurePolicy") or "Fail"


async def _get(cluster: Cluster, resource: r.Resource, name: str, namespace: str | None = None) -> Manifest | None:
    try:
        return await cluster.get(resource, name, namespace)
    except errors.NotFound:
        return None
