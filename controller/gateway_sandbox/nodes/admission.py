"""What the node refuses, and what it adds to a pod before it runs: pure functions on the pod's manifest."""

import copy
import json
from pathlib import Path
from typing import Any

from gateway_sandbox.nodes.sources import ROOT_CA_CONFIGMAP, TOKEN_SECONDS

SERVICE_ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_VOLUME_NAME = "kube-api-access-sandbox"
_VOLUMES = frozenset({"emptyDir", "secret", "configMap", "downwardAPI", "projected"})
_PROJECTIONS = frozenset({"secret", "configMap", "downwardAPI", "serviceAccountToken"})
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def unsupported_feature(pod: dict[str, Any]) -> str | None:
    """One sentence about the first feature of `pod` that this node does not do, or None."""
    spec = pod["spec"]
    for volume in spec.get("volumes") or []:
        if problem := _unsupported_volume(volume):
            return problem
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy"):
            return f"init container {container['name']!r} has a restartPolicy: the sandbox runs no sidecar containers"
    for container in (spec.get("initContainers") or []) + spec["containers"]:
        if problem := _unsupported_in_container(container):
            return f"container {container['name']!r} {problem}"
    return None


def wants_api_access(pod: dict[str, Any], service_account: dict[str, Any] | None) -> bool:
    """Whether the ServiceAccount admission plugin would mount a token: the pod's word goes before the account's."""
    spec = pod["spec"]
    if mounts_api_access(pod):
        return False
    for owner in (spec, service_account or {}):
        if owner.get("automountServiceAccountToken") is not None:
            return bool(owner["automountServiceAccountToken"])
    return service_account is not None


def mounts_api_access(pod: dict[str, Any]) -> bool:
    """Whether the pod already says what it mounts there: by its author's wish or by the API server's admission."""
    return any(mount["mountPath"] == SERVICE_ACCOUNT_PATH for mount in all_mounts(pod))


def with_api_access(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod with the volume and mounts that the ServiceAccount admission plugin adds.

    Source: kubernetes plugin/pkg/admission/serviceaccount/admission.go (TokenVolumeSource). An API server that ran the
    plugin has added them itself.
    """
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
        {"configMap": {"name": ROOT_CA_CONFIGMAP, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    result = copy.deepcopy(pod)
    spec = result["spec"]
    spec["volumes"] = [*(spec.get("volumes") or []), {"name": _VOLUME_NAME, "projected": {"sources": sources}}]
    mount = {"name": _VOLUME_NAME, "mountPath": SERVICE_ACCOUNT_PATH, "readOnly": True}
    for container in (spec.get("initContainers") or []) + spec["containers"]:
        container["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]
    return result


def all_mounts(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Every volumeMount of the pod's containers."""
    spec = pod["spec"]
    containers = (spec.get("initContainers") or []) + spec["containers"]
    return [mount for container in containers for mount in container.get("volumeMounts") or []]


def render_kubeconfig(*, api_url: str, ca_path: Path, token_path: Path, namespace: str) -> str:
    """A kubeconfig that reads the mounted token: a process cannot find it under a container's absolute path."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": {"server": api_url, "certificate-authority": str(ca_path)}}],
            "users": [{"name": "pod", "user": {"tokenFile": str(token_path)}}],
            "contexts": [{"name": "pod", "context": {"cluster": "sandbox", "user": "pod", "namespace": namespace}}],
            "current-context": "pod",
        }
    )


def _unsupported_volume(volume: dict[str, Any]) -> str | None:
    kinds = set(volume) - {"name"}
    if not kinds <= _VOLUMES:
        return f"volume {volume['name']!r} is a {'/'.join(sorted(kinds - _VOLUMES))}, which the sandbox does not mount"
    for source in (volume.get("projected") or {}).get("sources") or []:
        if not set(source) <= _PROJECTIONS:
            return f"volume {volume['name']!r} projects a {'/'.join(sorted(source))}, which the sandbox does not mount"
    for source in (volume, *((volume.get("projected") or {}).get("sources") or [])):
        if any("fieldRef" not in item for item in (source.get("downwardAPI") or {}).get("items") or []):
            return f"volume {volume['name']!r} uses a resourceFieldRef, which the sandbox does not resolve"
    return None


def _unsupported_in_container(container: dict[str, Any]) -> str | None:
    hooks = [(name, kind) for name, hook in (container.get("lifecycle") or {}).items() for kind in hook or {}]
    for name, kind in hooks:
        if (name, kind) != ("preStop", "sleep"):
            return f"has a {name} hook of the kind {kind}, which the sandbox does not run"
    if any("grpc" in (container.get(probe) or {}) for probe in _PROBES):
        return "has a gRPC probe, which the sandbox does not run"
    if any("subPathExpr" in mount for mount in container.get("volumeMounts") or []):
        return "mounts by subPathExpr, which the sandbox does not expand"
    known = {"fieldRef", "secretKeyRef", "configMapKeyRef"}
    for variable in container.get("env") or []:
        if variable.get("valueFrom") and not set(variable["valueFrom"]) <= known:
            return f"takes {variable['name']} from a {'/'.join(sorted(variable['valueFrom']))}, which is not resolved"
    return None
