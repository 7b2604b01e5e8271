"""`gw check` on a real control plane, before an installation and after it."""

import json

from actions_gateway.api import names
from actions_gateway.kube import resources as r

from .conftest import Gw
from .world import INSTALL, World, crd

PLUGIN = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "cilium", "namespace": "default"},
    "spec": {
        "selector": {"matchLabels": {"k8s-app": "cilium"}},
        "template": {
            "metadata": {"labels": {"k8s-app": "cilium"}},
            "spec": {"containers": [{"name": "agent", "image": "registry.example.com/cilium:1"}]},
        },
    },
}


def outcomes(gw: Gw, *arguments: str, **how: object) -> tuple[int, dict[str, str]]:
    """The exit code, and the outcome of each check."""
    answer = gw("check", *arguments, "-o", "json", **how)
    document = json.loads(answer.out)
    assert document["kind"] == "CheckReport"
    return answer.code, {check["id"]: check["outcome"] for check in document["checks"]}


def test_before_an_installation_a_cluster_is_judged_and_nothing_is_written(world: World, gw: Gw) -> None:
    namespaces = {item["metadata"]["name"] for item in world.call(lambda client: client.list(r.NAMESPACES)).items}
    code, found = outcomes(gw, "--pre")
    assert found == {
        "api.reachable": "ok",
        "api.version": "ok",
        "install.rights": "ok",
        "install.place": "ok",
        "api.crds-current": "skipped",
        "pod-security.enforced": "ok",
        "network.enforced": "unknown",
        "metrics.served": "problem",
        "monitoring.served": "problem",
        "clock.agrees": "ok",
    }
    assert code == 3, "what it cannot know is never fine"
    after = {item["metadata"]["name"] for item in world.call(lambda client: client.list(r.NAMESPACES)).items}
    assert after == namespaces


def test_a_plugin_that_is_known_and_an_operator_make_it_fit(world: World, gw: Gw) -> None:
    world.put(PLUGIN)
    world.put(crd("monitoring.coreos.com", "servicemonitors", "ServiceMonitor"))
    try:
        code, found = outcomes(gw, "--pre", "--wait", "20s")
    finally:
        world.remove(r.DAEMONSETS, "cilium", "default")
    assert (found["network.enforced"], found["monitoring.served"]) == ("ok", "ok")
    assert code == 0


def test_after_an_installation_policies_definitions_and_images_are_judged(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    world.put(PLUGIN)
    try:
        code, found = outcomes(gw)
    finally:
        world.remove(r.DAEMONSETS, "cilium", "default")
    assert code == 0, found
    assert {check for check, outcome in found.items() if outcome != "ok"} == {"metrics.served", "monitoring.served"}
    assert {"policies.enforced", "manager.running", "manager.leading", "manager.pinned", "api.crds-current"} <= set(
        found
    )


def test_a_binding_that_is_gone_or_only_audits_is_a_problem(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    bindings = [identity.name for identity in world.ours() if identity.kind == r.ADMISSIONPOLICYBINDINGS.kind]
    world.patch(r.ADMISSIONPOLICYBINDINGS, bindings[0], {"spec": {"validationActions": ["Audit"]}})
    world.remove(r.ADMISSIONPOLICYBINDINGS, bindings[1])
    answer = gw("check", "--check", "policies.enforced")
    assert answer.code == 1, answer
    assert "does not Deny" in answer.out
    assert f"binding {bindings[1]}" in answer.out
    assert gw(*INSTALL).code == 0
    assert gw("check", "--check", "policies.enforced").code == 0


def test_missing_rights_are_named_one_by_one(world: World, gw: Gw) -> None:
    eve = world.plane.kubeconfig_for("eve")
    answer = gw("check", "--pre", "--check", "install.rights", kubeconfig=eve)
    assert answer.code == 1, answer
    assert "may not get customresourcedefinitions.apiextensions.k8s.io" in answer.out


def test_what_one_may_not_look_at_is_unknown_with_the_missing_right(world: World, gw: Gw) -> None:
    eve = world.plane.kubeconfig_for("eve")
    answer = gw("check", "--pre", "--check", "network.enforced", "--check", "pod-security.enforced", kubeconfig=eve)
    assert answer.code == 3, answer
    assert 'cannot list resource "daemonsets"' in answer.out
    assert 'cannot create resource "namespaces"' in answer.out


def test_upstream_and_a_namespace_on_its_way_out_stand_in_the_way(world: World, gw: Gw) -> None:
    theirs = crd(names.API_GROUP, "actionsgateways", "ActionsGateway", names.API_VERSION)
    theirs["metadata"]["annotations"] = {"controller-gen.kubebuilder.io/version": "v0.21.0"}
    world.put(theirs)
    world.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.MANAGER_NAMESPACE}})
    held = {"name": "held", "namespace": names.MANAGER_NAMESPACE, "finalizers": ["example.com/held"]}
    world.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    world.remove(r.NAMESPACES, names.MANAGER_NAMESPACE)
    answer = gw("check", "--pre", "--check", "install.place")
    assert answer.code == 1, answer
    assert "upstream Go project" in answer.out
    assert "namespace gmc-system: it is being deleted" in answer.out
