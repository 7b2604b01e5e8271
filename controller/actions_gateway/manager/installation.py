"""What an installation of Actions Gateway consists of, as pure builders: CRDs, rights, and the manager's Deployment.

The generated manifests and the sandbox both come from here. The agent's rights are one fixed ClusterRole, bound per
namespace; the manager holds `bind` on that single name, so that it can grant nothing else, and no right on Secrets.
"""

from typing import Any

from actions_gateway import __version__
from actions_gateway.api import labels
from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.api.names import (
    AGENT_CLUSTER_ROLE,
    API_GROUP,
    JOB_SLOTS,
    MANAGER,
    MANAGER_CLUSTER_ROLE,
    MANAGER_LEASE,
    MANAGER_NAMESPACE,
    job_slot_name,
)
from actions_gateway.api.runnergroup import RUNNER_IMAGE
from actions_gateway.manager import podspec
from actions_gateway.manager.netpolicy import from_monitoring, policy_spec, to_api_server, to_dns
from actions_gateway.settings import TenantNamespaces

Manifest = dict[str, Any]

CONTROLLER_IMAGE = f"actions-gateway/controller:{__version__}"
"""The image of manager, agent and the worker's wrapper; an installation replaces it by one that its nodes can pull."""

REPLICAS = 2
_RBAC = "rbac.authorization.k8s.io"
_LEADER_ROLE = "gmc-leader-election"
_SELECTOR = {"control-plane": "controller-manager", labels.APP_NAME: "gmc"}
_TERMINATION_GRACE_SECONDS = 10
"""The manager holds no state: it needs this only to release its lease."""


def installation_manifests(
    *,
    image: str = CONTROLLER_IMAGE,
    replicas: int = REPLICAS,
    worker_image: str = RUNNER_IMAGE,
    tenant_namespaces: TenantNamespaces = TenantNamespaces.ANY,
    log_level: str = "info",
) -> list[Manifest]:
    """Everything that an installation applies, in an order in which each object's needs stand before it."""
    return [
        *crd_manifests(),
        build_namespace(),
        *rbac_manifests(),
        *manager_manifests(
            image=image,
            replicas=replicas,
            worker_image=worker_image,
            tenant_namespaces=tenant_namespaces,
            log_level=log_level,
        ),
    ]


def crd_manifests() -> list[Manifest]:
    """The CustomResourceDefinitions."""
    return [gateway_crd(), runner_group_crd()]


def rbac_manifests() -> list[Manifest]:
    """Rights of agents and manager; the manager's namespace has to exist."""
    return [
        build_agent_role(),
        build_manager_role(),
        build_leader_role(),
        _service_account(),
        _binding("ClusterRoleBinding", MANAGER_CLUSTER_ROLE, "ClusterRole"),
        _binding("RoleBinding", _LEADER_ROLE, "Role"),
    ]


def manager_manifests(
    *, image: str, replicas: int, worker_image: str, tenant_namespaces: TenantNamespaces, log_level: str
) -> list[Manifest]:
    """The manager's Deployment and what surrounds it."""
    environment = {
        "HEALTH_PORT": str(podspec.HEALTH_PORT),
        "METRICS_PORT": str(podspec.METRICS_PORT),
        "CONTROLLER_IMAGE": image,
        "WORKER_IMAGE": worker_image,
        "TENANT_NAMESPACES": tenant_namespaces.value,
        "LOG_LEVEL": log_level,
    }
    return [_network_policy(), _disruption_budget(), _deployment(image, replicas, environment)]


def build_namespace() -> Manifest:
    """The manager's namespace, at the strictest Pod Security level."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": MANAGER_NAMESPACE, "labels": {labels.APP_PART_OF: labels.PART_OF, **levels}},
    }


def build_agent_role() -> Manifest:
    """What an agent may do in its own namespace.

    It may read, change and delete only the job Secrets, whose names are a bounded set; so it cannot read any other
    Secret of the tenant, and it can list none.
    """
    slots = [job_slot_name(slot) for slot in range(1, JOB_SLOTS + 1)]
    return _cluster_role(
        AGENT_CLUSTER_ROLE,
        [
            _rule("", ["pods"], ["get", "list", "watch", "create", "patch", "delete"]),
            _rule("", ["secrets"], ["create"]),
            _rule("", ["secrets"], ["get", "patch", "delete"], names=slots),
            _rule(API_GROUP, ["runnergroups"], ["get", "list", "watch"]),
            _rule(API_GROUP, ["runnergroups/status"], ["get", "patch"]),
            *_event_rules(),
        ],
    )


def build_manager_role() -> Manifest:
    """What the manager may do in every namespace. Its reads are lists and watches; its writes are mostly applies."""
    kept = ["list", "watch", "create", "patch", "delete"]
    return _cluster_role(
        MANAGER_CLUSTER_ROLE,
        [
            _rule(API_GROUP, ["actionsgateways"], ["list", "watch"]),
            _rule(API_GROUP, ["actionsgateways/status"], ["patch"]),
            # Without it, admission may refuse an owner reference that blocks the owner's deletion.
            _rule(API_GROUP, ["actionsgateways/finalizers"], ["update"]),
            _rule(API_GROUP, ["runnergroups"], kept),
            _rule("", ["namespaces"], ["list", "watch", "patch"]),
            _rule("", ["serviceaccounts"], kept),
            _rule("apps", ["deployments"], kept),
            _rule("networking.k8s.io", ["networkpolicies"], kept),
            _rule(_RBAC, ["rolebindings"], kept),
            _rule(_RBAC, ["clusterroles"], ["bind"], names=[AGENT_CLUSTER_ROLE]),
            *_event_rules(),
        ],
    )


def build_leader_role() -> Manifest:
    """The leader lease, in the manager's own namespace; creation cannot be confined to a name."""
    lease = "coordination.k8s.io"
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": _metadata(_LEADER_ROLE, namespaced=True),
        "rules": [
            _rule(lease, ["leases"], ["create"]),
            _rule(lease, ["leases"], ["get", "update"], names=[MANAGER_LEASE]),
        ],
    }


def _deployment(image: str, replicas: int, environment: dict[str, str]) -> Manifest:
    container = {
        "name": "manager",
        "image": image,
        "args": ["manager"],
        "env": podspec.identity() + podspec.plain(environment),
        "ports": podspec.ports(),
        **podspec.probes(),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "securityContext": podspec.container_security(),
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(_SELECTOR)},
    }
    metadata = _metadata(MANAGER, namespaced=True)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(_SELECTOR)},
            "template": {
                "metadata": {"labels": {**metadata["labels"], **_SELECTOR}},
                "spec": {
                    "serviceAccountName": MANAGER,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": _TERMINATION_GRACE_SECONDS,
                    "securityContext": podspec.pod_security(),
                    "topologySpreadConstraints": [spread],
                    "containers": [container],
                },
            },
        },
    }


def _disruption_budget() -> Manifest:
    """One replica may always go, so that no drain waits, a single replica's included."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(MANAGER, namespaced=True),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": dict(_SELECTOR)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _network_policy() -> Manifest:
    """The manager is scraped from namespaces that watch, and speaks to nothing but DNS and the API server."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(MANAGER, namespaced=True),
        "spec": policy_spec(_SELECTOR, ingress=[from_monitoring()], egress=[to_dns(), to_api_server()]),
    }


def _service_account() -> Manifest:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(MANAGER, namespaced=True)}


def _binding(kind: str, name: str, role_kind: str) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespaced=kind == "RoleBinding"),
        "roleRef": {"apiGroup": _RBAC, "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": MANAGER, "namespace": MANAGER_NAMESPACE}],
    }


def _cluster_role(name: str, rules: list[Manifest]) -> Manifest:
    metadata = _metadata(name, namespaced=False)
    return {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}


def _event_rules() -> list[Manifest]:
    """Both groups: which one a client writes is its own business, and one is not served by the other's right."""
    return [_rule(group, ["events"], ["create", "patch"]) for group in ("", "events.k8s.io")]


def _rule(group: str, resources: list[str], verbs: list[str], *, names: list[str] | None = None) -> Manifest:
    rule: Manifest = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return rule | ({"resourceNames": names} if names else {})


def _metadata(name: str, *, namespaced: bool) -> Manifest:
    metadata: Manifest = {"name": name, "labels": {labels.APP_NAME: "gmc", labels.APP_PART_OF: labels.PART_OF}}
    return metadata | ({"namespace": MANAGER_NAMESPACE} if namespaced else {})
