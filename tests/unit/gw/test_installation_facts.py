"""Whose an object is, which release a definition is of, what a server is, which plugins are there."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from actions_gateway.api import labels, names
from actions_gateway.installation.manifests import crd_manifests
from gw.sources.definitions import OWN_VERSION, compare_versions, parse_definition
from gw.sources.ownership import gitops_owner, is_applied_by_gw, is_ours, upstream_marks
from gw.sources.platform import parse_deployment
from gw.sources.prerequisites import NetworkFact, parse_network
from gw.sources.server import parse_clock, parse_server
from support.clock import START

Manifest = dict[str, Any]
OURS = {labels.APP_PART_OF: labels.PART_OF}


def about(**metadata: Any) -> Manifest:
    return {"metadata": {"name": "x", **metadata}}


@pytest.mark.parametrize(
    ("manifest", "ours"),
    [
        (about(labels=OURS), True),
        (about(), False),
        (about(labels={labels.APP_PART_OF: "other"}), False),
        (about(labels={**OURS, "helm.sh/chart": "actions-gateway-1.2.0"}), False),
        (about(labels=OURS, annotations={"meta.helm.sh/release-name": "gag"}), False),
    ],
    ids=["our label", "no label", "another project's", "upstream's chart has our label, too", "a Helm release"],
)
def test_an_object_is_ours_by_its_label_unless_it_is_upstreams(manifest: Manifest, ours: bool) -> None:
    assert is_ours(manifest) is ours


def test_upstreams_marks_are_told_as_they_stand_on_the_object() -> None:
    manifest = about(
        labels={"helm.sh/chart": "actions-gateway-1.2.0"},
        annotations={
            "meta.helm.sh/release-name": "gag",
            "helm.sh/resource-policy": "keep",
            "controller-gen.kubebuilder.io/version": "v0.21.0",
        },
    )
    assert list(upstream_marks(manifest)) == [
        "label helm.sh/chart=actions-gateway-1.2.0",
        "annotation meta.helm.sh/release-name=gag",
        "annotation helm.sh/resource-policy",
        "annotation controller-gen.kubebuilder.io/version",
    ]


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "platform:apps/Deployment:a/b"}},
            "Argo CD (application platform)",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "platform"}}, "Argo CD (application platform)"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "infra"}}, "Flux (Kustomization infra)"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "infra"}}, "Flux (HelmRelease infra)"),
        ({"managedFields": [{"manager": "argocd-controller", "operation": "Apply"}]}, "Argo CD"),
        ({"managedFields": [{"manager": "kustomize-controller", "operation": "Apply"}]}, "Flux"),
        ({"managedFields": [{"manager": "kubectl", "operation": "Apply"}]}, None),
        ({"labels": {"app.kubernetes.io/instance": "anything"}}, None),
    ],
)
def test_a_gitops_controller_is_recognized(metadata: Manifest, owner: str | None) -> None:
    assert gitops_owner(about(**metadata)) == owner


def test_gw_keeps_an_object_only_when_it_applied_it() -> None:
    entry = {"manager": names.INSTALL_FIELDS, "operation": "Apply"}
    assert is_applied_by_gw(about(managedFields=[entry]))
    assert not is_applied_by_gw(about(managedFields=[{**entry, "operation": "Update"}]))
    assert not is_applied_by_gw(about())


@pytest.mark.parametrize(
    ("theirs", "ours", "order"),
    [
        ("0.1.0", "0.1.0", 0),
        ("0.2.0", "0.10.0", -1),
        ("1.0.0", "0.9.9", 1),
        ("0.1.0.dev1", "0.1.0", 0),
        ("", "0.1.0", 0),
        ("nonsense", "0.1.0", 1),
    ],
)
def test_releases_are_compared_by_their_numbers_and_nonsense_counts_as_later(
    theirs: str, ours: str, order: int
) -> None:
    assert compare_versions(theirs, ours) == order


GATEWAY = crd_manifests()[0]


def stored(**annotations: str) -> Manifest:
    live = copy.deepcopy(GATEWAY)
    live["metadata"]["annotations"] |= annotations
    live["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
    return live


def spec_fields(live: Manifest) -> Manifest:
    fields: Manifest = live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return fields


def test_our_own_definition_is_neither_older_nor_newer() -> None:
    fact = parse_definition(GATEWAY, stored())
    assert (fact.version, fact.is_older, fact.is_newer, fact.is_established) == (OWN_VERSION, False, False, True)
    assert fact.upstream_marks == ()


def test_a_definition_that_is_not_there() -> None:
    fact = parse_definition(GATEWAY, None)
    assert (fact.exists, fact.is_established, fact.is_newer) == (False, False, False)


def test_a_field_that_it_lacks_makes_it_older_whatever_it_says() -> None:
    live = stored()
    del spec_fields(live)["paused"]
    fact = parse_definition(GATEWAY, live)
    assert fact.missing_fields == ("spec.paused",)
    assert fact.is_older


def test_a_field_that_we_lack_makes_it_newer_unless_an_earlier_release_says_it_is_its_own() -> None:
    live = stored()
    spec_fields(live)["later"] = {"type": "string"}
    assert parse_definition(GATEWAY, live).is_newer
    earlier = stored(**{labels.SCHEMA_VERSION: "0.0.1"})
    spec_fields(earlier)["dropped"] = {"type": "string"}
    fact = parse_definition(GATEWAY, earlier)
    assert (fact.is_newer, fact.is_older) == (False, True)


def test_a_definition_of_before_the_annotation_is_judged_by_its_fields() -> None:
    live = stored()
    live["metadata"] = {"name": GATEWAY["metadata"]["name"]}
    fact = parse_definition(GATEWAY, live)
    assert (fact.version, fact.is_older, fact.is_newer, fact.upstream_marks) == ("", False, False, ())


def test_groups_without_a_name_are_upstreams() -> None:
    live = stored()
    del spec_fields(live)["runnerGroups"]["items"]["properties"]["name"]
    assert parse_definition(GATEWAY, live).upstream_marks == ("spec.runnerGroups[] without the field name",)


def test_names_that_are_taken_are_the_problem_and_a_start_is_none() -> None:
    live = stored()
    live["status"] = {
        "conditions": [
            {"type": "NamesAccepted", "status": "True", "message": "no conflicts found"},
            {"type": "Established", "status": "False", "message": "the initial names have been accepted"},
        ]
    }
    fact = parse_definition(GATEWAY, live)
    assert (fact.is_established, fact.problem) == (False, "")
    live["status"]["conditions"][0] |= {"status": "False", "message": '"ag" is already in use'}
    assert parse_definition(GATEWAY, live).problem == '"ag" is already in use'


@pytest.mark.parametrize(
    ("major", "minor", "number", "too_old"),
    [("1", "36", (1, 36), False), ("1", "30+", (1, 30), False), ("1", "29", (1, 29), True), ("", "", None, False)],
)
def test_a_servers_number_is_read_past_a_vendors_plus_sign(
    major: str, minor: str, number: tuple[int, int] | None, too_old: bool
) -> None:
    fact = parse_server("h", {"major": major, "minor": minor}, {"groups": [{"name": "apps"}]})
    assert (fact.number, fact.is_too_old, fact.groups) == (number, too_old, {"apps"})


def test_the_servers_clock_is_compared_with_ours() -> None:
    ahead = (START + timedelta(seconds=40)).strftime("%Y-%m-%dT%H:%M:%SZ")
    review = {"metadata": {"creationTimestamp": ahead}, "status": {"userInfo": {"username": "admin"}}}
    fact = parse_clock(review, START)
    assert fact is not None
    assert fact.skew_seconds == 40.0
    assert parse_clock({"metadata": {"creationTimestamp": None}}, START) is None


def test_plugins_are_known_by_their_daemonsets() -> None:
    running = {"status": {"desiredNumberScheduled": 2, "numberReady": 2}}
    fact = parse_network(
        [about(name=name) | running for name in ("kube-proxy", "cilium", "kube-flannel-ds", "kindnet")]
    )
    assert (fact.enforcing, fact.idle) == (("Cilium",), ("Flannel",))
    assert "since kind 0.24" in fact.unsure[0]
    assert parse_network([]) == NetworkFact()


def test_a_plugin_enforces_only_with_a_ready_pod_on_every_node() -> None:
    starting = about(name="cilium") | {"status": {"desiredNumberScheduled": 3, "numberReady": 2}}
    empty = about(name="cilium", namespace="default")
    assert parse_network([starting]) == NetworkFact(unready=("Cilium has 2 of 3 pods ready",))
    assert parse_network([empty]) == NetworkFact(unready=("Cilium has no pod anywhere",))
    whole = about(name="cilium") | {"status": {"desiredNumberScheduled": 3, "numberReady": 3}}
    assert parse_network([empty, whole]) == NetworkFact(enforcing=("Cilium",))


def test_a_deployments_images_are_its_containers_and_those_that_it_hands_on() -> None:
    container = {
        "image": "a@sha256:1",
        "env": [{"name": "WORKER_IMAGE", "value": "b:1"}, {"name": "OTHER", "value": "c"}],
    }
    assert parse_deployment({"spec": {"template": {"spec": {"containers": [container]}}}}).images == (
        "a@sha256:1",
        "b:1",
    )
