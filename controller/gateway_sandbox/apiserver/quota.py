"""ResourceQuota: what objects use, the admission of pods and other objects, and `status.used`.

Source: Kubernetes documentation, "Resource Quotas"; kubernetes pkg/quota/v1/evaluator/core/pods.go and
apiserver's plugin resourcequota (controller.go) for the wording that clients match on.
"""

from fractions import Fraction
from typing import Any

from actions_gateway.api.quantities import parse_quantity
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.pods import containers, pod_resources
from gateway_sandbox.apiserver.quantities import render_quantity
from gateway_sandbox.apiserver.statuses import forbidden, left_out
from gateway_sandbox.apiserver.store import Event, EventType, Key, Record, Storage, Store

QUOTAS: Storage = ("", "resourcequotas")
PODS: Storage = ("", "pods")
_COMPUTE = ("cpu", "memory")
_MUST_SPECIFY = frozenset({*_COMPUTE, *(f"{part}.{name}" for part in ("requests", "limits") for name in _COMPUTE)})
_COUNTED_BY_NAME = frozenset({"configmaps", "secrets", "services", "resourcequotas", "pods"})
Usage = dict[str, Fraction]


def usage_of(storage: Storage, obj: Json) -> Usage:
    """What one object counts for, by quota resource name. A pod that ended only counts as an object."""
    group, plural = storage
    usage: Usage = {f"count/{plural}" + (f".{group}" if group else ""): Fraction(1)}
    if storage != PODS:
        return usage | ({plural: Fraction(1)} if not group and plural in _COUNTED_BY_NAME else {})
    if obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return usage
    usage["pods"] = Fraction(1)
    for part in ("requests", "limits"):
        for name, amount in pod_resources(obj["spec"], part).items():
            usage[f"{part}.{name}"] = amount
            if part == "requests" and name in (*_COMPUTE, "ephemeral-storage"):
                usage[name] = amount
    return usage


class QuotaAdmission:
    """Admits new objects against the quotas of their namespace and keeps the quotas' status."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.on_commit.append(self._follow)

    def check(self, kind: Kind, namespace: str, obj: Json) -> None:
        """Raises ApiError 403 when a quota does not admit a new object."""
        wanted = usage_of(kind.storage, obj)
        for _, quota in list(self._store.items(QUOTAS, namespace)):
            hard = _hard(quota)
            if kind.storage == PODS:
                self._check_specified(kind, quota, hard, obj)
            used = self._used(namespace, hard)
            exceeded = sorted(name for name in wanted if name in hard and used[name] + wanted[name] > hard[name])
            if exceeded:
                shown = [_shown(amounts, exceeded, quota) for amounts in (wanted, used, hard)]
                text = "exceeded quota: {}, requested: {}, used: {}, limited: {}".format(_name(quota), *shown)
                raise forbidden(kind, obj["metadata"].get("name", ""), text)

    def _check_specified(self, kind: Kind, quota: Record, hard: Usage, pod: Json) -> None:
        missing: dict[str, set[str]] = {}
        for name in sorted(_MUST_SPECIFY & hard.keys()):
            part, _, resource = name.rpartition(".")
            for _, container in containers(pod["spec"]):
                if resource not in (container["resources"].get(part or "requests") or {}):
                    missing.setdefault(name, set()).add(container["name"])
        if missing:
            each = "; ".join(f"{name} for: {','.join(sorted(who))}" for name, who in missing.items())
            raise forbidden(kind, pod["metadata"].get("name", ""), f"failed quota: {_name(quota)}: must specify {each}")

    def _used(self, namespace: str, hard: Usage) -> Usage:
        used = dict.fromkeys(hard, Fraction(0))
        for storage, key in self._store.in_namespace(namespace):
            record = self._store.get(storage, key)
            for name, amount in (_usage(storage, record) if record else {}).items():
                if name in used:
                    used[name] += amount
        return used

    def _follow(self, storage: Storage, event: Event) -> None:
        """Keeps `status` of the namespace's quotas true after every write."""
        namespace = event.key[0]
        if storage == QUOTAS:
            if event.type is not EventType.DELETED:
                self._refresh(event.key, event.record)
            return
        before = _usage(storage, event.before) if event.before else {}
        after = _usage(storage, event.record) if event.type is not EventType.DELETED else {}
        for key, quota in list(self._store.items(QUOTAS, namespace)) if before != after else ():
            if any(before.get(name) != after.get(name) for name in _hard(quota)):
                self._refresh(key, quota)

    def _refresh(self, key: Key, quota: Record) -> None:
        hard = _hard(quota)
        used = self._used(key[0], hard)
        shown = {name: _render(used[name], name, quota) for name in sorted(hard)}
        status = {"hard": quota.obj["spec"].get("hard") or {}, "used": shown}
        if quota.obj.get("status") != status:
            self._store.put(QUOTAS, key, quota.copy() | {"status": status})


def refuse_scopes(quota: Json) -> None:
    """Scoped quotas would be counted wrongly here, so they are refused."""
    if quota.get("spec", {}).get("scopes") or quota.get("spec", {}).get("scopeSelector"):
        raise left_out("ResourceQuota scopes", 422)


def _usage(storage: Storage, record: Record) -> Usage:
    if "usage" not in record.notes:
        record.notes["usage"] = usage_of(storage, record.obj)
    usage: Usage = record.notes["usage"]
    return usage


def _hard(quota: Record) -> Usage:
    if "hard" not in quota.notes:
        quota.notes["hard"] = {name: parse_quantity(v) for name, v in (quota.obj["spec"].get("hard") or {}).items()}
    hard: Usage = quota.notes["hard"]
    return hard


def _name(quota: Record) -> Any:
    return quota.obj["metadata"]["name"]


def _render(amount: Fraction, name: str, quota: Record) -> str:
    """Memory in the suffix family of the limit, as the stored sum of such amounts reads."""
    return render_quantity(amount, binary=str((quota.obj["spec"].get("hard") or {})[name]).endswith("i"))


def _shown(amounts: Usage, names: list[str], quota: Record) -> str:
    return ",".join(f"{name}={_render(amounts[name], name, quota)}" for name in names)
