"""Roles of people. None of them reads Secrets across namespaces; who holds them is the platform's to decide.

`gw-viewer` and `gw-oncall` are for a ClusterRoleBinding, the Role `gw-oncall` for a RoleBinding in the manager's
namespace, `gw-tenant` for a RoleBinding in a tenant's. Policies narrow what RBAC cannot: of the RunnerGroups and
Deployments that the manager owns, whoever may patch them (on-call people both, tenants and holders of the built-in
`edit` the groups of their namespace) changes annotations and restarts pods, and nothing else.
"""

from actions_gateway.api.names import (
    AGENT,
    AGGREGATED_EDIT_ROLE,
    AGGREGATED_VIEW_ROLE,
    API_GROUP,
    MANAGER,
    ONCALL_ROLE,
    PROXY,
    TENANT_ROLE,
    VIEWER_ROLE,
)
from actions_gateway.installation.metadata import RBAC_GROUP, Manifest, cluster_role, metadata, rule

_READ = ["get", "list", "watch"]
_WRITE = ["create", "update", "patch", "delete"]
_AGGREGATE = f"{RBAC_GROUP}/aggregate-to-"
_APPS = ["deployments", "replicasets"]


def people_manifests() -> list[Manifest]:
    """The roles; the manager's namespace has to exist."""
    return [
        build_viewer_role(),
        build_oncall_role(),
        build_record_role(),
        build_tenant_role(),
        *build_aggregated_roles(),
    ]


def build_viewer_role() -> Manifest:
    """Reads everything that says how gateways are, and no Secret."""
    return cluster_role(VIEWER_ROLE, _cluster_reads())


def build_oncall_role() -> Manifest:
    """The viewer's reads, and the writes of an incident in any namespace."""
    return cluster_role(
        ONCALL_ROLE,
        [
            *_cluster_reads(),
            rule(API_GROUP, ["actionsgateways"], ["patch"]),
            rule(API_GROUP, ["runnergroups"], ["patch"]),
            rule("", ["resourcequotas"], ["patch"]),
            # Of our own names only: a Deployment that one may patch is a pod that one may be.
            rule("apps", ["deployments"], ["patch"], names=[AGENT, PROXY, MANAGER]),
        ],
    )


def build_record_role() -> Manifest:
    """Incidents and hand-overs: ConfigMaps in the manager's namespace."""
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": metadata(ONCALL_ROLE, namespaced=True),
        "rules": [rule("", ["configmaps"], [*_READ, *_WRITE])],
    }


def build_tenant_role() -> Manifest:
    """Everything that a tenant needs in its own namespace, from the first step of onboarding on."""
    return cluster_role(
        TENANT_ROLE,
        [
            # Bound in a namespace, this is the right to read that one namespace.
            rule("", ["namespaces"], ["get"]),
            rule(API_GROUP, ["actionsgateways"], [*_READ, *_WRITE]),
            # Annotations alone, says a policy: one asks for reruns of its lost jobs.
            rule(API_GROUP, ["runnergroups"], [*_READ, "patch"]),
            rule("", ["secrets", "configmaps"], [*_READ, *_WRITE]),
            *_namespaced_reads(),
        ],
    )


def roles_that_may(verb: str, group: str, plural: str) -> list[str]:
    """The roles of gw's that hold a right, by name."""
    roles = [build_viewer_role(), build_oncall_role(), build_record_role(), build_tenant_role()]
    having = [
        role["metadata"]["name"]
        for role in roles
        if any(
            verb in each["verbs"] and group in each["apiGroups"] and plural in each["resources"]
            for each in role["rules"]
        )
    ]
    return list(dict.fromkeys(having))


def build_aggregated_roles() -> list[Manifest]:
    """Additions to the built-in roles: who edits a namespace keeps its gateway, who views it sees it.

    `edit` aggregates what `view` has, and `admin` what `edit` has.
    """
    edits = [rule(API_GROUP, ["actionsgateways"], _WRITE), rule(API_GROUP, ["runnergroups"], ["patch"])]
    additions = (
        (AGGREGATED_VIEW_ROLE, "view", [rule(API_GROUP, ["actionsgateways", "runnergroups"], _READ)]),
        (AGGREGATED_EDIT_ROLE, "edit", edits),
    )
    roles = []
    for name, built_in, rules in additions:
        role = cluster_role(name, rules)
        role["metadata"]["labels"] |= {f"{_AGGREGATE}{built_in}": "true"}
        roles.append(role)
    return roles


def _cluster_reads() -> list[Manifest]:
    return [
        rule(API_GROUP, ["actionsgateways", "runnergroups"], _READ),
        rule("", ["namespaces", "nodes", "configmaps"], _READ),
        *_namespaced_reads(),
        rule(RBAC_GROUP, ["roles", "clusterroles", "clusterrolebindings"], _READ),
        rule("coordination.k8s.io", ["leases"], _READ),
        rule("scheduling.k8s.io", ["priorityclasses"], _READ),
        rule("apiextensions.k8s.io", ["customresourcedefinitions"], _READ),
        rule(
            "admissionregistration.k8s.io",
            ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
            _READ,
        ),
        rule("apiregistration.k8s.io", ["apiservices"], _READ),
        rule("metrics.k8s.io", ["nodes"], ["get", "list"]),
        rule("monitoring.coreos.com", ["servicemonitors", "podmonitors", "prometheusrules"], _READ),
    ]


def _namespaced_reads() -> list[Manifest]:
    """What is in a namespace beside Secrets and ConfigMaps, as far as gateways have to do with it."""
    return [
        rule(
            "",
            ["pods", "pods/log", "events", "services", "serviceaccounts", "resourcequotas", "limitranges"],
            _READ,
        ),
        rule("events.k8s.io", ["events"], _READ),
        rule("apps", _APPS, _READ),
        rule("autoscaling", ["horizontalpodautoscalers"], _READ),
        rule("policy", ["poddisruptionbudgets"], _READ),
        rule("networking.k8s.io", ["networkpolicies"], _READ),
        rule("discovery.k8s.io", ["endpointslices"], _READ),
        rule(RBAC_GROUP, ["rolebindings"], _READ),
        rule("metrics.k8s.io", ["pods"], ["get", "list"]),
    ]
