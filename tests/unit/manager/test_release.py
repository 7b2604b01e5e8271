"""Which release a tenant's Deployments get: its turn, what it keeps while it waits, and what counts as in flight."""

from dataclasses import replace
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.manager.gateway.decide import decide
from actions_gateway.manager.gateway.release import Standing, is_complete, releases_of, standing
from actions_gateway.manager.gateway.snapshot import ApplyChild, SetReplicas, Snapshot
from actions_gateway.settings import ManagerSettings
from support import manager_objects as make

Manifest = dict[str, Any]

OLD = make.SETTINGS
NEW = replace(OLD, controller_image="controller:new", worker_image="runner:new", proxy_image="envoy:new")
COMPLETE = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
DOWN = {**COMPLETE, "availableReplicas": 0}
GIVEN_UP = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


def tenant(settings: ManagerSettings = OLD, owner: Manifest | None = None, **statuses: Manifest) -> Snapshot:
    """A tenant whose Deployments have the release of `settings`; all available unless `agent` or `proxy` says else."""
    owner = owner or make.gateway()
    given = {AGENT: statuses.pop("agent", COMPLETE), PROXY: statuses.pop("proxy", COMPLETE)}
    return with_deployments(make.snapshot(owner, children=make.children_of(owner, settings)), given)


def with_deployments(snapshot: Snapshot, statuses: dict[str, Manifest]) -> Snapshot:
    children = dict(snapshot.children)
    for name, status in statuses.items():
        found = children["Deployment", name]
        children["Deployment", name] = {**found, "spec": {"replicas": 2, **found["spec"]}, "status": status}
    return replace(snapshot, children=children)


def applied(snapshot: Snapshot, settings: ManagerSettings = NEW, *, may_roll: bool) -> dict[str, Manifest]:
    """The Deployments that a pass writes, by name."""
    plan = decide(snapshot, settings, may_roll=may_roll)
    assert plan is not None
    steps = [step for stage in plan.stages for step in stage if isinstance(step, ApplyChild)]
    return {step.name: step.manifest for step in steps if step.manifest["kind"] == "Deployment"}


def after(snapshot: Snapshot, written: dict[str, Manifest], status: Manifest) -> Snapshot:
    """The tenant once the written Deployments are stored."""
    stored = {("Deployment", name): make.stored(manifest) for name, manifest in written.items()}
    return with_deployments(replace(snapshot, children={**snapshot.children, **stored}), dict.fromkeys(written, status))


def images(manifest: Manifest) -> set[str]:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    return {container["image"], *(variables[name] for name in ("WORKER_IMAGE", "WRAPPER_IMAGE") if name in variables)}


# -- what is written


def test_a_tenant_that_waits_is_left_alone_and_one_whose_turn_it_is_gets_everything() -> None:
    assert applied(tenant(), may_roll=False) == {}
    written = applied(tenant(), may_roll=True)
    assert images(written[AGENT]) == {"controller:new", "runner:new"}
    assert images(written[PROXY]) == {"envoy:new"}
    assert applied(after(tenant(), written, DOWN), may_roll=True) == {}
    assert applied(after(tenant(), written, DOWN), may_roll=False) == {}


@pytest.mark.parametrize("may_roll", [True, False])
def test_once_it_is_available_the_note_of_how_it_was_before_goes(may_roll: bool) -> None:
    brought = after(tenant(), applied(tenant(), may_roll=True), COMPLETE)
    written = applied(brought, may_roll=may_roll)
    assert written.keys() == {AGENT, PROXY}
    assert all(labels.ROLLED_WHILE not in manifest["metadata"]["annotations"] for manifest in written.values())
    assert applied(after(brought, written, COMPLETE), may_roll=may_roll) == {}


@pytest.mark.parametrize(
    ("change", "rolled"),
    [
        ({"controller_image": "controller:new"}, {AGENT}),
        ({"worker_image": "runner:new"}, {AGENT}),
        ({"proxy_image": "envoy:new"}, {PROXY}),
        ({"proxy_drain_seconds": 7}, {PROXY}),
    ],
)
def test_a_deployment_waits_for_what_changes_it_and_for_nothing_else(change: dict[str, Any], rolled: set[str]) -> None:
    settings = replace(OLD, **change)
    assert applied(tenant(), settings, may_roll=True).keys() == rolled
    assert applied(tenant(), settings, may_roll=False) == {}


def test_settings_that_change_no_deployment_are_no_release() -> None:
    assert releases_of(OLD) == releases_of(replace(OLD, workers=3, pod_name="gmc-1", log_level="debug"))
    assert standing(tenant(), replace(OLD, workers=3)) is Standing.DONE


def test_a_new_tenant_gets_the_newest_at_once_and_is_not_in_flight() -> None:
    snapshot = make.snapshot(make.gateway(), children={})
    written = applied(snapshot, may_roll=False)
    assert images(written[AGENT]) == {"controller:new", "runner:new"}
    assert standing(after(snapshot, written, DOWN), NEW) is Standing.DONE


def test_a_lost_deployment_comes_back_with_the_newest() -> None:
    snapshot = tenant()
    rest = {key: child for key, child in snapshot.children.items() if key != ("Deployment", AGENT)}
    assert images(applied(replace(snapshot, children=rest), may_roll=False)[AGENT]) == {"controller:new", "runner:new"}


def test_a_tenants_own_change_is_not_held_back_and_keeps_its_images() -> None:
    changed = replace(tenant(), gateway=make.gateway(logLevel="debug"))
    written = applied(changed, may_roll=False)
    assert images(written[AGENT]) == {"controller:test", "runner:test"}
    assert {"name": "LOG_LEVEL", "value": "debug"} in written[AGENT]["spec"]["template"]["spec"]["containers"][0]["env"]
    stored = after(changed, written, COMPLETE)
    assert standing(stored, NEW) is Standing.WAITING
    assert applied(stored, may_roll=False) == {}
    assert images(applied(stored, may_roll=True)[AGENT]) == {"controller:new", "runner:new"}


def test_a_change_of_runner_groups_touches_no_deployment_that_waits() -> None:
    group = {"name": "gpu", "runnerLabels": ["gpu"]}
    changed = replace(tenant(), gateway=make.gateway(runnerGroups=[group], paused=True))
    assert applied(changed, may_roll=False) == {}


def test_containment_does_not_wait() -> None:
    owner = make.gateway(metadata={"annotations": {labels.CONTAINED: "incident"}})
    written = applied(replace(tenant(), gateway=owner), may_roll=False)
    assert written[AGENT]["spec"]["replicas"] == 0


def test_deployments_from_before_there_were_releases_wait_like_any_other() -> None:
    children = {key: without_annotations(child) for key, child in tenant().children.items()}
    snapshot = replace(tenant(), children=children)
    assert standing(snapshot, NEW) is Standing.WAITING
    assert applied(snapshot, may_roll=False) == {}
    assert applied(snapshot, may_roll=True).keys() == {AGENT, PROXY}


def without_annotations(child: Manifest) -> Manifest:
    return {**child, "metadata": {**child["metadata"], "annotations": {}}}


# -- where a tenant is


def rolled(status: Manifest, *, before: Manifest = COMPLETE) -> Snapshot:
    """A tenant that was brought from OLD, where it was like `before`, to NEW."""
    snapshot = tenant(agent=before, proxy=before)
    return after(snapshot, applied(snapshot, may_roll=True), status)


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        pytest.param(tenant(NEW), Standing.DONE, id="it has the release"),
        pytest.param(tenant(NEW, agent=DOWN), Standing.DONE, id="made with it, and not available"),
        pytest.param(tenant(), Standing.WAITING, id="it has the one before"),
        pytest.param(tenant(agent=DOWN), Standing.WAITING, id="it was not available with the one before either"),
        pytest.param(rolled(COMPLETE), Standing.DONE, id="brought there and available"),
        pytest.param(rolled(DOWN), Standing.IN_FLIGHT, id="brought there and not available"),
        pytest.param(rolled(COMPLETE | {"observedGeneration": 0}), Standing.IN_FLIGHT, id="not seen yet"),
        pytest.param(rolled(COMPLETE | {"replicas": 3}), Standing.IN_FLIGHT, id="an old pod is left"),
        pytest.param(rolled(DOWN | {"conditions": [GIVEN_UP]}), Standing.STUCK, id="given up keeps its place"),
        pytest.param(rolled(DOWN, before=DOWN), Standing.IN_FLIGHT, id="broken before: has a place for a while"),
        pytest.param(
            rolled(DOWN | {"conditions": [GIVEN_UP]}, before=DOWN), Standing.DONE, id="broken before and given up"
        ),
    ],
)
def test_where_a_tenant_is(snapshot: Snapshot, expected: Standing) -> None:
    assert standing(snapshot, NEW) is expected


NEWER = replace(NEW, controller_image="controller:newer", proxy_image="envoy:newer")


def test_a_tenant_that_hangs_on_a_bad_release_goes_first_and_still_counts_as_one_that_was_well() -> None:
    hanging = rolled(DOWN | {"conditions": [GIVEN_UP]})
    assert standing(hanging, NEWER) is Standing.HANGING
    again = after(hanging, applied(hanging, NEWER, may_roll=True), DOWN | {"conditions": [GIVEN_UP]})
    assert standing(again, NEWER) is Standing.STUCK
    assert standing(after(again, {}, COMPLETE), NEWER) is Standing.STUCK
    well = with_deployments(again, {AGENT: COMPLETE, PROXY: COMPLETE})
    assert standing(well, NEWER) is Standing.DONE


def proven() -> Snapshot:
    """A tenant that was brought to NEW and was available with it."""
    brought = rolled(COMPLETE)
    return after(brought, applied(brought, may_roll=True), COMPLETE)


def test_a_tenant_that_broke_after_its_release_was_up_is_broken_by_itself() -> None:
    broken = with_deployments(proven(), {AGENT: DOWN, PROXY: DOWN})
    assert standing(broken, NEWER) is Standing.WAITING
    again = after(broken, applied(broken, NEWER, may_roll=True), DOWN | {"conditions": [GIVEN_UP]})
    assert standing(again, NEWER) is Standing.DONE


def test_a_contained_tenant_is_complete_without_a_pod() -> None:
    deployment = {"metadata": {"generation": 2}, "spec": {"replicas": 0}, "status": {"observedGeneration": 2}}
    assert is_complete(deployment)


@pytest.mark.parametrize("status", [DOWN, {**COMPLETE, "availableReplicas": 1}, {**DOWN, "conditions": [GIVEN_UP]}])
def test_a_release_that_has_proven_itself_takes_no_place_for_what_comes_later(status: Manifest) -> None:
    assert standing(with_deployments(proven(), {AGENT: status, PROXY: status}), NEW) is Standing.DONE


def test_what_a_tenant_does_to_its_own_pods_later_takes_no_place() -> None:
    changed = replace(proven(), gateway=make.gateway(agent={"resources": {"requests": {"cpu": "1000"}}}))
    broken = after(changed, applied(changed, may_roll=True), {**DOWN, "conditions": [GIVEN_UP]})
    assert standing(broken, NEW) is Standing.DONE


def test_a_deployment_that_waits_has_as_many_pods_as_it_should() -> None:
    scaled = tenant()
    for name in (AGENT, PROXY):
        scaled.children["Deployment", name]["spec"]["replicas"] = 0
    plan = decide(scaled, NEW, may_roll=False)
    assert plan is not None
    steps = [step for stage in plan.stages for step in stage if isinstance(step, SetReplicas)]
    assert {step.name: step.replicas for step in steps} == {AGENT: 1, PROXY: 2}
    assert applied(scaled, may_roll=False) == {}
