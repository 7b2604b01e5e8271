"""Admission: what the server adds to or refuses in a new object in view of other objects.

The plugins that our components meet on a real cluster: NamespaceLifecycle, ServiceAccount, Priority,
DefaultTolerationSeconds, ResourceQuota; and the allocation of Service addresses. Source: Kubernetes documentation,
"Admission Controllers"; kubernetes plugin/pkg/admission for the wording.
"""

from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.quota import QuotaAdmission, refuse_scopes
from gateway_sandbox.apiserver.statuses import Cause, forbidden, not_found
from gateway_sandbox.apiserver.store import Storage, Store

NAMESPACES: Storage = ("", "namespaces")
SERVICE_ACCOUNTS: Storage = ("", "serviceaccounts")
SERVICES: Storage = ("", "services")
PRIORITY_CLASSES: Storage = ("scheduling.k8s.io", "priorityclasses")

_TOLERATION_SECONDS = 300


class Admission:
    """Admits new objects."""

    def __init__(self, store: Store, namespace_kind: Kind) -> None:
        self._store = store
        self._namespace_kind = namespace_kind
        self._quota = QuotaAdmission(store)

    def mutate(self, kind: Kind, namespace: str, obj: Json) -> None:
        """Changes a new object in place before it is validated; raises ApiError 403 or 404."""
        if namespace:
            self._check_namespace(kind, namespace, obj)
        match kind.storage:
            case ("", "pods"):
                self._set_service_account(kind, namespace, obj)
                self._set_priority(kind, obj)
                _add_tolerations(obj["spec"])
            case ("", "services"):
                self._set_cluster_ip(obj["spec"])
            case ("", "resourcequotas"):
                refuse_scopes(obj)

    def validate(self, kind: Kind, namespace: str, obj: Json) -> None:
        """The last look at a new, valid object."""
        if namespace:
            self._quota.check(kind, namespace, obj)

    def _check_namespace(self, kind: Kind, namespace: str, obj: Json) -> None:
        found = self._store.get(NAMESPACES, ("", namespace))
        if found is None:
            raise not_found(self._namespace_kind, namespace)
        if found.obj["metadata"].get("deletionTimestamp"):
            text = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = Cause("metadata.namespace", "NamespaceTerminating", f"namespace {namespace} is being terminated")
            raise forbidden(kind, obj["metadata"].get("name", ""), text, cause)

    def _set_service_account(self, kind: Kind, namespace: str, pod: Json) -> None:
        spec = pod["spec"]
        name = spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = name
        account = self._store.get(SERVICE_ACCOUNTS, (namespace, name))
        if account is None:
            text = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(kind, pod["metadata"].get("name", ""), text)
        if not spec.get("imagePullSecrets") and account.obj.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account.obj["imagePullSecrets"]

    def _set_priority(self, kind: Kind, pod: Json) -> None:
        spec = pod["spec"]
        name = spec.get("priorityClassName", "")
        classes = [record.obj for _, record in self._store.items(PRIORITY_CLASSES)]
        if name:
            chosen = next((one for one in classes if one["metadata"]["name"] == name), None)
            if chosen is None:
                text = f"no PriorityClass with name {name} was found"
                raise forbidden(kind, pod["metadata"].get("name", ""), text)
        else:
            chosen = next((one for one in classes if one.get("globalDefault")), None)
        value = chosen["value"] if chosen else 0
        if spec.get("priority", value) != value:
            text = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
            raise forbidden(kind, pod["metadata"].get("name", ""), text)
        if chosen:
            spec["priorityClassName"] = chosen["metadata"]["name"]
        spec["priority"] = value
        spec.setdefault("preemptionPolicy", chosen["preemptionPolicy"] if chosen else "PreemptLowerPriority")

    def _set_cluster_ip(self, spec: Json) -> None:
        if spec["type"] == "ExternalName":
            return
        if "clusterIP" not in spec:
            taken = {record.obj["spec"].get("clusterIP") for _, record in self._store.items(SERVICES)}
            numbers = range(10, 65_000)
            spec["clusterIP"] = next(ip for n in numbers if (ip := f"10.96.{n // 250}.{n % 250 + 1}") not in taken)
        spec["clusterIPs"] = [spec["clusterIP"]]


def _add_tolerations(spec: Json) -> None:
    held = spec.get("tolerations") or []
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(one.get("key") in (key, None) and one.get("effect") in ("NoExecute", None) for one in held):
            one = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATION_SECONDS}
            held = [*held, one]
    spec["tolerations"] = held
