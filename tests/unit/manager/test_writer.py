"""What a written step leaves in the mirrors, where the server's answer and the watch cross each other."""

from copy import deepcopy
from typing import Any, cast

import pytest

from actions_gateway.api.names import GATEWAY_FINALIZER, PROXY
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    NAMESPACES,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    Resource,
)
from actions_gateway.manager.gateway.apply import Writer
from actions_gateway.manager.gateway.mirror import Mirror, Mirrors
from actions_gateway.manager.gateway.snapshot import (
    ApplyChild,
    DeleteChild,
    MarkNamespace,
    Plan,
    RemoveFinalizer,
    SetFinalizer,
    SetReplicas,
    Step,
    SuspendGroup,
)
from support.aio import run
from support.manager_objects import gateway

Manifest = dict[str, Any]


class Answering:
    """A client that answers every write with the object as it was."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.sent: list[tuple[Any, ...]] = []

    async def delete(self, *what: Any, **how: Any) -> Manifest:
        self.sent.append((*what, how["propagation"]))
        return deepcopy(self._manifest)

    async def patch(self, *what: Any, **_: Any) -> Manifest:
        self.sent.append(what)
        return deepcopy(self._manifest)

    async def apply(self, *what: Any, **_: Any) -> Manifest:
        return await self.patch(*what)


def carry_out(step: Step, client: Answering, mirrors: Mirrors) -> list[Resource]:
    """The kinds of which the answers told more than was written."""
    news: list[Resource] = []
    writer = Writer(cast("KubeClient", client), mirrors, on_news=lambda resource, _: news.append(resource))
    assert run(writer.apply_plan(Plan(None, None, ((step,),)), "team-a")) == ()
    return news


@pytest.mark.parametrize("is_known", [True, False])
def test_a_deleted_object_whose_end_the_watch_has_told_stays_out(is_known: bool) -> None:
    account = {"kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "team-a", "uid": "1"}}
    mirror = Mirror(SERVICEACCOUNTS)
    if is_known:
        mirror.put(deepcopy(account))
    account["metadata"] |= {"resourceVersion": "9", "deletionTimestamp": "2026-01-05T09:00:00Z"}  # type: ignore[operator]
    carry_out(DeleteChild(SERVICEACCOUNTS, "a", "1"), Answering(account), {SERVICEACCOUNTS: mirror})
    known = mirror.get("a", "team-a")
    assert (known is not None and "deletionTimestamp" in known["metadata"]) is is_known
    assert len(mirror) == is_known


@pytest.mark.parametrize(("is_foreground", "propagation"), [(True, "Foreground"), (False, "Background")])
def test_what_owns_pods_waits_for_them(is_foreground: bool, propagation: str) -> None:
    client = Answering({"kind": "Status", "status": "Success"})
    mirrors = {SERVICEACCOUNTS: Mirror(SERVICEACCOUNTS)}
    carry_out(DeleteChild(SERVICEACCOUNTS, "a", "1", is_foreground=is_foreground), client, mirrors)
    assert client.sent == [(SERVICEACCOUNTS, "a", propagation)]


def test_a_gateway_that_went_with_our_finalizer_is_not_let_go_twice() -> None:
    owner = gateway(metadata={"finalizers": [GATEWAY_FINALIZER], "resourceVersion": "7"})
    mirror = Mirror(ACTIONSGATEWAYS)
    mirror.put(deepcopy(owner))
    carry_out(RemoveFinalizer("ci", (), "7"), client := Answering(owner), {ACTIONSGATEWAYS: mirror})
    assert client.sent == [(ACTIONSGATEWAYS, "ci", {"metadata": {"resourceVersion": "7", "finalizers": []}})]
    known = mirror.get("ci", "team-a")
    assert known is not None, "its end is the watch's to tell, which wakes the next gateway"
    assert known["metadata"]["finalizers"] == []


def test_only_that_very_deployment_is_scaled_and_by_nothing_but_its_replicas() -> None:
    proxy = {"kind": "Deployment", "metadata": {"name": PROXY, "namespace": "team-a", "uid": "4"}, "spec": {}}
    mirrors = {DEPLOYMENTS: Mirror(DEPLOYMENTS)}
    carry_out(SetReplicas(PROXY, "4", 2), client := Answering(proxy), mirrors)
    assert client.sent == [(DEPLOYMENTS, PROXY, {"metadata": {"uid": "4"}, "spec": {"replicas": 2}})]
    assert not mirrors[DEPLOYMENTS], "its end, if the watch told of it meanwhile, is not undone"


# -- somebody else's change in the answer to a write


def live(resource: Resource, **parts: Any) -> Manifest:
    """An object at version 7 that a write of ours finds."""
    metadata = {"name": "x", "namespace": "team-a", "uid": "1", "generation": 1, "resourceVersion": "7"}
    return {"kind": resource.kind, "metadata": metadata | parts.pop("metadata", {}), **parts}


def answered(before: Manifest, ours: Manifest, theirs: Manifest) -> Manifest:
    """The object after a change of ours and one of somebody else's, at a later version and generation."""
    after = deepcopy(before)
    after["metadata"] |= {"generation": 2, "resourceVersion": "9"}
    for change in (ours, theirs):
        for name, value in change.items():
            after[name] = {**after.get(name, {}), **value}
    return after


DELETED = {"metadata": {"deletionTimestamp": "2026-01-05T09:00:00Z"}}
GATEWAY = live(ACTIONSGATEWAYS, spec={"logLevel": "info"})
GROUP = live(RUNNERGROUPS, spec={"maxListeners": 3, "suspended": False})
PROXIES = live(DEPLOYMENTS, spec={"replicas": 4, "template": {"spec": {"containers": [{"name": "envoy"}]}}})
NAMESPACE = live(NAMESPACES, metadata={"name": "team-a", "namespace": "", "labels": {"tenant": "x"}})
ACCOUNT = live(SERVICEACCOUNTS, metadata={"labels": {"by": "us"}})
WRITES = (
    (SetFinalizer("x", "1"), ACTIONSGATEWAYS, GATEWAY, {"metadata": {"finalizers": [GATEWAY_FINALIZER]}}),
    (SuspendGroup("x", "1"), RUNNERGROUPS, GROUP, {"spec": {"suspended": True}}),
    (SetReplicas("x", "1", 2), DEPLOYMENTS, PROXIES, {"spec": {"replicas": 2}}),
    (
        MarkNamespace("team-a", (("level", "baseline"),), is_first=False),
        NAMESPACES,
        NAMESPACE,
        {"metadata": {"labels": {"tenant": "x", "level": "baseline"}}},
    ),
    (
        ApplyChild(SERVICEACCOUNTS, {"kind": "ServiceAccount", "metadata": {"name": "x", "labels": {"by": "them"}}}),
        SERVICEACCOUNTS,
        ACCOUNT,
        {"metadata": {"labels": {"by": "them"}}},
    ),
)


@pytest.mark.parametrize(("step", "resource", "before", "ours"), WRITES, ids=lambda part: type(part).__name__)
@pytest.mark.parametrize(
    ("theirs", "is_news"),
    [
        pytest.param({}, False, id="nothing but ours"),
        pytest.param(DELETED, True, id="a deletion"),
        pytest.param({"spec": {"theirs": 1}}, True, id="an edit"),
        pytest.param({"metadata": {"annotations": {"theirs": "1"}}}, True, id="an annotation"),
    ],
)
def test_a_change_of_somebody_else_in_the_answer_is_told_and_our_own_is_not(
    step: Step, resource: Resource, before: Manifest, ours: Manifest, theirs: Manifest, is_news: bool
) -> None:
    mirror = Mirror(resource)
    mirror.put(deepcopy(before))
    client = Answering(answered(before, ours, theirs))
    assert carry_out(step, client, {resource: mirror}) == ([resource] if is_news else [])
    known = mirror.get(str(before["metadata"]["name"]), str(before["metadata"]["namespace"]))
    assert known is not None
    assert known["metadata"]["resourceVersion"] == "9"


@pytest.mark.parametrize(
    ("theirs", "is_news"),
    [({}, False), (DELETED, True), ({"spec": {"logLevel": "debug"}}, True)],
    ids=["nothing but ours", "a deletion", "an edit"],
)
def test_a_change_that_meets_a_status_write_is_told(theirs: Manifest, is_news: bool) -> None:
    mirror = Mirror(ACTIONSGATEWAYS)
    mirror.put(deepcopy(GATEWAY))
    status: Manifest = {"status": {"observedGeneration": 1, "conditions": [{"type": "Ready"}]}}
    news: list[Resource] = []
    client = cast("KubeClient", Answering(answered(GATEWAY, status, theirs)))
    writer = Writer(client, {ACTIONSGATEWAYS: mirror}, on_news=lambda resource, _: news.append(resource))
    run(writer.apply_status({"metadata": {"name": "x", "namespace": "team-a"}, **status}))
    assert news == ([ACTIONSGATEWAYS] if is_news else [])


def test_what_is_made_anew_is_no_news() -> None:
    mirror = Mirror(SERVICEACCOUNTS)
    account: Manifest = {"kind": "ServiceAccount", "metadata": {"name": "x"}}
    assert carry_out(ApplyChild(SERVICEACCOUNTS, account), Answering(ACCOUNT), {SERVICEACCOUNTS: mirror}) == []
    assert len(mirror) == 1
