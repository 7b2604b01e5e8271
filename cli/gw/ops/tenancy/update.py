"""Updates a tenant's gateway, and follows the change until manager and agent work by it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from actions_gateway.api import labels
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.wording import counted
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Plan, Step, change_step, create_step, unchanged_step
from gw.ops.keys.manifests import BY_GW
from gw.ops.onboarding.plan import differing_fields
from gw.ops.onboarding.request import read_ca_bundle
from gw.ops.priorityclasses import classes_of, gather_priority_classes, refuse_missing_classes
from gw.ops.tenancy.following import Look, Patience, until_none
from gw.ops.tenancy.groups import object_name
from gw.ops.tenancy.wishes import Spec, Wishes, decide_spec, patch_to, read_file
from gw.ops.tenants import ServedGateway, groups_of, read_served, reading_types, refuse_deleted
from gw.ops.verification import verify
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import GroupFact
from gw.sources.gathering import gather_groups

FIELD_MANAGER = "gw-tenant-update"
VERIFIED_BY = ("gateway.ready", "session.open")
_ROLLS_AGENT = ("agent", "caBundleRef", "gitHubURL", "logLevel", "securityProfile")
"""Fields that the agent's Deployment is made of (actions_gateway/manager/gateway/agent_deployment.py)."""


@dataclass(frozen=True, slots=True)
class UpdateTenant:
    """How to go about it."""

    namespace: str
    wishes: Wishes
    timeout_seconds: float
    manner: Manner = field(default_factory=Manner)


@dataclass(frozen=True, slots=True)
class UpdatedTenant:
    """What came of it."""

    carried: Carried
    namespace: str
    gateway: str
    fields: tuple[str, ...]
    """The fields of the spec whose meaning changes."""
    stands: bool = False
    """Whether manager and agent work by it now."""
    groups: tuple[GroupFact, ...] = ()


async def update_tenant(
    cluster: Cluster, order: UpdateTenant, *, clock: Clock, conversation: Conversation
) -> UpdatedTenant:
    """The updated tenant; raises GwError. Nothing is written before the file, the server and the person agree."""
    file = read_file(order.wishes, order.namespace)
    bundle = read_ca_bundle(order.wishes.ca_bundle_file)
    served = await read_served(cluster, order.namespace)
    refuse_deleted(served.fact)
    live = dict(served.live.get("spec") or {})
    spec = decide_spec(order.wishes, file, served)
    fields = tuple(differing_fields(served.fact.name, live, spec))
    with reading_types(f"read what {order.namespace} has"):
        groups = groups_of(served.fact, await gather_groups(cluster, order.namespace))
        wanted = classes_of(spec.get("runnerGroups") or []) if "runnerGroups" in fields else ()
        unproven = refuse_missing_classes(wanted, await gather_priority_classes(cluster, wanted))
    gateway_step = (
        change_step(served.live, {"spec": _patch(live, spec, fields)}) if fields else unchanged_step(served.live)
    )
    bundle_steps = [] if bundle is None else [await _bundle_step(cluster, order.namespace, spec, bundle)]
    plan = Plan(
        order.namespace,
        (*bundle_steps, gateway_step),
        consequences=tuple(_consequences(served, spec, fields, groups, has_bundle=bool(bundle_steps))),
        unproven=unproven,
    )
    carried = await carry_out(
        cluster,
        plan,
        order.manner,
        conversation=conversation,
        field_manager=FIELD_MANAGER,
        question=f"Update {order.namespace}?",
        destroys=order.namespace if _cut_off(served, spec, groups) else "",
    )
    updated = UpdatedTenant(carried, order.namespace, served.fact.name, fields)
    if carried.is_dry_run or carried.kept_by or order.manner.export:
        return updated
    return await _follow(cluster, order, updated, clock=clock, conversation=conversation)


async def _follow(
    cluster: Cluster, order: UpdateTenant, updated: UpdatedTenant, *, clock: Clock, conversation: Conversation
) -> UpdatedTenant:
    def open_ends(look: Look) -> Iterable[str]:
        yield from list(look.not_taken()) or look.not_rolled()

    patience = Patience(order.timeout_seconds, clock, conversation)
    look = await until_none(
        cluster,
        order.namespace,
        updated.gateway,
        open_ends,
        reached="manager and agent have taken the change",
        patience=patience,
    )
    verified = await verify(
        cluster,
        VERIFIED_BY,
        namespace=order.namespace,
        timeout_seconds=order.timeout_seconds,
        clock=clock,
        listener=conversation,
    )
    unproven = () if not look.gateway.contained else ("that the agent works by it: the gateway is contained",)
    carried = updated.carried.with_unproven((*unproven, *verified.unproven))
    return replace(updated, carried=carried, stands=True, groups=look.groups)


async def _bundle_step(cluster: Cluster, namespace: str, spec: Spec, bundle: str) -> Step:
    """The ConfigMap that the gateway refers to, with the new certificate authorities under the same key."""
    name, key = str(spec["caBundleRef"]["name"]), str(spec["caBundleRef"].get("key") or "ca.crt")
    with asking(f"read the ConfigMap {name}"):
        try:
            live = await cluster.get(r.CONFIGMAPS, name, namespace)
        except errors.NotFound:
            manifest: dict[str, Any] = {
                "apiVersion": r.CONFIGMAPS.api_version,
                "kind": r.CONFIGMAPS.kind,
                "metadata": {"name": name, "namespace": namespace, "labels": {labels.MANAGED_BY: BY_GW}},
                "data": {key: bundle},
            }
            return create_step(manifest, key)
    return change_step(live, {"data": {key: bundle}}, key)


def _consequences(
    served: ServedGateway, spec: Spec, fields: Sequence[str], groups: Sequence[GroupFact], *, has_bundle: bool
) -> Iterable[str]:
    if any(name in fields for name in _ROLLS_AGENT):
        yield "The agent starts anew once: running jobs go on, and jobs that wait are taken some seconds later"
    if "gitHubURL" in fields:
        yield f"Jobs of {served.fact.github_url} are not taken any more; those of {spec['gitHubURL']} are"
    if "proxy" in fields:
        yield "Proxies may be replaced one by one; each serves its open tunnels for a while before it goes"
    if has_bundle and "caBundleRef" not in fields:
        yield (
            "Workers get the new certificate authorities with the next job, the agent with its next start: "
            f"`gw restart agent {served.fact.namespace}`"
        )
    cut_off = _cut_off(served, spec, groups)
    for name in _removed(served, spec):
        running = cut_off.get(name, 0)
        yield f"Runner group {name} goes, and jobs for its labels wait at GitHub"
        if running:
            verb, whose = ("is", "its pod goes") if running == 1 else ("are", "their pods go")
            yield f"{counted(running, 'running job')} of it {verb} cut off: {whose} with it"


def _cut_off(served: ServedGateway, spec: Spec, groups: Sequence[GroupFact]) -> dict[str, int]:
    """How many running jobs go with each runner group that the gateway has no longer."""
    removed = _removed(served, spec)
    return {group.name: group.active_jobs for group in groups if group.name in removed and group.active_jobs}


def _patch(live: Spec, wanted: Spec, fields: Sequence[str]) -> Spec:
    """Of the fields whose meaning changes: the server's defaults stay where a file leaves a field out."""
    patch: Spec = patch_to(live, wanted)
    return {key: value for key, value in patch.items() if key in fields or "spec" in fields}


def _removed(served: ServedGateway, spec: Mapping[str, Any]) -> list[str]:
    left = {str(entry["name"]) for entry in spec.get("runnerGroups") or []}
    entries = (served.live.get("spec") or {}).get("runnerGroups") or []
    return [object_name(served, entry) for entry in entries if entry["name"] not in left]
