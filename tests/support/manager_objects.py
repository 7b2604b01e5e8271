"""Makers of the objects that the manager reads: a base each, and the small changes that a test is about."""

from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.manager.gateway.children import build_children
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.gateway.snapshot import Snapshot
from actions_gateway.settings import ManagerSettings

Manifest = dict[str, Any]

SETTINGS = ManagerSettings(
    namespace="gmc-system", pod_name="gmc-0", controller_image="controller:test", worker_image="runner:test"
)
CREATED = "2026-01-05T08:00:00Z"


def gateway(name: str = "ci", *, namespace: str = "team-a", **changes: Any) -> Manifest:
    """A stored ActionsGateway with one runner group; `changes` go into its spec, or its metadata by `metadata=`."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "generation": 3,
        "creationTimestamp": CREATED,
    }
    metadata |= changes.pop("metadata", {})
    status = changes.pop("status", None)
    spec = {
        "gitHubAppRef": {"name": "github-app-v1"},
        "gitHubURL": "https://github.com/octo",
        "runnerGroups": [{"name": "cpu", "runnerLabels": ["self-hosted", "linux"]}],
    }
    manifest = {
        "apiVersion": "actions-gateway.github.com/v1alpha1",
        "kind": "ActionsGateway",
        "metadata": metadata,
        "spec": {**spec, **changes},
    }
    return manifest | ({"status": status} if status else {})


def namespace(name: str = "team-a", *, mark: str | None = labels.TENANT_MARK, **metadata: Any) -> Manifest:
    """A namespace, by default a tenant's, with the marker and the levels of the default profile."""
    marks = {labels.TENANT: mark} if mark is not None else {}
    levels = pod_security("baseline") if mark == labels.TENANT_MARK else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": marks | levels} | metadata}


def pod_security(level: str) -> dict[str, str]:
    """A namespace's labels of that level."""
    keys = [f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "warn", "audit")]
    return dict.fromkeys(keys, level) | {f"{key}-version": "v1.36" for key in keys}


def label_owner(manager: str, owned: dict[str, str], operation: str = "Apply") -> list[Manifest]:
    """Managed fields that say who set these labels."""
    fields: Manifest = {"f:metadata": {"f:labels": {f"f:{key}": {} for key in owned}}}
    return [{"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields}]


def children_of(owner: Manifest, settings: ManagerSettings = SETTINGS) -> dict[tuple[str, str], Manifest]:
    """Everything that the gateway wants, as if it had been applied."""
    spec = parse_gateway(owner)
    stages = build_children(owner, spec, settings)
    children = {
        (manifest["kind"], manifest["metadata"]["name"]): stored(manifest) for stage in stages for manifest in stage
    }
    proxy = children["Deployment", PROXY]
    return children | {("Deployment", PROXY): {**proxy, "spec": {**proxy["spec"], "replicas": spec.proxy.min_replicas}}}


def stored(manifest: Manifest) -> Manifest:
    """The manifest with what an API server adds."""
    metadata = manifest["metadata"]
    server = {"uid": f"uid-{manifest['kind']}-{metadata['name']}", "generation": 1, "creationTimestamp": CREATED}
    return {**manifest, "metadata": {**metadata, **server}}


def snapshot(
    owner: Manifest | None = None,
    *,
    children: dict[tuple[str, str], Manifest] | None = None,
    siblings: tuple[Manifest, ...] = (),
    place: Manifest | None = None,
    pods: tuple[Manifest, ...] = (),
) -> Snapshot:
    """A gateway of a marked namespace, with all its children as desired unless given."""
    owner = owner or gateway()
    return Snapshot(
        gateway=owner,
        namespace=place or namespace(owner["metadata"]["namespace"]),
        siblings=siblings,
        children=children_of(owner) if children is None else children,
        pods=pods,
    )


def with_agent(children: dict[tuple[str, str], Manifest], **status: Any) -> dict[tuple[str, str], Manifest]:
    """The children with a running agent; `status` changes its Deployment's status."""
    running = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    key = ("Deployment", AGENT)
    return {**children, key: {**children[key], "status": running | status}}


def with_proxy(
    children: dict[tuple[str, str], Manifest], ready: int = 2, **status: Any
) -> dict[tuple[str, str], Manifest]:
    """The children with `ready` proxies; `status` adds to their Deployment's status."""
    key = ("Deployment", PROXY)
    return {**children, key: {**children[key], "status": {"observedGeneration": 1, "readyReplicas": ready} | status}}


def pod(app: str, *, name: str = "", since: str = CREATED, **status: Any) -> Manifest:
    """A pod of agent or proxy, as the mirror keeps it."""
    metadata = {"name": name or f"{app}-0", "namespace": "team-a", "creationTimestamp": since, "labels": {"app": app}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


def with_group_status(
    children: dict[tuple[str, str], Manifest], name: str = "ci-cpu", **status: Any
) -> dict[tuple[str, str], Manifest]:
    """The children with what the agent reports on one group."""
    key = ("RunnerGroup", name)
    return {**children, key: {**children[key], "status": status}}


def condition(kind: str, status: str, reason: str, *, since: str = CREATED, message: str = "as it is") -> Manifest:
    """A condition as it is stored."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
        "observedGeneration": 1,
    }


def group_conditions(*, ready: bool = True, credential: str = "False", since: str = CREATED) -> list[Manifest]:
    """What an agent says of a group."""
    reasons = {"True": "KeyRejected", "False": "CredentialAvailable", "Unknown": "GitHubUnreachable"}
    return [
        condition("Ready", str(ready), "ListenerActive" if ready else "NoActiveSessions", since=since),
        condition("CredentialUnavailable", credential, reasons[credential], message="what the agent saw"),
    ]
