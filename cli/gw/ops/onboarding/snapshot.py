"""What is there already where a new tenant shall be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.keys.manifests import SECRET_BASE, secret_name
from gw.ops.onboarding.manifests import CA_CONFIGMAP, QUOTA
from gw.ops.onboarding.request import TenantRequest
from gw.ops.priorityclasses import gather_priority_classes
from gw.ops.tenants import reading_types
from gw.sources.cluster import Cluster, asking
from gw.sources.secrets import AppIdentity, identity_of

Manifest = Mapping[str, Any]

_MOST_VERSIONS = 99


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live objects that a plan is decided from; None for what does not exist."""

    namespace: Manifest | None = None
    gateways: tuple[Manifest, ...] = ()
    secrets: Mapping[str, AppIdentity | None] = field(default_factory=dict)
    """By name; None for one that holds no usable credential."""
    configmap: Manifest | None = None
    quota: Manifest | None = None
    priority_classes: frozenset[str] | None = frozenset()
    """None when the caller may not read them."""


async def gather_snapshot(cluster: Cluster, request: TenantRequest) -> Snapshot:
    """Reads everything once; raises GwError. Secrets are read one by one, by the names that gw gives them."""
    with reading_types(f"read what the namespace {request.namespace} holds"):
        gateways = (await cluster.list(r.ACTIONSGATEWAYS, request.namespace)).items
    with asking(f"read what the namespace {request.namespace} holds"):
        namespace = await _get(cluster, r.NAMESPACES, request.namespace)
        if namespace is None:
            return Snapshot(priority_classes=await gather_priority_classes(cluster, request.priority_classes))
        return Snapshot(
            namespace=namespace,
            gateways=tuple(gateways),
            secrets=await _secrets(cluster, request.namespace, _referenced(gateways)),
            configmap=await _get(cluster, r.CONFIGMAPS, CA_CONFIGMAP, request.namespace) if request.ca_pem else None,
            quota=await _get(cluster, r.RESOURCEQUOTAS, QUOTA, request.namespace) if request.quota else None,
            priority_classes=await gather_priority_classes(cluster, request.priority_classes),
        )


async def _secrets(cluster: Cluster, namespace: str, referenced: list[str]) -> dict[str, AppIdentity | None]:
    """The Secret that a gateway refers to, and gw's own versions up to the first gap."""
    found: dict[str, AppIdentity | None] = {}
    for name in referenced:
        if (secret := await _get(cluster, r.SECRETS, name, namespace)) is not None:
            found[name] = identity_of(secret)
    for version in range(1, _MOST_VERSIONS + 1):
        name = secret_name(version)
        secret = await _get(cluster, r.SECRETS, name, namespace)
        if secret is None:
            break
        found[name] = identity_of(secret)
    return found


def _referenced(gateways: list[dict[str, Any]]) -> list[str]:
    names = (((gateway.get("spec") or {}).get("gitHubAppRef") or {}).get("name") for gateway in gateways)
    return [str(name) for name in names if name and not str(name).startswith(f"{SECRET_BASE}-v")]


async def _get(cluster: Cluster, resource: r.Resource, name: str, namespace: str | None = None) -> Manifest | None:
    try:
        return await cluster.get(resource, name, namespace)
    except errors.NotFound:
        return None
