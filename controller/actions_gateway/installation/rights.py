"""Rights of the components: agent, manager and the manager's leader lease.

The agent's rights are one fixed ClusterRole, bound per namespace; the manager holds `bind` on that single name, and no
right on Secrets. Rights alone leave two ways around that: `bind` does not say whom the role is given to, and a pod
mounts any Secret of its namespace. The admission policy of the manager's children closes both: the role goes to the
namespace's agent alone, and of what a pod may take from a Secret there remain the three keys of a GitHub App, in
whichever Secret of the namespace a Deployment names, since a gateway may name any.
"""

from actions_gateway.api.names import (
    AGENT_CLUSTER_ROLE,
    API_GROUP,
    JOB_SLOTS,
    LEADER_ROLE,
    MANAGER,
    MANAGER_CLUSTER_ROLE,
    MANAGER_LEASE,
    MANAGER_NAMESPACE,
    RERUN_LEDGER,
    job_slot_name,
)
from actions_gateway.installation.metadata import RBAC_GROUP, Manifest, cluster_role, metadata, rule

CRD_NAMES = [f"{plural}.{API_GROUP}" for plural in ("actionsgateways", "runnergroups")]
MANAGER_CHILDREN = (
    ("", "serviceaccounts"),
    ("", "services"),
    (RBAC_GROUP, "rolebindings"),
    ("networking.k8s.io", "networkpolicies"),
    ("apps", "deployments"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("policy", "poddisruptionbudgets"),
    (API_GROUP, "runnergroups"),
)
"""Group and plural of the kinds of which the manager makes children; policies confine it by the same list."""


def rbac_manifests() -> list[Manifest]:
    """Rights of agents and manager; the manager's namespace has to exist."""
    return [
        build_agent_role(),
        build_manager_role(),
        build_leader_role(),
        _service_account(),
        _binding("ClusterRoleBinding", MANAGER_CLUSTER_ROLE, "ClusterRole"),
        _binding("RoleBinding", LEADER_ROLE, "Role"),
    ]


def build_agent_role() -> Manifest:
    """What an agent may do in its own namespace.

    It may read, change and delete only the job Secrets, whose names are a bounded set; so it cannot read any other
    Secret of the tenant, and it can list none. Of ConfigMaps it reads and writes one.
    """
    slots = [job_slot_name(slot) for slot in range(1, JOB_SLOTS + 1)]
    return cluster_role(
        AGENT_CLUSTER_ROLE,
        [
            rule("", ["pods"], ["get", "list", "watch", "create", "patch", "delete"]),
            rule("", ["secrets"], ["create"]),
            rule("", ["secrets"], ["get", "patch", "delete"], names=slots),
            # What it reruns, and how often it has; a policy holds the creation to the same name.
            rule("", ["configmaps"], ["create"]),
            rule("", ["configmaps"], ["get", "patch"], names=[RERUN_LEDGER]),
            # How many workers the tenant's quotas admit, and what containers get that declare nothing.
            rule("", ["resourcequotas", "limitranges"], ["list", "watch"]),
            rule(API_GROUP, ["runnergroups"], ["list", "watch"]),
            rule(API_GROUP, ["runnergroups/status"], ["patch"]),
            # Without it, admission may refuse an owner reference that blocks the owner's deletion; there is no such
            # resource, so it allows nothing else.
            rule(API_GROUP, ["runnergroups/finalizers"], ["update"]),
            _event_rule(),
        ],
    )


def build_manager_role() -> Manifest:
    """What the manager may do in every namespace. Its reads are lists and watches; its writes are mostly applies."""
    kept = ["list", "watch", "create", "patch", "delete"]
    return cluster_role(
        MANAGER_CLUSTER_ROLE,
        [
            # The patch is for its finalizer alone, to which a policy holds it.
            rule(API_GROUP, ["actionsgateways"], ["list", "watch", "patch"]),
            rule(API_GROUP, ["actionsgateways/status"], ["patch"]),
            # Without it, admission may refuse an owner reference that blocks the owner's deletion.
            rule(API_GROUP, ["actionsgateways/finalizers"], ["update"]),
            rule("", ["namespaces"], ["list", "watch", "patch"]),
            *(rule(group, [plural], kept) for group, plural in MANAGER_CHILDREN),
            # What its metrics tell of a tenant: how agents and proxies restart, and how much of a quota is used.
            rule("", ["pods", "resourcequotas"], ["list", "watch"]),
            rule(RBAC_GROUP, ["clusterroles"], ["bind"], names=[AGENT_CLUSTER_ROLE]),
            # Whether the cluster's schema is the one that this release writes.
            rule("apiextensions.k8s.io", ["customresourcedefinitions"], ["get"], names=CRD_NAMES),
            _event_rule(),
        ],
    )


def build_leader_role() -> Manifest:
    """The leader lease, in the manager's own namespace; creation cannot be confined to a name."""
    lease = "coordination.k8s.io"
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": metadata(LEADER_ROLE, namespaced=True),
        "rules": [
            rule(lease, ["leases"], ["create"]),
            rule(lease, ["leases"], ["get", "update"], names=[MANAGER_LEASE]),
        ],
    }


def _service_account() -> Manifest:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(MANAGER, namespaced=True)}


def _binding(kind: str, name: str, role_kind: str) -> Manifest:
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": kind,
        "metadata": metadata(name, namespaced=kind == "RoleBinding"),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": MANAGER, "namespace": MANAGER_NAMESPACE}],
    }


def _event_rule() -> Manifest:
    return rule("events.k8s.io", ["events"], ["create", "patch"])
