"""What the manager may write as children of gateways: the objects that it makes, in tenants' namespaces only.

A manager that somebody else has taken over can mark a namespace as a tenant's, so a place alone is no bound. What it
writes there has a child's name and label, leaves foreign objects as they are, gives the agent's role to the agent
alone, runs Deployments only as agent and proxy, opens no way into the cluster and holds up no drain. What remains:
which image such a Deployment runs, and which Secret of the namespace an agent mounts the three keys of a GitHub App
from; the name in a gateway's gitHubAppRef is free.
"""

from actions_gateway.api import labels
from actions_gateway.api.names import (
    AGENT,
    AGENT_CLUSTER_ROLE,
    API_GROUP,
    MANAGER_CHILDREN_POLICY,
    PROXY,
    RESERVED_NAMESPACES,
    WORKER,
    WORKLOAD_POLICY,
)
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, forbid_here, resource_rule
from actions_gateway.installation.policies.child_deployments import deployment_checks, deployment_variables
from actions_gateway.installation.rights import MANAGER_CHILDREN

CHILD_NAMES: dict[str, tuple[str, ...] | None] = {
    "serviceaccounts": (AGENT, WORKER, PROXY),
    "services": (PROXY,),
    "rolebindings": (AGENT,),
    "networkpolicies": (AGENT, WORKLOAD_POLICY, PROXY),
    "deployments": (AGENT, PROXY),
    "horizontalpodautoscalers": (PROXY,),
    "poddisruptionbudgets": (PROXY,),
    "runnergroups": None,
}
"""By plural, the names of the manager's children; None where tenants choose them."""

_PROXY_PODS = f"{{{cel.text(labels.APP)}: {cel.text(PROXY)}}}"
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
            **deployment_variables(),
        },
        checks=[
            *_places(),
            *_marks(),
            *_names(),
            *_role_bindings(),
            *_services(),
            *_autoscalers(),
            *_disruption_budgets(),
            *deployment_checks(),
        ],
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


def _services() -> list[Check]:
    """A Service of the manager's is a name within the cluster, and gives nothing a way in from outside."""
    is_other, spec = f"!({_is_written('services')})", "dyn(object).spec"
    outside = ("externalIPs", "loadBalancerIP", "externalName")
    return [
        forbid_here(
            f"{is_other} || ({spec}.?type.orValue('') == 'ClusterIP' && {cel.texts(outside)}.all(k, !(k in {spec})))",
            "spec: a proxy's Service has the type ClusterIP and no address outside of the cluster",
        ),
        forbid_here(
            f"{is_other} || {spec}.?selector.orValue({{}}) == {_PROXY_PODS}",
            f"spec.selector: a proxy's Service selects {labels.APP}={PROXY}",
        ),
    ]


def _autoscalers() -> list[Check]:
    target = "dyn(object).spec.scaleTargetRef"
    is_proxy = (
        f"{target}.kind == 'Deployment' && {target}.name == '{PROXY}' && {target}.?apiVersion.orValue('') == 'apps/v1'"
    )
    return [
        forbid_here(
            f"!({_is_written('horizontalpodautoscalers')}) || ({is_proxy})",
            f"spec.scaleTargetRef: the manager scales only the Deployment {PROXY}",
        )
    ]


def _disruption_budgets() -> list[Check]:
    """It may slow a drain down and never hold it up: one pod at a time may go, and one that is not ready always."""
    spec = "dyn(object).spec"
    lets_go = (
        f"!has({spec}.minAvailable) && {spec}.?maxUnavailable.orValue(0) == 1 && "
        f"{spec}.?unhealthyPodEvictionPolicy.orValue('') == 'AlwaysAllow'"
    )
    is_ours = f"{spec}.selector.?matchLabels.orValue({{}}) == {_PROXY_PODS} && !has({spec}.selector.matchExpressions)"
    is_other = f"!({_is_written('poddisruptionbudgets')})"
    return [
        forbid_here(
            f"{is_other} || ({lets_go})",
            "spec: the manager's budget has maxUnavailable 1 and unhealthyPodEvictionPolicy AlwaysAllow, "
            "and so holds up no drain",
        ),
        forbid_here(f"{is_other} || ({is_ours})", f"spec.selector: the manager's budget is for {labels.APP}={PROXY}"),
    ]


def _is_written(plural: str) -> str:
    return f"request.resource.resource == '{plural}' && object != null"
