"""What `gw install` refuses on a real control plane, with nothing written."""

import copy

import pytest

from actions_gateway.api import labels, names
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import resources as r

from .conftest import Gw
from .world import GATEWAY_CRD, INSTALL, World, crd, gateway, kubeconfig_with_token, without


@pytest.mark.parametrize(
    ("version", "extra", "said"),
    [
        ("9.9.9", False, "is of release 9.9.9"),
        (None, True, "spec.laterField"),
    ],
    ids=["a later release's annotation", "a field that this release does not know"],
)
def test_a_newer_definition_is_refused(world: World, gw: Gw, version: str | None, extra: bool, said: str) -> None:
    newer = copy.deepcopy(crd_manifests()[0])
    if version:
        newer["metadata"]["annotations"][labels.SCHEMA_VERSION] = version
    if extra:
        fields = newer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        fields["laterField"] = {"type": "string"}
    world.put_definitions()
    world.put(newer)
    refuses(world, gw, said, "runbooks/procedures/upgrade.md")


def refuses(world: World, gw: Gw, *said: str) -> None:
    """The installation is refused with these words, and nothing is written."""
    before = world.versions()
    answer = gw(*INSTALL)
    assert answer.code == 2, answer
    for words in said:
        assert words in answer.err
    assert "\nNext:  " in answer.err
    assert world.versions() == before
    assert world.get(r.DEPLOYMENTS, names.MANAGER, names.MANAGER_NAMESPACE) is None


def test_upstreams_definition_is_recognized_by_its_marks(world: World, gw: Gw) -> None:
    theirs = crd(names.API_GROUP, "actionsgateways", "ActionsGateway", names.API_VERSION)
    theirs["metadata"]["annotations"] = {"controller-gen.kubebuilder.io/version": "v0.21.0"}
    world.put(theirs)
    refuses(world, gw, "the upstream Go project", "migrate-from-upstream.md")


def test_upstreams_definition_is_recognized_by_its_schema_when_kubectl_applied_it(world: World, gw: Gw) -> None:
    theirs = without(
        crd_manifests()[0],
        *("spec", "versions", "0", "schema", "openAPIV3Schema", "properties", "spec"),
        *("properties", "runnerGroups", "items", "properties", "name"),
    )
    items = theirs["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]  # type: ignore[index]
    groups = items["runnerGroups"]
    for key in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations"):
        groups.pop(key, None)
    groups["items"] = {"type": "object", "properties": {"runnerLabels": {"type": "array", "items": {"type": "string"}}}}
    root = theirs["spec"]["versions"][0]["schema"]["openAPIV3Schema"]  # type: ignore[index]
    root.pop("x-kubernetes-validations", None)
    theirs["metadata"] = {"name": GATEWAY_CRD}
    world.put(theirs)
    refuses(world, gw, "the upstream Go project", "without the field name")


def test_upstreams_webhook_alone_is_refused(world: World, gw: Gw) -> None:
    webhook = {
        "apiVersion": r.VALIDATINGWEBHOOKS.api_version,
        "kind": r.VALIDATINGWEBHOOKS.kind,
        "metadata": {"name": "gmc-validating-webhook-configuration"},
        "webhooks": [],
    }
    world.put(webhook)
    refuses(world, gw, "ValidatingWebhookConfiguration gmc-validating-webhook-configuration")


def test_a_definition_that_is_being_deleted_is_refused(world: World, gw: Gw) -> None:
    world.put_definitions()
    world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "held-tenant"}})
    world.put(gateway("held-tenant", finalizers=["example.com/held"]))
    world.remove(r.CRDS, GATEWAY_CRD)
    refuses(world, gw, f"the definition {GATEWAY_CRD} is being deleted")


def test_a_namespace_that_is_being_deleted_is_refused(world: World, gw: Gw) -> None:
    world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.MANAGER_NAMESPACE}})
    held = {"name": "held", "namespace": names.MANAGER_NAMESPACE, "finalizers": ["example.com/held"]}
    world.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    world.remove(r.NAMESPACES, names.MANAGER_NAMESPACE)
    refuses(world, gw, "the namespace gmc-system is being deleted")


def test_an_object_of_the_same_name_that_is_not_ours_is_refused(world: World, gw: Gw) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}
    world.put({**role, "metadata": {"name": "gw-viewer"}})
    refuses(world, gw, "the ClusterRole gw-viewer exists and is not part of Actions Gateway")


def test_a_namespace_that_somebody_made_is_used_and_its_owners_level_is_a_conflict(world: World, gw: Gw) -> None:
    about = {"name": names.MANAGER_NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}
    world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": about}, field_manager="platform-team")
    refuses(world, gw, "platform-team", "pod-security.kubernetes.io/enforce")
    world.put(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": about["name"]}}, field_manager="platform-team"
    )
    assert gw(*INSTALL).code == 0


def test_without_rights_the_missing_one_is_named_and_nothing_is_written(world: World, gw: Gw) -> None:
    eve = world.plane.kubeconfig_for("eve")
    answer = gw(*INSTALL, kubeconfig=eve)
    assert answer.code == 2, answer
    assert 'User "eve" cannot get resource' in answer.err
    assert "`gw check --pre` names every right" in answer.err
    assert world.ours() == {}


def test_rights_to_read_alone_are_found_out_in_the_dry_run(world: World, gw: Gw) -> None:
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    about = {"name": "reader-of-the-test"}
    rbac = "rbac.authorization.k8s.io"
    world.put({"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": about, "rules": rules})
    world.put(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": about["name"]},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "reader"}],
        }
    )
    world.until_allowed("reader", "list", r.CRDS)
    answer = gw(*INSTALL, kubeconfig=world.plane.kubeconfig_for("reader"))
    assert answer.code == 2, answer
    assert 'User "reader" cannot patch resource "customresourcedefinitions"' in answer.err
    assert world.ours() == {}


def test_an_expired_token_is_exit_4(world: World, gw: Gw, tmp_path: object) -> None:
    kubeconfig = kubeconfig_with_token(world.plane, tmp_path, "expired-token")  # type: ignore[arg-type]
    for command in (INSTALL, ("uninstall", "--dry-run"), ("check",)):
        answer = gw(*command, kubeconfig=kubeconfig)
        assert answer.code == 4, answer
        assert "expired-token" not in answer.out + answer.err
