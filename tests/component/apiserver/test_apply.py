"""Server-side apply: ownership, conflicts, giving fields up, and what updates do to owners."""

from datetime import datetime, timedelta

import pytest

from support.apiserver import Api, Play
from support.clock import ManualClock
from support.manifests import WIDGETS, Json, config_map, deployment, widget, widget_crd

DEPLOYMENTS = "~apps/v1/deployments"


def applied_config(**data: str) -> Json:
    return config_map("settings", **data)


def managers(obj: Json) -> dict[str, str]:
    """The managers of an object with their operation."""
    return {entry["manager"]: entry["operation"] for entry in obj["metadata"].get("managedFields", [])}


def fields_of(obj: Json, manager: str) -> Json:
    """fieldsV1 of one manager."""
    fields: Json = next(entry["fieldsV1"] for entry in obj["metadata"]["managedFields"] if entry["manager"] == manager)
    return fields


def test_apply_creates_then_updates_and_a_repetition_changes_nothing(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.apply("~/configmaps/settings", applied_config(a="1"), "one")
        assert created.status == 201
        assert managers(created.body) == {"one": "Apply"}
        assert fields_of(created.body, "one") == {"f:data": {"f:a": {}}}
        again = await api.apply("~/configmaps/settings", applied_config(a="1"), "one")
        assert (again.status, again.body) == (200, created.body)
        changed = await api.apply("~/configmaps/settings", applied_config(a="2"), "one")
        assert changed.body["data"] == {"a": "2"}

    play(scenario)


def test_a_field_of_another_manager_is_a_conflict_that_names_it(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.apply(f"{DEPLOYMENTS}/web", deployment(replicas=2), "one")
        answer = await api.apply(f"{DEPLOYMENTS}/web", deployment(replicas=3), "two")
        assert answer.refusal == (409, "Conflict")
        assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
        assert answer.body["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.replicas"}
        ]
        assert (await api.get(f"{DEPLOYMENTS}/web")).body["spec"]["replicas"] == 2

    play(scenario)


def test_a_conflict_names_every_owner_of_every_field(play: Play) -> None:
    async def scenario(api: Api) -> None:
        path = "~/configmaps/settings"
        await api.apply(path, config_map(a="1"), "one")
        await api.apply(path, config_map(b="1"), "two")
        answer = await api.apply(path, config_map(a="2", b="2"), "three")
        assert answer.refusal == (409, "Conflict")
        assert answer.message.startswith("Apply failed with 2 conflicts: ")
        causes = {(cause["message"], cause["field"]) for cause in answer.body["details"]["causes"]}
        assert causes == {('conflict with "one"', ".data.a"), ('conflict with "two"', ".data.b")}

    play(scenario)


def test_force_takes_the_field_from_its_owner(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.apply(f"{DEPLOYMENTS}/web", deployment(replicas=2), "one")
        answer = await api.apply(f"{DEPLOYMENTS}/web", deployment(replicas=3), "two", force=True)
        assert answer.body["spec"]["replicas"] == 3
        assert "f:replicas" in fields_of(answer.body, "two")["f:spec"]
        assert "f:replicas" not in fields_of(answer.body, "one")["f:spec"]
        assert "f:template" in fields_of(answer.body, "one")["f:spec"]

    play(scenario)


def test_equal_values_are_shared_and_stay_until_the_last_owner_gives_them_up(play: Play) -> None:
    async def scenario(api: Api) -> None:
        path = "~/configmaps/settings"
        await api.apply(path, applied_config(a="1", b="2"), "one")
        shared = await api.apply(path, applied_config(a="1"), "two")
        assert shared.status == 200
        left = await api.apply(path, applied_config(b="2"), "one")
        assert left.body["data"] == {"a": "1", "b": "2"}
        gone = await api.apply(path, config_map(), "two")
        assert gone.body["data"] == {"b": "2"}

    play(scenario)


def test_an_updater_of_a_field_conflicts_with_the_applier_and_keeps_what_it_owns(play: Play) -> None:
    async def scenario(api: Api) -> None:
        path = f"{DEPLOYMENTS}/web"
        await api.apply(path, deployment(replicas=2), "one")
        await api.patch(path, {"spec": {"replicas": 5}}, fieldManager="scaler")
        refused = await api.apply(path, deployment(replicas=2), "one")
        assert refused.message == 'Apply failed with 1 conflict: conflict with "scaler" using apps/v1: .spec.replicas'
        given_up = await api.apply(path, deployment(), "one")
        assert given_up.body["spec"]["replicas"] == 5

    play(scenario)


def test_a_restart_annotation_of_kubectl_survives_the_next_apply(play: Play) -> None:
    async def scenario(api: Api) -> None:
        path, key = f"{DEPLOYMENTS}/web", "kubectl.kubernetes.io/restartedAt"
        await api.apply(path, deployment(), "gmc")
        restart = {"spec": {"template": {"metadata": {"annotations": {key: "now"}}}}}
        await api.patch(path, restart, "strategic", fieldManager="kubectl-rollout")
        answer = await api.apply(path, deployment(replicas=2), "gmc", force=True)
        assert answer.body["spec"]["template"]["metadata"]["annotations"] == {key: "now"}
        assert answer.body["spec"]["replicas"] == 2

    play(scenario)


def test_list_items_belong_to_their_appliers_by_key(play: Play) -> None:
    async def scenario(api: Api) -> None:
        def with_env(*names: str) -> Json:
            body = deployment()
            body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": n, "value": "v"} for n in names]
            return body

        path = f"{DEPLOYMENTS}/web"
        await api.apply(path, with_env("A", "B"), "one")
        await api.apply(path, with_env("C"), "two")
        answer = await api.apply(path, with_env("B"), "one")
        env = answer.body["spec"]["template"]["spec"]["containers"][0]["env"]
        assert sorted(one["name"] for one in env) == ["B", "C"]
        owned = fields_of(answer.body, "two")["f:spec"]["f:template"]["f:spec"]["f:containers"]
        assert 'k:{"name":"C"}' in owned['k:{"name":"main"}']["f:env"]

    play(scenario)


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [("AB", "BA", "BA"), ("AXB", "BA", "XBA"), ("A", "B", "AB"), ("AXB", "ANB", "AXNB"), ("XAY", "AB", "XAYB")],
)
def test_merged_items_follow_the_applied_order(play: Play, live: str, applied: str, merged: str) -> None:
    """X and Y belong to someone else and stay where they are between the items of both."""

    def with_env(names: str) -> Json:
        body = deployment()
        body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": n, "value": "v"} for n in names]
        return body

    async def scenario(api: Api) -> None:
        await api.create(DEPLOYMENTS, with_env(live), fieldManager="creator")
        answer = await api.apply(f"{DEPLOYMENTS}/web", with_env(applied), "applier")
        env = answer.body["spec"]["template"]["spec"]["containers"][0]["env"]
        assert "".join(one["name"] for one in env) == merged

    play(scenario)


def test_ports_are_keyed_with_the_default_protocol(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = deployment()
        body["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
        for _ in range(2):
            answer = await api.apply(f"{DEPLOYMENTS}/web", body, "one")
        ports = answer.body["spec"]["template"]["spec"]["containers"][0]["ports"]
        assert ports == [{"containerPort": 80, "protocol": "TCP"}]

    play(scenario)


def test_an_undeclared_field_is_refused_by_apply(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = deployment()
        body["spec"]["template"]["spec"]["containers"][0]["colour"] = "red"
        answer = await api.apply(f"{DEPLOYMENTS}/web", body, "one")
        assert answer.status == 500
        assert answer.message == (
            "failed to create typed patch object (/web; apps/v1, Kind=Deployment): "
            '.spec.template.spec.containers[name="main"].colour: field not declared in schema'
        )

    play(scenario)


def test_a_list_that_names_one_key_twice_is_refused_by_apply(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = deployment()
        body["spec"]["template"]["spec"]["containers"] *= 2
        answer = await api.apply(f"{DEPLOYMENTS}/web", body, "one")
        assert answer.status == 500
        assert answer.message.endswith('.spec.template.spec.containers: duplicate entries for key [name="main"]')

    play(scenario)


def test_apply_needs_a_manager_and_only_apply_takes_force(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.patch("~/configmaps/settings", applied_config(a="1"), "apply")
        assert answer.refusal == (422, "Invalid")
        assert "is required for apply patch" in answer.message
        await api.create("~/configmaps", config_map())
        assert (await api.patch("~/configmaps/settings", {}, force="true")).refusal == (422, "Invalid")

    play(scenario)


def test_status_has_its_own_owners_through_its_own_endpoint(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        await api.apply(f"{WIDGETS}/w", widget() | {"status": {"replicas": 9}}, "writer")
        conditions = [{"type": "Ready", "status": "True"}]
        typed = {"apiVersion": "demo.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        answer = await api.apply(f"{WIDGETS}/w/status", typed | {"status": {"conditions": conditions}}, "reporter")
        assert answer.body["status"] == {"conditions": conditions}
        assert answer.body["spec"]["size"] == 3
        entry = next(e for e in answer.body["metadata"]["managedFields"] if e["manager"] == "reporter")
        assert entry["subresource"] == "status"
        assert entry["fieldsV1"]["f:status"]["f:conditions"]['k:{"type":"Ready"}'] == {
            ".": {},
            "f:status": {},
            "f:type": {},
        }
        other = [{"type": "Degraded", "status": "False"}]
        both = await api.apply(f"{WIDGETS}/w/status", typed | {"status": {"conditions": other}}, "second")
        assert [one["type"] for one in both.body["status"]["conditions"]] == ["Ready", "Degraded"]
        assert both.body["metadata"]["generation"] == 1

    play(scenario)


def test_updates_are_attributed_to_the_manager_or_the_user_agent_with_their_time(play: Play) -> None:
    clock = ManualClock()

    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map(a="1"), fieldManager="creator")
        await api.pass_time(60)
        headers = {"Content-Type": "application/merge-patch+json", "User-Agent": "tool/1.2 (linux)"}
        answer = await api.request("PATCH", "~/configmaps/settings", {"data": {"b": "2"}}, headers)
        entries = {entry["manager"]: entry for entry in answer.body["metadata"]["managedFields"]}
        assert entries["tool"]["fieldsV1"] == {"f:data": {"f:b": {}}}
        assert entries["creator"]["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}
        assert entries["creator"]["time"] == answer.body["metadata"]["creationTimestamp"]
        passed = datetime.fromisoformat(entries["tool"]["time"]) - datetime.fromisoformat(entries["creator"]["time"])
        assert passed >= timedelta(seconds=0 if api.is_real else 60)

    play(scenario, clock=clock)


def test_an_apply_of_json_and_of_yaml_mean_the_same(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.apply("~/configmaps/settings", applied_config(a="1"), "one")
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  a: '1'\n"
        headers = {"Content-Type": "application/apply-patch+yaml"}
        answer = await api.request("PATCH", "~/configmaps/settings", text.encode(), headers, fieldManager="one")
        assert (answer.status, answer.body["data"]) == (200, {"a": "1"})

    play(scenario)


def test_a_value_in_another_spelling_is_no_change(play: Play) -> None:
    clock = ManualClock()

    async def scenario(api: Api) -> None:
        body = deployment()
        container = body["spec"]["template"]["spec"]["containers"][0]
        container |= {
            "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}},
            "env": [{"name": "A", "value": ""}],
        }
        first = await api.apply(f"{DEPLOYMENTS}/web", body, "one")
        assert first.body["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {
            "cpu": "1",
            "memory": "1Gi",
        }
        settled = await api.settled(f"{DEPLOYMENTS}/web")
        await api.pass_time(60)
        assert (await api.apply(f"{DEPLOYMENTS}/web", body, "one")).body == settled

    play(scenario, clock=clock)
