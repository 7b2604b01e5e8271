"""The objects of a new tenant, as pure functions of the request."""

from typing import Any

from actions_gateway.api import labels
from actions_gateway.kube import resources as r
from gw.ops.keys.manifests import BY_GW, build_app_secret
from gw.ops.onboarding.request import TenantRequest

Manifest = dict[str, Any]

CA_CONFIGMAP = "github-ca"
CA_KEY = "ca.crt"
QUOTA = "tenant-quota"


def build_namespace(request: TenantRequest) -> Manifest:
    """The tenant's namespace; the manager adds the tenant marker and the Pod Security labels."""
    return {
        "apiVersion": r.NAMESPACES.api_version,
        "kind": r.NAMESPACES.kind,
        "metadata": {"name": request.namespace, "labels": {labels.MANAGED_BY: BY_GW}},
    }


def build_quota(request: TenantRequest) -> Manifest:
    """The namespace's quota, which belongs to the platform and not to the gateway."""
    return _object(r.RESOURCEQUOTAS, request, QUOTA) | {"spec": {"hard": dict(request.quota)}}


def build_ca_configmap(request: TenantRequest) -> Manifest:
    """The certificate authorities that agent and workers trust beside the system's."""
    return _object(r.CONFIGMAPS, request, CA_CONFIGMAP) | {"data": {CA_KEY: request.ca_pem or ""}}


def build_secret(request: TenantRequest, name: str) -> Manifest:
    """The App's credentials."""
    return build_app_secret(
        request.namespace,
        name,
        app_id=request.app_id,
        installation_id=request.installation_id,
        private_key=request.private_key,
    )


def build_gateway(request: TenantRequest, secret: str) -> Manifest:
    """The ActionsGateway."""
    spec: Manifest = {"gitHubAppRef": {"name": secret}, **request.spec}
    if request.ca_pem is not None:
        spec["caBundleRef"] = {"name": CA_CONFIGMAP, "key": CA_KEY}
    return _object(r.ACTIONSGATEWAYS, request, request.gateway_name) | {"spec": spec}


def _object(resource: r.Resource, request: TenantRequest, name: str) -> Manifest:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": request.namespace, "labels": {labels.MANAGED_BY: BY_GW}},
    }
