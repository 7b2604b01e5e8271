"""This release's admission policies beside the cluster's, as facts.

A policy that was emptied looks like one that is there, so every field of its specification is compared, and of its
binding everything that decides whether it refuses.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions_gateway.installation.policies.catalog import policy_manifests
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from actions_gateway.settings import TenantNamespaces
from gw.sources.cluster import Cluster
from gw.sources.settings import gather_settings

Manifest = Mapping[str, Any]

_NARROWING = ("matchResources", "paramRef")
"""Fields of a binding that this release leaves out: each takes objects away from the policy."""


@dataclass(frozen=True, slots=True)
class PolicyFact:
    """One admission policy of this release beside what the cluster has."""

    name: str
    exists: bool = True
    changed_fields: tuple[str, ...] = ()
    """Fields that are not this release's, as `spec.variables` or `binding.spec.matchResources`."""
    missing_bindings: tuple[str, ...] = ()
    missing_actions: tuple[str, ...] = ()
    """What a binding should do and does not, such as Deny."""
    is_mode_unknown: bool = False
    """Whether its rules are right depends on which namespaces the manager serves, and the manager does not tell."""


async def gather_policies(cluster: Cluster) -> tuple[PolicyFact, ...]:
    """The facts of each policy, in the mode that the manager runs in; raises KubeError."""
    mode = (await gather_settings(cluster)).tenant_namespaces
    found: dict[str, PolicyFact] = {}
    for each in [mode] if mode else list(TenantNamespaces):
        for fact in await _gather_for(cluster, each):
            known = found.setdefault(fact.name, fact)
            if known.changed_fields != fact.changed_fields:
                found[fact.name] = _either(known, fact)
    return tuple(found.values())


async def _gather_for(cluster: Cluster, mode: TenantNamespaces) -> Sequence[PolicyFact]:
    manifests = policy_manifests(mode)
    bindings = [each for each in manifests if each["kind"] == r.ADMISSIONPOLICYBINDINGS.kind]
    policies = [each for each in manifests if each["kind"] == r.ADMISSIONPOLICIES.kind]
    return await asyncio.gather(*(_gather(cluster, policy, bindings) for policy in policies))


def _either(one: PolicyFact, other: PolicyFact) -> PolicyFact:
    """Right in one of the modes, and nobody knows whether it is the one that is meant."""
    fitting = next((fact for fact in (one, other) if not fact.changed_fields), None)
    if fitting is None:
        return one
    return PolicyFact(
        one.name,
        missing_bindings=one.missing_bindings,
        missing_actions=one.missing_actions,
        is_mode_unknown=True,
    )


async def _gather(cluster: Cluster, wanted: Manifest, bindings: Sequence[Manifest]) -> PolicyFact:
    name = str(wanted["metadata"]["name"])
    live = await _get(cluster, r.ADMISSIONPOLICIES, name)
    if live is None:
        return PolicyFact(name, exists=False)
    own = [each for each in bindings if each["spec"]["policyName"] == name]
    bound = [await _get(cluster, r.ADMISSIONPOLICYBINDINGS, each["metadata"]["name"]) for each in own]
    return compare_policy(wanted, live, list(zip(own, bound, strict=True)))


def compare_policy(
    wanted: Manifest, live: Manifest, bindings: Sequence[tuple[Manifest, Manifest | None]]
) -> PolicyFact:
    """The facts of a policy that exists; `bindings` are pairs of ours and the cluster's."""
    name = str(wanted["metadata"]["name"])
    changed = [f"spec.{field}" for field in _differing(wanted.get("spec") or {}, live.get("spec") or {})]
    missing_bindings: list[str] = []
    missing_actions: list[str] = []
    for ours, theirs in bindings:
        spec = (theirs or {}).get("spec") or {}
        if spec.get("policyName") != name:
            missing_bindings.append(str(ours["metadata"]["name"]))
            continue
        actions = spec.get("validationActions") or []
        missing_actions += [each for each in ours["spec"]["validationActions"] if each not in actions]
        narrowed = _differing({key: ours["spec"].get(key) for key in _NARROWING}, {k: spec.get(k) for k in _NARROWING})
        changed += [f"binding.spec.{field}" for field in narrowed]
    return PolicyFact(
        name,
        changed_fields=tuple(changed),
        missing_bindings=tuple(missing_bindings),
        missing_actions=tuple(missing_actions),
    )


def _differing(wanted: Manifest, live: Manifest) -> Iterator[str]:
    ours, theirs = _without_defaults(wanted), _without_defaults(live)
    yield from (key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key))


def _without_defaults(value: Any) -> Any:
    """Without what says nothing: the server adds empty selectors and the match policy Equivalent where none is named
    (Kubernetes API reference, admissionregistration.k8s.io/v1, MatchResources)."""
    if isinstance(value, Mapping):
        kept = {key: _without_defaults(each) for key, each in value.items() if (key, each) != _DEFAULT_MATCH}
        return {key: each for key, each in kept.items() if each not in ({}, [], None)}
    return [_without_defaults(each) for each in value] if isinstance(value, list) else value


_DEFAULT_MATCH = ("matchPolicy", "Equivalent")


async def _get(cluster: Cluster, resource: r.Resource, name: str) -> Manifest | None:
    try:
        return await cluster.get(resource, name)
    except errors.NotFound:
        return None
