"""A new tenant's manifests for a GitOps repository: everything but the credential, which has no place there."""

from collections.abc import Iterator

from actions_gateway.github.app import APP_ID_FILE, INSTALLATION_ID_FILE, PRIVATE_KEY_FILE
from actions_gateway.manifests.yamltext import render_document
from gw.ops.keys.manifests import secret_name
from gw.ops.onboarding.manifests import (
    Manifest,
    build_ca_configmap,
    build_gateway,
    build_namespace,
    build_quota,
)
from gw.ops.onboarding.request import TenantRequest


def export_manifests(request: TenantRequest) -> str:
    """YAML documents in the order in which they are to be applied; the Secret is a comment that says how to make it."""
    secret = secret_name(1)
    parts = [render_document(manifest) for manifest in _before_secret(request)]
    parts.append(_secret_comment(request, secret))
    parts.append(render_document(build_gateway(request, secret)))
    return "---\n".join(parts)


def _before_secret(request: TenantRequest) -> Iterator[Manifest]:
    yield build_namespace(request)
    if request.quota:
        yield build_quota(request)
    if request.ca_pem is not None:
        yield build_ca_configmap(request)


def _secret_comment(request: TenantRequest, secret: str) -> str:
    key_file = request.private_key_file or "PRIVATE-KEY.pem"
    return (
        f"# The Secret {secret} holds the App's private key and is not part of this export. Make it in the cluster:\n"
        f"#   kubectl create secret generic {secret} -n {request.namespace} \\\n"
        f"#     --from-literal={APP_ID_FILE}={request.app_id} "
        f"--from-literal={INSTALLATION_ID_FILE}={request.installation_id} \\\n"
        f"#     --from-file={PRIVATE_KEY_FILE}={key_file}\n"
    )
