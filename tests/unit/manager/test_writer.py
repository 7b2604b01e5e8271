"""What a written step leaves in the mirrors, where the server's answer and the watch cross each other."""

from copy import deepcopy
from typing import Any, cast

import pytest

from actions_gateway.api.names import GATEWAY_FINALIZER, PROXY
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import ACTIONSGATEWAYS, DEPLOYMENTS, SERVICEACCOUNTS
from actions_gateway.manager.gateway.apply import Writer
from actions_gateway.manager.gateway.mirror import Mirror, Mirrors
from actions_gateway.manager.gateway.snapshot import DeleteChild, Plan, RemoveFinalizer, SetReplicas, Step
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


def carry_out(step: Step, client: Answering, mirrors: Mirrors) -> None:
    failures = run(Writer(cast("KubeClient", client), mirrors).apply_plan(Plan(None, None, ((step,),)), "team-a"))
    assert failures == ()


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
