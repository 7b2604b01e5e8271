"""Deletion: grace, finalizers, owners, collections and namespaces."""

import asyncio
from datetime import datetime, timedelta

import pytest

from support.aio import Looks
from support.apiserver import Api, Play
from support.kubelet import node_name
from support.manifests import Json, config_map, pod
from support.patience import HANG_SECONDS


def owned(name: str, *owners: Json) -> Json:
    """A ConfigMap that names its owners."""
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        for owner in owners
    ]
    return {"metadata": {"name": name, "ownerReferences": references}}


def test_a_deletion_answers_with_success_and_the_object_is_gone(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/configmaps", config_map())
        answer = await api.delete("~/configmaps/settings")
        assert answer.body["status"] == "Success"
        assert answer.body["details"] == {
            "name": "settings",
            "kind": "configmaps",
            "uid": created["metadata"]["uid"],
        }
        assert (await api.delete("~/configmaps/settings")).refusal == (404, "NotFound")

    play(scenario)


def test_preconditions_guard_against_deleting_a_successor(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/configmaps", config_map())
        for condition, word in (({"uid": "another"}, "UID"), ({"resourceVersion": "1"}, "ResourceVersion")):
            answer = await api.delete("~/configmaps/settings", {"preconditions": condition})
            assert answer.refusal == (409, "Conflict")
            assert f"the {word} in the precondition ({condition.popitem()[1]}) does not match" in answer.message
        uid = created["metadata"]["uid"]
        assert (await api.delete("~/configmaps/settings", {"preconditions": {"uid": uid}})).status == 200

    play(scenario)


def test_a_finalizer_holds_an_object_until_it_is_removed(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = config_map()
        body["metadata"]["finalizers"] = ["x/hold"]
        await api.create("~/configmaps", body)
        pending = await api.delete("~/configmaps/settings")
        assert pending.body["metadata"]["deletionTimestamp"]
        refused = await api.patch("~/configmaps/settings", {"metadata": {"finalizers": ["x/hold", "x/more"]}})
        assert refused.refusal == (422, "Invalid")
        assert "no new finalizers can be added" in refused.message
        version = (await api.get("~/configmaps")).version
        async with api.watch("~/configmaps", resourceVersion=version) as watch:
            await api.patch("~/configmaps/settings", {"metadata": {"finalizers": None}})
            assert (await watch.next())[0] == "DELETED"
        assert (await api.get("~/configmaps/settings")).status == 404

    play(scenario)


def test_a_pod_on_a_node_stays_until_the_node_lets_it_go(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod(nodeName=node_name(api), terminationGracePeriodSeconds=20))
        pending = (await api.delete("~/pods/p")).body
        asked_at = datetime.fromisoformat(pending["metadata"]["deletionTimestamp"]) - timedelta(seconds=20)
        assert pending["metadata"]["deletionGracePeriodSeconds"] == 20
        again = (await api.delete("~/pods/p")).body
        assert again["metadata"] == pending["metadata"]
        shorter = (await api.delete("~/pods/p", {"gracePeriodSeconds": 5})).body
        assert datetime.fromisoformat(shorter["metadata"]["deletionTimestamp"]) == asked_at + timedelta(seconds=5)
        await api.delete("~/pods/p", {"gracePeriodSeconds": 0})
        assert (await api.get("~/pods/p")).status == 404

    play(scenario)


@pytest.mark.parametrize("phase", ["", "Succeeded"], ids=["never scheduled", "already ended"])
def test_a_pod_that_no_node_runs_goes_at_once(play: Play, phase: str) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/pods", pod(**({"nodeName": node_name(api)} if phase else {})))
        if phase:
            await api.patch("~/pods/p/status", {"status": {"phase": phase}})
        await api.delete("~/pods/p")
        assert (await api.get("~/pods/p")).status == 404

    play(scenario)


def test_dependents_go_after_their_last_owner(play: Play) -> None:
    async def scenario(api: Api) -> None:
        first, second = [await api.create("~/configmaps", config_map(name)) for name in ("first", "second")]
        await api.create("~/configmaps", owned("child", first, second))
        await api.create("~/configmaps", owned("grandchild", (await api.get("~/configmaps/child")).body))
        await api.delete("~/configmaps/first")
        child = await api.until("~/configmaps/child", lambda obj: len(obj["metadata"]["ownerReferences"]) == 1)
        assert child["metadata"]["ownerReferences"][0]["name"] == "second"
        await api.delete("~/configmaps/second")
        await api.until_gone("~/configmaps/child")
        await api.until_gone("~/configmaps/grandchild")

    play(scenario)


def test_an_object_whose_owner_is_gone_already_is_collected(play: Play) -> None:
    async def scenario(api: Api) -> None:
        owner = await api.create("~/configmaps", config_map("owner"))
        await api.delete("~/configmaps/owner")
        await api.create("~/configmaps", config_map("owner"))
        await api.create("~/configmaps", owned("late", owner))
        await api.until_gone("~/configmaps/late")

    play(scenario)


def test_a_namespace_goes_with_everything_in_it_and_takes_nothing_new_meanwhile(play: Play) -> None:
    async def scenario(api: Api) -> None:
        held = config_map("held")
        held["metadata"]["finalizers"] = ["x/hold"]
        await api.create("~/configmaps", held)
        await api.create("~/pods", pod(nodeName=node_name(api)))
        path = f"/api/v1/namespaces/{api.namespace}"
        pending = (await api.delete(path)).body
        assert pending["status"]["phase"] == "Terminating"
        refused = await api.post("~/configmaps", config_map("late"))
        assert refused.refusal == (403, "Forbidden")
        assert refused.message.endswith("because it is being terminated")
        assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        await api.until("~/pods/p", lambda obj: "deletionTimestamp" in obj["metadata"])
        await api.delete("~/pods/p", {"gracePeriodSeconds": 0})
        assert (await api.get(path)).status == 200
        await api.patch("~/configmaps/held", {"metadata": {"finalizers": None}})
        await api.until_gone(path)
        # Admission learns of it by a watch.
        async with asyncio.timeout(HANG_SECONDS):
            looks = Looks()
            while (await api.post("~/configmaps", config_map())).message != f'namespaces "{api.namespace}" not found':
                await looks.pause()

    play(scenario)


def test_a_finalizer_of_a_namespace_is_respected_after_its_contents_are_gone(play: Play) -> None:
    async def scenario(api: Api) -> None:
        path = f"/api/v1/namespaces/{api.namespace}"
        await api.patch(path, {"metadata": {"finalizers": ["x/hold"]}})
        await api.create("~/configmaps", config_map())
        await api.delete(path)
        await api.until_gone("~/configmaps/settings")
        live = await api.until(path, lambda obj: not obj["spec"].get("finalizers"))
        assert live["status"]["phase"] == "Terminating"
        await api.patch(path, {"metadata": {"finalizers": None}})
        assert (await api.get(path)).status == 404

    play(scenario)


def test_the_systems_own_namespaces_cannot_be_deleted(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.delete("/api/v1/namespaces/kube-system")
        assert answer.refusal == (403, "Forbidden")
        assert answer.message == 'namespaces "kube-system" is forbidden: this namespace may not be deleted'

    play(scenario)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_foreground_deletion_waits_for_what_blocks_it(play: Play, depth: int) -> None:
    async def scenario(api: Api) -> None:
        owner = await api.create("~/configmaps", config_map("owner"))
        for number in range(depth):
            child = owned(f"child-{number}", owner)
            child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = True
            child["metadata"] |= {"finalizers": ["x/hold"]} if number == depth - 1 else {}
            owner = await api.create("~/configmaps", child)
        pending = await api.delete("~/configmaps/owner", {"propagationPolicy": "Foreground"})
        assert pending.body["metadata"]["finalizers"] == ["foregroundDeletion"]
        last = f"~/configmaps/child-{depth - 1}"
        await api.until(last, lambda obj: "deletionTimestamp" in obj["metadata"])
        assert len(await api.names("~/configmaps")) == depth + 1
        await api.patch(last, {"metadata": {"finalizers": None}})
        await api.until_gone("~/configmaps/owner")

    play(scenario)


def test_a_foreground_deletion_of_what_owns_nothing_ends_by_itself(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map())
        await api.delete("~/configmaps/settings", {"propagationPolicy": "Foreground"})
        await api.until_gone("~/configmaps/settings")

    play(scenario)
