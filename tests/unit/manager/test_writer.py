"""What a written step leaves in the mirrors, where the server's answer and the watch cross each other."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import pytest

from actions_gateway.api.names import GATEWAY_FINALIZER, PROXY
from actions_gateway.kube.client import KubeClient, ObjectList
from actions_gateway.kube.errors import Conflict, KubeError
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    NAMESPACES,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    SERVICES,
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
    """A client that answers every write with the object as it was, or refuses it."""

    def __init__(
        self, manifest: Manifest, *, listed: Sequence[Manifest] = (), refusal: KubeError | None = None
    ) -> None:
        self._manifest = manifest
        self._listed = listed
        self._refusal = refusal
        self.sent: list[tuple[Any, ...]] = []

    async def list(self, *_: Any) -> ObjectList:
        return ObjectList(deepcopy(list(self._listed)), "9")

    async def delete(self, *what: Any, **how: Any) -> Manifest:
        self.sent.append((*what, how["propagation"]))
        return deepcopy(self._manifest)

    async def patch(self, *what: Any, **_: Any) -> Manifest:
        self.sent.append(what)
        if self._refusal is not None:
            raise self._refusal
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
        MarkNamespace("team-a", (("level", "baseline"),), is_first=False, resource_version="7"),
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


def test_a_place_that_is_free_is_told_although_another_finalizer_keeps_the_object() -> None:
    owner = gateway(metadata={"finalizers": [GATEWAY_FINALIZER, "a.example/b"], "resourceVersion": "7"})
    mirror = Mirror(ACTIONSGATEWAYS)
    mirror.put(deepcopy(owner))
    kept = deepcopy(owner)
    kept["metadata"] |= {"finalizers": ["a.example/b"], "resourceVersion": "9"}
    step = RemoveFinalizer("ci", ("a.example/b",), "7")
    assert carry_out(step, Answering(kept), {ACTIONSGATEWAYS: mirror}) == [ACTIONSGATEWAYS]


def service(*ports: str, version: str, others: tuple[str, ...] = ()) -> Manifest:
    """A Service with these ports, some of which somebody else has added."""
    fields: Manifest = {"f:spec": {"f:ports": {f'k:{{"port":"{port}"}}': {} for port in others}}}
    writers = [{"manager": "kubectl", "fieldsV1": fields}] if others else []
    spec = {"ports": [{"name": port} for port in ports]}
    return live(SERVICES, spec=spec, metadata={"resourceVersion": version, "managedFields": writers})


@pytest.mark.parametrize(("others", "is_news"), [((), False), (("theirs",), True)])
def test_an_entry_that_others_added_to_a_list_of_ours_is_told(others: tuple[str, ...], is_news: bool) -> None:
    mirror = Mirror(SERVICES)
    mirror.put(service("ours", version="7"))
    step = ApplyChild(SERVICES, {"kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"name": "ours"}]}})
    client = Answering(service("ours", *others, version="9", others=others))
    assert carry_out(step, client, {SERVICES: mirror}) == ([SERVICES] if is_news else [])


def test_what_was_there_and_nobody_knew_is_told() -> None:
    owned = {"controller": True, "kind": "ActionsGateway", "apiVersion": ACTIONSGATEWAYS.api_version, "uid": "u"}
    account = deepcopy(ACCOUNT)
    account["metadata"] |= {"ownerReferences": [owned]}
    step = ApplyChild(SERVICEACCOUNTS, {"kind": "ServiceAccount", "metadata": {"name": "x"}}, is_new=True)
    client = Answering(account, listed=[account])
    assert carry_out(step, client, {SERVICEACCOUNTS: Mirror(SERVICEACCOUNTS)}) == [SERVICEACCOUNTS]


def test_a_namespace_that_has_changed_is_looked_at_again_and_not_written_over() -> None:
    mirror = Mirror(NAMESPACES)
    mirror.put(deepcopy(NAMESPACE))
    client = Answering(NAMESPACE, refusal=Conflict("the object has been modified", status=409))
    step = MarkNamespace("team-a", (("level", "baseline"),), is_first=False, resource_version="7")
    assert carry_out(step, client, {NAMESPACES: mirror}) == []
    ((_, manifest),) = client.sent
    assert manifest["metadata"]["resourceVersion"] == "7"
    assert mirror.get("team-a") == NAMESPACE
