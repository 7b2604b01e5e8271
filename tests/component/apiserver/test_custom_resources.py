"""Custom resource definitions and the resources that they serve."""

from typing import Any

import pytest

from support.apiserver import CRDS, WIDGETS, Api, Json, play, widget, widget_crd

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


def test_a_definition_is_established_and_served_at_once() -> None:
    async def scenario(api: Api) -> None:
        created = await api.create(CRDS, widget_crd())
        conditions = {one["type"]: one["status"] for one in created["status"]["conditions"]}
        assert conditions == {"Established": "True"}
        assert created["status"]["acceptedNames"]["listKind"] == "WidgetList"
        listed = await api.get(WIDGETS)
        assert (listed.body["kind"], listed.body["items"]) == ("WidgetList", [])
        resources = (await api.get("/apis/demo.example.com/v1")).body["resources"]
        assert [one["name"] for one in resources] == ["widgets", "widgets/status"]
        assert resources[0]["shortNames"] == ["wd"]

    play(scenario)


def test_unknown_fields_are_pruned_defaults_filled_and_preserved_fields_kept() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        body = widget(extra=1, free={"any": {"thing": [1]}}, parts=[{"name": "a"}])
        created = await api.create(WIDGETS, body, fieldValidation="Ignore")
        assert created["spec"] == {
            "size": 3,
            "colour": "red",
            "free": {"any": {"thing": [1]}},
            "parts": [{"name": "a", "count": 1}],
        }
        strict = await api.post(WIDGETS, widget("v", extra=1), fieldValidation="Strict")
        assert strict.refusal == (400, "BadRequest")
        assert 'unknown field "spec.extra"' in strict.message

    play(scenario)


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"size": "x"}, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": 11}, "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"),
        ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": None}, "spec.size: Required value"),
        ({"colour": "green"}, 'spec.colour: Unsupported value: "green": supported values: "red", "blue"'),
        ({"url": "http://x"}, "spec.url: Invalid value: \"http://x\": spec.url in body should match '^https://'"),
        ({"parts": [{"count": 1}]}, "spec.parts[0].name: Required value"),
        ({"parts": [{"name": "a"}, {"name": "a"}]}, 'spec.parts[1]: Duplicate value: {"name":"a"}'),
    ],
    ids=["type", "maximum", "minimum", "required", "enum", "pattern", "nested required", "duplicate key"],
)
def test_the_schema_is_enforced_with_the_wording_of_the_real_server(spec: Json, cause: str) -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        answer = await api.post(WIDGETS, widget(**spec))
        assert answer.refusal == (422, "Invalid")
        assert answer.message == f'Widget.demo.example.com "w" is invalid: {cause}'

    play(scenario)


def test_a_list_that_is_too_long_is_refused() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        answer = await api.post(WIDGETS, widget(parts=[{"name": name} for name in "abcd"]))
        assert answer.refusal == (422, "Invalid")
        assert answer.message.endswith("spec.parts in body must have at most 3 items")

    play(scenario)


@pytest.mark.parametrize("value", [80, "http"])
def test_an_int_or_string_takes_both(value: Any) -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        assert (await api.create(WIDGETS, widget(port=value)))["spec"]["port"] == value

    play(scenario)


def test_status_is_written_through_its_endpoint_only_and_is_no_generation() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        created = await api.create(WIDGETS, widget() | {"status": {"replicas": 1}})
        assert "status" not in created
        ignored = await api.patch(f"{WIDGETS}/w", {"status": {"replicas": 2}})
        assert "status" not in ignored.body
        change = {"status": {"replicas": 3}, "spec": {"size": 9}, "metadata": {"labels": {"a": "b"}}}
        written = (await api.patch(f"{WIDGETS}/w/status", change)).body
        assert (written["status"], written["spec"]["size"]) == ({"replicas": 3}, 3)
        assert "labels" not in written["metadata"]
        assert written["metadata"]["generation"] == 1
        spec = (await api.patch(f"{WIDGETS}/w", {"spec": {"size": 4}})).body
        assert (spec["metadata"]["generation"], spec["status"]) == (2, {"replicas": 3})

    play(scenario)


def test_a_put_must_name_the_version_it_replaces() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        await api.create(WIDGETS, widget())
        answer = await api.put(f"{WIDGETS}/w", widget(size=4))
        assert answer.refusal == (422, "Invalid")
        assert "must be specified for an update" in answer.message

    play(scenario)


def test_the_scale_subresource_reads_and_writes_the_declared_paths() -> None:
    async def scenario(api: Api) -> None:
        scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"}
        await api.create(CRDS, widget_crd(subresources={"status": {}, "scale": scale}))
        await api.create(WIDGETS, widget())
        await api.patch(f"{WIDGETS}/w/status", {"status": {"replicas": 2}})
        found = (await api.get(f"{WIDGETS}/w/scale")).body
        assert (found["kind"], found["spec"], found["status"]) == ("Scale", {"replicas": 3}, {"replicas": 2})
        await api.patch(f"{WIDGETS}/w/scale", {"spec": {"replicas": 7}})
        assert (await api.get(f"{WIDGETS}/w")).body["spec"]["size"] == 7

    play(scenario)


def test_printer_columns_make_the_table() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        await api.create(WIDGETS, widget())
        conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]
        await api.patch(f"{WIDGETS}/w/status", {"status": {"conditions": conditions}})
        table = (await api.get(WIDGETS, TABLE)).body
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Ready", "Age"]
        assert table["rows"][0]["cells"] == ["w", 3, "True", "0s"]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"

    play(scenario)


def test_versions_of_one_resource_share_their_objects() -> None:
    async def scenario(api: Api) -> None:
        crd = widget_crd()
        second = crd["spec"]["versions"][0] | {"name": "v2", "storage": False}
        crd["spec"]["versions"].append(second)
        await api.create(CRDS, crd)
        await api.create(WIDGETS, widget())
        found = (await api.get("~demo.example.com/v2/widgets/w")).body
        assert found["apiVersion"] == "demo.example.com/v2"
        changed = await api.patch("~demo.example.com/v2/widgets/w", {"spec": {"size": 5}})
        assert changed.body["apiVersion"] == "demo.example.com/v2"
        assert (await api.get(f"{WIDGETS}/w")).body["spec"]["size"] == 5

    play(scenario)


def test_a_definition_that_changes_is_served_changed() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        wider = widget_crd(schema={"type": "object", "properties": {"size": {"type": "integer", "maximum": 99}}})
        patch = {"spec": {"versions": wider["spec"]["versions"]}}
        assert (await api.patch(f"{CRDS}/widgets.demo.example.com", patch)).status == 200
        assert (await api.post(WIDGETS, widget(size=50))).status == 201

    play(scenario)


def test_a_deleted_definition_takes_its_objects_along() -> None:
    async def scenario(api: Api) -> None:
        await api.create(CRDS, widget_crd())
        body = widget()
        body["metadata"]["finalizers"] = ["x/hold"]
        await api.create(WIDGETS, body)
        path = f"{CRDS}/widgets.demo.example.com"
        await api.delete(path)
        await api.until(f"{WIDGETS}/w", lambda obj: "deletionTimestamp" in obj["metadata"])
        assert (await api.get(path)).status == 200
        await api.patch(f"{WIDGETS}/w", {"metadata": {"finalizers": None}})
        await api.until_gone(path)
        answer = await api.get(WIDGETS)
        assert answer.message == "the server could not find the requested resource"

    play(scenario)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"name": "other.demo.example.com"}}, "must be spec.names.plural"),
        ({"spec": {"scope": "Galactic"}}, 'Unsupported value: "Galactic"'),
    ],
    ids=["name", "scope"],
)
def test_a_malformed_definition_is_refused(change: Json, message: str) -> None:
    async def scenario(api: Api) -> None:
        crd = widget_crd()
        for part, values in change.items():
            crd[part] |= values
        answer = await api.post(CRDS, crd)
        assert answer.refusal == (422, "Invalid")
        assert message in answer.message

    play(scenario)
