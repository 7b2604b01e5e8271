"""The agent's Deployment: one pod, hardened to the restricted Pod Security profile, rolled by a credential change.

Strategy Recreate, since two agents only cost GitHub budget. No in-memory state has to outlive the pod.
"""

from actions_gateway.api import labels
from actions_gateway.api.gateway import ActionsGatewaySpec, CaBundleRef
from actions_gateway.api.names import AGENT, AGENT_CONTAINER, GITHUB_APP_KEYS, WORKER
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import DEPLOYMENTS
from actions_gateway.manager.gateway.ownership import build_child, child_labels
from actions_gateway.manager.gateway.pod_resources import ResourceDefaults, merged_resources
from actions_gateway.manager.gateway.proxy_service import no_proxy, proxy_url
from actions_gateway.manifests import podspec

GITHUB_APP_PATH = "/etc/actions-gateway/github-app"
CA_FOLDER = "/etc/actions-gateway/ca"
CA_FILE = "ca.crt"

DEFAULTS = ResourceDefaults(requests={"cpu": "50m", "memory": "128Mi"}, limits={"cpu": "500m", "memory": "512Mi"})

_READABLE_BY_GROUP = 0o440
"""The files belong to root; the agent reads them through the pod's fsGroup."""
_TERMINATION_GRACE_SECONDS = 60
"""Enough to end the open sessions at GitHub, so that no job is delivered to a session that is gone."""
_NODE_LOSS_TOLERATION_SECONDS = 30
"""A lost node's agent is replaced well before the locks of its running jobs lapse (10 min)."""


def build_agent_deployment(
    gateway: Manifest, spec: ActionsGatewaySpec, *, controller_image: str, worker_image: str, is_contained: bool
) -> Manifest:
    """The desired Deployment, without a pod when contained; raises ValueError for resources that cannot be used."""
    template = {
        "metadata": {
            "labels": {**child_labels(gateway, AGENT), labels.APP: AGENT, labels.COMPONENT: labels.WORKLOAD},
            "annotations": {labels.CREDENTIAL_SECRET: spec.git_hub_app_ref.name},
        },
        "spec": _pod_spec(gateway, spec, controller_image, worker_image),
    }
    deployment = {
        "replicas": 0 if is_contained else 1,
        "revisionHistoryLimit": 3,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {labels.APP: AGENT}},
        "template": template,
    }
    return build_child(gateway, DEPLOYMENTS, AGENT, spec=deployment)


def _pod_spec(gateway: Manifest, spec: ActionsGatewaySpec, controller_image: str, worker_image: str) -> Manifest:
    return {
        "serviceAccountName": AGENT,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _TERMINATION_GRACE_SECONDS,
        "securityContext": podspec.pod_security(),
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{problem}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": _NODE_LOSS_TOLERATION_SECONDS,
            }
            for problem in ("not-ready", "unreachable")
        ],
        "containers": [
            {
                "name": AGENT_CONTAINER,
                "image": controller_image,
                "args": ["agent"],
                "env": _environment(gateway, spec, controller_image, worker_image),
                "ports": podspec.ports(),
                **podspec.probes(),
                "resources": merged_resources(DEFAULTS, spec.agent.resources, field="spec.agent.resources"),
                "securityContext": podspec.container_security(),
                "volumeMounts": _mounts(spec.ca_bundle_ref),
            }
        ],
        "volumes": _volumes(spec),
    }


def _environment(
    gateway: Manifest, spec: ActionsGatewaySpec, controller_image: str, worker_image: str
) -> list[Manifest]:
    values = {
        "HEALTH_PORT": str(podspec.HEALTH_PORT),
        "METRICS_PORT": str(podspec.METRICS_PORT),
        "GATEWAY_NAME": gateway["metadata"]["name"],
        "GITHUB_URL": spec.git_hub_url,
        "GITHUB_APP_PATH": GITHUB_APP_PATH,
        "GITHUB_PROXY": proxy_url(gateway),
        "WORKER_NO_PROXY": no_proxy(spec),
        "WORKER_SERVICE_ACCOUNT": WORKER,
        "WRAPPER_IMAGE": controller_image,
        "WORKER_IMAGE": worker_image,
        "SECURITY_PROFILE": spec.security_profile.value,
        "LOG_LEVEL": spec.log_level,
    }
    if ref := spec.ca_bundle_ref:
        values |= {
            "CA_BUNDLE_PATH": f"{CA_FOLDER}/{CA_FILE}",
            "CA_BUNDLE_CONFIGMAP": ref.name,
            "CA_BUNDLE_KEY": ref.key,
        }
    return podspec.identity() + podspec.plain(values)


def _mounts(ca_bundle: CaBundleRef | None) -> list[Manifest]:
    mounts = [{"name": "github-app", "mountPath": GITHUB_APP_PATH, "readOnly": True}]
    if ca_bundle:
        mounts.append({"name": "ca-bundle", "mountPath": CA_FOLDER, "readOnly": True})
    return mounts


def _volumes(spec: ActionsGatewaySpec) -> list[Manifest]:
    credential = {
        "secretName": spec.git_hub_app_ref.name,
        # Only these keys, whatever else the Secret holds; optional, so that the agent starts and reports what is amiss.
        "items": [{"key": key, "path": key} for key in GITHUB_APP_KEYS],
        "optional": True,
        "defaultMode": _READABLE_BY_GROUP,
    }
    volumes: list[Manifest] = [{"name": "github-app", "secret": credential}]
    if ref := spec.ca_bundle_ref:
        items = [{"key": ref.key, "path": CA_FILE}]
        volumes.append({"name": "ca-bundle", "configMap": {"name": ref.name, "items": items}})
    return volumes
