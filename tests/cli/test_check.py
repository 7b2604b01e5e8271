"""`gw check` as one meets it: its selections, its exit codes, its words."""

import json
from typing import Any

import pytest

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r

from .installing import NAMED, manager_comes_up
from .objects import moment
from .rig import Gw

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
RIGHTS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
METRICS = "/apis/metrics.k8s.io/v1beta1"


@pytest.fixture
def fit() -> Gw:
    """gw on a cluster that can take an installation."""
    gw = Gw()
    gw.cluster.on_create = lambda manifest: manager_comes_up(gw, manifest)
    gw.cluster.answers |= {
        "/apis": {"groups": [{"name": "apps"}, {"name": "monitoring.coreos.com"}]},
        REVIEW: {"metadata": {"creationTimestamp": moment(0)}, "status": {"userInfo": {"username": "admin"}}},
        RIGHTS: {"status": {"allowed": True}},
        METRICS: {"resources": []},
    }
    about = {"name": "calico-node", "namespace": "kube-system"}
    status = {"desiredNumberScheduled": 3, "numberReady": 3}
    gw.cluster.put({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": about, "status": status})
    message = "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value"
    gw.cluster.refusals["create", "namespaces"] = errors.Invalid(message, status=422)
    return gw


def outcomes(gw: Gw, *arguments: str) -> tuple[int, dict[str, str]]:
    answer = gw("check", *arguments, "-o", "json")
    return answer.code, {check["id"]: check["outcome"] for check in json.loads(answer.out)["checks"]}


def test_a_network_plugin_that_starts_is_waited_for_and_one_that_tells_nothing_is_not(fit: Gw) -> None:
    command = ("check", "--pre", "--check", "network.enforced", "--wait", "10s")
    daemon_set = fit.cluster.objects["daemonsets", "kube-system", "calico-node"]
    daemon_set["status"]["numberReady"] = 0
    assert fit(*command).code == 5
    daemon_set["metadata"]["name"] = "kindnet"
    slept_seconds = fit.clock.slept_seconds
    assert (fit(*command).code, fit.clock.slept_seconds) == (3, slept_seconds)


def test_a_cluster_that_is_fit_is_exit_0(fit: Gw) -> None:
    code, found = outcomes(fit, "--pre")
    assert code == 0, found
    assert set(found.values()) == {"ok", "skipped"}
    assert "install.rights" in found
    assert "manager.running" not in found


def test_after_an_installation_the_manager_is_judged_too(fit: Gw) -> None:
    refusal = fit.cluster.refusals.pop(("create", "namespaces"))
    assert fit("install", *NAMED, "--yes", "--monitoring", "without").code == 0
    fit.cluster.refusals["create", "namespaces"] = refusal
    code, found = outcomes(fit)
    assert code == 0, found
    assert {"manager.running", "manager.leading", "manager.pinned", "policies.enforced"} <= set(found)
    assert "install.rights" not in found


UNFIT: list[tuple[str, dict[str, Any], str, list[str], int]] = [
    ("an old server", {"/version": {"major": "1", "minor": "28", "gitVersion": "v1.28.0"}}, "api.version", [], 1),
    ("a missing right", {RIGHTS: {"status": {"allowed": False}}}, "install.rights", [], 1),
    ("a clock that is off", {REVIEW: {"metadata": {"creationTimestamp": moment(90)}}}, "clock.agrees", [], 0),
    (
        "a clock that is off, as a failure",
        {REVIEW: {"metadata": {"creationTimestamp": moment(90)}}},
        "clock.agrees",
        ["--fail-on", "ticket"],
        1,
    ),
    ("a server that tells no time", {REVIEW: {"metadata": {}}}, "clock.agrees", [], 3),
]


@pytest.mark.parametrize(
    ("answers", "check", "arguments", "code"), [pytest.param(*case[1:], id=case[0]) for case in UNFIT]
)
def test_what_is_unfit_decides_the_exit_code(
    fit: Gw, answers: dict[str, Any], check: str, arguments: list[str], code: int
) -> None:
    fit.cluster.answers |= answers
    ended, found = outcomes(fit, "--pre", *arguments)
    assert ended == code, found
    assert found[check] == ("unknown" if code == 3 else "problem")
    assert set(found.values()) == {"ok", "skipped", found[check]}


def test_no_known_plugin_is_unknown_and_unknown_is_exit_3(fit: Gw) -> None:
    fit.cluster.objects.pop((r.DAEMONSETS.plural, "kube-system", "calico-node"))
    answer = fit("check", "--pre")
    assert answer.code == 3, answer
    assert "no network plugin that gw knows was found" in answer.out
    assert answer.out.splitlines()[-1].startswith("10 checks on this cluster: 1 unknown")


@pytest.mark.parametrize(
    ("status", "said"),
    [({}, "Calico has no pod anywhere"), ({"desiredNumberScheduled": 3, "numberReady": 1}, "Calico has 1 of 3 pods")],
    ids=["a name alone", "not everywhere"],
)
def test_a_plugin_that_does_not_run_everywhere_is_unknown(fit: Gw, status: dict[str, int], said: str) -> None:
    fit.cluster.objects[r.DAEMONSETS.plural, "kube-system", "calico-node"]["status"] = status
    answer = fit("check", "--pre", "--check", "network.enforced")
    assert answer.code == 3, answer
    assert said in answer.out


@pytest.mark.parametrize("mode", ["any", "marked"])
def test_policies_are_compared_in_the_mode_that_the_manager_runs_in(fit: Gw, mode: str) -> None:
    del fit.cluster.refusals["create", "namespaces"]
    wish = ("--tenant-namespaces", mode, "--monitoring", "without")
    assert fit("install", *NAMED, "--yes", *wish).code == 0
    assert fit("check", "--check", "policies.enforced").code == 0
    other = {"any": "marked", "marked": "any"}[mode]
    mode_of_manager(fit)["value"] = other
    answer = fit("check", "--check", "policies.enforced")
    assert answer.code == 1, answer
    assert "gmc-manager-namespaces: its rules are not those of" in answer.out


@pytest.mark.parametrize("mode", ["any", "marked"])
def test_a_mode_that_the_manager_does_not_tell_is_unknown(fit: Gw, mode: str) -> None:
    del fit.cluster.refusals["create", "namespaces"]
    wish = ("--tenant-namespaces", mode, "--monitoring", "without")
    assert fit("install", *NAMED, "--yes", *wish).code == 0
    mode_of_manager(fit)["value"] = "?"
    answer = fit("check", "--check", "policies.enforced")
    assert answer.code == 3, answer
    assert "TENANT_NAMESPACES, which the manager's Deployment does not tell" in answer.out
    fit.cluster.refusals["get", "deployments"] = errors.Forbidden("no deployments for you", status=403)
    assert fit("check", "--check", "policies.enforced").code == 3


def mode_of_manager(gw: Gw) -> dict[str, Any]:
    """The entry of TENANT_NAMESPACES in the environment of the stored manager."""
    deployment = gw.cluster.objects[r.DEPLOYMENTS.plural, "gmc-system", "gmc-controller-manager"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (entry,) = [each for each in container["env"] if each["name"] == "TENANT_NAMESPACES"]
    found: dict[str, Any] = entry
    return found


def test_a_type_that_the_cluster_lacks_is_not_to_be_had_by_an_installation(fit: Gw) -> None:
    fit.cluster.refusals["create", "namespaces"] = errors.NotFound("404 page not found", status=404)
    answer = fit("check", "--pre", "--check", "pod-security.enforced")
    assert answer.code == 3, answer
    assert "this cluster does not serve that type" in answer.out
    assert "gw install" not in answer.out


def test_a_server_that_takes_any_level_enforces_none(fit: Gw) -> None:
    del fit.cluster.refusals["create", "namespaces"]
    answer = fit("check", "--pre", "--check", "pod-security.enforced")
    assert answer.code == 1, answer
    assert "enforces none" in answer.out
    assert fit.cluster.created == []


def test_a_metrics_server_that_is_down_is_told_from_none(fit: Gw) -> None:
    fit.cluster.refusals["request", METRICS] = errors.ServerError("service unavailable", status=503)
    answer = fit("check", "--check", "metrics.served", "--fail-on", "ticket")
    assert answer.code == 1, answer
    assert "registered and gives no answer" in answer.out


def test_a_check_of_the_other_selection_is_refused_with_the_list(fit: Gw) -> None:
    answer = fit("check", "--pre", "--check", "manager.pinned")
    assert answer.code == 2, answer
    assert "The checks are: api.reachable" in answer.err


def test_an_unreachable_cluster_is_exit_3_and_nothing_is_fine(fit: Gw) -> None:
    fit.cluster.refusals.clear()
    fit.cluster.refusals["*", "*"] = errors.Unreachable("the API server gives no answer: connection refused")
    code, found = outcomes(fit, "--pre")
    assert code == 3
    assert set(found.values()) == {"unknown"}


def test_the_ids_of_its_checks_are_completed(fit: Gw) -> None:
    from gw.commands.check import _check_ids

    assert _check_ids("pod") == ["pod-security.enforced"]
