"""Who may change what the manager owns, and what on-call people and tenants read when they may not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import (
    AGENT,
    AGENT_CLUSTER_ROLE,
    API_GROUP,
    MANAGER,
    MANAGER_DEPLOYMENT_POLICY,
    MANAGER_NAMESPACE,
    ONCALL_ROLE,
    OVERRIDE_VERB,
    OWNED_OBJECT_POLICY,
    PROXY,
    TENANT_ROLE,
)
from actions_gateway.installation.metadata import RBAC_GROUP, cluster_role, rule
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    CLUSTERROLES,
    DEPLOYMENTS,
    HPAS,
    NAMESPACES,
    NETWORKPOLICIES,
    PDBS,
    RESOURCEQUOTAS,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
    resource_of,
)
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.components import require_kubectl
from support.installed import Callers, callers, children_in, gateway_in, refusal, user_subject
from support.kubectl import kubectl

KINDS: dict[str, tuple[Resource, str, Manifest]] = {
    "ServiceAccount": (SERVICEACCOUNTS, AGENT, {"automountServiceAccountToken": True}),
    "RoleBinding": (ROLEBINDINGS, AGENT, {"subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": "y"}]}),
    "NetworkPolicy": (NETWORKPOLICIES, "actions-gateway-workload", {"spec": {"egress": [{}]}}),
    "Service": (SERVICES, PROXY, {"spec": {"selector": {"app": "mine"}}}),
    "Deployment": (DEPLOYMENTS, AGENT, {"spec": {"template": {"spec": {"hostNetwork": True}}}}),
    "HorizontalPodAutoscaler": (HPAS, PROXY, {"spec": {"maxReplicas": 90}}),
    "PodDisruptionBudget": (PDBS, PROXY, {"spec": {"maxUnavailable": 0}}),
    "RunnerGroup": (RUNNERGROUPS, "ci-cpu", {"spec": {"maxListeners": 9}}),
}
RESTART = {"spec": {"template": {"metadata": {"annotations": {labels.RESTARTED_AT: "2026-01-05T08:00:00Z"}}}}}
Act = Callable[[KubeClient, str, Callers], Awaitable[None]]


@asynccontextmanager
async def tenant(as_: Callers) -> AsyncIterator[str]:
    """A namespace with a gateway `ci` and all its children, which nobody reconciles."""
    async with as_.namespace(tenant="true") as namespace, as_.manager() as manager:
        owner = await as_.gateway(gateway_in(namespace))
        for manifest in children_in(owner):
            resource = resource_of(manifest["apiVersion"], manifest["kind"])
            assert resource is not None
            await manager.apply(resource, manifest, field_manager="gmc")
        yield namespace


def as_namespace_admin(installed: ControlPlane, act: Act) -> None:
    """As somebody with Kubernetes' own role `admin` in the tenant's namespace, every right on groups, and `bind`."""

    async def main() -> None:
        async with callers(installed) as as_, tenant(as_) as namespace, as_.user("ada") as ada:
            await as_.bind("admin", namespace, user_subject("ada"))
            # Kubernetes itself lets nobody touch a binding who could not make it.
            binds = rule(RBAC_GROUP, ["clusterroles"], ["bind"], names=[AGENT_CLUSTER_ROLE])
            groups = rule(API_GROUP, ["runnergroups"], EVERY_VERB)
            await as_.admin.create(CLUSTERROLES, cluster_role(f"everything-{namespace}", [groups, binds]))
            try:
                await as_.bind(f"everything-{namespace}", namespace, user_subject("ada"))
                # Kubernetes' own `admin` may patch groups already, and delete none.
                await as_.until_allowed(ada, "delete", RUNNERGROUPS, namespace)
                await act(ada, namespace, as_)
            finally:
                await as_.admin.delete(CLUSTERROLES, f"everything-{namespace}")

    # The garbage collector looks at the served kinds anew every half minute, and then at what it has missed.
    run(main())


EVERY_VERB = ["get", "list", "create", "update", "patch", "delete"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tenant_changes_no_child_of_its_gateway(kind: str, installed: ControlPlane) -> None:
    resource, name, change = KINDS[kind]

    async def act(ada: KubeClient, namespace: str, _: Callers) -> None:
        said = await refusal(ada.patch(resource, name, change, namespace=namespace))
        assert f"'{OWNED_OBJECT_POLICY}'" in said
        assert f"{kind} {name} belongs to the ActionsGateway ci; change the gateway's spec instead" in said
        for metadata in (
            {"labels": {labels.MANAGED_BY: "ada"}},
            {"labels": {"team": "a"}},
            {"ownerReferences": None},
            {"finalizers": ["example.com/hold"]},
        ):
            said = await refusal(ada.patch(resource, name, {"metadata": metadata}, namespace=namespace))
            assert (
                f"{kind} {name} belongs to the ActionsGateway ci; its labels, ownerReferences, finalizers stay" in said
            )

    as_namespace_admin(installed, act)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tenant_deletes_no_child_of_its_gateway(kind: str, installed: ControlPlane) -> None:
    resource, name, _ = KINDS[kind]

    async def act(ada: KubeClient, namespace: str, _: Callers) -> None:
        said = await refusal(ada.delete(resource, name, namespace=namespace))
        assert f"{kind} {name} belongs to the ActionsGateway ci and would come back; delete the gateway" in said

    as_namespace_admin(installed, act)


@pytest.mark.parametrize("kind", KINDS)
def test_anybody_with_the_right_sets_annotations(kind: str, installed: ControlPlane) -> None:
    resource, name, _ = KINDS[kind]

    async def act(ada: KubeClient, namespace: str, _: Callers) -> None:
        await ada.patch(resource, name, {"metadata": {"annotations": {"a": "b"}}}, namespace=namespace)

    as_namespace_admin(installed, act)


def test_nobody_else_makes_objects_with_the_managers_label_but_others_as_they_like(installed: ControlPlane) -> None:
    async def act(ada: KubeClient, namespace: str, _: Callers) -> None:
        account = {"metadata": {"name": "mine", "namespace": namespace, "labels": {"team": "a"}}}
        await ada.create(SERVICEACCOUNTS, account)
        take_over = {"metadata": {"labels": {labels.MANAGED_BY: labels.BY_MANAGER}}}
        assert f"'{OWNED_OBJECT_POLICY}'" in await refusal(
            ada.patch(SERVICEACCOUNTS, "mine", take_over, namespace=namespace)
        )
        account["metadata"] |= {"name": "forged", **take_over["metadata"]}
        said = await refusal(ada.create(SERVICEACCOUNTS, account))
        assert f"{labels.MANAGED_BY}={labels.BY_MANAGER} is the manager's own; remove it" in said
        await ada.delete(SERVICEACCOUNTS, "mine", namespace=namespace)

    as_namespace_admin(installed, act)


def test_image_pull_secrets_of_the_accounts_are_the_tenants_to_add(installed: ControlPlane) -> None:
    async def act(ada: KubeClient, namespace: str, _: Callers) -> None:
        change = {"imagePullSecrets": [{"name": "registry"}], "secrets": [{"name": "registry"}]}
        await ada.patch(SERVICEACCOUNTS, AGENT, change, namespace=namespace)

    as_namespace_admin(installed, act)


RESTARTS_WITH_MORE: dict[str, Manifest] = {
    "an image": {"spec": {"template": {"spec": {"containers": [{"name": "agc", "image": "mine"}]}}}},
    "a label": {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}},
    "an annotation": {"spec": {"template": {"metadata": {"annotations": {labels.CREDENTIAL_SECRET: "mine"}}}}},
    "an annotation taken away": {"spec": {"template": {"metadata": {"annotations": {labels.CREDENTIAL_SECRET: None}}}}},
    "a count": {"spec": {"replicas": 3}},
    "a pause": {"spec": {"paused": True}},
}


@pytest.mark.parametrize("case", RESTARTS_WITH_MORE)
def test_a_restart_changes_nothing_beside(case: str, installed: ControlPlane) -> None:
    async def act(ada: KubeClient, namespace: str, _: Callers) -> None:
        await ada.patch(DEPLOYMENTS, AGENT, RESTART, namespace=namespace)
        said = await refusal(ada.patch(DEPLOYMENTS, AGENT, RESTARTS_WITH_MORE[case], namespace=namespace))
        assert "belongs to the ActionsGateway ci" in said

    as_namespace_admin(installed, act)


# -- on call ---------------------------------------------------------------------------------------------------------


def as_oncall(installed: ControlPlane, act: Callable[[str, str], Awaitable[None]]) -> None:
    """With gw-oncall in every namespace; `act` gets a kubeconfig and the tenant's namespace."""
    require_kubectl()

    async def main() -> None:
        async with (
            callers(installed) as as_,
            tenant(as_) as namespace,
            as_.user("olga") as olga,
            as_.bound_everywhere(ONCALL_ROLE, user_subject("olga")),
        ):
            await as_.until_allowed(olga, "patch", RUNNERGROUPS, namespace)
            await act(str(installed.kubeconfig_for("olga")), namespace)

    run(main())


def test_oncall_people_restart_agent_proxies_and_manager_with_kubectl(installed: ControlPlane) -> None:
    async def act(kubeconfig: str, namespace: str) -> None:
        for name, place in ((AGENT, namespace), (PROXY, namespace), (MANAGER, MANAGER_NAMESPACE)):
            done = await kubectl(kubeconfig, "rollout", "restart", f"deploy/{name}", "-n", place)
            assert done.out.strip() == f"deployment.apps/{name} restarted"

    as_oncall(installed, act)


def test_oncall_people_ask_for_a_rerun_pause_a_gateway_and_touch_no_group(installed: ControlPlane) -> None:
    async def act(kubeconfig: str, namespace: str) -> None:
        place = ("-n", namespace)
        await _asks_for_a_rerun_alone(kubeconfig, namespace)
        pause = '{"spec":{"paused":true}}'
        assert (await kubectl(kubeconfig, "patch", "ag", "ci", "--type=merge", "-p", pause, *place)).code == 0

    as_oncall(installed, act)


async def _asks_for_a_rerun_alone(kubeconfig: str, namespace: str) -> None:
    """Whoever may patch groups annotates them, and changes neither their spec, their labels nor what agents say."""
    place = ("-n", namespace)
    annotated = await kubectl(
        kubeconfig, "annotate", "runnergroup", "ci-cpu", f"{labels.RERUN}=token-1 ci-cpu-1", *place
    )
    assert annotated.code == 0, annotated
    spec, label = '{"spec":{"maxListeners":9}}', '{"metadata":{"labels":{"team":"a"}}}'
    for change, said in ((spec, "change the gateway's spec instead"), (label, "its labels, ownerReferences")):
        refused = await kubectl(kubeconfig, "patch", "rg", "ci-cpu", "--type=merge", "-p", change, *place)
        assert refused.code == 1
        assert f"RunnerGroup ci-cpu belongs to the ActionsGateway ci; {said}" in refused.err
    status = ("--subresource=status", "--type=merge", "-p", '{"status":{"activeJobs":9}}')
    assert "forbidden" in (await kubectl(kubeconfig, "patch", "rg", "ci-cpu", *status, *place)).err
    applied = await kubectl(kubeconfig, "delete", "rg", "ci-cpu", *place)
    assert (applied.code, "forbidden" in applied.err) == (1, True)


@pytest.mark.parametrize("role", [TENANT_ROLE, "edit"])
def test_a_tenants_people_ask_for_reruns_in_their_namespace_and_change_no_group(
    role: str, installed: ControlPlane
) -> None:
    require_kubectl()

    async def main() -> None:
        async with callers(installed) as as_, tenant(as_) as namespace, as_.user("tom") as tom:
            await as_.bind(role, namespace, user_subject("tom"))
            await as_.until_allowed(tom, "patch", RUNNERGROUPS, namespace)
            kubeconfig = str(installed.kubeconfig_for("tom"))
            await _asks_for_a_rerun_alone(kubeconfig, namespace)
            elsewhere = await kubectl(kubeconfig, "annotate", "rg", "ci-cpu", f"{labels.RERUN}=t r", "-n", "default")
            assert "forbidden" in elsewhere.err
            created = {"metadata": {"name": "mine", "namespace": namespace}, "spec": {"runnerLabels": ["mine"]}}
            assert "forbidden" in await refusal(tom.apply(RUNNERGROUPS, created, field_manager="tom"))

    run(main())


def test_oncall_people_run_nothing_of_their_own_as_the_manager(installed: ControlPlane) -> None:
    async def act(kubeconfig: str, _: str) -> None:
        image = ("set", "image", f"deploy/{MANAGER}", "manager=mine", "-n", MANAGER_NAMESPACE)
        refused = await kubectl(kubeconfig, *image)
        assert refused.code == 1
        assert f"'{MANAGER_DEPLOYMENT_POLICY}'" in refused.err
        assert "is changed by an installation; only a restart is free" in refused.err

    as_oncall(installed, act)


# -- who may ---------------------------------------------------------------------------------------------------------


def test_cluster_administrators_break_the_glass(installed: ControlPlane) -> None:
    async def main() -> None:
        async with (
            callers(installed) as as_,
            tenant(as_) as namespace,
            as_.user("root-like") as root,
            as_.bound_everywhere("cluster-admin", user_subject("root-like")),
        ):
            await as_.until_allowed(root, OVERRIDE_VERB, ACTIONSGATEWAYS, namespace)
            for resource, name, change in KINDS.values():
                await root.patch(resource, name, change, namespace=namespace)
            await root.patch(DEPLOYMENTS, AGENT, {"spec": {"replicas": 0}}, namespace=namespace)
            await root.delete(RUNNERGROUPS, "ci-cpu", namespace=namespace)

    run(main())


def test_the_verb_override_alone_is_enough_beside_the_rights_on_the_kind(installed: ControlPlane) -> None:
    async def act(ada: KubeClient, namespace: str, as_: Callers) -> None:
        name = f"override-{namespace}"
        role = cluster_role(name, [rule(API_GROUP, ["actionsgateways"], [OVERRIDE_VERB])])
        await as_.admin.create(CLUSTERROLES, role)
        try:
            await as_.bind(name, namespace, user_subject("ada"))
            await as_.until_allowed(ada, OVERRIDE_VERB, ACTIONSGATEWAYS, namespace)
            await ada.patch(DEPLOYMENTS, AGENT, {"spec": {"replicas": 0}}, namespace=namespace)
        finally:
            await as_.admin.delete(CLUSTERROLES, name)

    as_namespace_admin(installed, act)


def test_kubectl_scale_is_a_matter_of_rights_alone(installed: ControlPlane) -> None:
    async def act(ada: KubeClient, namespace: str, _: Callers) -> None:
        await ada.patch(DEPLOYMENTS, AGENT, {"spec": {"replicas": 0}}, namespace=namespace, subresource="scale")

    as_namespace_admin(installed, act)


def test_the_autoscaler_scales_the_proxies_and_a_quota_counts_them(installed: ControlPlane) -> None:
    """The cluster's own controllers, with every policy on: below its minimum an autoscaler needs no metric to scale
    (Kubernetes, pkg/controller/podautoscaler/horizontal.go, reconcileAutoscaler)."""

    async def act(ada: KubeClient, namespace: str, as_: Callers) -> None:
        quota = {"metadata": {"name": "tenant", "namespace": namespace}, "spec": {"hard": {"pods": "3"}}}
        # A pod that comes into being together with the quota may stay uncounted for minutes.
        await as_.until(DEPLOYMENTS, AGENT, namespace, lambda found: found.get("status", {}).get("replicas") == 1)
        await as_.until(DEPLOYMENTS, PROXY, namespace, lambda found: found.get("status", {}).get("replicas") == 2)
        await as_.admin.create(RESOURCEQUOTAS, quota)
        await as_.until(HPAS, PROXY, namespace, lambda hpa: bool(hpa.get("status", {}).get("conditions")))
        await as_.until(DEPLOYMENTS, PROXY, namespace, lambda found: found["spec"]["replicas"] == 2)
        await as_.until(
            RESOURCEQUOTAS,
            "tenant",
            namespace,
            lambda found: found.get("status", {}).get("used", {}).get("pods") == "3",
        )
        await as_.until(PDBS, PROXY, namespace, lambda budget: budget.get("status", {}).get("expectedPods") == 2)
        said = await refusal(ada.patch(DEPLOYMENTS, PROXY, {"spec": {"replicas": 1}}, namespace=namespace))
        assert "belongs to the ActionsGateway ci" in said

    as_namespace_admin(installed, act)


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
def test_the_garbage_collector_does_its_work(propagation: str, installed: ControlPlane) -> None:
    async def act(ada: KubeClient, namespace: str, as_: Callers) -> None:
        await ada.delete(ACTIONSGATEWAYS, "ci", namespace=namespace, propagation=propagation)
        if propagation == "Orphan":
            await as_.until(DEPLOYMENTS, AGENT, namespace, lambda found: not found["metadata"].get("ownerReferences"))
        for resource, name, _ in KINDS.values() if propagation != "Orphan" else ():
            await as_.until_gone(resource, name, namespace)
        await as_.until_gone(ACTIONSGATEWAYS, "ci", namespace)

    as_namespace_admin(installed, act)


def test_a_tenants_namespace_goes_with_all_that_is_in_it(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, tenant(as_) as namespace:
            await as_.admin.delete(NAMESPACES, namespace)
            await as_.until_gone(NAMESPACES, namespace, None)

    run(main())


def test_what_is_on_its_way_out_may_lose_its_finalizers(installed: ControlPlane) -> None:
    async def act(ada: KubeClient, namespace: str, as_: Callers) -> None:
        held: dict[str, Any] = {"metadata": {"finalizers": ["example.com/hold"]}}
        await as_.admin.patch(RUNNERGROUPS, "ci-cpu", held, namespace=namespace)
        await as_.admin.delete(RUNNERGROUPS, "ci-cpu", namespace=namespace)
        await ada.patch(RUNNERGROUPS, "ci-cpu", {"metadata": {"finalizers": None}}, namespace=namespace)
        await as_.until_gone(RUNNERGROUPS, "ci-cpu", namespace)

    as_namespace_admin(installed, act)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"maxListeners": 9}},
        {"metadata": {"labels": {"team": "a"}}},
        {"metadata": {"labels": {labels.MANAGED_BY: None}}},
        {"metadata": {"ownerReferences": None}},
        {"metadata": {"finalizers": None}, "spec": {"maxListeners": 9}},
    ],
    ids=str,
)
def test_a_group_on_its_way_out_changes_in_nothing_but_its_finalizers(
    change: Manifest, installed: ControlPlane
) -> None:
    """Its agent still runs jobs by its spec."""

    async def act(ada: KubeClient, namespace: str, as_: Callers) -> None:
        held: dict[str, Any] = {"metadata": {"finalizers": ["example.com/hold", "example.com/wait"]}}
        await as_.admin.patch(RUNNERGROUPS, "ci-cpu", held, namespace=namespace)
        await as_.admin.delete(RUNNERGROUPS, "ci-cpu", namespace=namespace)
        said = await refusal(ada.patch(RUNNERGROUPS, "ci-cpu", change, namespace=namespace))
        assert "RunnerGroup ci-cpu belongs to the ActionsGateway ci; " in said
        await ada.delete(RUNNERGROUPS, "ci-cpu", namespace=namespace)
        for left in (["example.com/wait"], None):
            await ada.patch(RUNNERGROUPS, "ci-cpu", {"metadata": {"finalizers": left}}, namespace=namespace)
        await as_.until_gone(RUNNERGROUPS, "ci-cpu", namespace)

    as_namespace_admin(installed, act)
