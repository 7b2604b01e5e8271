"""JSON patch, merge patch and strategic merge patch."""

import pytest

from support.apiserver import Api, Play
from support.manifests import WIDGETS, Json, config_map, deployment, pod, widget, widget_crd

CONTAINER: Json = {
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "ports": [{"containerPort": 80}, {"containerPort": 81}],
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    "args": ["one", "two"],
}


def web() -> Json:
    body = deployment()
    spec = body["spec"]["template"]["spec"]
    spec["containers"][0] |= CONTAINER
    spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    spec["tolerations"] = [{"key": "a", "operator": "Exists"}]
    return body


def patched_container(play: Play, patch: Json) -> Json:
    """The web container after a strategic merge patch of it."""
    found: list[Json] = []

    async def scenario(api: Api) -> None:
        await api.create("~apps/v1/deployments", web())
        body = {"spec": {"template": {"spec": {"containers": [{"name": "main"} | patch]}}}}
        answer = await api.patch("~apps/v1/deployments/web", body, "strategic")
        assert answer.status == 200, answer.body
        found.append(answer.body["spec"]["template"]["spec"]["containers"][0])

    play(scenario)
    return found[0]


def test_a_strategic_patch_merges_lists_by_their_key(play: Play) -> None:
    container = patched_container(play, {"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]})
    assert container["image"] == "nginx:1.25"
    assert {one["name"]: one["value"] for one in container["env"]} == {"A": "1", "B": "3", "C": "4"}


def test_a_strategic_patch_replaces_lists_without_a_key(play: Play) -> None:
    assert patched_container(play, {"args": ["three"]})["args"] == ["three"]


def test_a_strategic_patch_deletes_an_item_by_directive(play: Play) -> None:
    container = patched_container(play, {"env": [{"name": "A", "$patch": "delete"}]})
    assert container["env"] == [{"name": "B", "value": "2"}]


@pytest.mark.parametrize(
    ("order", "items", "result"),
    [
        ("", "BC", "ABC"),
        ("", "C", "CAB"),
        ("CA", "C", "CAB"),
        ("BC", "C", "ABC"),
        ("CB", "C", "CAB"),
    ],
    ids=["after what it follows", "a new one first", "all named", "the unnamed keep their place", "between"],
)
def test_items_that_a_strategic_patch_does_not_name_keep_their_place(
    play: Play, order: str, items: str, result: str
) -> None:
    patch: Json = {"$setElementOrder/env": [{"name": name} for name in order]} if order else {}
    container = patched_container(play, patch | {"env": [{"name": name, "value": "9"} for name in items]})
    assert "".join(one["name"] for one in container["env"]) == result


def test_a_strategic_patch_replaces_by_directive(play: Play) -> None:
    container = patched_container(play, {"env": [{"$patch": "replace"}, {"name": "Z", "value": "9"}]})
    assert container["env"] == [{"name": "Z", "value": "9"}]

    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", {"metadata": {"name": "c", "labels": {"a": "b"}}, "data": {"x": "1"}})
        patch = {"metadata": {"labels": {"$patch": "replace", "c": "d"}}, "data": {"$patch": "delete"}}
        answer = await api.patch("~/configmaps/c", patch, "strategic")
        assert (answer.body["metadata"]["labels"], answer.body.get("data")) == ({"c": "d"}, None)

    play(scenario)


def test_a_strategic_patch_orders_items_as_the_client_says(play: Play) -> None:
    order = [{"name": "C"}, {"name": "B"}, {"name": "A"}]
    container = patched_container(play, {"$setElementOrder/env": order, "env": [{"name": "C", "value": "4"}]})
    assert [one["name"] for one in container["env"]] == ["C", "B", "A"]


def test_a_strategic_patch_removes_null_fields_and_keeps_only_retained_keys(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~apps/v1/deployments", web())
        strategy = {"$retainKeys": ["type"], "type": "Recreate"}
        patch = {"spec": {"strategy": strategy, "template": {"spec": {"tolerations": None}}}}
        spec = (await api.patch("~apps/v1/deployments/web", patch, "strategic")).body["spec"]
        assert spec["strategy"] == {"type": "Recreate"}
        assert "tolerations" not in spec["template"]["spec"]

    play(scenario)


def test_finalizers_merge_as_a_set_and_are_deleted_by_directive(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", {"metadata": {"name": "c", "finalizers": ["x/a"]}})
        added = await api.patch("~/configmaps/c", {"metadata": {"finalizers": ["x/b"]}}, "strategic")
        assert added.body["metadata"]["finalizers"] == ["x/b", "x/a"]
        more = await api.patch("~/configmaps/c", {"metadata": {"finalizers": ["x/a", "x/c"]}}, "strategic")
        assert more.body["metadata"]["finalizers"] == ["x/b", "x/a", "x/c"]
        dropped = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a", "x/b", "x/c"]}}
        answer = await api.patch("~/configmaps/c", dropped, "strategic")
        assert "finalizers" not in answer.body["metadata"]

    play(scenario)


def test_a_merge_patch_replaces_lists_and_removes_nulls(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map(a="1", b="2"))
        answer = await api.patch("~/configmaps/settings", {"data": {"a": None, "c": "3"}})
        assert answer.body["data"] == {"b": "2", "c": "3"}

    play(scenario)


def test_a_merge_patch_with_an_old_version_is_a_conflict(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/configmaps", config_map(a="1"))
        await api.patch("~/configmaps/settings", {"data": {"a": "2"}})
        stale = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
        assert (await api.patch("~/configmaps/settings", stale)).refusal == (409, "Conflict")

    play(scenario)


def test_a_json_patch_applies_its_operations_or_none(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map(a="1"))
        good: list[Json] = [{"op": "add", "path": "/data/b", "value": "2"}, {"op": "remove", "path": "/data/a"}]
        assert (await api.patch("~/configmaps/settings", good, "json")).body["data"] == {"b": "2"}
        bad = [{"op": "add", "path": "/data/c", "value": "3"}, {"op": "test", "path": "/data/b", "value": "9"}]
        answer = await api.patch("~/configmaps/settings", bad, "json")
        assert answer.refusal == (422, "Invalid")
        assert (await api.get("~/configmaps/settings")).body["data"] == {"b": "2"}

    play(scenario)


def test_a_patch_cannot_change_identity(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/pods", pod())
        other = await api.patch("~/pods/p", {"metadata": {"name": "q"}})
        assert other.refusal == (400, "BadRequest")
        forged = await api.patch("~/pods/p", {"metadata": {"uid": "other"}})
        assert forged.refusal == (422, "Invalid")
        assert "metadata.uid: Invalid value" in forged.message
        replaced = await api.put("~/pods/p", created | {"metadata": created["metadata"] | {"uid": "other"}})
        assert replaced.refusal == (409, "Conflict")
        answer = await api.patch("~/pods/p", {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}})
        assert answer.body["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]

    play(scenario)


@pytest.mark.parametrize("kind", ["strategic", "nonsense"])
def test_custom_resources_take_no_strategic_and_nobody_an_unknown_patch(play: Play, kind: str) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        await api.create(WIDGETS, widget())
        content_type = {"strategic": "application/strategic-merge-patch+json", "nonsense": "text/plain"}[kind]
        answer = await api.request("PATCH", f"{WIDGETS}/w", {}, {"Content-Type": content_type})
        assert answer.refusal == (415, "UnsupportedMediaType")
        assert "application/merge-patch+json" in answer.message

    play(scenario)
