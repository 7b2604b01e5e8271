"""Custom resource definitions and the resources that they serve."""

import re
from typing import Any

import pytest

from support.apiserver import Api, Play
from support.manifests import CRDS, WIDGET_GROUP, WIDGETS, Json, widget, widget_crd

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


def test_a_definition_is_established_and_served_at_once(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.serve(widget_crd())
        conditions = {one["type"]: one["status"] for one in created["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}
        assert created["status"]["acceptedNames"]["listKind"] == "WidgetList"
        listed = await api.get(WIDGETS)
        assert (listed.body["kind"], listed.body["items"]) == ("WidgetList", [])
        document = f"/apis/{WIDGET_GROUP}/v1"
        found = await api.until_answered(lambda: api.get(document), lambda answer: answer.status == 200)
        resources = found.body["resources"]
        assert [one["name"] for one in resources] == ["widgets", "widgets/status"]
        assert resources[0]["shortNames"] == ["wd"]

    play(scenario)


def test_unknown_fields_are_pruned_defaults_filled_and_preserved_fields_kept(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
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
        ({"code": "long"}, "spec.code: Too long: may not be more than 3 bytes"),
        ({"code": "x"}, 'spec.code: Invalid value: "x": spec.code in body should be at least 2 chars long'),
        ({"pair": ["a"]}, "spec.pair: Invalid value: 1: spec.pair in body should have at least 2 items"),
        ({"since": "x"}, 'spec.since: Invalid value: "x": spec.since in body must be of type date-time: "x"'),
        (
            {"notes": {"a": 1}},
            'spec.notes.a: Invalid value: "integer": spec.notes.a in body must be of type string: "integer"',
        ),
        (
            {"port": 1.5},
            'spec.port: Invalid value: "number": spec.port in body must be of type integer,string: "number"',
        ),
        ({"parts": {}}, 'spec.parts: Invalid value: "object": spec.parts in body must be of type array: "object"'),
        ({"colour": "green"}, 'spec.colour: Unsupported value: "green": supported values: "red", "blue"'),
        ({"url": "http://x"}, "spec.url: Invalid value: \"http://x\": spec.url in body should match '^https://'"),
        ({"parts": [{"count": 1}]}, "spec.parts[0].name: Required value"),
        ({"parts": [{"name": "a"}, {"name": "a"}]}, 'spec.parts[1]: Duplicate value: {"name":"a"}'),
    ],
    ids=[
        *("type", "maximum", "minimum", "required", "maximum length", "minimum length", "minimum items", "format"),
        *("map value", "integer or string", "list", "enum", "pattern", "nested required", "duplicate key"),
    ],
)
def test_the_schema_is_enforced_with_the_wording_of_the_real_server(play: Play, spec: Json, cause: str) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        answer = await api.post(WIDGETS, widget(**spec))
        assert answer.refusal == (422, "Invalid")
        assert answer.message == f'Widget.demo.example.com "w" is invalid: {cause}'

    play(scenario)


def test_a_list_that_is_too_long_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        answer = await api.post(WIDGETS, widget(parts=[{"name": name} for name in "abcd"]))
        assert answer.refusal == (422, "Invalid")
        assert answer.message.endswith("spec.parts: Too many: 4: must have at most 3 items")

    play(scenario)


@pytest.mark.parametrize("value", [80, "http"])
def test_an_int_or_string_takes_both(play: Play, value: Any) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        assert (await api.create(WIDGETS, widget(port=value)))["spec"]["port"] == value

    play(scenario)


def test_status_is_written_through_its_endpoint_only_and_is_no_generation(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
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


def test_a_put_must_name_the_version_it_replaces(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        await api.create(WIDGETS, widget())
        answer = await api.put(f"{WIDGETS}/w", widget(size=4))
        assert answer.refusal == (422, "Invalid")
        assert "must be specified for an update" in answer.message

    play(scenario)


def test_the_scale_subresource_reads_and_writes_the_declared_paths(play: Play) -> None:
    async def scenario(api: Api) -> None:
        scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"}
        await api.serve(widget_crd(group=api.group, subresources={"status": {}, "scale": scale}), is_shared=False)
        widgets = f"~{api.group}/v1/widgets"
        await api.create(widgets, widget(group=api.group))
        await api.patch(f"{widgets}/w/status", {"status": {"replicas": 2}})
        found = (await api.get(f"{widgets}/w/scale")).body
        assert (found["kind"], found["spec"], found["status"]) == ("Scale", {"replicas": 3}, {"replicas": 2})
        await api.patch(f"{widgets}/w/scale", {"spec": {"replicas": 7}})
        assert (await api.get(f"{widgets}/w")).body["spec"]["size"] == 7

    play(scenario)


def test_printer_columns_make_the_table(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        await api.create(WIDGETS, widget())
        conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]
        await api.patch(f"{WIDGETS}/w/status", {"status": {"conditions": conditions}})
        table = (await api.get(WIDGETS, TABLE)).body
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Ready", "Age"]
        *cells, age = table["rows"][0]["cells"]
        assert cells == ["w", 3, "True"]
        # Seconds pass on a machine that has much to do.
        assert re.fullmatch(r"\d+s", age)
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"

    play(scenario)


def test_versions_of_one_resource_share_their_objects(play: Play) -> None:
    async def scenario(api: Api) -> None:
        crd = widget_crd(group=api.group)
        second = crd["spec"]["versions"][0] | {"name": "v2", "storage": False}
        crd["spec"]["versions"].append(second)
        await api.serve(crd, is_shared=False)
        first, newer = [f"~{api.group}/{version}/widgets" for version in ("v1", "v2")]
        await api.create(first, widget(group=api.group))
        found = (await api.get(f"{newer}/w")).body
        assert found["apiVersion"] == f"{api.group}/v2"
        changed = await api.patch(f"{newer}/w", {"spec": {"size": 5}})
        assert changed.body["apiVersion"] == f"{api.group}/v2"
        assert (await api.get(f"{first}/w")).body["spec"]["size"] == 5

    play(scenario)


def test_a_definition_that_changes_is_served_changed(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd(group=api.group), is_shared=False)
        wider = widget_crd(schema={"type": "object", "properties": {"size": {"type": "integer", "maximum": 99}}})
        patch = {"spec": {"versions": wider["spec"]["versions"]}}
        assert (await api.patch(f"{CRDS}/widgets.{api.group}", patch)).status == 200
        widgets, body = f"~{api.group}/v1/widgets", widget(group=api.group, size=50)
        await api.until_answered(lambda: api.post(widgets, body), lambda answer: answer.status == 201)

    play(scenario)


def test_a_deleted_definition_takes_its_objects_along(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd(group=api.group), is_shared=False)
        widgets = f"~{api.group}/v1/widgets"
        body = widget(group=api.group)
        body["metadata"]["finalizers"] = ["x/hold"]
        await api.create(widgets, body)
        path = f"{CRDS}/widgets.{api.group}"
        await api.delete(path)
        await api.until(f"{widgets}/w", lambda obj: "deletionTimestamp" in obj["metadata"])
        assert (await api.get(path)).status == 200
        await api.patch(f"{widgets}/w", {"metadata": {"finalizers": None}})
        await api.until_gone(path)
        await api.until_gone(widgets)

    play(scenario)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"name": "other.demo.example.com"}}, "must be spec.names.plural"),
        ({"spec": {"scope": "Galactic"}}, 'Unsupported value: "Galactic"'),
    ],
    ids=["name", "scope"],
)
def test_a_malformed_definition_is_refused(play: Play, change: Json, message: str) -> None:
    async def scenario(api: Api) -> None:
        crd = widget_crd(group=api.group)
        for part, values in change.items():
            crd[part] |= values
        answer = await api.post(CRDS, crd)
        assert answer.refusal == (422, "Invalid")
        assert message in answer.message

    play(scenario)
