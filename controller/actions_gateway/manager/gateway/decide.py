"""What to write for one gateway: a pure function of the snapshot and the manager's settings."""

from pydantic import ValidationError

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.api.gateway import ActionsGatewaySpec, parse_gateway_spec
from actions_gateway.api.names import MAX_NAME_LENGTH, RESERVED_NAMESPACES
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import Resource, resource_of
from actions_gateway.manager.gateway.agreement import agrees, must_replace
from actions_gateway.manager.gateway.children import CHILD_KINDS, build_children
from actions_gateway.manager.gateway.deletion import has_left, is_kept, is_leaving
from actions_gateway.manager.gateway.snapshot import (
    ApplyChild,
    DeleteChild,
    MarkNamespace,
    Plan,
    Refusal,
    SetFinalizer,
    Snapshot,
)
from actions_gateway.settings import ManagerSettings, TenantNamespaces


def decide(snapshot: Snapshot, settings: ManagerSettings) -> Plan | None:
    """The plan, which is empty when all is as desired; None when the namespace is on its way out.

    Of a gateway that is itself being deleted, `decide_deletion` decides.
    """
    if is_leaving(snapshot.namespace):
        return None
    if refusal := _refusal_by_place(snapshot, settings):
        return Plan(None, refusal, ())
    try:
        spec = parse_gateway(snapshot.gateway)
        stages = build_children(snapshot.gateway, spec, settings)
    except ValueError as problem:
        return Plan(None, Refusal(Reason.INVALID_SPEC, f"{_describe(problem)}; correct the ActionsGateway."), ())
    if not snapshot.is_marked:
        # A pass of its own: admission lets the manager write where it has seen the marker, and the watch that brings
        # the marked namespace back here tells that it has.
        return Plan(spec, None, ((MarkNamespace(str(snapshot.namespace["metadata"]["name"])),),))
    limits, pod_makers = ([_apply(snapshot, manifest) for manifest in stage] for stage in stages)
    wanted = {(str(manifest["kind"]), str(manifest["metadata"]["name"])) for stage in stages for manifest in stage}
    return Plan(
        spec,
        None,
        (
            # First of all, or what is made next could be left behind by a deletion that comes in between.
            () if is_kept(snapshot.gateway) else (_keep(snapshot.gateway),),
            tuple(step for step in limits if step),
            (*(step for step in pod_makers if step), *_removals(snapshot, wanted)),
        ),
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
    oldest = min((snapshot.gateway, *(other for other in snapshot.siblings if not has_left(other))), key=_age_order)
    if oldest is not snapshot.gateway:
        return Refusal(
            Reason.ANOTHER_GATEWAY,
            f"Namespace {namespace} is served by the older ActionsGateway {oldest['metadata']['name']}; "
            "delete one of the two, or move this one to a namespace of its own.",
        )
    return None


def _age_order(gateway: Manifest) -> tuple[str, str]:
    metadata = gateway["metadata"]
    return str(metadata.get("creationTimestamp", "")), str(metadata["name"])


def parse_gateway(gateway: Manifest) -> ActionsGatewaySpec:
    """The typed spec of a gateway that can be served; raises ValueError that names the field."""
    name = str(gateway["metadata"]["name"])
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"metadata.name: a gateway's name has at most {MAX_NAME_LENGTH} characters")
    return parse_gateway_spec(name, gateway.get("spec") or {})


def _describe(problem: ValueError) -> str:
    """The problem with the field it is in, without the value."""
    if not isinstance(problem, ValidationError):
        return str(problem)
    first = problem.errors(include_url=False, include_input=False)[0]
    path = ".".join(["spec", *(str(part) for part in first["loc"])])
    return f"{path}: {first['msg']}"


def _keep(gateway: Manifest) -> SetFinalizer:
    return SetFinalizer(str(gateway["metadata"]["name"]), str(gateway["metadata"]["uid"]))


def _apply(snapshot: Snapshot, manifest: Manifest) -> ApplyChild | None:
    live = snapshot.children.get((str(manifest["kind"]), str(manifest["metadata"]["name"])))
    if live is None:
        return ApplyChild(_resource(manifest), manifest)
    if must_replace(manifest, live):
        return ApplyChild(_resource(manifest), manifest, replaces_uid=str(live["metadata"]["uid"]))
    return None if agrees(manifest, live) else ApplyChild(_resource(manifest), manifest)


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
