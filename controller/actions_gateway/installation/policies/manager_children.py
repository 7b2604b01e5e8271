"""What the manager may write as children of gateways: the objects that it makes, in tenants' namespaces only.

A manager that somebody else has taken over can mark a namespace as a tenant's, so a place alone is no bound. What it
writes there has a child's name and label, leaves foreign objects as they are, gives the agent's role to the agent
alone, and runs Deployments only as the agent, without the node and without other Secrets. What remains: which image
such a Deployment runs, and which Secret of the namespace it mounts the three keys of a GitHub App from; the name in a
gateway's gitHubAppRef is free.
"""

from actions_gateway.api import labels
from actions_gateway.api.names import (
    AGENT,
    AGENT_CLUSTER_ROLE,
    API_GROUP,
    GITHUB_APP_KEYS,
    MANAGER_CHILDREN_POLICY,
    RESERVED_NAMESPACES,
    WORKER,
    WORKLOAD_POLICY,
)
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, forbid_here, resource_rule
from actions_gateway.installation.policies.pod_rules import (
    CONTAINERS,
    HOST_RULES,
    PRIVILEGED_RULE,
    SCHEDULING_RULES,
    PodRule,
)
from actions_gateway.installation.rights import MANAGER_CHILDREN

CHILD_NAMES: dict[str, tuple[str, ...] | None] = {
    "serviceaccounts": (AGENT, WORKER),
    "rolebindings": (AGENT,),
    "networkpolicies": (AGENT, WORKLOAD_POLICY),
    "deployments": (AGENT,),
    "runnergroups": None,
}
"""By plural, the names of the manager's children; None where tenants choose them. Every Deployment is held to what the
agent's may be."""

_VOLUME_FIELDS = ("name", "secret", "configMap")
_BY_MANAGER = f"[?{cel.text(labels.MANAGED_BY)}] == optional.of('{labels.BY_MANAGER}')"
_OF_A_GATEWAY = (
    "dyn(oldObject).metadata.?ownerReferences.orValue([])"
    f".exists(o, o.kind == 'ActionsGateway' && o.apiVersion.startsWith('{API_GROUP}/'))"
)


def build_manager_children_policy() -> Policy:
    """The manager's writes to the kinds of which it makes children."""
    return Policy(
        name=MANAGER_CHILDREN_POLICY,
        rules=[resource_rule(group, [plural], ["CREATE", "UPDATE", "DELETE"]) for group, plural in MANAGER_CHILDREN],
        conditions={"is-the-manager": cel.IS_MANAGER},
        variables={
            "place": cel.labels_of("namespaceObject"),
            "new": cel.labels_of("object"),
            "old": cel.labels_of("oldObject"),
            "pods": f"{_is_written('deployments')} ? [dyn(object).spec.template.spec] : []",
        },
        checks=[*_places(), *_marks(), *_names(), *_role_bindings(), *_deployments()],
    )


def _places() -> list[Check]:
    is_reserved = f"request.namespace in {cel.texts(sorted(RESERVED_NAMESPACES))}"
    is_marked = f"variables.place[?{cel.text(labels.TENANT)}] == optional.of('{labels.TENANT_MARK}')"
    return [
        forbid_here(f"!({is_reserved})", "the manager writes nothing in system namespaces"),
        forbid_here(
            is_marked, f"the manager writes only in namespaces with the label {labels.TENANT}={labels.TENANT_MARK}"
        ),
    ]


def _marks() -> list[Check]:
    """An object whose label a person took away is still known by its owner, so that the manager can bring it back."""
    mark = f"{labels.MANAGED_BY}={labels.BY_MANAGER}"
    return [
        forbid_here(
            f"oldObject == null || variables.old{_BY_MANAGER} || {_OF_A_GATEWAY}",
            f"the manager changes and deletes only what has the label {mark} or a gateway as owner; "
            "delete this object, and the gateway makes its own",
        ),
        forbid_here(
            f"object == null || variables.new{_BY_MANAGER}",
            f"metadata.labels: what the manager writes carries {mark}",
        ),
    ]


def _names() -> list[Check]:
    return [
        forbid_here(
            f"!({_is_written(plural)}) || object.metadata.name in {cel.texts(names)}",
            f"metadata.name: of {plural} the manager makes only {', '.join(names)}",
        )
        for plural, names in CHILD_NAMES.items()
        if names is not None
    ]


def _role_bindings() -> list[Check]:
    is_other = f"!({_is_written('rolebindings')})"
    role, subjects = "dyn(object).roleRef", "dyn(object).?subjects.orValue([])"
    is_agent = f"s.kind == 'ServiceAccount' && s.name == '{AGENT}' && s.?namespace.orValue('') == request.namespace"
    return [
        forbid_here(
            f"{is_other} || ({role}.kind == 'ClusterRole' && {role}.name == '{AGENT_CLUSTER_ROLE}')",
            f"roleRef: the manager gives no role but the ClusterRole {AGENT_CLUSTER_ROLE}",
        ),
        forbid_here(
            f"{is_other} || ({subjects}.size() == 1 && {subjects}.all(s, {is_agent}))",
            f"subjects: the manager gives its role to one subject, the ServiceAccount {AGENT} of the same namespace",
        ),
    ]


def _deployments() -> list[Check]:
    env = cel.maps_at("c", "env") + ".exists(e, has(e.valueFrom) && has(e.valueFrom.secretKeyRef))"
    env_from = cel.maps_at("c", "envFrom") + ".exists(e, has(e.secretRef))"
    added = cel.list_at(cel.map_at(cel.map_at("c", "securityContext"), "capabilities"), "add")
    volumes = cel.maps_at("s", "volumes")
    rules = (
        PodRule("serviceAccountName", f"s.?serviceAccountName.orValue('') != '{AGENT}'", f"an agent runs as {AGENT}"),
        PodRule("containers", f"{CONTAINERS}.exists(c, {added}.size() > 0)", "an agent has no capabilities"),
        PodRule(
            "containers",
            f"{CONTAINERS}.exists(c, {env} || {env_from})",
            "an agent has no Secret in its environment",
        ),
        PodRule(
            "volumes",
            f"!{volumes}.all(v, v.all(k, k in {cel.texts(_VOLUME_FIELDS)}))",
            "an agent mounts Secrets and ConfigMaps alone",
        ),
        PodRule(
            "volumes",
            f"!{volumes}.all(v, !has(v.secret) || {_has_app_keys_only()})",
            f"of a Secret an agent mounts the items {', '.join(GITHUB_APP_KEYS)} alone",
        ),
    )
    of_workers = (*HOST_RULES, *SCHEDULING_RULES, PRIVILEGED_RULE)
    return [
        *(_pod_check(rule) for rule in rules),
        *(_pod_check(rule, "what no worker may, no agent may; ") for rule in of_workers),
    ]


def _has_app_keys_only() -> str:
    """Without items, a volume holds all keys of its Secret."""
    items = "v.secret.?items.orValue([])"
    return f"({items}.size() > 0 && {items}.all(i, i.key in {cel.texts(GITHUB_APP_KEYS)}))"


def _pod_check(rule: PodRule, why: str = "") -> Check:
    return forbid_here(
        f"!variables.pods.exists(s, {rule.is_broken})",
        f"spec.template.spec.{rule.field}: {why}{rule.advice}",
    )


def _is_written(plural: str) -> str:
    return f"request.resource.resource == '{plural}' && object != null"
