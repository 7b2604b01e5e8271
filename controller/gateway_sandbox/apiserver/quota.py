"""ResourceQuota: what objects use, the admission of pods and other objects, and `status.used`.

Source: Kubernetes documentation, "Resource Quotas"; kubernetes pkg/quota/v1/evaluator/core/pods.go and
apiserver's plugin resourcequota (controller.go) for the wording that clients match on.
"""

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction

from actions_gateway.api.quantities import format_quantity, parse_quantity
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.pods import containers, pod_resources
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
        self._used: defaultdict[str, defaultdict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
        store.on_commit.append(self._follow)

    def check(self, kind: Kind, namespace: str, obj: Json) -> None:
        """Raises ApiError 403 when a quota does not admit a new object."""
        wanted, used = usage_of(kind.storage, obj), self._used[namespace]
        name = obj["metadata"].get("name", "")
        for (_, title), quota in self._store.items(QUOTAS, namespace):
            hard = _hard(quota)
            missing = _unspecified(hard, obj) if kind.storage == PODS else ""
            if missing:
                raise forbidden(kind, name, f"failed quota: {title}: must specify {missing}")
            exceeded = sorted(one for one in wanted.keys() & hard.keys() if used[one] + wanted[one] > hard[one])
            if exceeded:
                shown = [_shown(amounts, exceeded) for amounts in (wanted, used, hard)]
                text = "exceeded quota: {}, requested: {}, used: {}, limited: {}".format(title, *shown)
                raise forbidden(kind, name, text)

    def _follow(self, storage: Storage, event: Event) -> None:
        """Keeps the sums, and `status` of the namespace's quotas, true after every write."""
        namespace = event.key[0]
        before = usage_of(storage, event.before.obj) if event.before else {}
        after = usage_of(storage, event.record.obj) if event.type is not EventType.DELETED else {}
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        for name in changed:
            self._used[namespace][name] += after.get(name, 0) - before.get(name, 0)
        is_own = storage == QUOTAS and event.type is not EventType.DELETED
        for key, quota in list(self._store.items(QUOTAS, namespace)) if changed or is_own else ():
            if not changed.isdisjoint(_hard(quota)) or key == event.key:
                self._refresh(key, quota)

    def _refresh(self, key: Key, quota: Record) -> None:
        used = self._used[key[0]]
        shown = {name: _written(name, used[name]) for name in sorted(_hard(quota))}
        status = {"hard": quota.obj["spec"].get("hard") or {}, "used": shown}
        if quota.obj.get("status") != status:
            self._store.put(QUOTAS, key, quota.copy() | {"status": status})


def _unspecified(hard: Usage, pod: Json) -> str:
    """What a pod's containers must state because a quota limits it."""
    missing: dict[str, set[str]] = {}
    for name in sorted(_MUST_SPECIFY & hard.keys()):
        part, _, resource = name.rpartition(".")
        for _, container in containers(pod["spec"]):
            if resource not in (container["resources"].get(part or "requests") or {}):
                missing.setdefault(name, set()).add(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(who))}" for name, who in missing.items())


def refuse_scopes(quota: Json) -> None:
    """Scoped quotas would be counted wrongly here, so they are refused."""
    if quota.get("spec", {}).get("scopes") or quota.get("spec", {}).get("scopeSelector"):
        raise left_out("ResourceQuota scopes", 422)


def _hard(quota: Record) -> Usage:
    return {name: parse_quantity(amount) for name, amount in (quota.obj["spec"].get("hard") or {}).items()}


def _shown(amounts: Mapping[str, Fraction], names: list[str]) -> str:
    return ",".join(f"{name}={_written(name, amounts[name])}" for name in names)


def _written(name: str, amount: Fraction) -> str:
    return format_quantity(amount, is_size="memory" in name or "storage" in name)
