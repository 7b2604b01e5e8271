"""What to write for one gateway: a pure function of the snapshot and the manager's settings."""

from collections.abc import Mapping
from itertools import chain

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.api.gateway import ActionsGatewaySpec, parse_gateway_spec
from actions_gateway.api.names import MAX_NAME_LENGTH, PROXY, RESERVED_NAMESPACES
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import DEPLOYMENTS, Resource, resource_of
from actions_gateway.manager.gateway.additions import clearing_patch
from actions_gateway.manager.gateway.agreement import agrees, must_replace, replicas_of
from actions_gateway.manager.gateway.children import CHILD_KINDS, build_children
from actions_gateway.manager.gateway.containment import decide_containment
from actions_gateway.manager.gateway.deletion import has_left, is_kept, is_leaving
from actions_gateway.manager.gateway.pod_security import TAKEN_OVER, NamespaceLabels, decide_namespace_labels
from actions_gateway.manager.gateway.release import carried, is_held, settings_for
from actions_gateway.manager.gateway.snapshot import (
    ApplyChild,
    ChildKey,
    DeleteChild,
    MarkNamespace,
    Notice,
    Plan,
    Refusal,
    SetFinalizer,
    SetReplicas,
    Snapshot,
    Step,
)
from actions_gateway.manager.gateway.spec_rules import check_spec, describe_problem
from actions_gateway.manager.gateway.verdict.lifecycle import is_contained
from actions_gateway.settings import ManagerSettings, TenantNamespaces


def decide(snapshot: Snapshot, settings: ManagerSettings, *, may_roll: bool = True) -> Plan | None:
    """The plan, which is empty when all is as desired; None when the namespace is on its way out.

    A tenant that may not roll keeps the release that its Deployments have.
    Of a gateway that is itself being deleted, `decide_deletion` decides.
    """
    if is_leaving(snapshot.namespace):
        return None
    if refusal := _refusal_by_place(snapshot, settings):
        return Plan(None, refusal, ())
    # A stage of its own, and the first: whatever else cannot be written must not keep traffic going.
    containing = decide_containment(snapshot) if is_contained(snapshot.gateway) else ()
    try:
        spec = parse_gateway(snapshot.gateway)
        check_spec(snapshot.namespace, spec, settings.egress.exceptions)
        stages = build_children(snapshot.gateway, spec, settings_for(snapshot, settings, may_roll=may_roll))
    except ValueError as problem:
        refusal = Refusal(Reason.INVALID_SPEC, f"{describe_problem(problem)}; correct the ActionsGateway.")
        return Plan(None, refusal, containing)
    place = decide_namespace_labels(snapshot.namespace, spec.security_profile)
    labelling: tuple[Step, ...] = () if place.is_settled else (_label(snapshot, place),)
    notices = tuple(_taken_over(snapshot, place))
    if not snapshot.is_marked:
        # A pass of its own: admission lets the manager write where it has seen the marker. When the watch brings the
        # marked namespace back here it mostly has; a refusal, where it is later, is tried again like any other.
        return Plan(spec, None, (labelling,), notices=notices, kept_levels=place.kept)
    least = {(DEPLOYMENTS.kind, PROXY): spec.proxy.min_replicas}
    limits, pod_makers = (
        [
            _held(snapshot, manifest, least)
            if _is_held(snapshot, manifest, settings, may_roll)
            else _apply(snapshot, manifest, least)
            for manifest in stage
        ]
        for stage in stages
    )
    wanted = {(str(manifest["kind"]), str(manifest["metadata"]["name"])) for stage in stages for manifest in stage}
    return Plan(
        spec,
        None,
        (
            *containing,
            # Before anything is made, or it could be left behind by a deletion that comes in between.
            () if is_kept(snapshot.gateway) else (_keep(snapshot.gateway),),
            (*labelling, *(step for step in limits if step and step not in chain(*containing))),
            (*(step for step in pod_makers if step), *_removals(snapshot, wanted)),
        ),
        notices=notices,
        kept_levels=place.kept,
    )


def _refusal_by_place(snapshot: Snapshot, settings: ManagerSettings) -> Refusal | None:
    """Whether this gateway may be served where it is; the first rule that matches."""
    namespace = str(snapshot.gateway["metadata"]["namespace"])
    if namespace in RESERVED_NAMESPACES or namespace == settings.namespace:
        return Refusal(
            Reason.RESERVED_NAMESPACE,
            f"Gateways are not served in the system namespace {namespace}; create it in a namespace of the tenant.",
        )
    mark = (snapshot.namespace["metadata"].get("labels") or {}).get(labels.TENANT)
    if mark != labels.TENANT_MARK and (mark or settings.tenant_namespaces is TenantNamespaces.MARKED):
        return Refusal(
            Reason.NAMESPACE_NOT_MARKED,
            f"Namespace {namespace} is not marked for tenants; a platform owner marks it with "
            f"'kubectl label --overwrite namespace {namespace} {labels.TENANT}={labels.TENANT_MARK}'.",
        )
    # One that is being deleted holds the place, and the names of its objects, until nothing of ours is left of it.
    first = min((snapshot.gateway, *(other for other in snapshot.siblings if not has_left(other))), key=_precedence)
    if first is not snapshot.gateway:
        return Refusal(
            Reason.ANOTHER_GATEWAY,
            f"Namespace {namespace} is served by the older ActionsGateway {first['metadata']['name']}; "
            "delete one of the two, or move this one to a namespace of its own.",
        )
    return None


def _precedence(gateway: Manifest) -> tuple[str, bool, str]:
    """By age; of the same second, the one that is served already."""
    metadata = gateway["metadata"]
    return str(metadata.get("creationTimestamp", "")), not is_kept(gateway), str(metadata["name"])


def parse_gateway(gateway: Manifest) -> ActionsGatewaySpec:
    """The typed spec of a gateway that can be served; raises ValueError that names the field."""
    name = str(gateway["metadata"]["name"])
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"metadata.name: a gateway's name has at most {MAX_NAME_LENGTH} characters")
    return parse_gateway_spec(name, gateway.get("spec") or {})


def _label(snapshot: Snapshot, place: NamespaceLabels) -> MarkNamespace:
    metadata = snapshot.namespace["metadata"]
    return MarkNamespace(
        str(metadata["name"]),
        tuple(place.wanted.items()),
        is_first=not snapshot.is_marked,
        resource_version=str(metadata.get("resourceVersion", "")),
    )


def _taken_over(snapshot: Snapshot, place: NamespaceLabels) -> list[Notice]:
    namespace = snapshot.namespace["metadata"]["name"]
    texts = ", ".join(f"{key} is {place.wanted[key]}, no longer {level}" for key, level in place.taken_over.items())
    text = f"Namespace {namespace} had a laxer Pod Security level than spec.securityProfile: {texts}."
    return [Notice(snapshot.gateway, TAKEN_OVER, text)] if texts else []


def _keep(gateway: Manifest) -> SetFinalizer:
    return SetFinalizer(str(gateway["metadata"]["name"]), str(gateway["metadata"]["uid"]))


def _apply(snapshot: Snapshot, manifest: Manifest, least_replicas: Mapping[ChildKey, int]) -> ApplyChild | None:
    key = (str(manifest["kind"]), str(manifest["metadata"]["name"]))
    live, least = snapshot.children.get(key), least_replicas.get(key, 0)
    if live is None:
        return ApplyChild(_resource(manifest), manifest, is_new=True, least_replicas=least)
    if manifest["kind"] == DEPLOYMENTS.kind:
        manifest = carried(manifest, live)
    if must_replace(manifest, live):
        uid = str(live["metadata"]["uid"])
        return ApplyChild(_resource(manifest), manifest, replaces_uid=uid, least_replicas=least)
    if agrees(manifest, live) and (not least or replicas_of(live) >= least):
        return None
    return ApplyChild(_resource(manifest), manifest, least_replicas=least, clears=clearing_patch(manifest, live))


def _held(snapshot: Snapshot, manifest: Manifest, least_replicas: Mapping[ChildKey, int]) -> SetReplicas | None:
    """What is put right of a Deployment whose turn has not come: how many pods it has. The rest waits with it."""
    key = (str(manifest["kind"]), str(manifest["metadata"]["name"]))
    live = snapshot.children[key]
    wanted = int(manifest["spec"].get("replicas", max(replicas_of(live), least_replicas.get(key, 0))))
    if replicas_of(live) == wanted:
        return None
    return SetReplicas(str(live["metadata"]["name"]), str(live["metadata"]["uid"]), wanted)


def _is_held(snapshot: Snapshot, manifest: Manifest, settings: ManagerSettings, may_roll: bool) -> bool:
    """Whether it is a Deployment that keeps the release it has."""
    live = snapshot.children.get((str(manifest["kind"]), str(manifest["metadata"]["name"])))
    if live is None or manifest["kind"] != DEPLOYMENTS.kind:
        return False
    return is_held(manifest, live, settings, may_roll=may_roll)


def _removals(snapshot: Snapshot, wanted: set[tuple[str, str]]) -> list[DeleteChild]:
    """Children of this very gateway that its spec no longer asks for."""
    return [
        DeleteChild(resource, str(manifest["metadata"]["name"]), str(manifest["metadata"]["uid"]))
        for resource in CHILD_KINDS
        for manifest in snapshot.owned(resource)
        if (resource.kind, manifest["metadata"]["name"]) not in wanted and not is_leaving(manifest)
    ]


def _resource(manifest: Manifest) -> Resource:
    resource = resource_of(str(manifest["apiVersion"]), str(manifest["kind"]))
    assert resource is not None
    return resource
