"""`gw install` as one meets it: what it asks for, what it refuses, what it says. What it does to a cluster is proven on
a real one, in tests/component/installation."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway import __version__
from actions_gateway.api import labels
from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.names import INSTALL_FIELDS, MANAGER, MANAGER_LEASE, MANAGER_NAMESPACE
from actions_gateway.api.runnergroup import RUNNER_IMAGE
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r

from .installing import IMAGE, NAMED, PROXY, Install, environment_of, manager_comes_up
from .rig import Gw, check_golden

Manifest = dict[str, Any]

FLOATING = "registry.example.com/controller:0.1.0"


def test_it_writes_definitions_first_and_the_manager_last_and_a_second_run_writes_nothing(install: Install) -> None:
    answer = install("--yes")
    assert answer.code == 0, answer
    applied = install.gw.cluster.applied
    kinds = [each.split()[0] for each in applied]
    assert kinds[:3] == ["CustomResourceDefinition", "CustomResourceDefinition", "Namespace"]
    assert applied[-1] == f"Deployment {MANAGER}"
    assert kinds.index("ClusterRole") < kinds.index("ValidatingAdmissionPolicy")
    assert "gmc-0_1 leads" in answer.out
    again = install()
    assert again.code == 0, again
    assert again.out.startswith("Nothing changed:")
    assert len(install.gw.cluster.applied) == len(applied)


def test_what_no_option_names_stays_as_it_is(install: Install) -> None:
    worker = f"registry.example.com/mine@sha256:{'d' * 64}"
    named = ("--tenant-namespaces", "marked", "--log-level", "debug", "--replicas", "3", "--worker-image", worker)
    egress = ("--proxy-exception", "ghes.example.com=10.20.0.0/16:443", "--proxy-denied-cidr", "20.30.0.0/16")
    peers = ("--api-server-cidr", "192.0.2.0/28", "--dns-peer", "cluster")
    assert install("--yes", *named, *egress, *peers).code == 0
    written = len(install.gw.cluster.applied)
    again = install.gw("install", "--controller-image", IMAGE, "--yes")
    assert again.code == 0, again
    assert again.out.startswith("Nothing changed:")
    assert len(install.gw.cluster.applied) == written


def test_the_proxys_image_has_to_be_named_by_digest_once(gw: Gw, install: Install) -> None:
    """Envoy's own image is known by a tag only; what a registry serves under it, nobody here can tell."""
    answer = gw("install", "--controller-image", IMAGE, "--yes")
    assert answer.code == 2, answer
    assert f"the image {PROXY_IMAGE} has no digest" in answer.err
    assert "as --proxy-image REPOSITORY@sha256:" in answer.err
    assert install.wrote_nothing()
    assert gw("install", "--controller-image", IMAGE, "--export").code == 2
    assert install("--yes").code == 0
    assert environment_of(gw)["PROXY_IMAGE"] == PROXY


@pytest.mark.parametrize(("proxy", "stays"), [("envoyproxy/envoy:distroless-v1.1.1", False), ("mine/envoy:1", True)])
def test_a_proxy_that_an_earlier_release_chose_moves_on_and_ones_own_stays(
    install: Install, proxy: str, stays: bool
) -> None:
    floating = ("--controller-image", IMAGE, "--yes", "--allow-floating-tags")
    assert install.gw("install", *floating, "--proxy-image", proxy).code == 0
    key = (r.CRDS.plural, "", "actionsgateways.actions-gateway.github.com")
    install.gw.cluster.objects[key]["metadata"]["annotations"][labels.SCHEMA_VERSION] = "0.0.1"
    assert install.gw("install", *floating).code == 0
    assert environment_of(install.gw)["PROXY_IMAGE"] == (proxy if stays else PROXY_IMAGE)


def test_an_option_goes_before_what_is_there(install: Install) -> None:
    assert install("--yes", "--tenant-namespaces", "marked", "--log-level", "debug").code == 0
    answer = install("--yes", "--tenant-namespaces", "any")
    assert answer.code == 0, answer
    environment = environment_of(install.gw)
    assert (environment["TENANT_NAMESPACES"], environment["LOG_LEVEL"]) == ("any", "debug")


@pytest.mark.parametrize("repository", [RUNNER_IMAGE.partition(":")[0], "registry.example.com/mine"])
def test_an_earlier_releases_own_runner_moves_on_and_ones_own_stays(install: Install, repository: str) -> None:
    worker = f"{repository}@sha256:{'d' * 64}"
    assert install("--yes", "--worker-image", worker).code == 0
    key = (r.CRDS.plural, "", "actionsgateways.actions-gateway.github.com")
    install.gw.cluster.objects[key]["metadata"]["annotations"][labels.SCHEMA_VERSION] = "0.0.1"
    assert install("--yes").code == 0
    is_own = repository == "registry.example.com/mine"
    assert environment_of(install.gw)["WORKER_IMAGE"] == (worker if is_own else RUNNER_IMAGE)


def test_a_floating_image_that_is_there_is_not_taken_along_silently(install: Install) -> None:
    assert install("--yes", "--worker-image", "a/b:1", "--allow-floating-tags").code == 0
    answer = install("--yes")
    assert answer.code == 2, answer
    assert "the image a/b:1 has no digest" in answer.err
    assert install("--yes", "--allow-floating-tags").out.startswith("Nothing changed:")


def test_a_manager_that_was_paused_is_started_again(install: Install) -> None:
    assert install("--yes").code == 0
    install.gw.cluster.objects[r.DEPLOYMENTS.plural, MANAGER_NAMESPACE, MANAGER]["spec"]["replicas"] = 0
    assert install("--yes").code == 0
    assert install.gw.cluster.objects[r.DEPLOYMENTS.plural, MANAGER_NAMESPACE, MANAGER]["spec"]["replicas"] == 2


def test_a_server_whose_version_says_nothing_is_unknown_and_nothing_is_written(install: Install) -> None:
    install.gw.cluster.answers["/version"] = {"gitVersion": "mine"}
    answer = install("--yes")
    assert answer.code == 3, answer
    assert "calls itself mine, which is no version" in answer.err
    assert install.wrote_nothing()


def test_a_lease_that_a_manager_of_before_left_is_nobodys(install: Install) -> None:
    def on_create(manifest: Manifest) -> None:
        manager_comes_up(install.gw, manifest)
        if manifest["kind"] == "Deployment":
            install.gw.cluster.objects[r.LEASES.plural, MANAGER_NAMESPACE, MANAGER_LEASE]["spec"]["holderIdentity"] = (
                "gmc-gone_1"
            )

    install.gw.cluster.on_create = on_create
    answer = install("--yes", "--timeout", "9s")
    assert answer.code == 5, answer
    assert "no pod of the manager holds the leader lease yet" in answer.err


@pytest.mark.parametrize(
    ("kind", "group", "place", "said"),
    [
        ("ClusterRole", "rbac.authorization.k8s.io/v1", {"name": "gw-viewer"}, "clusterrole gw-viewer -o yaml"),
        (
            "ServiceAccount",
            "v1",
            {"name": MANAGER, "namespace": MANAGER_NAMESPACE},
            f"serviceaccount {MANAGER} -n {MANAGER_NAMESPACE} -o yaml",
        ),
    ],
)
def test_a_strangers_object_is_looked_at_where_it_is_and_its_owner_asked(
    install: Install, kind: str, group: str, place: Manifest, said: str
) -> None:
    install.gw.cluster.put({"apiVersion": group, "kind": kind, "metadata": place})
    answer = install("--yes")
    assert answer.code == 2, answer
    assert f"`kubectl get {said}`, and ask its owner" in answer.err
    assert "delete" not in answer.err
    assert install.wrote_nothing()


def test_what_a_gitops_controller_keeps_and_a_release_lacks_is_named_and_not_printed(install: Install) -> None:
    assert install("--yes").code == 0
    about = {
        "name": "gmc-old",
        "labels": {"app.kubernetes.io/part-of": "actions-gateway", "argocd.argoproj.io/instance": "platform"},
        "managedFields": [{"manager": INSTALL_FIELDS, "operation": "Apply"}],
    }
    install.gw.cluster.put({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": about})
    answer = install("--yes")
    assert answer.code == 2, answer
    assert answer.out == ""
    assert "Take the ClusterRole gmc-old out of the repository" in answer.err
    assert "Put the manifests above" not in answer.err
    assert install.gw.cluster.deleted == []


def test_without_a_terminal_and_without_yes_it_refuses_after_the_plan(install: Install) -> None:
    answer = install()
    assert answer.code == 2
    assert f"create      Deployment   {' ' * 20}"[:20] in answer.err
    assert "Add --yes once the plan is right." in answer.err
    assert install.wrote_nothing()


@pytest.mark.parametrize(("typed", "code"), [("n\n", 2), ("", 2), ("y\n", 0)])
def test_a_person_decides(install: Install, typed: str, code: int) -> None:
    answer = install(answer=typed)
    assert answer.code == code, answer
    assert install.wrote_nothing() is (code == 2)


def test_json_names_every_object_and_its_action(install: Install) -> None:
    document = json.loads(install("--yes", "-o", "json").out)
    assert (document["version"], document["kind"]) == ("gw/v1", "Installation")
    assert (document["changed"], document["dry_run"], document["leader"]) == (True, False, "gmc-0_1")
    assert {entry["action"] for entry in document["objects"]} == {"create"}
    assert {"kind", "namespace", "name", "action", "changes"} == set(document["objects"][0])


def test_no_wait_does_not_ask_for_the_manager(install: Install) -> None:
    install.gw.cluster.refusals["list", "pods"] = errors.Forbidden("no pods for you", status=403)
    answer = install("--yes", "--no-wait", "-o", "json")
    assert answer.code == 0, answer
    assert json.loads(answer.out)["leader"] is None


def test_export_asks_no_cluster_and_holds_what_was_asked_for(install: Install) -> None:
    answer = install("--export", "--replicas", "1", "--tenant-namespaces", "marked", "--log-level", "debug")
    assert answer.code == 0, answer
    assert install.gw.targets == []
    manifests = list(yaml.safe_load_all(answer.out))
    (deployment,) = [each for each in manifests if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert deployment["spec"]["replicas"] == 1
    assert (environment["TENANT_NAMESPACES"], environment["LOG_LEVEL"]) == ("marked", "debug")
    assert (container["image"], environment["CONTROLLER_IMAGE"], environment["WORKER_IMAGE"]) == (
        IMAGE,
        IMAGE,
        RUNNER_IMAGE,
    )
    assert {"ServiceMonitor", "PrometheusRule"} & {each["kind"] for each in manifests} == set()
    assert "--monitoring with adds them" in answer.err


def test_export_with_monitoring_holds_the_operators_objects(install: Install) -> None:
    answer = install("--export", "--monitoring", "with")
    added = [each for each in yaml.safe_load_all(answer.out) if each["kind"] in MONITORING]
    assert {each["kind"] for each in added} == MONITORING
    check_golden("install-monitoring.txt", yaml.safe_dump_all([_without_json(each) for each in added], sort_keys=False))


MONITORING = {"Service", "ServiceMonitor", "PodMonitor", "PrometheusRule", "GrafanaDashboard"}


def _without_json(manifest: Manifest) -> Manifest:
    """The dashboard's own text and the rules are compared where they are generated."""
    spec = {key: value for key, value in manifest["spec"].items() if key not in ("json", "groups")}
    return {**manifest, "spec": spec}


def release(folder: Path, text: str | None = None, **images: str) -> Path:
    path = folder / "release.yaml"
    path.write_text(text or yaml.safe_dump({"version": __version__, "images": {"controller": IMAGE, **images}}))
    return path


def test_a_release_file_names_the_images(gw: Gw, tmp_path: Path) -> None:
    worker = f"registry.example.com/runner@sha256:{'c' * 64}"
    answer = gw("install", "--release", str(release(tmp_path, worker=worker, proxy=PROXY)), "--export")
    assert answer.code == 0, answer
    assert IMAGE in answer.out
    assert worker in answer.out
    assert PROXY in answer.out


def test_a_worker_image_of_ones_own_goes_before_the_releases(gw: Gw, tmp_path: Path) -> None:
    worker = f"registry.example.com/mine@sha256:{'d' * 64}"
    answer = gw("install", "--release", str(release(tmp_path, proxy=PROXY)), "--worker-image", worker, "--export")
    assert answer.code == 0, answer
    assert worker in answer.out


def test_a_floating_tag_is_taken_when_it_is_allowed(gw: Gw) -> None:
    answer = gw("install", "--controller-image", FLOATING, "--allow-floating-tags", "--export")
    assert answer.code == 0, answer
    assert FLOATING in answer.out


REFUSED: list[tuple[str, list[str], str]] = [
    ("no image", [], "no image of the manager was named"),
    ("a floating tag", ["--controller-image", FLOATING], f"the image {FLOATING} has no digest"),
    ("no reference", ["--controller-image", "Not An Image"], "'Not An Image' is no image reference"),
    ("a short digest", ["--controller-image", "a/b@sha256:abc"], "'a/b@sha256:abc' is no image reference"),
    ("a floating worker", ["--controller-image", IMAGE, "--worker-image", "a/b:1"], "the image a/b:1 has no digest"),
    ("a floating proxy", ["--controller-image", IMAGE, "--proxy-image", "a/b:1"], "the image a/b:1 has no digest"),
    ("no exception", [*NAMED, "--proxy-exception", "ghes.example.com"], "is no exception of the form HOST"),
    ("every address", [*NAMED, "--proxy-exception", "a.example.com=0.0.0.0/0:443"], "a range of every address"),
    ("no range", [*NAMED, "--proxy-denied-cidr", "example.com"], "--proxy-denied-cidr: 'example.com'"),
    ("host bits", [*NAMED, "--proxy-denied-cidr", "20.30.0.1/16"], "20.30.0.1/16 has host bits set"),
    ("all denied", [*NAMED, "--proxy-denied-cidr", "::/0"], "a range of every address"),
    ("a missing release", ["--release", "/nonexistent.yaml"], "/nonexistent.yaml cannot be read"),
    ("two names", ["--release", "x.yaml", "--controller-image", IMAGE], "both name the manager's image"),
    ("no replicas", ["--controller-image", IMAGE, "--replicas", "0"], "--replicas"),
    ("no duration", ["--controller-image", IMAGE, "--timeout", "soon"], "'soon' is no duration"),
    ("no such choice", ["--controller-image", IMAGE, "--tenant-namespaces", "none"], "--tenant-namespaces"),
]


@pytest.mark.parametrize(("arguments", "said"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_a_wrong_wish_is_refused_before_any_cluster_is_asked(gw: Gw, arguments: list[str], said: str) -> None:
    answer = gw("install", "--yes", *arguments)
    assert answer.code == 2, answer
    assert said in answer.err
    assert "\nNext:  " in answer.err
    assert answer.out == ""
    assert gw.targets == []


def test_without_an_image_it_says_how_one_is_built(gw: Gw) -> None:
    answer = gw("install")
    assert "buildah build" in answer.err
    assert "runbooks/procedures/build-images.md" in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 0.1.0\n  images: [\n", "line 2 is no YAML"),
        ("- a\n", "it: input should be a valid dictionary"),
        ("version: 0.1.0\n", "images: field required"),
        (f"version: {__version__}\nimages: {{}}\n", "images.controller: field required"),
        (f"version: {__version__}\nimages: {{controller: x, envoy: y}}\n", "images.envoy: extra inputs"),
        (f"version: 9.9.9\nimages: {{controller: {IMAGE}}}\n", f"of version 9.9.9, and this gw is {__version__}"),
        (f"version: {__version__}\nimages: {{controller: '{FLOATING}'}}\n", "has no digest"),
    ],
)
def test_a_release_file_that_cannot_be_used_names_the_field(gw: Gw, tmp_path: Path, text: str, said: str) -> None:
    answer = gw("install", "--release", str(release(tmp_path, text)))
    assert answer.code == 2, answer
    assert said in answer.err
    assert gw.targets == []


def test_an_older_server_is_refused_with_the_reason(install: Install) -> None:
    install.gw.cluster.answers["/version"] = {"major": "1", "minor": "29+", "gitVersion": "v1.29.8-gke.1"}
    answer = install("--yes")
    assert answer.code == 2, answer
    assert "Kubernetes v1.29.8-gke.1, and an installation needs 1.30 or newer" in answer.err
    assert install.wrote_nothing()


def test_monitoring_that_is_demanded_and_cannot_be_had_is_refused(install: Install) -> None:
    answer = install("--yes", "--monitoring", "with")
    assert answer.code == 2, answer
    assert "does not serve grafana.integreatly.org and monitoring.coreos.com" in answer.err
    assert install.wrote_nothing()


def test_an_object_that_helm_keeps_is_the_upstream_projects(install: Install) -> None:
    about = {"name": MANAGER, "namespace": MANAGER_NAMESPACE, "labels": {"helm.sh/chart": "actions-gateway-1.0.0"}}
    install.gw.cluster.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": {}})
    answer = install("--yes")
    assert answer.code == 2, answer
    assert "upstream Go project" in answer.err
    assert "label helm.sh/chart=actions-gateway-1.0.0" in answer.err
    assert install.wrote_nothing()


@pytest.mark.parametrize(
    ("refusal", "code", "said"),
    [
        (errors.Unreachable("the Kubernetes API server at https://c gives no answer: it took too long"), 3, "too long"),
        (errors.Unauthorized("Unauthorized", status=401), 4, "does not accept the kubeconfig's credentials"),
        (errors.ServerError("etcd is away", status=500), 3, "etcd is away"),
        (errors.Forbidden('User "eve" cannot get resource "x"', status=403), 2, "`gw check --pre` names every right"),
        (errors.TooManyRequests("try again later", status=429), 3, "try again later"),
    ],
    ids=["unreachable", "rejected", "broken", "forbidden", "throttled"],
)
def test_a_cluster_that_does_not_answer(install: Install, refusal: errors.KubeError, code: int, said: str) -> None:
    install.gw.cluster.refusals["*", "*"] = refusal
    answer = install("--yes")
    assert answer.code == code, answer
    assert said in answer.err
    assert answer.err.count("Error:") == 1
    assert install.wrote_nothing()


def test_a_refusal_halfway_names_what_was_written_and_that_it_may_be_repeated(install: Install) -> None:
    def on_create(manifest: Manifest) -> None:
        manager_comes_up(install.gw, manifest)
        if manifest["kind"] == "PodDisruptionBudget":
            install.gw.cluster.refusals["apply", "deployments"] = errors.ServerError("etcd is away", status=500)

    install.gw.cluster.on_create = on_create
    answer = install("--yes")
    assert answer.code == 3, answer
    assert "could not write the Deployment gmc-controller-manager: etcd is away" in answer.err
    assert "Written before it: CustomResourceDefinition actionsgateways" in answer.err
    assert "it goes on from there" in answer.err
    del install.gw.cluster.refusals["apply", "deployments"]
    install.gw.cluster.on_create = lambda manifest: manager_comes_up(install.gw, manifest)
    again = install("--yes", "-o", "json")
    assert again.code == 0, again
    changed = [entry["kind"] for entry in json.loads(again.out)["objects"] if entry["action"] != "unchanged"]
    assert changed == ["Deployment"]


def test_a_type_that_the_server_does_not_serve_is_named(install: Install) -> None:
    refusal = errors.NotFound("the server does not serve validatingadmissionpolicies", status=404)
    install.gw.cluster.refusals["apply", "validatingadmissionpolicies"] = refusal
    answer = install("--yes")
    assert answer.code == 2, answer
    assert "does not serve validatingadmissionpolicies" in answer.err
    assert "gw sandbox up --cluster real" in answer.err
    assert install.wrote_nothing()


def test_a_definition_that_never_comes_into_force_is_exit_5(install: Install) -> None:
    install.gw.cluster.on_create = lambda _: None
    answer = install("--yes", "--timeout", "20s")
    assert answer.code == 5, answer
    assert "is not in force yet" in answer.err
    assert install.gw.clock.slept_seconds >= 20
    assert {each.split()[0] for each in install.gw.cluster.applied} == {"CustomResourceDefinition"}


def test_a_definition_whose_names_are_taken_is_refused_with_the_servers_words(install: Install) -> None:
    def on_create(manifest: Manifest) -> None:
        taken = {"type": "NamesAccepted", "status": "False", "message": '"ag" is already in use'}
        manifest["status"] = {"conditions": [taken]}

    install.gw.cluster.on_create = on_create
    answer = install("--yes")
    assert answer.code == 2, answer
    assert '"ag" is already in use' in answer.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"availableReplicas": 1}, "1 of 2 pods of the manager are available"),
        (
            {
                "availableReplicas": 0,
                "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}],
            },
            "exceeded quota: small",
        ),
    ],
    ids=["one pod", "a quota"],
)
def test_a_manager_that_does_not_come_up_is_exit_5_with_the_cause(
    install: Install, change: Manifest, said: str
) -> None:
    def on_create(manifest: Manifest) -> None:
        manager_comes_up(install.gw, manifest)
        if manifest["kind"] == "Deployment":
            manifest["status"] |= change

    install.gw.cluster.on_create = on_create
    answer = install("--yes", "--timeout", "30s")
    assert answer.code == 5, answer
    assert said in answer.err
    assert install.gw.clock.slept_seconds >= 30


def test_a_pod_that_cannot_pull_its_image_is_named(install: Install) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "manifest unknown"}
    selector = {"control-plane": "controller-manager", "app.kubernetes.io/name": "gmc"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "gmc-1", "namespace": MANAGER_NAMESPACE, "labels": selector},
        "status": {"containerStatuses": [{"name": "manager", "state": {"waiting": waiting}}]},
    }

    def on_create(manifest: Manifest) -> None:
        manager_comes_up(install.gw, manifest)
        if manifest["kind"] == "Deployment":
            manifest["status"]["availableReplicas"] = 0
            install.gw.cluster.put(pod)

    install.gw.cluster.on_create = on_create
    answer = install("--yes", "--timeout", "5s")
    assert answer.code == 5, answer
    assert "ImagePullBackOff: manifest unknown" in answer.err


def test_an_interrupt_says_where_it_stopped(install: Install) -> None:
    def on_create(manifest: Manifest) -> None:
        manager_comes_up(install.gw, manifest)
        if manifest["kind"] == "Namespace":
            raise KeyboardInterrupt

    install.gw.cluster.on_create = on_create
    answer = install("--yes")
    assert answer.code == 130, answer
    assert "Interrupted after 2 objects" in answer.err


def test_what_the_checks_of_its_end_cannot_see_is_said(install: Install) -> None:
    def on_create(manifest: Manifest) -> None:
        manager_comes_up(install.gw, manifest)
        if manifest["kind"] == "Deployment":
            refusal = errors.Forbidden("may not get customresourcedefinitions", status=403)
            install.gw.cluster.refusals["get", r.CRDS.plural] = refusal

    install.gw.cluster.on_create = on_create
    answer = install("--yes")
    assert answer.code == 0, answer
    assert "Unproven: api.crds-current: " in answer.err
    assert "may not get customresourcedefinitions" in answer.err
