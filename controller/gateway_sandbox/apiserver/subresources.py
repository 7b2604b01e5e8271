"""Subresources with a behaviour of their own: scale, pods/binding, pods/eviction and serviceaccounts/token.

`status` and `finalize` are restrictions of an ordinary write (`writes`), `log` is `podlogs`. Source: Kubernetes API
reference (autoscaling/v1 Scale, core/v1 Binding, policy/v1 Eviction, authentication.k8s.io/v1 TokenRequest);
kubernetes pkg/registry/core/pod/storage.
"""

from typing import Any

from gateway_sandbox.apiserver.deletion import DeleteOptions, Deleter
from gateway_sandbox.apiserver.kinds import Json, Kind, ScalePaths
from gateway_sandbox.apiserver.selectors import matches_selector
from gateway_sandbox.apiserver.statuses import ApiError, bad_request, conflict, not_found
from gateway_sandbox.apiserver.store import Key, Record, Store
from gateway_sandbox.apiserver.tokens import Tokens
from gateway_sandbox.apiserver.validation import value_at
from gateway_sandbox.apiserver.writes import WriteOptions, Writer

BUDGETS = ("policy", "poddisruptionbudgets")
_SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
_DEFAULT_TOKEN_SECONDS = 3600


def scale_of(obj: Json, paths: ScalePaths) -> Json:
    """The autoscaling/v1 Scale of an object."""
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = value_at(obj, paths.selector) if paths.selector else None
    labels = (selector or {}).get("matchLabels", {}) if isinstance(selector, dict) else {}
    shown = selector if isinstance(selector, str) else ",".join(f"{key}={value}" for key, value in labels.items())
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: obj["metadata"][name] for name in names if name in obj["metadata"]},
        "spec": {"replicas": value_at(obj, paths.replicas) or 0},
        "status": {"replicas": value_at(obj, paths.observed) or 0} | ({"selector": shown} if shown else {}),
    }


def scaled(obj: Json, paths: ScalePaths, scale: Json) -> Json:
    """The object with the replicas of a Scale (`obj` is changed)."""
    replicas = value_at(scale, "spec.replicas") or 0
    if not isinstance(replicas, int) or replicas < 0:
        raise bad_request(f"spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0")
    *parents, last = paths.replicas.split(".")
    target = obj
    for part in parents:
        target = target.setdefault(part, {})
    target[last] = replicas
    version = value_at(scale, "metadata.resourceVersion")
    obj["metadata"] |= {"resourceVersion": version} if version else {}
    return obj


class PodActions:
    """What is POSTed to a pod."""

    def __init__(self, store: Store, writer: Writer, deleter: Deleter) -> None:
        self._store = store
        self._writer = writer
        self._deleter = deleter

    def bind(self, kind: Kind, key: Key, body: Json, options: WriteOptions) -> Json:
        """Assigns a pod to the node of a Binding; raises ApiError 409 when it has one."""
        node = value_at(body, "target.name")
        if not node:
            raise bad_request("target.name: Required value")
        record = self._store.get(kind.storage, key)
        if record is None:
            raise not_found(kind, key[1])
        if record.obj["spec"].get("nodeName"):
            raise conflict(kind, key[1], f'pod {key[1]} is already assigned to node "{record.obj["spec"]["nodeName"]}"')
        if record.obj["metadata"].get("deletionTimestamp"):
            raise conflict(kind, key[1], f"pod {key[1]} is being deleted, cannot be assigned to a host")
        obj = record.copy()
        obj["spec"]["nodeName"] = node
        obj["metadata"].setdefault("annotations", {}).update(value_at(body, "metadata.annotations") or {})
        conditions = [one for one in obj["status"].get("conditions") or () if one["type"] != "PodScheduled"]
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": self._writer.timestamp()}
        obj["status"]["conditions"] = [*conditions, scheduled]
        if not options.dry_run:
            self._store.put(kind.storage, key, obj)
        return _SUCCESS

    def evict(self, kind: Kind, key: Key, body: Json, options: WriteOptions) -> Json:
        """Deletes a pod unless a disruption budget forbids it (429)."""
        record = self._store.get(kind.storage, key)
        if record is None:
            raise not_found(kind, key[1])
        budgets = [
            (budget_key, budget)
            for budget_key, budget in self._store.items(BUDGETS, key[0])
            if matches_selector(budget.obj["spec"].get("selector"), record.obj["metadata"].get("labels"))
        ]
        if record.obj["status"].get("phase") in ("Pending", "Succeeded", "Failed"):
            budgets = []
        for _, budget in budgets:
            if budget.obj["status"]["disruptionsAllowed"] < 1:
                raise _budget_exhausted(budget)
        if not options.dry_run:
            for budget_key, budget in budgets:
                spent = budget.copy()
                spent["status"]["disruptionsAllowed"] -= 1
                self._store.put(BUDGETS, budget_key, spent)
        wanted = body.get("deleteOptions") or {}
        grace, uid = wanted.get("gracePeriodSeconds"), value_at(wanted, "preconditions.uid")
        self._deleter.delete(kind, key, record, DeleteOptions(grace, uid=uid, dry_run=options.dry_run))
        return _SUCCESS


def _budget_exhausted(budget: Record) -> ApiError:
    name, status = budget.obj["metadata"]["name"], budget.obj["status"]
    counts = f"{status['desiredHealthy']} healthy pods and has {status['currentHealthy']} currently"
    causes = [{"reason": "DisruptionBudget", "message": f"The disruption budget {name} needs {counts}"}]
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    return ApiError(429, "TooManyRequests", text, details={"causes": causes}, retry_after=10)


def request_token(account: Record, body: Json, tokens: Tokens) -> Json:
    """Answers a TokenRequest for a service account."""
    spec: Json = {"audiences": [], "expirationSeconds": _DEFAULT_TOKEN_SECONDS} | (body.get("spec") or {})
    seconds = spec["expirationSeconds"]
    if not isinstance(seconds, int) or seconds < 600:
        raise bad_request("spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes")
    token, expires_at = tokens.issue(account.obj, seconds)
    metadata: Any = {name: account.obj["metadata"][name] for name in ("name", "namespace")}
    answer = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec}
    return answer | {"status": {"token": token, "expirationTimestamp": expires_at}}
