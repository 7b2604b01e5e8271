"""Decides what to write for a new tenant: a pure function of the request and of what is there.

A name that is taken by something else is a refusal with the next step, never a change to what is there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from actions_gateway.api import labels
from actions_gateway.api.gateway import ActionsGatewaySpec, parse_gateway_spec
from actions_gateway.api.quantities import parse_quantity
from gw.errors import Refused
from gw.ops.changes.plan import Plan, Step, create_step, unchanged_step
from gw.ops.keys.manifests import BY_GW, secret_name
from gw.ops.onboarding.manifests import (
    CA_CONFIGMAP,
    CA_KEY,
    QUOTA,
    Manifest,
    build_ca_configmap,
    build_gateway,
    build_namespace,
    build_quota,
    build_secret,
)
from gw.ops.onboarding.request import TenantRequest
from gw.ops.onboarding.snapshot import Snapshot
from gw.ops.priorityclasses import refuse_missing_classes
from gw.sources.secrets import AppIdentity, identity_from


def decide_plan(request: TenantRequest, snapshot: Snapshot) -> Plan:
    """The plan; raises Refused."""
    _refuse_taken_namespace(request, snapshot)
    missing = refuse_missing_classes(request.priority_classes, snapshot.priority_classes)
    secret = _decide_secret(request, snapshot)
    steps = [
        _unless(snapshot.namespace, build_namespace(request)),
        *_quota_step(request, snapshot),
        *_ca_step(request, snapshot),
        _unless(snapshot.secrets.get(secret), build_secret(request, secret), _secret_detail(request)),
        _gateway_step(request, snapshot, secret),
    ]
    return Plan(request.namespace, tuple(steps), unproven=missing)


def _refuse_taken_namespace(request: TenantRequest, snapshot: Snapshot) -> None:
    if snapshot.namespace is None:
        return
    name, metadata = request.namespace, snapshot.namespace["metadata"]
    if metadata.get("deletionTimestamp") or (snapshot.namespace.get("status") or {}).get("phase") == "Terminating":
        raise Refused(
            f"the namespace {name} is being deleted", f"Wait until `kubectl get namespace {name}` finds nothing."
        )
    others = [gateway["metadata"]["name"] for gateway in snapshot.gateways]
    if others and request.gateway_name not in others:
        raise Refused(
            f"the namespace {name} already has the gateway {others[0]}, and a namespace has one gateway",
            f"Look at it with `gw tenant show {name}`, or choose another name.",
        )
    marks = metadata.get("labels") or {}
    is_ours = marks.get(labels.MANAGED_BY) == BY_GW or marks.get(labels.TENANT) == labels.TENANT_MARK
    if not (is_ours or others or request.use_existing_namespace):
        raise Refused(
            f"the namespace {name} exists and nothing says that it is meant for a tenant",
            "Choose another name, or add --use-existing-namespace if it is yours to use.",
        )


def _decide_secret(request: TenantRequest, snapshot: Snapshot) -> str:
    """The Secret to refer to: the gateway's own, an unused one with the same credential, or the next version."""
    wanted = _wanted_identity(request)
    live = _live_gateway(request, snapshot)
    if live is not None:
        name = str(((live.get("spec") or {}).get("gitHubAppRef") or {}).get("name") or "")
        if name in snapshot.secrets and snapshot.secrets[name] != wanted:
            raise Refused(
                f"the tenant {request.namespace} exists with another App credential (Secret {name})",
                f"To rotate its key: `gw key rotate {request.namespace} --private-key-file FILE`.",
            )
        return name
    for name, identity in snapshot.secrets.items():
        if identity == wanted:
            return name
    versions = (
        version for version in range(1, len(snapshot.secrets) + 2) if secret_name(version) not in snapshot.secrets
    )
    return secret_name(next(versions))


def _gateway_step(request: TenantRequest, snapshot: Snapshot, secret: str) -> Step:
    manifest, live = build_gateway(request, secret), _live_gateway(request, snapshot)
    if live is not None:
        differing = list(differing_fields(request.gateway_name, live.get("spec") or {}, manifest["spec"]))
        if differing:
            raise Refused(
                f"the gateway {request.gateway_name} exists with other settings ({', '.join(differing)})",
                f"Compare it with `kubectl get actionsgateway -n {request.namespace} -o yaml`; "
                f"change it with `gw tenant update {request.namespace} …`.",
            )
    return _unless(live, manifest, request.github_url)


def differing_fields(name: str, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """The fields of the spec whose meaning differs, defaults filled in."""
    try:
        before, after = parse_gateway_spec(name, dict(live)), parse_gateway_spec(name, dict(wanted))
    except (ValidationError, ValueError):
        yield "spec"
        return
    for attribute, info in ActionsGatewaySpec.model_fields.items():
        if getattr(before, attribute) != getattr(after, attribute):
            yield str(info.alias or attribute)


def _quota_step(request: TenantRequest, snapshot: Snapshot) -> Iterator[Step]:
    if not request.quota:
        return
    detail = ", ".join(f"{name}={amount}" for name, amount in request.quota.items())
    if snapshot.quota is not None and not _same_quota(
        (snapshot.quota.get("spec") or {}).get("hard") or {}, request.quota
    ):
        raise Refused(
            f"the quota {QUOTA} exists with other limits",
            f"Change it with `gw quota adjust {request.namespace} KEY=AMOUNT`, or leave --quota out.",
        )
    yield _unless(snapshot.quota, build_quota(request), detail)


def _ca_step(request: TenantRequest, snapshot: Snapshot) -> Iterator[Step]:
    if request.ca_pem is None:
        return
    if snapshot.configmap is not None and (snapshot.configmap.get("data") or {}).get(CA_KEY) != request.ca_pem:
        raise Refused(
            f"the ConfigMap {CA_CONFIGMAP} exists with other certificate authorities",
            f"Change it with `kubectl edit configmap -n {request.namespace} {CA_CONFIGMAP}`, or name its file.",
        )
    yield _unless(snapshot.configmap, build_ca_configmap(request), str(request.ca_bundle_file))


def _same_quota(live: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return live.keys() == wanted.keys() and all(
        parse_quantity(live[name]) == parse_quantity(wanted[name]) for name in wanted
    )


def _live_gateway(request: TenantRequest, snapshot: Snapshot) -> Mapping[str, Any] | None:
    return next((item for item in snapshot.gateways if item["metadata"]["name"] == request.gateway_name), None)


def _wanted_identity(request: TenantRequest) -> AppIdentity:
    if request.credentials is None:
        raise Refused("no private key file was named", "Add --private-key-file FILE with the App's private key.")
    return identity_from(request.credentials)


def _secret_detail(request: TenantRequest) -> str:
    fingerprint = request.credentials.key_fingerprint if request.credentials else "?"
    return f"App {request.app_id}, installation {request.installation_id}, key {fingerprint}, immutable"


def _unless(live: object, manifest: Manifest, detail: str = "") -> Step:
    return create_step(manifest, detail) if live is None else unchanged_step(manifest, detail)
