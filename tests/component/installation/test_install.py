"""`gw install` on a real control plane: from nothing, again, over something else."""

import json

import yaml

from actions_gateway.api import labels, names
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import resources as r
from gw.ops.installation.snapshot import Identity
from support.definitions import until_served

from .conftest import Gw
from .world import GATEWAY_CRD, IMAGE, INSTALL, OPERATORS, OTHER_IMAGE, World, crd, gateway, until_groups, without

DEPLOYMENT = Identity("Deployment", names.MANAGER, names.MANAGER_NAMESPACE)
MONITORING = (r.SERVICEMONITORS, r.PODMONITORS, r.PROMETHEUSRULES, r.GRAFANADASHBOARDS)


def test_from_nothing_everything_is_written_and_the_manager_leads(world: World, gw: Gw) -> None:
    answer = gw(*INSTALL)
    assert answer.code == 0, answer
    pods = world.call(lambda client: client.list(r.PODS, names.MANAGER_NAMESPACE)).items
    assert any(f"{pod['metadata']['name']}_1 leads" in answer.out for pod in pods)
    there = world.ours()
    assert DEPLOYMENT in there
    assert {name for kind, name, _ in map(_parts, there) if kind == "ClusterRole"} >= {
        "gw-viewer", "gw-oncall", "gw-tenant", names.AGENT_CLUSTER_ROLE, names.MANAGER_CLUSTER_ROLE,
    }  # fmt: skip
    assert {kind for kind, _, _ in map(_parts, there)} >= {
        "CustomResourceDefinition", "Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
        "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Role", "RoleBinding", "ClusterRoleBinding",
    }  # fmt: skip
    for manifest in there.values():
        assert names.INSTALL_FIELDS in {entry["manager"] for entry in manifest["metadata"]["managedFields"]}
    (container,) = there[DEPLOYMENT]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE


def test_a_second_run_says_that_nothing_changed_and_writes_nothing(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    # Nothing moves by itself any more: whatever moves now was written by gw.
    world.between_looks.clear()
    before = world.versions()
    again = gw("install", "--controller-image", IMAGE, "--no-wait")
    assert again.code == 0, again
    assert "Nothing changed" in again.out
    after = world.versions()
    assert after == before
    assert world.ours()[DEPLOYMENT]["metadata"]["generation"] == 1


def test_settings_that_nobody_names_stay_as_they_were_installed(world: World, gw: Gw) -> None:
    named = ("--tenant-namespaces", "marked", "--log-level", "debug", "--replicas", "1")
    assert gw(*INSTALL, *named).code == 0
    again = gw(*INSTALL)
    assert again.code == 0, again
    assert "Nothing changed" in again.out
    (container,) = world.ours()[DEPLOYMENT]["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (environment["TENANT_NAMESPACES"], environment["LOG_LEVEL"]) == ("marked", "debug")
    assert gw("check", "--check", "policies.enforced").code == 0


def test_a_dry_run_shows_the_plan_and_writes_nothing(world: World, gw: Gw) -> None:
    answer = gw(*INSTALL[:-1], "--dry-run", "-o", "json")
    assert answer.code == 0, answer
    document = json.loads(answer.out)
    assert (document["dry_run"], document["changed"]) == (True, False)
    assert {entry["action"] for entry in document["objects"]} == {"create"}
    assert "the API server's checks of the objects inside of gmc-system" in document["unproven"][0]
    assert world.ours() == {}


def test_the_api_servers_addresses_are_named_while_agents_may_reach_any(world: World, gw: Gw) -> None:
    """This control plane is reached by a loopback address, which is none that an API server shows."""
    about = {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}}
    shown = {"metadata": about, "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.10"]}], "ports": []}
    world.call(lambda client: client.create(r.ENDPOINTSLICES, shown, namespace="default"))
    try:
        answer = gw(*INSTALL[:-1], "--dry-run")
    finally:
        world.call(lambda client: client.delete(r.ENDPOINTSLICES, "kubernetes", namespace="default"))
    assert answer.code == 0, answer
    assert "--api-server-cidr 192.0.2.10/32" in answer.err
    assert "--api-server-cidr" not in gw(*INSTALL[:-1], "--dry-run").err


def test_a_changed_option_changes_that_field_only(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    answer = gw("install", "--controller-image", OTHER_IMAGE, "--yes", "-o", "json")
    assert answer.code == 0, answer
    changed = [entry for entry in json.loads(answer.out)["objects"] if entry["action"] != "unchanged"]
    assert [(entry["kind"], entry["action"]) for entry in changed] == [("Deployment", "change")]
    assert {each["field"].rpartition("].")[2] for each in changed[0]["changes"]} == {"image", "value"}


def test_what_somebody_scaled_by_hand_stays_until_an_option_names_the_number(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    world.patch(r.DEPLOYMENTS, names.MANAGER, {"spec": {"replicas": 1}}, names.MANAGER_NAMESPACE)
    assert gw(*INSTALL).code == 0
    assert world.ours()[DEPLOYMENT]["spec"]["replicas"] == 1
    answer = gw(*INSTALL, "--replicas", "2")
    assert answer.code == 0, answer
    assert "~ spec.replicas: 1 -> 2" in answer.err
    assert world.ours()[DEPLOYMENT]["spec"]["replicas"] == 2


def test_objects_that_kubectl_applied_are_taken_over_once(world: World, gw: Gw) -> None:
    export = gw(*INSTALL[:-1], "--export")
    assert export.code == 0
    for manifest in yaml.safe_load_all(export.out):
        if manifest["kind"] in ("Namespace", "ClusterRole"):
            world.put(manifest, field_manager="kubectl")
    first = gw(*INSTALL, "-o", "json")
    assert first.code == 0, first
    taken = {entry["kind"] for entry in json.loads(first.out)["objects"] if entry["action"] == "take over"}
    assert taken == {"Namespace", "ClusterRole"}
    assert json.loads(gw(*INSTALL, "-o", "json").out)["changed"] is False


def test_what_an_earlier_release_wrote_and_this_one_lacks_is_removed(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    left = {"name": "gmc-old", "labels": {labels.APP_PART_OF: labels.PART_OF}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": left, "rules": []}
    world.put(role, field_manager=names.INSTALL_FIELDS)
    world.put({**role, "metadata": {**left, "name": "gmc-of-somebody"}})
    answer = gw(*INSTALL)
    assert answer.code == 0, answer
    assert "removed   ClusterRole gmc-old" in answer.err
    assert world.get(r.CLUSTERROLES, "gmc-old") is None
    assert world.get(r.CLUSTERROLES, "gmc-of-somebody") is not None


def test_an_older_definition_is_replaced_first_and_its_objects_stay(world: World, gw: Gw) -> None:
    schema = ("spec", "versions", "0", "schema", "openAPIV3Schema", "properties", "spec", "properties", "paused")
    (newest,) = [each for each in crd_manifests() if each["metadata"]["name"] == GATEWAY_CRD]
    older = without(newest, *schema)
    older["metadata"]["annotations"][labels.SCHEMA_VERSION] = "0.0.9"  # type: ignore[index]
    world.put_definitions()
    world.put(older)
    world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "upgrade-tenant"}})
    world.put(gateway("upgrade-tenant"))
    answer = gw(*INSTALL)
    assert answer.code == 0, answer
    assert f"~ metadata.annotations.{labels.SCHEMA_VERSION}: 0.0.9 -> " in answer.err
    stored = world.get(r.CRDS, GATEWAY_CRD)
    assert stored is not None
    assert "paused" in stored["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    kept = world.get(r.ACTIONSGATEWAYS, "ci", "upgrade-tenant")
    assert kept is not None
    assert kept["spec"]["gitHubURL"] == "https://github.com/octo/demo"
    lines = answer.err.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("created"))
    assert lines.index(f"changed   CustomResourceDefinition {GATEWAY_CRD}") < first


def test_objects_of_a_gitops_controller_are_printed_for_git_and_not_written(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    tracking = {"argocd.argoproj.io/tracking-id": "platform:apps/Deployment:gmc-system/gmc-controller-manager"}
    world.patch(r.DEPLOYMENTS, names.MANAGER, {"metadata": {"annotations": tracking}}, names.MANAGER_NAMESPACE)
    unchanged = gw(*INSTALL)
    assert unchanged.code == 0, unchanged
    before = world.versions()
    answer = gw("install", "--controller-image", OTHER_IMAGE, "--yes")
    assert answer.code == 2, answer
    assert "Argo CD (application platform) keeps 1 of these objects" in answer.err
    (printed,) = yaml.safe_load_all(answer.out)
    assert (printed["kind"], printed["spec"]["template"]["spec"]["containers"][0]["image"]) == (
        "Deployment",
        OTHER_IMAGE,
    )
    assert world.versions() == before


def test_a_manager_that_does_not_come_up_is_exit_5_with_what_holds_it_up(world: World, gw: Gw) -> None:
    world.between_looks.clear()
    # In force already: the time is for the manager alone.
    world.put_definitions()
    answer = gw(*INSTALL, "--timeout", "2s")
    assert answer.code == 5, answer
    assert "0 of 2 pods of the manager are available" in answer.err
    assert DEPLOYMENT in world.ours()


def test_monitoring_comes_with_its_types_and_goes_when_it_is_unwanted(world: World, gw: Gw) -> None:
    group = "monitoring.coreos.com"
    for plural, kind in (
        ("servicemonitors", "ServiceMonitor"), ("podmonitors", "PodMonitor"), ("prometheusrules", "PrometheusRule"),
    ):  # fmt: skip
        world.put(crd(group, plural, kind))
    world.put(crd("grafana.integreatly.org", "grafanadashboards", "GrafanaDashboard", "v1beta1"))
    kinds = {"Service", "ServiceMonitor", "PodMonitor", "PrometheusRule", "GrafanaDashboard"}
    world.call(lambda client: until_served(client, *(kind.path() for kind in MONITORING)))
    world.call(lambda client: until_groups(client, OPERATORS.issubset))
    with_them = gw(*INSTALL)
    assert with_them.code == 0, with_them
    assert {identity.kind for identity in world.ours()} >= kinds
    assert json.loads(gw(*INSTALL, "-o", "json").out)["changed"] is False
    without_them = gw(*INSTALL, "--monitoring", "without")
    assert without_them.code == 0, without_them
    assert {identity.kind for identity in world.ours()} & kinds == set()


def _parts(identity: Identity) -> tuple[str, str, str]:
    return identity.kind, identity.name, identity.namespace


def test_a_cluster_administrator_upgrades_and_removes_past_the_policies_that_an_installation_brings(
    world: World, gw: Gw
) -> None:
    rbac = "rbac.authorization.k8s.io"
    world.put(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "administrator-of-the-test"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "administrator"}],
        }
    )
    world.until_allowed("administrator", "delete", r.CRDS)
    administrator = world.plane.kubeconfig_for("administrator")
    assert gw("check", "--pre", "--check", "install.rights", kubeconfig=administrator).code == 0
    assert gw(*INSTALL, kubeconfig=administrator).code == 0
    upgrade = gw("install", "--controller-image", OTHER_IMAGE, "--yes", kubeconfig=administrator)
    assert upgrade.code == 0, upgrade
    name = world.plane.url.removeprefix("https://")
    removal = gw("uninstall", "--yes", "--confirm", name, kubeconfig=administrator)
    assert removal.code == 0, removal
    assert world.ours() == {}
