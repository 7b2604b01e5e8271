"""Where the manager may write the kinds of which it makes children, and what: nothing but a gateway's own children.

The cases are what somebody could try who has the manager's rights and a namespace that it has marked itself.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CLUSTER_ROLE, MANAGER_CHILDREN_POLICY, RESERVED_NAMESPACES, WORKER
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.resources import (
    CLUSTERROLES,
    DEPLOYMENTS,
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

KINDS = ("ServiceAccount", "RoleBinding", "NetworkPolicy", "Deployment", "RunnerGroup")
Act = Callable[[KubeClient, Manifest, Callers], Awaitable[None]]


def child(kind: str, owner: Manifest) -> Manifest:
    return next(manifest for manifest in children_in(owner) if manifest["kind"] == kind)


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


def as_manager(installed: ControlPlane, act: Act) -> None:
    """As the manager, with a gateway that is stored in a marked namespace."""

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as namespace, as_.manager() as manager:
            await act(manager, await as_.gateway(gateway_in(namespace, caBundleRef={"name": "github-ca"})), as_)

    run(main())


def resource_for(manifest: Manifest) -> Resource:
    resource = resource_of(manifest["apiVersion"], manifest["kind"])
    assert resource is not None
    return resource


def pod_of(deployment: Manifest) -> Any:
    return deployment["spec"]["template"]["spec"]


def with_container(deployment: Manifest, **fields: Any) -> None:
    pod_of(deployment)["containers"][0].update(fields)


def with_init_container(deployment: Manifest, **fields: Any) -> None:
    pod_of(deployment)["initContainers"] = [{"name": "first", "image": "busybox", **fields}]


def with_context(deployment: Manifest, **context: Any) -> None:
    with_container(deployment, securityContext=context)


def with_volume(deployment: Manifest, **volume: Any) -> None:
    pod_of(deployment)["volumes"].append({"name": "more", **volume})


def renamed(manifest: Manifest, name: str) -> None:
    manifest["metadata"]["name"] = name


FOREIGN_ENV = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "argocd-secret", "key": "admin.password"}}}]
MANAGER_ACCOUNT = {"kind": "ServiceAccount", "name": "gmc-controller-manager", "namespace": "gmc-system"}
TO_ONE = "subjects: the manager gives its role to one subject, the ServiceAccount actions-gateway-controller"
NO_ENVIRONMENT = "spec.template.spec.containers: an agent has no Secret in its environment"
ONLY_APP_KEYS = (
    "spec.template.spec.volumes: of a Secret an agent mounts the items appId, installationId, privateKey alone"
)
ONLY_TWO_KINDS = "spec.template.spec.volumes: an agent mounts Secrets and ConfigMaps alone"
AS_WORKERS = "what no worker may, no agent may"

REFUSED: dict[str, tuple[str, Callable[[Manifest], object], str]] = {
    "another account": ("ServiceAccount", lambda m: renamed(m, "deployer"), "metadata.name: of serviceaccounts"),
    "another binding": ("RoleBinding", lambda m: renamed(m, "more"), "metadata.name: of rolebindings"),
    "another network policy": ("NetworkPolicy", lambda m: renamed(m, "open"), "metadata.name: of networkpolicies"),
    "another deployment": (
        "Deployment",
        lambda m: renamed(m, "argocd-server"),
        "metadata.name: of deployments the manager makes only actions-gateway-controller",
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
    "pods of another account": (
        "Deployment",
        lambda m: pod_of(m).update(serviceAccountName="argocd-server"),
        "spec.template.spec.serviceAccountName: an agent runs as actions-gateway-controller",
    ),
    "the node's network": ("Deployment", lambda m: pod_of(m).update(hostNetwork=True), f"hostNetwork: {AS_WORKERS}"),
    "the node's processes": ("Deployment", lambda m: pod_of(m).update(hostPID=True), f"hostPID: {AS_WORKERS}"),
    "a port of the node": (
        "Deployment",
        lambda m: with_container(m, ports=[{"containerPort": 1, "hostPort": 1}]),
        f"containers: {AS_WORKERS}; hostPort",
    ),
    "a node of its choice": (
        "Deployment",
        lambda m: pod_of(m).update(nodeName="control-plane-1"),
        f"nodeName: {AS_WORKERS}",
    ),
    "a priority of the system": (
        "Deployment",
        lambda m: pod_of(m).update(priorityClassName="system-node-critical"),
        f"priorityClassName: {AS_WORKERS}",
    ),
    "privileges": ("Deployment", lambda m: with_context(m, privileged=True), f"containers: {AS_WORKERS}; a privileged"),
    "privileges at first": (
        "Deployment",
        lambda m: with_init_container(m, securityContext={"privileged": True}),
        f"containers: {AS_WORKERS}; a privileged",
    ),
    "a capability": (
        "Deployment",
        lambda m: with_context(m, capabilities={"add": ["SYS_ADMIN"]}),
        "spec.template.spec.containers: an agent has no capabilities",
    ),
    "the node's files": ("Deployment", lambda m: with_volume(m, hostPath={"path": "/"}), ONLY_TWO_KINDS),
    "a claim": ("Deployment", lambda m: with_volume(m, persistentVolumeClaim={"claimName": "data"}), ONLY_TWO_KINDS),
    "a projected Secret": (
        "Deployment",
        lambda m: with_volume(m, projected={"sources": [{"secret": {"name": "argocd-secret"}}]}),
        ONLY_TWO_KINDS,
    ),
    "a Secret with all its keys": (
        "Deployment",
        lambda m: with_volume(m, secret={"secretName": "argocd-secret"}),
        ONLY_APP_KEYS,
    ),
    "another key of a Secret": (
        "Deployment",
        lambda m: with_volume(m, secret={"secretName": "x", "items": [{"key": "admin.password", "path": "appId"}]}),
        ONLY_APP_KEYS,
    ),
    "a Secret in the environment": ("Deployment", lambda m: with_container(m, env=FOREIGN_ENV), NO_ENVIRONMENT),
    "a Secret in the environment at first": (
        "Deployment",
        lambda m: with_init_container(m, env=FOREIGN_ENV),
        NO_ENVIRONMENT,
    ),
    "all of a Secret in the environment": (
        "Deployment",
        lambda m: with_container(m, envFrom=[{"secretRef": {"name": "argocd-secret"}}]),
        NO_ENVIRONMENT,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_manager_does_not_make(case: str, installed: ControlPlane) -> None:
    kind, change, message = REFUSED[case]

    async def act(manager: KubeClient, owner: Manifest, _: Callers) -> None:
        manifest = child(kind, owner)
        change(manifest)
        request = manager.apply(resource_for(manifest), manifest, field_manager="gmc", dry_run=True)
        said = await refusal(request)
        assert message in said
        assert f"'{MANAGER_CHILDREN_POLICY}'" in said

    as_manager(installed, act)


@pytest.mark.parametrize("case", [case for case in REFUSED if REFUSED[case][2].startswith("spec.template")])
def test_the_manager_does_not_turn_its_deployment_into(case: str, installed: ControlPlane) -> None:
    _, change, message = REFUSED[case]

    async def act(manager: KubeClient, owner: Manifest, _: Callers) -> None:
        manifest = child("Deployment", owner)
        await manager.apply(DEPLOYMENTS, manifest, field_manager="gmc")
        change(manifest)
        assert message in await refusal(manager.apply(DEPLOYMENTS, manifest, field_manager="gmc"))

    as_manager(installed, act)


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
