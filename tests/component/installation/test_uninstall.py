"""`gw uninstall` on a real control plane: nothing is stranded, and nothing is left."""

import pytest

from actions_gateway.api import names
from actions_gateway.kube import resources as r

from .conftest import Gw
from .world import GATEWAY_CRD, INSTALL, OTHER_IMAGE, World, gateway

NAMESPACE = "uninstall-tenant"
GROUP = {
    "apiVersion": r.RUNNERGROUPS.api_version,
    "kind": r.RUNNERGROUPS.kind,
    "metadata": {"name": "ci-cpu", "namespace": NAMESPACE},
    "spec": {"runnerLabels": ["self-hosted"], "podTemplate": {}},
}


@pytest.fixture
def installed(world: World, gw: Gw) -> World:
    """An installation, its manager played once."""
    answer = gw(*INSTALL)
    assert answer.code == 0, answer
    return world


def confirmed(world: World) -> tuple[str, ...]:
    return "--yes", "--confirm", world.plane.url.removeprefix("https://")


def add_tenant(world: World, *finalizers: str) -> None:
    """A gateway with a group that the manager would have made."""
    world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    world.put(gateway(NAMESPACE, finalizers=list(finalizers)))
    world.put(GROUP)


def test_everything_goes_and_a_second_run_finds_nothing(installed: World, gw: Gw) -> None:
    answer = gw("uninstall", *confirmed(installed))
    assert answer.code == 0, answer
    assert installed.ours() == {}
    assert installed.get(r.NAMESPACES, names.MANAGER_NAMESPACE) is None
    lines = [line.split()[1] for line in answer.err.splitlines() if line.startswith("removed")]
    places = {kind: lines.index(kind) for kind in lines}
    assert places["Deployment"] < places["ClusterRoleBinding"] < places["ValidatingAdmissionPolicyBinding"]
    assert places["ValidatingAdmissionPolicy"] < places["Namespace"] < places["CustomResourceDefinition"]
    again = gw("uninstall", *confirmed(installed))
    assert (again.code, again.out.startswith("Nothing of Actions Gateway is installed")) == (0, True)


def test_while_a_tenant_is_served_it_is_refused(installed: World, gw: Gw) -> None:
    add_tenant(installed)
    before = set(installed.ours())
    answer = gw("uninstall", *confirmed(installed))
    assert answer.code == 2, answer
    assert f"the tenant {NAMESPACE}/ci is still served, and would be stranded" in answer.err
    assert "--remove-tenants" in answer.err
    assert set(installed.ours()) == before


def test_with_remove_tenants_they_go_first_and_their_namespaces_stay(installed: World, gw: Gw) -> None:
    add_tenant(installed)
    answer = gw("uninstall", "--remove-tenants", *confirmed(installed))
    assert answer.code == 0, answer
    assert installed.ours() == {}
    assert installed.get(r.NAMESPACES, NAMESPACE) is not None
    lines = answer.err.splitlines()
    assert lines.index("removed   ActionsGateway ci") < lines.index(f"removed   Deployment {names.MANAGER}")
    assert lines.index("ready     every tenant's gateway has ended") < lines.index("removed   RunnerGroup ci-cpu")
    assert lines.index("ready     every tenant's pods have ended") < lines.index(
        f"removed   Deployment {names.MANAGER}"
    )


def test_a_tenant_that_does_not_end_is_exit_5_with_its_finalizer_and_the_manager_stays(
    installed: World, gw: Gw
) -> None:
    add_tenant(installed, "example.com/held")
    answer = gw("uninstall", "--remove-tenants", "--timeout", "1s", *confirmed(installed))
    assert answer.code == 5, answer
    assert f"ActionsGateway {NAMESPACE}/ci (finalizer example.com/held)" in answer.err
    assert installed.get(r.DEPLOYMENTS, names.MANAGER, names.MANAGER_NAMESPACE) is not None
    installed.patch(r.ACTIONSGATEWAYS, "ci", {"metadata": {"finalizers": None}}, NAMESPACE)
    assert gw("uninstall", "--remove-tenants", *confirmed(installed)).code == 0
    assert installed.ours() == {}


def test_a_gateway_whose_manager_is_gone_is_released_and_its_objects_go(installed: World, gw: Gw) -> None:
    add_tenant(installed, names.GATEWAY_FINALIZER)
    uid = (installed.get(r.ACTIONSGATEWAYS, "ci", NAMESPACE) or {})["metadata"]["uid"]
    owner = {"apiVersion": r.ACTIONSGATEWAYS.api_version, "kind": r.ACTIONSGATEWAYS.kind, "name": "ci", "uid": uid}
    installed.patch(r.RUNNERGROUPS, "ci-cpu", {"metadata": {"ownerReferences": [owner]}}, NAMESPACE)
    installed.remove(r.DEPLOYMENTS, names.MANAGER, names.MANAGER_NAMESPACE)
    answer = gw("uninstall", "--remove-tenants", *confirmed(installed))
    assert answer.code == 0, answer
    assert f"ActionsGateway ci ({NAMESPACE}): no manager takes it down" in " ".join(answer.err.split())
    assert installed.ours() == {}


def test_a_gateway_that_the_manager_releases_is_waited_for(installed: World, gw: Gw) -> None:
    add_tenant(installed, names.GATEWAY_FINALIZER)
    looks = 0

    def manager_releases(world: World) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            world.patch(r.ACTIONSGATEWAYS, "ci", {"metadata": {"finalizers": None}}, NAMESPACE)

    installed.between_looks.append(manager_releases)
    answer = gw("uninstall", "--remove-tenants", *confirmed(installed))
    assert answer.code == 0, answer
    assert "no manager takes it down" not in answer.err
    assert installed.ours() == {}


def test_definitions_stay_when_asked(installed: World, gw: Gw) -> None:
    answer = gw("uninstall", "--keep-crds", *confirmed(installed))
    assert answer.code == 0, answer
    assert {identity.kind for identity in installed.ours()} == {"CustomResourceDefinition"}
    assert installed.get(r.CRDS, GATEWAY_CRD) is not None


def test_a_namespace_that_holds_more_stays_with_what_it_holds(installed: World, gw: Gw) -> None:
    record = {"name": "incident-1", "namespace": names.MANAGER_NAMESPACE}
    installed.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": record})
    answer = gw("uninstall", *confirmed(installed))
    assert answer.code == 0, answer
    assert "which holds what gw did not install: ConfigMap incident-1" in answer.err
    assert installed.get(r.CONFIGMAPS, "incident-1", names.MANAGER_NAMESPACE) is not None
    assert installed.get(r.LEASES, names.MANAGER_LEASE, names.MANAGER_NAMESPACE) is None
    assert {identity.kind for identity in installed.ours()} == {"Namespace"}


def test_whoever_may_read_and_not_delete_is_refused_before_anything_goes(installed: World, gw: Gw) -> None:
    rbac = "rbac.authorization.k8s.io"
    about = {"name": "reader-of-the-removal"}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    delete = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["delete"]}
    subjects = [{"apiGroup": rbac, "kind": "User", "name": "remover"}]
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": about["name"]}
    installed.put({"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": about, "rules": [*rules, delete]})
    binding = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": about}
    installed.put({**binding, "roleRef": role, "subjects": subjects})
    installed.until_allowed("remover", "delete", r.DEPLOYMENTS)
    before = set(installed.ours())
    answer = gw("uninstall", *confirmed(installed), kubeconfig=installed.plane.kubeconfig_for("remover"))
    assert answer.code == 2, answer
    assert "you may not delete poddisruptionbudgets.policy in gmc-system" in answer.err
    assert set(installed.ours()) == before


def test_a_volume_claim_keeps_the_namespace(installed: World, gw: Gw) -> None:
    place = {"name": "theirs", "namespace": names.MANAGER_NAMESPACE}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    installed.put({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": place, "spec": spec})
    try:
        answer = gw("uninstall", *confirmed(installed))
        assert answer.code == 0, answer
        assert "which holds what gw did not install: PersistentVolumeClaim theirs" in answer.err
        assert installed.get(r.PERSISTENTVOLUMECLAIMS, "theirs", names.MANAGER_NAMESPACE) is not None
    finally:
        installed.remove(r.PERSISTENTVOLUMECLAIMS, "theirs", names.MANAGER_NAMESPACE)
    assert {identity.kind for identity in installed.ours()} == {"Namespace"}


def test_a_person_types_the_clusters_name(installed: World, gw: Gw) -> None:
    before = set(installed.ours())
    wrong = gw("uninstall", answer="yes\n")
    assert wrong.code == 2, wrong
    assert "nothing was removed" in wrong.err
    assert set(installed.ours()) == before
    right = gw("uninstall", answer=f"{installed.plane.url.removeprefix('https://')}\n")
    assert right.code == 0, right
    assert installed.ours() == {}


def test_what_a_gitops_controller_keeps_is_not_removed(installed: World, gw: Gw) -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "platform"}
    installed.patch(r.CLUSTERROLES, "gw-viewer", {"metadata": {"labels": labels}})
    before = set(installed.ours())
    answer = gw("uninstall", *confirmed(installed))
    assert answer.code == 2, answer
    assert "Flux (Kustomization platform) keeps the ClusterRole gw-viewer" in answer.err
    assert set(installed.ours()) == before


def test_an_upgrade_goes_on_where_it_was_cut_off(installed: World, gw: Gw) -> None:
    installed.remove(r.DEPLOYMENTS, names.MANAGER, names.MANAGER_NAMESPACE)
    installed.remove(r.CLUSTERROLES, "gw-tenant")
    answer = gw(*INSTALL, "--controller-image", OTHER_IMAGE)
    assert answer.code == 0, answer
    assert "created   ClusterRole gw-tenant" in answer.err
    assert f"created   Deployment {names.MANAGER}" in answer.err
