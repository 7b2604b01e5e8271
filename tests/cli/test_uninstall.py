"""`gw uninstall` as one meets it; what it does to a cluster is proven on a real one."""

import copy
import json
from typing import Any

import pytest

from actions_gateway.api.names import GATEWAY_FINALIZER, MANAGER
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.installation.finalizers import ABSENCE_SECONDS, OVERDUE_SECONDS

from .double import ClusterDouble
from .installing import NAMED, manager_comes_up
from .objects import gateway, healthy_cluster, moment
from .rig import Gw

NAME = "cluster.example:6443"


@pytest.fixture
def installed() -> Gw:
    """gw on a cluster with an installation and no tenant."""
    gw = Gw()
    gw.cluster.on_create = lambda manifest: manager_comes_up(gw, manifest)
    assert gw("install", *NAMED, "--yes").code == 0
    manager_ends(gw)
    return gw


def manager_ends(gw: Gw) -> None:
    """What the controllers of Deployments do when one is deleted, ahead of time."""
    for name in gw.cluster.names(r.PODS):
        del gw.cluster.objects[r.PODS.plural, "gmc-system", name]


def test_everything_goes_and_the_report_says_what(installed: Gw) -> None:
    answer = installed("uninstall", "--yes", "--confirm", NAME, "-o", "json")
    assert answer.code == 0, answer
    document = json.loads(answer.out)
    assert (document["kind"], document["changed"], document["dry_run"]) == ("Uninstallation", True, False)
    deleted = installed.cluster.deleted
    assert document["removed"] == deleted
    assert deleted[0] == "Deployment gmc-controller-manager"
    assert [each.split()[0] for each in deleted[-3:]] == ["Namespace", *["CustomResourceDefinition"] * 2]
    again = installed("uninstall", "--yes", "--confirm", NAME)
    assert again.code == 0
    assert again.out.startswith("Nothing of Actions Gateway is installed")


def test_its_end_is_verified_by_a_check(installed: Gw) -> None:
    """A definition that is kept, and that somebody else deletes, hangs: nothing can be installed there."""
    definition = installed.cluster.objects[r.CRDS.plural, "", "runnergroups.actions-gateway.github.com"]
    definition["metadata"]["deletionTimestamp"] = moment(60)
    answer = installed("uninstall", "--keep-crds", "--yes", "--confirm", NAME, "--timeout", "30s")
    assert answer.code == 5, answer
    assert "a check still finds a problem (install.place: it is being deleted" in answer.err
    again = installed("uninstall", "--keep-crds", "--yes", "--confirm", NAME, "--timeout", "30s")
    assert again.code == 5, again
    del definition["metadata"]["deletionTimestamp"]
    answer = installed("uninstall", "--keep-crds", "--yes", "--confirm", NAME)
    assert (answer.code, "install.place verified" in answer.err, "Unproven" in answer.err) == (0, True, False)


def test_what_the_check_cannot_see_is_said(installed: Gw) -> None:
    gone = installed.cluster.delete

    async def delete(resource: r.Resource, name: str, **how: Any) -> None:
        await gone(resource, name, **how)
        refusal = errors.Forbidden("may not get validatingwebhookconfigurations", status=403)
        installed.cluster.refusals["get", r.VALIDATINGWEBHOOKS.plural] = refusal

    installed.cluster.delete = delete  # type: ignore[method-assign]
    answer = installed("uninstall", "--yes", "--confirm", NAME, "-o", "json")
    assert answer.code == 0, answer
    (unproven,) = json.loads(answer.out)["unproven"]
    assert unproven.startswith("install.place: ")
    assert f"Unproven: {unproven}." in answer.err


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (["--yes"], None, f"Add --confirm {NAME} if that is the one."),
        (["--yes", "--confirm", "other:6443"], None, f"--confirm says other:6443, and this cluster is {NAME}"),
        (["--confirm", NAME], None, f"Add --yes --confirm {NAME} once the plan is right."),
        ([], None, "there is no terminal to ask on"),
        ([], "y\n", "the cluster's name was not typed, and nothing was removed"),
        ([], "", "the cluster's name was not typed"),
        (["--timeout", "soon"], None, "'soon' is no duration"),
    ],
)
def test_without_the_clusters_name_nothing_is_removed(
    installed: Gw, arguments: list[str], typed: str | None, said: str
) -> None:
    answer = installed("uninstall", *arguments, answer=typed)
    assert answer.code == 2, answer
    assert said in answer.err
    assert installed.cluster.deleted == []


def test_a_person_who_types_the_name_removes_it(installed: Gw) -> None:
    answer = installed("uninstall", answer=f"{NAME}\n")
    assert answer.code == 0, answer
    assert f"Type the cluster's name, {NAME}, to go on:" in answer.err
    assert "Deployment gmc-controller-manager" in installed.cluster.deleted


def test_a_dry_run_shows_the_order_and_removes_nothing(installed: Gw) -> None:
    answer = installed("uninstall", "--dry-run")
    assert answer.code == 0, answer
    lines = [line.strip() for line in answer.err.splitlines()]
    assert lines.index("Deployment gmc-controller-manager") < lines.index("Namespace gmc-system")
    assert installed.cluster.deleted == []


def test_tenants_are_named_and_stop_it() -> None:
    gw = Gw(ClusterDouble(*healthy_cluster()))
    answer = gw("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 2, answer
    assert "the tenant team-a/team-a is still served, and would be stranded" in answer.err
    assert gw.cluster.deleted == []


def test_a_tenant_whose_deletion_hangs_is_not_asked_to_be_deleted_again() -> None:
    gw = Gw(ClusterDouble(*healthy_cluster(), gateway("team-b")))
    delete, goes_on = "kubectl delete actionsgateway", "already goes with --remove-tenants"
    for hanging, steps in (((), {delete}), (("team-a",), {delete, goes_on}), (("team-a", "team-b"), {goes_on})):
        for name in hanging:
            gw.cluster.objects[r.ACTIONSGATEWAYS.plural, name, name]["metadata"]["deletionTimestamp"] = moment(900)
        answer = gw("uninstall", "--yes", "--confirm", NAME)
        assert answer.code == 2, answer
        words = " ".join(answer.err.split())
        assert {step for step in (delete, goes_on) if step in words} == steps, hanging


GATEWAY = (r.ACTIONSGATEWAYS.plural, "team-a", "team-a")
REMOVE_TENANTS = ("uninstall", "--remove-tenants", "--yes", "--confirm", NAME)


@pytest.fixture
def served(installed: Gw) -> Gw:
    """A tenant beside the installation, with the manager's finalizer on its gateway, whose agent is gone already."""
    (gateway,) = [copy.deepcopy(each) for each in healthy_cluster() if each["kind"] == "ActionsGateway"]
    gateway["metadata"] |= {"finalizers": [GATEWAY_FINALIZER], "resourceVersion": "1"}
    installed.cluster.put(gateway)
    installed.cluster.deleted_at = moment(0)
    return installed


def put_manager_pod(gw: Gw, *, ready: str = "True") -> None:
    about = {"name": "gmc-1", "namespace": "gmc-system", "labels": SELECTOR}
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    gw.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": about, "status": status})


def test_a_running_manager_is_left_to_take_its_gateways_down(served: Gw) -> None:
    put_manager_pod(served)
    answer = served(*REMOVE_TENANTS, "--timeout", "5m")
    assert answer.code == 5, answer
    assert f"ActionsGateway team-a/team-a (finalizer {GATEWAY_FINALIZER})" in answer.err
    assert served.cluster.patched == []
    assert served.cluster.deleted == []


def test_a_deletion_that_a_running_manager_does_not_end_is_ended(served: Gw) -> None:
    put_manager_pod(served)
    served.cluster.deleted_at = moment(OVERDUE_SECONDS - 60)
    assert served(*REMOVE_TENANTS, "--timeout", "50s").code == 5
    assert served.cluster.patched == []
    answer = served(*REMOVE_TENANTS, "--timeout", "5m")
    assert served.cluster.patched == ["ActionsGateway team-a"], answer
    assert "released ActionsGateway team-a (team-a): no manager takes it down" in " ".join(answer.err.split())


@pytest.mark.parametrize("ready", ["False", None])
def test_a_manager_without_a_ready_pod_is_waited_for_and_then_done_without(served: Gw, ready: str | None) -> None:
    if ready:
        put_manager_pod(served, ready=ready)
    started = served.clock.monotonic()
    answer = served(*REMOVE_TENANTS, "--timeout", "5m")
    assert served.cluster.patched == ["ActionsGateway team-a"], answer
    assert GATEWAY not in served.cluster.objects
    assert served.clock.monotonic() - started >= ABSENCE_SECONDS


def test_where_no_manager_is_installed_nobody_waits_for_one(served: Gw) -> None:
    del served.cluster.objects[r.DEPLOYMENTS.plural, "gmc-system", MANAGER]
    answer = served(*REMOVE_TENANTS, "--timeout", "5s")
    assert answer.code == 0, answer
    assert served.cluster.patched == ["ActionsGateway team-a"]
    assert "go from GitHub by themselves within a day" in answer.err


def test_only_the_managers_finalizer_is_taken_away(served: Gw) -> None:
    del served.cluster.objects[r.DEPLOYMENTS.plural, "gmc-system", MANAGER]
    served.cluster.objects[GATEWAY]["metadata"]["finalizers"].append("example.com/hold")
    answer = served(*REMOVE_TENANTS, "--timeout", "5s")
    assert answer.code == 5, answer
    assert "ActionsGateway team-a/team-a (finalizer example.com/hold)" in answer.err
    assert served.cluster.patched == ["ActionsGateway team-a"]


def test_without_the_right_to_delete_it_is_refused_with_the_right(installed: Gw) -> None:
    refusal = errors.Forbidden('User "eve" cannot delete resource "deployments"', status=403)
    installed.cluster.refusals["delete", "deployments"] = refusal
    answer = installed("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 2, answer
    assert 'cannot delete resource "deployments"' in answer.err
    assert installed.cluster.deleted == []


def test_pods_that_do_not_end_are_exit_5_and_the_rights_stay(installed: Gw) -> None:
    selector = {"control-plane": "controller-manager", "app.kubernetes.io/name": "gmc"}
    about = {"name": "gmc-1", "namespace": "gmc-system", "labels": selector}
    installed.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": about})
    answer = installed("uninstall", "--yes", "--confirm", NAME, "--timeout", "9s")
    assert answer.code == 5, answer
    assert "after 9 s there still is Pod gmc-system/gmc-1" in answer.err
    assert installed.cluster.deleted == ["Deployment gmc-controller-manager"]
    del installed.cluster.objects[r.PODS.plural, "gmc-system", "gmc-1"]
    assert installed("uninstall", "--yes", "--confirm", NAME).code == 0


def test_a_gateway_that_appears_meanwhile_keeps_its_definition(installed: Gw) -> None:
    (gateway,) = [each for each in healthy_cluster() if each["kind"] == "ActionsGateway"]
    gone = installed.cluster.delete

    async def delete(resource: r.Resource, name: str, **how: Any) -> None:
        await gone(resource, name, **how)
        if resource is r.NAMESPACES:
            installed.cluster.put(gateway)

    installed.cluster.delete = delete  # type: ignore[method-assign]
    answer = installed("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 2, answer
    assert "has appeared meanwhile, so the custom resource definitions stay" in answer.err
    assert len(installed.cluster.names(r.CRDS)) == 2


def test_an_expired_login_is_exit_4(installed: Gw) -> None:
    installed.cluster.refusals["*", "*"] = errors.Unauthorized("Unauthorized", status=401)
    assert installed("uninstall", "--yes", "--confirm", NAME).code == 4


RIGHTS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def test_rights_to_delete_are_asked_for_before_anything_goes(installed: Gw) -> None:
    installed.cluster.answers[RIGHTS] = {"status": {"allowed": False}}
    answer = installed("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 2, answer
    assert "you may not delete deployments.apps in gmc-system" in answer.err
    assert "nothing was removed" in answer.err
    assert installed.cluster.deleted == []


def test_a_refusal_halfway_names_what_is_gone_and_that_it_may_be_repeated(installed: Gw) -> None:
    refusal = errors.Forbidden('admission webhook "guard" denied the request', status=403)
    installed.cluster.refusals["delete", "clusterroles"] = refusal
    answer = installed("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 2, answer
    assert 'webhook "guard" denied the request' in answer.err
    assert "Removed before it: Deployment gmc-controller-manager, " in answer.err
    assert "Then run the same command again: it goes on from there." in answer.err
    del installed.cluster.refusals["delete", "clusterroles"]
    assert installed("uninstall", "--yes", "--confirm", NAME).code == 0
    assert installed.cluster.names(r.CLUSTERROLES) == []


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "ReplicaSet"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        ("v1", "Secret"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Pod"),
        ("v1", "ConfigMap"),
    ],
)
def test_a_namespace_that_holds_somebody_elses_object_stays(installed: Gw, version: str, kind: str) -> None:
    installed.cluster.put(
        {"apiVersion": version, "kind": kind, "metadata": {"name": "theirs", "namespace": "gmc-system"}}
    )
    answer = installed("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 0, answer
    assert f"Namespace gmc-system, which holds what gw did not install: {kind} theirs" in answer.err
    assert "Namespace gmc-system" not in installed.cluster.deleted
    again = installed("uninstall", "--yes", "--confirm", NAME)
    assert again.code == 0, again
    assert "Nothing of Actions Gateway is installed" not in again.out
    assert f"What was kept: Namespace gmc-system, which holds what gw did not install: {kind} theirs" in again.out


def test_what_the_server_makes_and_what_the_installation_owns_keeps_no_namespace(installed: Gw) -> None:
    (deployment,) = [each for each in installed.cluster.objects.values() if each["kind"] == "Deployment"]
    owned = [{"kind": "Deployment", "name": "x", "uid": deployment["metadata"]["uid"]}]
    made: list[tuple[str, str, dict[str, object]]] = [
        ("v1", "ConfigMap", {"name": "kube-root-ca.crt"}),
        ("v1", "ServiceAccount", {"name": "default"}),
        ("apps/v1", "ReplicaSet", {"name": "gmc-1", "uid": "rs-1", "ownerReferences": owned}),
    ]
    for version, kind, about in made:
        about["namespace"] = "gmc-system"
        installed.cluster.put({"apiVersion": version, "kind": kind, "metadata": about})
    token = {"name": "token", "namespace": "gmc-system"}
    type_ = "kubernetes.io/service-account-token"
    installed.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": token, "type": type_})
    answer = installed("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 0, answer
    assert "Namespace gmc-system" in installed.cluster.deleted


def test_definitions_that_were_kept_are_named_the_second_time(installed: Gw) -> None:
    assert installed("uninstall", "--keep-crds", "--yes", "--confirm", NAME).code == 0
    again = installed("uninstall", "--keep-crds", "--yes", "--confirm", NAME)
    assert again.code == 0, again
    assert "What was kept: the custom resource definitions, as asked." in again.out


def test_runner_groups_without_a_gateway_stop_it_too() -> None:
    gw = Gw(ClusterDouble(*[each for each in healthy_cluster() if each["kind"] != "ActionsGateway"]))
    answer = gw("uninstall", "--yes", "--confirm", NAME)
    assert answer.code == 2, answer
    assert "without a gateway would be deleted with its jobs" in answer.err
    assert "--remove-tenants" in answer.err
    assert gw.cluster.deleted == []
