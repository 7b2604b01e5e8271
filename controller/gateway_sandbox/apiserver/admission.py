"""Admission: what the server adds to or refuses in a new object in view of other objects.

The plugins that our components meet on a real cluster: NamespaceLifecycle, ServiceAccount, Priority, ResourceQuota.
Source: Kubernetes documentation,
"Admission Controllers"; kubernetes plugin/pkg/admission for the wording.
"""

from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.quota import QuotaAdmission, refuse_scopes
from gateway_sandbox.apiserver.statuses import Cause, forbidden, not_found
from gateway_sandbox.apiserver.store import Storage, Store

NAMESPACES: Storage = ("", "namespaces")
SERVICE_ACCOUNTS: Storage = ("", "serviceaccounts")
PRIORITY_CLASSES: Storage = ("scheduling.k8s.io", "priorityclasses")


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

    def _set_priority(self, kind: Kind, pod: Json) -> None:
        spec = pod["spec"]
        name = spec.get("priorityClassName", "")
        chosen = self._store.get(PRIORITY_CLASSES, ("", name))
        if name and chosen is None:
            raise forbidden(kind, pod["metadata"].get("name", ""), f"no PriorityClass with name {name} was found")
        priority_class = chosen.obj if chosen else {"value": 0, "preemptionPolicy": "PreemptLowerPriority"}
        value = priority_class["value"]
        if spec.get("priority", value) != value:
            text = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
            raise forbidden(kind, pod["metadata"].get("name", ""), text)
        spec["priority"] = value
        spec.setdefault("preemptionPolicy", priority_class["preemptionPolicy"])
