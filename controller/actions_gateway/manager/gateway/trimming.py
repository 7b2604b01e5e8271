"""What the manager keeps of an object: a thousand tenants are held in memory, so what nothing reads is left out.

Each function cuts an object in place, as it comes in: the watch holds the same one to tell what vanished.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from actions_gateway.api.reference import trim_to_reference
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    HPAS,
    NAMESPACES,
    PDBS,
    PODS,
    RESOURCEQUOTAS,
    SERVICES,
    Resource,
)
from actions_gateway.manager.gateway import additions

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_POD_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels")
_POD_STATUS = ("phase", "reason", "message", "conditions", "initContainerStatuses", "containerStatuses")
_CONTAINER_STATUS = ("name", "ready", "restartCount", "state", "lastState")


def trim(resource: Resource, manifest: Manifest) -> None:
    """Leaves what the manager reads of this kind."""
    metadata = manifest["metadata"]
    if resource.kind in additions.KINDS:
        additions.trim_managed_fields(manifest)
    elif resource == ACTIONSGATEWAYS:
        trim_to_reference(manifest)
    elif resource != NAMESPACES:
        # Half of an object's size. Of a namespace they tell whose a Pod Security label is.
        metadata.pop("managedFields", None)
    if _LAST_APPLIED in (annotations := metadata.get("annotations") or {}):
        del annotations[_LAST_APPLIED]
    if cut := _CUTS.get(resource):
        cut(manifest)


def _trim_pod(pod: Manifest) -> None:
    status = _only(pod.get("status") or {}, _POD_STATUS)
    for name in ("initContainerStatuses", "containerStatuses"):
        if name in status:
            status[name] = [_only(entry, _CONTAINER_STATUS) for entry in status[name]]
    pod["metadata"] = _only(pod["metadata"], _POD_METADATA)
    pod["status"] = status
    pod.pop("spec", None)


def _trim_quota(quota: Manifest) -> None:
    quota.pop("spec", None)


def _trim_status(manifest: Manifest) -> None:
    manifest.pop("status", None)


def _trim_deployment(deployment: Manifest) -> None:
    """Without the times of its conditions: one moves with every pod that the rollout brings up."""
    for entry in (deployment.get("status") or {}).get("conditions") or []:
        for name in ("lastUpdateTime", "lastTransitionTime"):
            entry.pop(name, None)


def _trim_autoscaler(autoscaler: Manifest) -> None:
    """Its readings move every few seconds, and nothing of ours follows them."""
    (autoscaler.get("status") or {}).pop("currentMetrics", None)


_CUTS: Mapping[Resource, Callable[[Manifest], None]] = MappingProxyType(
    {
        PODS: _trim_pod,
        RESOURCEQUOTAS: _trim_quota,
        HPAS: _trim_autoscaler,
        DEPLOYMENTS: _trim_deployment,
        PDBS: _trim_status,
        SERVICES: _trim_status,
    }
)


def _only(values: Manifest, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
