"""The library of faults as data, and the ways back of its steps."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube import resources as r
from gateway_sandbox.apiserver.patches import merge_patch
from gateway_sandbox.drills import steps
from gateway_sandbox.drills.codec import decode, encode
from gateway_sandbox.drills.github_steps import Behave, EndRun, Permit
from gateway_sandbox.drills.model import Scope, Snapshot
from gateway_sandbox.drills.monitoring_steps import Go, Uncount
from gateway_sandbox.drills.site import CannotInject, Site
from gateway_sandbox.drills.steps import Changes, Create, Delete, Patch, Target, inverse
from gateway_sandbox.faults import FAULTS, fault_of
from gateway_sandbox.nodes.drills import NO_METRICS
from gw.checks.catalog import HEALTH
from gw_alerts.catalog import BY_NAME
from gw_alerts.thresholds import Severity

KNOWN = {check.id: check for check in HEALTH}

ASKED_FOR = {
    "wrong-key": "tenant",
    "missing-secret": "tenant",
    "missing-permission": "cluster",
    "agent-down": "tenant",
    "manager-down": "cluster",
    "deaf-listener": "tenant",
    "rate-limit": "cluster",
    "quota-full": "tenant",
    "unschedulable": "tenant",
    "missing-image": "tenant",
    "eviction-loop": "tenant",
    "worker-oom": "tenant",
    "proxy-down": "tenant",
    "hpa-unknown": "cluster",
    "github-unreachable": "cluster",
    "clock-skew": "cluster",
    "label-unserved": "tenant",
    "old-crd": "cluster",
    "stuck-deletion": "tenant",
    "alertmanager-down": "cluster",
    "prometheus-down": "cluster",
}


def test_the_library_holds_every_fault_once_each_with_the_checks_that_name_it() -> None:
    assert {fault.name: fault.scope.value for fault in FAULTS} == ASKED_FOR
    assert len(FAULTS) == len(ASKED_FOR)
    for fault in FAULTS:
        assert fault_of(fault.name) is fault
        assert fault.title
        assert fault.summary.endswith(".")
        assert fault.expects, fault.name
        for check, severity in fault.expects:
            assert KNOWN[check].severity.reaches(Severity(severity)), fault.name
            assert severity in ("page", "ticket", "info")
        assert fault.follows <= set(KNOWN), fault.name
        assert not fault.alert or fault.alert in BY_NAME
        assert not fault.follows & {check for check, _ in fault.expects}, "a check either names it or follows"


def nothing() -> Snapshot:
    empty: dict[str, Any] = dict.fromkeys(("gateways", "groups", "pods", "quotas", "autoscalers"), ())
    github: dict[str, Any] = {"faults": [], "sessions": [], "queued_labels": []}
    return Snapshot(
        "team-a",
        **empty,
        services=(),
        secrets=(),
        nodes=(),
        definitions=(),
        manager=None,
        metrics_api=None,
        github=github,
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_no_fault_shows_where_nothing_is(fault: Any) -> None:
    assert not fault.shows(nothing())


@pytest.mark.parametrize("name", ["manager-down", "hpa-unknown", "old-crd", "alertmanager-down", "prometheus-down"])
def test_a_fault_of_what_is_not_there_is_refused_with_a_next_step(name: str) -> None:
    fault = fault_of(name)
    assert fault is not None
    assert fault.scope is Scope.CLUSTER
    with pytest.raises(CannotInject) as caught:
        fault.plan(nothing())
    assert caught.value.next_step


def test_without_a_metrics_api_the_nodes_give_no_readings() -> None:
    fault = fault_of("hpa-unknown")
    assert fault is not None
    there: Any = {"metadata": {"name": "proxy", "namespace": "team-a"}}
    node: Any = {"metadata": {"name": "n"}}
    (step,) = fault.plan(replace(nothing(), autoscalers=(there,), nodes=(node,)))
    assert isinstance(step, Patch)
    assert step.target == Target.of(r.NODES, "n")
    assert NO_METRICS in step.patch["metadata"]["annotations"]


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"replicas": 0}},
        {"spec": {"new": {"deep": 1}}},
        {"spec": {"list": [9], "replicas": None}},
        {"metadata": {"annotations": {"a": "1"}}},
        {"spec": "other"},
    ],
)
def test_a_patch_and_its_inverse_leave_what_was_there(patch: dict[str, Any]) -> None:
    before = {"spec": {"replicas": 2, "list": [1, {"x": 2}], "kept": True}, "metadata": {"name": "n"}}
    after = merge_patch(merge_patch(before, patch), inverse(patch, before))
    after = {part: {key: value for key, value in fields.items() if value != {}} for part, fields in after.items()}
    assert after == before


class OneObject:
    """A cluster that has this object only."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest

    async def get(self, *_: object) -> dict[str, Any]:
        return self.manifest


def test_a_deleted_object_comes_back_as_its_author_wrote_it() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
        "data": {"k": "dg=="},
        "status": {},
    }
    site = Site(OneObject(secret), None, SystemClock())  # type: ignore[arg-type]
    back = asyncio.run(Delete(Target.of(r.SECRETS, "s", "n")).way_back(site))
    assert isinstance(back, Create)
    assert back.manifest == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "n", "labels": {"a": "b"}},
        "data": {"k": "dg=="},
    }


@pytest.mark.parametrize(
    "step",
    [
        Patch(Target.of(r.NODES, "node"), {"metadata": {"annotations": {"a": None}}}),
        Patch(Target.of(r.HPAS, "h", "n"), {"status": None}, "status"),
        Delete(Target.of(r.RESOURCEQUOTAS, "q", "n")),
        Create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
        Permit(1, granted={"actions": "write"}),
        EndRun("drill-1.yml"),
        Behave("deaf"),
        Go("prometheus"),
        Uncount("team-a"),
        steps.Refill("actions-gateway-proxy", "team-a"),
        steps.DeletePods("actions-gateway-controller"),
    ],
    ids=lambda step: type(step).__name__,
)
def test_every_way_back_survives_its_record(step: steps.Step) -> None:
    assert decode(encode(step)) == step


def test_patches_of_other_fields_of_an_object_do_not_touch_each_other() -> None:
    node, group = Target.of(r.NODES, "node"), Target.of(r.RUNNERGROUPS, "g", "n")
    evict = Patch(node, {"metadata": {"annotations": {"evict/team-a": "drill"}}}).changes
    oom = Patch(node, {"metadata": {"annotations": {"oom/team-a": "drill"}}}).changes
    all_of_them = Patch(node, {"metadata": {"annotations": None}}).changes
    assert evict is not None
    assert oom is not None
    assert all_of_them is not None
    assert not evict.touches(oom)
    assert evict.touches(evict)
    assert evict.touches(all_of_them)
    assert all_of_them.touches(evict)
    assert evict.touches(Changes(node))
    bare = Patch(node, inverse({"metadata": {"annotations": {"evict/team-a": "drill"}}}, {"metadata": {}})).changes
    assert bare is not None
    assert not bare.touches(oom)
    assert bare.touches(evict)
    assert not evict.touches(Changes(group))


class ReplicaSets:
    """A cluster with a full ReplicaSet and one that lacks a pod."""

    def __init__(self) -> None:
        self.lacking: dict[str, Any] = {"metadata": {"name": "b"}, "spec": {"replicas": 2}, "status": {"replicas": 1}}
        self.patched: list[tuple[str, Any]] = []

    async def list(self, *_: Any, **__: Any) -> Any:
        full = {"metadata": {"name": "a"}, "spec": {"replicas": 2}, "status": {"replicas": 2}}
        return SimpleNamespace(items=[full, self.lacking])

    async def patch(self, _: Any, name: str, patch: Any, **__: Any) -> None:
        self.patched.append((name, *patch["metadata"]["annotations"].values()))


def test_a_replica_set_that_lacks_pods_is_shown_to_its_controller_without_a_trace() -> None:
    cluster = ReplicaSets()
    site = Site(cluster, None, SystemClock())  # type: ignore[arg-type]
    refill = steps.Refill("actions-gateway-proxy", "team-a")
    assert not asyncio.run(refill.settle(site))
    assert cluster.patched == [("b", "now"), ("b", None)]
    cluster.lacking["status"]["replicas"] = 2
    assert asyncio.run(refill.settle(site))
    assert len(cluster.patched) == 2
