"""Subresources with a behaviour of their own: scale, pods/binding and serviceaccounts/token.

`status` is a restriction of an ordinary write (`writes`), `log` is `podlogs`. Source: Kubernetes API reference
(autoscaling/v1 Scale, core/v1 Binding, authentication.k8s.io/v1 TokenRequest); kubernetes
pkg/registry/core/pod/storage.
"""

from gateway_sandbox.apiserver.kinds import Json, Kind, ScalePaths
from gateway_sandbox.apiserver.paths import read_path
from gateway_sandbox.apiserver.selectors import render_selector
from gateway_sandbox.apiserver.statuses import bad_request, conflict, invalid_request, invalid_value
from gateway_sandbox.apiserver.store import Record
from gateway_sandbox.apiserver.tokens import Tokens

_DEFAULT_TOKEN_SECONDS = 3600
_SHORTEST_TOKEN_SECONDS = 600


def scale_of(obj: Json, paths: ScalePaths) -> Json:
    """The autoscaling/v1 Scale of an object."""
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = read_path(obj, paths.selector) if paths.selector else None
    shown = render_selector(selector) if isinstance(selector, dict) else selector
    status = {"replicas": read_path(obj, paths.observed) or 0} | ({"selector": shown} if shown else {})
    metadata = {name: obj["metadata"][name] for name in names if name in obj["metadata"]}
    typed = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata}
    return typed | {"spec": {"replicas": read_path(obj, paths.replicas) or 0}, "status": status}


def scaled(obj: Json, paths: ScalePaths, scale: Json) -> Json:
    """The object with the replicas of a Scale (`obj` is changed)."""
    replicas = read_path(scale, "spec.replicas") or 0
    if not isinstance(replicas, int) or replicas < 0:
        raise bad_request(f"spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0")
    *parents, last = paths.replicas.strip(".").split(".")
    target = obj
    for part in parents:
        target = target.setdefault(part, {})
    target[last] = replicas
    version = read_path(scale, "metadata.resourceVersion")
    obj["metadata"] |= {"resourceVersion": version} if version else {}
    return obj


def bound(kind: Kind, pod: Record, binding: Json, now: str) -> Json:
    """The pod on the node of a Binding; raises ApiError 409 when it has one or is being deleted."""
    obj, name = pod.copy(), pod.obj["metadata"]["name"]
    node = read_path(binding, "target.name")
    if not node:
        raise bad_request("target.name: Required value")
    if obj["spec"].get("nodeName"):
        raise conflict(kind, name, f'pod {name} is already assigned to node "{obj["spec"]["nodeName"]}"')
    if obj["metadata"].get("deletionTimestamp"):
        raise conflict(kind, name, f"pod {name} is being deleted, cannot be assigned to a host")
    obj["spec"]["nodeName"] = node
    conditions = [one for one in obj["status"].get("conditions") or () if one["type"] != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
    obj["status"]["conditions"] = [*conditions, scheduled]
    return obj


def request_token(account: Record, body: Json, tokens: Tokens) -> Json:
    """Answers a TokenRequest for a service account."""
    spec: Json = {"audiences": [], "expirationSeconds": _DEFAULT_TOKEN_SECONDS} | (body.get("spec") or {})
    seconds = spec["expirationSeconds"]
    if not isinstance(seconds, int) or seconds < _SHORTEST_TOKEN_SECONDS:
        text = "may not specify a duration less than 10 minutes"
        raise invalid_request(invalid_value("spec.expirationSeconds", seconds, text))
    token, expires_at = tokens.issue(account.obj, seconds)
    metadata = {name: account.obj["metadata"][name] for name in ("name", "namespace")}
    answer = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec}
    return answer | {"status": {"token": token, "expirationTimestamp": expires_at}}
