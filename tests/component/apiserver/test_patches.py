"""JSON patch, merge patch and strategic merge patch."""

import pytest

from support.apiserver import CRDS, WIDGETS, Api, Json, config_map, deployment, play, pod, widget, widget_crd

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


def patched_container(patch: Json) -> Json:
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


def test_a_strategic_patch_merges_lists_by_their_key() -> None:
    container = patched_container({"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]})
    assert container["image"] == "nginx:1.25"
    assert {one["name"]: one["value"] for one in container["env"]} == {"A": "1", "B": "3", "C": "4"}


def test_a_strategic_patch_replaces_lists_without_a_key() -> None:
    assert patched_container({"args": ["three"]})["args"] == ["three"]


def test_a_strategic_patch_deletes_an_item_by_directive() -> None:
    container = patched_container({"env": [{"name": "A", "$patch": "delete"}]})
    assert container["env"] == [{"name": "B", "value": "2"}]


def test_the_directive_to_replace_is_refused_by_name() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~apps/v1/deployments", web())
        selector = {"$patch": "replace", "matchLabels": {"app": "x"}}
        tolerations = [{"$patch": "replace"}, {"key": "b", "operator": "Exists"}]
        for spec in ({"selector": selector}, {"template": {"spec": {"tolerations": tolerations}}}):
            answer = await api.patch("~apps/v1/deployments/web", {"spec": spec}, "strategic")
            assert answer.refusal == (501, "NotImplemented")
            assert "the strategic merge directive $patch: replace" in answer.message
        assert (await api.get("~apps/v1/deployments/web")).body == created

    play(scenario)


def test_a_strategic_patch_orders_items_as_the_client_says() -> None:
    order = [{"name": "C"}, {"name": "B"}, {"name": "A"}]
    container = patched_container({"$setElementOrder/env": order, "env": [{"name": "C", "value": "4"}]})
    assert [one["name"] for one in container["env"]] == ["C", "B", "A"]


def test_a_strategic_patch_removes_null_fields_and_keeps_only_retained_keys() -> None:
    async def scenario(api: Api) -> None:
        await api.create("~apps/v1/deployments", web())
        strategy = {"$retainKeys": ["type"], "type": "Recreate"}
        patch = {"spec": {"strategy": strategy, "template": {"spec": {"tolerations": None}}}}
        spec = (await api.patch("~apps/v1/deployments/web", patch, "strategic")).body["spec"]
        assert spec["strategy"] == {"type": "Recreate"}
        assert "tolerations" not in spec["template"]["spec"]

    play(scenario)


def test_finalizers_merge_as_a_set_and_are_deleted_by_directive() -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", {"metadata": {"name": "c", "finalizers": ["x/a"]}})
        added = await api.patch("~/configmaps/c", {"metadata": {"finalizers": ["x/b"]}}, "strategic")
        assert added.body["metadata"]["finalizers"] == ["x/a", "x/b"]
        dropped = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a", "x/b"]}}
        answer = await api.patch("~/configmaps/c", dropped, "strategic")
        assert "finalizers" not in answer.body["metadata"]

    play(scenario)


def test_a_merge_patch_replaces_lists_and_removes_nulls() -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map(a="1", b="2"))
        answer = await api.patch("~/configmaps/settings", {"data": {"a": None, "c": "3"}})
        assert answer.body["data"] == {"b": "2", "c": "3"}

    play(scenario)


def test_a_merge_patch_with_an_old_version_is_a_conflict() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/configmaps", config_map(a="1"))
        await api.patch("~/configmaps/settings", {"data": {"a": "2"}})
        stale = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
        assert (await api.patch("~/configmaps/settings", stale)).refusal == (409, "Conflict")

    play(scenario)


def test_a_json_patch_applies_its_operations_or_none() -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map(a="1"))
        good: list[Json] = [{"op": "add", "path": "/data/b", "value": "2"}, {"op": "remove", "path": "/data/a"}]
        assert (await api.patch("~/configmaps/settings", good, "json")).body["data"] == {"b": "2"}
        bad = [{"op": "add", "path": "/data/c", "value": "3"}, {"op": "test", "path": "/data/b", "value": "9"}]
        answer = await api.patch("~/configmaps/settings", bad, "json")
        assert answer.refusal == (422, "Invalid")
        assert (await api.get("~/configmaps/settings")).body["data"] == {"b": "2"}

    play(scenario)


def test_a_patch_cannot_change_identity() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/pods", pod())
        other = await api.patch("~/pods/p", {"metadata": {"name": "q"}})
        assert other.refusal == (400, "BadRequest")
        forged = await api.patch("~/pods/p", {"metadata": {"uid": "other"}})
        assert forged.refusal == (409, "Conflict")
        answer = await api.patch("~/pods/p", {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}})
        assert answer.body["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]

    play(scenario)


@pytest.mark.parametrize("kind", ["strategic", "nonsense"])
def test_custom_resources_take_no_strategic_and_nobody_an_unknown_patch(kind: str) -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        await api.create(WIDGETS, widget())
        content_type = {"strategic": "application/strategic-merge-patch+json", "nonsense": "text/plain"}[kind]
        answer = await api.request("PATCH", f"{WIDGETS}/w", {}, {"Content-Type": content_type})
        assert answer.refusal == (415, "UnsupportedMediaType")
        assert "application/merge-patch+json" in answer.message

    play(scenario)
