"""Where the manager may write the kinds of which it makes children, and what: nothing but a gateway's own children.

The cases are what somebody could try who has the manager's rights and a namespace that it has marked itself.
"""

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CLUSTER_ROLE, MANAGER_CHILDREN_POLICY, RESERVED_NAMESPACES, WORKER
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.resources import (
    CLUSTERROLES,
    ROLEBINDINGS,
    ROLES,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    Resource,
    resource_of,
)
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import Callers, callers, children_in, gateway_in, group_in, refusal, until_refused

from .children import Change, as_manager, child, refuse_changed, resource_for

KINDS = (
    "ServiceAccount",
    "RoleBinding",
    "NetworkPolicy",
    "Service",
    "Deployment",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "RunnerGroup",
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manager_makes_changes_and_deletes_it_in_a_marked_namespace_only(
    kind: str, installed: ControlPlane
) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as namespace, as_.manager() as manager:
            owner = await as_.gateway(gateway_in(namespace))
            manifest = child(kind, owner)
            resource = resource_of(manifest["apiVersion"], kind)
            assert resource is not None
            name = manifest["metadata"]["name"]
            await manager.apply(resource, manifest, field_manager="gmc")
            await as_.label(namespace, "tenant", None)
            said = await until_refused(lambda: manager.apply(resource, manifest, field_manager="gmc", dry_run=True))
            assert f"'{MANAGER_CHILDREN_POLICY}'" in said
            assert "the manager writes only in namespaces with the label actions-gateway.github.com/tenant=true" in said
            assert "the manager writes only" in await refusal(manager.delete(resource, name, namespace=namespace))
            await as_.label(namespace, "tenant", "true")
            await as_.until_admitted(lambda: manager.delete(resource, name, namespace=namespace))

    run(main())


@pytest.mark.parametrize("namespace", sorted(RESERVED_NAMESPACES))
def test_the_manager_writes_nothing_in_system_namespaces(namespace: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.manager() as manager:
            manifest = {"metadata": {"name": AGENT, "namespace": namespace}}
            said = await refusal(manager.apply(SERVICEACCOUNTS, manifest, field_manager="gmc", dry_run=True))
            assert "the manager writes nothing in system namespaces" in said
            assert namespace in said

    run(main())


def test_others_are_not_confined_by_it(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            await as_.admin.create(SERVICEACCOUNTS, {"metadata": {"name": WORKER, "namespace": namespace}})

    run(main())


# -- what it writes --------------------------------------------------------------------------------------------------


def without(spec: Manifest, field: str) -> Manifest:
    return {key: value for key, value in spec.items() if key != field}


def renamed(manifest: Manifest, name: str) -> None:
    manifest["metadata"]["name"] = name


MANAGER_ACCOUNT = {"kind": "ServiceAccount", "name": "gmc-controller-manager", "namespace": "gmc-system"}
CLUSTER_ONLY = "spec: a proxy's Service has the type ClusterIP and no address outside of the cluster"
PROXIES_ONLY = "spec.selector: a proxy's Service selects app=actions-gateway-proxy"
SCALES = "spec.scaleTargetRef: the manager scales only the Deployment actions-gateway-proxy"
HOLDS_UP = "spec: the manager's budget has maxUnavailable 1 and unhealthyPodEvictionPolicy AlwaysAllow"
BUDGET_FOR = "spec.selector: the manager's budget is for app=actions-gateway-proxy"
TO_ONE = "subjects: the manager gives its role to one subject, the ServiceAccount actions-gateway-controller"
REFUSED: dict[str, tuple[str, Change, str]] = {
    "another account": ("ServiceAccount", lambda m: renamed(m, "deployer"), "metadata.name: of serviceaccounts"),
    "another binding": ("RoleBinding", lambda m: renamed(m, "more"), "metadata.name: of rolebindings"),
    "another network policy": ("NetworkPolicy", lambda m: renamed(m, "open"), "metadata.name: of networkpolicies"),
    "another deployment": (
        "Deployment",
        lambda m: renamed(m, "argocd-server"),
        "metadata.name: of deployments the manager makes only actions-gateway-controller, actions-gateway-proxy",
    ),
    "a group without its label": (
        "RunnerGroup",
        lambda m: m["metadata"]["labels"].pop(labels.MANAGED_BY),
        "metadata.labels: what the manager writes carries app.kubernetes.io/managed-by=actions-gateway-gmc",
    ),
    "its own account as the subject": ("RoleBinding", lambda m: m.update(subjects=[MANAGER_ACCOUNT]), TO_ONE),
    "a second subject": ("RoleBinding", lambda m: m["subjects"].append(MANAGER_ACCOUNT), TO_ONE),
    "an agent of another namespace": (
        "RoleBinding",
        lambda m: m["subjects"][0].update(namespace="team-elsewhere"),
        TO_ONE,
    ),
    "the workers as the subject": ("RoleBinding", lambda m: m["subjects"][0].update(name=WORKER), TO_ONE),
    "a person as the subject": (
        "RoleBinding",
        lambda m: m.update(subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": AGENT}]),
        TO_ONE,
    ),
    "another service": ("Service", lambda m: renamed(m, "open"), "metadata.name: of services the manager makes only"),
    "another autoscaler": (
        "HorizontalPodAutoscaler",
        lambda m: renamed(m, "more"),
        "metadata.name: of horizontalpodautoscalers",
    ),
    "another budget": ("PodDisruptionBudget", lambda m: renamed(m, "more"), "metadata.name: of poddisruptionbudgets"),
    "a port on every node": ("Service", lambda m: m["spec"].update(type="NodePort"), CLUSTER_ONLY),
    "a load balancer": ("Service", lambda m: m["spec"].update(type="LoadBalancer"), CLUSTER_ONLY),
    "a name of elsewhere": (
        "Service",
        lambda m: m["spec"].update(type="ExternalName", externalName="example.com"),
        CLUSTER_ONLY,
    ),
    "an address of elsewhere": ("Service", lambda m: m["spec"].update(externalIPs=["192.0.2.1"]), CLUSTER_ONLY),
    "a service of other pods": ("Service", lambda m: m["spec"].update(selector={"app": "argocd-server"}), PROXIES_ONLY),
    "a service of more pods": ("Service", lambda m: m["spec"].update(selector={}), PROXIES_ONLY),
    "a service of fewer pods": ("Service", lambda m: m["spec"]["selector"].update(team="a"), PROXIES_ONLY),
    "a scale of another deployment": (
        "HorizontalPodAutoscaler",
        lambda m: m["spec"]["scaleTargetRef"].update(name=AGENT),
        SCALES,
    ),
    "a scale of another kind": (
        "HorizontalPodAutoscaler",
        lambda m: m["spec"]["scaleTargetRef"].update(kind="StatefulSet"),
        SCALES,
    ),
    "a scale of another group": (
        "HorizontalPodAutoscaler",
        lambda m: m["spec"]["scaleTargetRef"].update(apiVersion="example.com/v1"),
        SCALES,
    ),
    "a budget that keeps all": ("PodDisruptionBudget", lambda m: m["spec"].update(maxUnavailable=0), HOLDS_UP),
    "a budget that keeps some": (
        "PodDisruptionBudget",
        lambda m: m.update(spec={**without(m["spec"], "maxUnavailable"), "minAvailable": 1}),
        HOLDS_UP,
    ),
    "a budget in percent": ("PodDisruptionBudget", lambda m: m["spec"].update(maxUnavailable="1%"), HOLDS_UP),
    "a budget without a number": (
        "PodDisruptionBudget",
        lambda m: m.update(spec=without(m["spec"], "maxUnavailable")),
        HOLDS_UP,
    ),
    "a budget that waits for what is not ready": (
        "PodDisruptionBudget",
        lambda m: m.update(spec=without(m["spec"], "unhealthyPodEvictionPolicy")),
        HOLDS_UP,
    ),
    "a budget for all pods": ("PodDisruptionBudget", lambda m: m["spec"].update(selector={}), BUDGET_FOR),
    "a budget for other pods": (
        "PodDisruptionBudget",
        lambda m: m["spec"]["selector"].update(matchExpressions=[{"key": "team", "operator": "Exists"}]),
        BUDGET_FOR,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_manager_does_not_make(case: str, installed: ControlPlane) -> None:
    kind, change, message = REFUSED[case]
    refuse_changed(installed, kind, None, change, message)


@pytest.mark.parametrize("role", [ROLES, CLUSTERROLES], ids=lambda role: str(role.kind))
def test_the_manager_gives_no_role_but_the_agents(role: Resource, installed: ControlPlane) -> None:
    """A role without rules: rights alone would let anybody bind it."""

    async def act(manager: KubeClient, owner: Manifest, as_: Callers) -> None:
        namespace = owner["metadata"]["namespace"]
        name = AGENT_CLUSTER_ROLE if role == ROLES else f"empty-{namespace}"
        place = {"namespace": namespace} if role == ROLES else {}
        await as_.admin.create(role, {"metadata": {"name": name, **place}, "rules": []})
        try:
            binding = child("RoleBinding", owner)
            binding["roleRef"] |= {"kind": role.kind, "name": name}
            said = await refusal(manager.apply(ROLEBINDINGS, binding, field_manager="gmc", dry_run=True))
            assert "roleRef: the manager gives no role but the ClusterRole agc-tenant-role" in said
        finally:
            await as_.admin.delete(role, name, **place)

    as_manager(installed, act)


def test_the_manager_makes_all_children_of_a_gateway(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, owner: Manifest, _: Callers) -> None:
        for manifest in children_in(owner):
            await manager.apply(resource_for(manifest), manifest, field_manager="gmc")

    as_manager(installed, act)


def test_foreign_objects_of_the_same_name_stay_as_they_are(installed: ControlPlane) -> None:
    message = "the manager changes and deletes only what has the label app.kubernetes.io/managed-by=actions-gateway-gmc"

    async def act(manager: KubeClient, owner: Manifest, as_: Callers) -> None:
        namespace = owner["metadata"]["namespace"]
        await as_.admin.create(SERVICEACCOUNTS, {"metadata": {"name": WORKER, "namespace": namespace}})
        await as_.admin.create(RUNNERGROUPS, group_in(namespace, name="foreign"))
        await as_.until(SERVICEACCOUNTS, "default", namespace, lambda _: True)
        own = next(m for m in children_in(owner) if m["metadata"]["name"] == WORKER)
        said = await refusal(manager.apply(SERVICEACCOUNTS, own, field_manager="gmc"))
        assert message in said
        assert "delete this object, and the gateway makes its own" in said
        for resource, name in ((SERVICEACCOUNTS, WORKER), (SERVICEACCOUNTS, "default"), (RUNNERGROUPS, "foreign")):
            assert message in await refusal(manager.delete(resource, name, namespace=namespace))

    as_manager(installed, act)


def test_a_child_whose_labels_a_person_took_away_is_still_the_managers(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, owner: Manifest, as_: Callers) -> None:
        manifest = child("RunnerGroup", owner)
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        await manager.apply(RUNNERGROUPS, manifest, field_manager="gmc")
        await as_.admin.patch(RUNNERGROUPS, name, {"metadata": {"labels": None}}, namespace=namespace)
        found = await manager.apply(RUNNERGROUPS, manifest, field_manager="gmc")
        assert found["metadata"]["labels"][labels.MANAGED_BY] == labels.BY_MANAGER

    as_manager(installed, act)
