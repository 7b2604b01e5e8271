"""`gw check` on a real control plane, before an installation and after it."""

import contextlib
import json
from collections.abc import Iterator

from actions_gateway.api import names
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient

from .conftest import Gw
from .world import INSTALL, READY_POD, World, crd, manager_starts

PLUGIN = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "cilium", "namespace": "default"},
    "spec": {
        "selector": {"matchLabels": {"k8s-app": "cilium"}},
        "template": {
            "metadata": {"labels": {"k8s-app": "cilium"}},
            "spec": {
                "containers": [{"name": "agent", "image": "registry.example.com/cilium:1"}],
                "tolerations": [{"operator": "Exists"}],
            },
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


NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "plugin-node"}}


@contextlib.contextmanager
def plugin_runs(world: World) -> Iterator[None]:
    """One node with a pod of the plugin on it, whose kubelet says that it is ready; gone again afterwards."""
    world.put(NODE)
    world.put(PLUGIN)
    try:
        world.call(_until_ready)
        yield
    finally:
        world.remove(r.DAEMONSETS, "cilium", "default")
        world.remove(r.NODES, "plugin-node")
        world.call(_until_without_pods)


async def _until_ready(client: KubeClient) -> None:
    while not (await client.get(r.DAEMONSETS, "cilium", "default")).get("status", {}).get("numberReady"):
        for pod in (await client.list(r.PODS, "default", label_selector="k8s-app=cilium")).items:
            await client.patch(r.PODS, pod["metadata"]["name"], READY_POD, namespace="default", subresource="status")


async def _until_without_pods(client: KubeClient) -> None:
    while pods := (await client.list(r.PODS, "default", label_selector="k8s-app=cilium")).items:
        for pod in pods:
            with contextlib.suppress(errors.NotFound):
                await client.delete(r.PODS, pod["metadata"]["name"], namespace="default")


def test_a_plugin_without_a_pod_enforces_nothing_that_is_known(world: World, gw: Gw) -> None:
    world.put(PLUGIN)
    try:
        answer = gw("check", "--pre", "--check", "network.enforced")
    finally:
        world.remove(r.DAEMONSETS, "cilium", "default")
    assert answer.code == 3, answer
    assert "Cilium has no pod anywhere" in answer.out


def test_a_plugin_that_runs_and_an_operator_make_it_fit(world: World, gw: Gw) -> None:
    world.put(crd("monitoring.coreos.com", "servicemonitors", "ServiceMonitor"))
    with plugin_runs(world):
        code, found = outcomes(gw, "--pre", "--wait", "20s")
    assert (found["network.enforced"], found["monitoring.served"]) == ("ok", "ok")
    assert code == 0


def test_after_an_installation_policies_definitions_and_images_are_judged(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    with plugin_runs(world):
        # A lease that nobody renews lapses after some seconds.
        manager_starts(world)
        code, found = outcomes(gw)
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


def test_a_policy_that_was_emptied_is_a_problem_and_put_right(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    name = "gmc-agent-secrets"
    world.patch(r.ADMISSIONPOLICYBINDINGS, name, {"spec": {"matchResources": {"objectSelector": NO_OBJECT}}})
    narrowed = gw("check", "--check", "policies.enforced")
    assert (narrowed.code, "binding.spec.matchResources differs" in narrowed.out) == (1, True), narrowed
    world.patch(r.ADMISSIONPOLICYBINDINGS, name, {"spec": {"matchResources": None}})
    world.patch(r.ADMISSIONPOLICIES, name, {"spec": {"failurePolicy": "Ignore"}})
    open_ = gw("check", "--check", "policies.enforced")
    assert (open_.code, "spec.failurePolicy differs" in open_.out) == (1, True), open_
    assert gw(*INSTALL).code == 0
    assert gw("check", "--check", "policies.enforced").code == 0


NO_OBJECT = {"matchLabels": {"no": "such"}}


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
