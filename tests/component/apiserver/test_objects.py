"""Reading and writing single objects, lists and selectors."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from support.apiserver import Api, Play
from support.kubelet import node_name
from support.manifests import Json, config_map, deployment, pod


def test_a_new_object_gets_uid_version_and_creation_time_and_reads_back_the_same(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/configmaps", config_map(colour="red"))
        age = datetime.now(UTC) - datetime.fromisoformat(created["metadata"]["creationTimestamp"])
        assert abs(age) < timedelta(minutes=1)
        assert len(created["metadata"]["uid"]) == 36
        assert (created["kind"], created["apiVersion"]) == ("ConfigMap", "v1")
        assert (await api.get("~/configmaps/settings")).body == created

    play(scenario)


def test_a_missing_object_is_not_found_with_its_details(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.get("~apps/v1/deployments/nowhere")
        assert answer.refusal == (404, "NotFound")
        assert answer.message == 'deployments.apps "nowhere" not found'
        assert answer.body["details"] == {"name": "nowhere", "group": "apps", "kind": "deployments"}

    play(scenario)


def test_a_second_object_of_the_same_name_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map())
        answer = await api.post("~/configmaps", config_map())
        assert answer.refusal == (409, "AlreadyExists")
        assert answer.message == 'configmaps "settings" already exists'

    play(scenario)


def test_generated_names_extend_their_prefix_and_differ(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body: Json = {"metadata": {"generateName": "job-"}}
        names = {(await api.create("~/configmaps", body))["metadata"]["name"] for _ in range(5)}
        assert len(names) == 5
        assert all(name.startswith("job-") and len(name) == 9 for name in names)

    play(scenario)


def test_a_stale_update_is_a_conflict_and_changes_nothing(play: Play) -> None:
    async def scenario(api: Api) -> None:
        first = await api.create("~/configmaps", config_map(n="1"))
        second = (await api.put("~/configmaps/settings", first | {"data": {"n": "2"}})).body
        versions = [int(one["metadata"]["resourceVersion"]) for one in (first, second)]
        assert versions[1] > versions[0]
        answer = await api.put("~/configmaps/settings", first | {"data": {"n": "3"}})
        assert answer.refusal == (409, "Conflict")
        assert answer.message == (
            'Operation cannot be fulfilled on configmaps "settings": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )
        assert (await api.get("~/configmaps/settings")).body["data"] == {"n": "2"}

    play(scenario)


def test_an_update_that_changes_nothing_keeps_the_version(play: Play) -> None:
    async def scenario(api: Api) -> None:
        created = await api.create("~/configmaps", config_map(n="1"))
        assert (await api.put("~/configmaps/settings", created)).body == created

    play(scenario)


def test_a_dry_run_answers_like_the_real_thing_and_stores_nothing(play: Play) -> None:
    async def scenario(api: Api) -> None:
        dry = await api.post("~apps/v1/deployments", deployment(), dryRun="All")
        assert dry.status == 201
        assert dry.body["spec"]["replicas"] == 1
        assert (await api.get("~apps/v1/deployments/web")).status == 404
        await api.create("~/configmaps", config_map(n="1"))
        patched = await api.patch("~/configmaps/settings", {"data": {"n": "2"}}, dryRun="All")
        assert patched.body["data"] == {"n": "2"}
        await api.delete("~/configmaps/settings", dryRun="All")
        assert (await api.get("~/configmaps/settings")).body["data"] == {"n": "1"}

    play(scenario)


def test_a_spec_change_counts_as_a_generation_and_a_label_does_not(play: Play) -> None:
    async def scenario(api: Api) -> None:
        assert (await api.create("~apps/v1/deployments", deployment()))["metadata"]["generation"] == 1
        labelled = await api.patch("~apps/v1/deployments/web", {"metadata": {"labels": {"a": "b"}}})
        assert labelled.body["metadata"]["generation"] == 1
        scaled = await api.patch("~apps/v1/deployments/web", {"spec": {"replicas": 4}})
        assert scaled.body["metadata"]["generation"] == 2

    play(scenario)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"labelSelector": "app=a"}, ["one", "two"]),
        ({"labelSelector": "app=a,tier!=back"}, ["two"]),
        ({"labelSelector": "app in (a, b),tier"}, ["one", "three"]),
        ({"labelSelector": "!tier"}, ["two"]),
        ({"labelSelector": "tier notin (back)"}, ["three", "two"]),
        ({"fieldSelector": "metadata.name=two"}, ["two"]),
        ({"fieldSelector": "metadata.name!=two"}, ["one", "three"]),
        ({"fieldSelector": "status.phase=Pending,spec.nodeName=NODE"}, ["three"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_lists_take_label_and_field_selectors(play: Play, query: dict[str, str], expected: list[str]) -> None:
    async def scenario(api: Api) -> None:
        for name, labels, node in (
            ("one", {"app": "a", "tier": "back"}, ""),
            ("two", {"app": "a"}, ""),
            ("three", {"app": "b", "tier": "front"}, node_name(api)),
        ):
            body = pod(name, **({"nodeName": node} if node else {}))
            body["metadata"]["labels"] = labels
            await api.create("~/pods", body)
        asked = {key: text.replace("NODE", node_name(api)) for key, text in query.items()}
        assert await api.names("~/pods", **asked) == expected

    play(scenario)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~/pods", "field label not supported: data.colour"),
        (
            "~/configmaps",
            '"data.colour" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
    ids=["a kind with selectable fields", "a kind without"],
)
def test_a_field_selector_on_another_field_is_refused(play: Play, path: str, message: str) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.get(path, fieldSelector="data.colour=red")
        assert answer.refusal == (400, "BadRequest")
        assert answer.message == message

    play(scenario)


def test_items_of_a_built_in_list_carry_no_type_of_their_own(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map(n="1"))
        answer = (await api.get("~/configmaps")).body
        assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
        assert set(answer["items"][0]) == {"metadata", "data"}

    play(scenario)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (config_map("Upper"), 422, 'metadata.name: Invalid value: "Upper": a lowercase RFC 1123 subdomain'),
        ({"metadata": {}}, 422, "metadata.name: Required value: name or generateName is required"),
        ({"metadata": {"name": "c", "labels": {"k": "v" * 64}}}, 422, 'vvv": must be no more than 63 bytes'),
        ({"metadata": {"name": "c", "labels": {"k": "no spaces"}}}, 422, "a valid label must be an empty string or"),
        ({"metadata": {"name": "c", "labels": {"k k": "v"}}}, 422, 'Invalid value: "k k": name part must consist of'),
        ({"metadata": {"name": "c", "finalizers": ["plain"]}}, 422, "metadata.finalizers[0]: Invalid value"),
        ({"metadata": {"name": "c", "labels": {"k": 1}}}, 400, "cannot be handled as a ConfigMap"),
        ({"metadata": {"name": "c"}, "data": {"k": 1}}, 400, "json: cannot unmarshal number into Go struct field"),
        ({"metadata": {"name": "c", "namespace": "elsewhere"}}, 400, "the namespace of the provided object does not"),
        ({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "c"}}, 400, "cannot be handled as a"),
        ({"metadata": {"name": "c", "resourceVersion": "5"}}, 500, "resourceVersion should not be set on objects"),
    ],
    ids=[
        "name",
        "no name",
        "long label",
        "label value",
        "label key",
        "finalizer",
        "label type",
        "data type",
        "namespace",
        "kind",
        "version",
    ],
)
def test_malformed_objects_are_refused_with_the_fault(play: Play, body: Json, code: int, message: str) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.post("~/configmaps", body)
        assert answer.status == code
        assert message in answer.message

    play(scenario)


def test_a_missing_required_field_is_named_with_its_path(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = deployment()
        del body["spec"]["template"]["spec"]["containers"][0]["image"]
        answer = await api.post("~apps/v1/deployments", body)
        assert answer.refusal == (422, "Invalid")
        assert answer.body["details"]["kind"] == "Deployment"
        assert answer.body["details"]["causes"] == [
            {
                "reason": "FieldValueRequired",
                "message": "Required value",
                "field": "spec.template.spec.containers[0].image",
            }
        ]

    play(scenario)


def test_unknown_fields_are_refused_warned_of_or_dropped_as_the_client_asks(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = deployment() | {"colour": "red"}
        strict = await api.post("~apps/v1/deployments", body, fieldValidation="Strict")
        assert strict.refusal == (400, "BadRequest")
        assert strict.message.endswith('strict decoding error: unknown field "colour"')
        warned = await api.post("~apps/v1/deployments", body)
        assert warned.warnings == ('299 - "unknown field \\"colour\\""',)
        assert "colour" not in warned.body
        quiet = await api.patch("~apps/v1/deployments/web", {"colour": "red"}, fieldValidation="Ignore")
        assert quiet.warnings == ()

    play(scenario)


@pytest.mark.parametrize(
    ("path", "first", "change", "message"),
    [
        ("~apps/v1/deployments", deployment(), {"spec": {"selector": {"matchLabels": {"x": "y"}}}}, "spec.selector"),
        (
            "~/secrets",
            {"metadata": {"name": "web"}, "immutable": True, "stringData": {"k": "v"}},
            {"data": {"k": "eA=="}},
            "data: Forbidden: field is immutable when `immutable` is set",
        ),
        ("~/secrets", {"metadata": {"name": "web"}}, {"type": "other"}, "type: Invalid value"),
        ("~/pods", pod("web"), {"spec": {"hostname": "x"}}, "pod updates may not change fields other than"),
        (
            "~rbac.authorization.k8s.io/v1/rolebindings",
            {"metadata": {"name": "web"}, "roleRef": {"kind": "ClusterRole", "name": "a"}},
            {"roleRef": {"name": "b"}},
            "cannot change roleRef",
        ),
    ],
    ids=["selector", "immutable secret", "secret type", "pod spec", "roleRef"],
)
def test_what_kubernetes_fixes_at_creation_cannot_be_changed(
    play: Play, path: str, first: Json, change: Json, message: str
) -> None:
    async def scenario(api: Api) -> None:
        await api.create(path, first)
        answer = await api.patch(f"{path}/web", change)
        assert answer.refusal == (422, "Invalid")
        assert message in answer.message

    play(scenario)


def test_only_known_tokens_are_served_and_health_needs_none(play: Play) -> None:
    async def scenario(api: Api) -> None:
        stranger = {"Authorization": "Bearer guessed"}
        refused = await api.get("/api/v1/namespaces", stranger)
        assert refused.refusal == (401, "Unauthorized")
        nobody = {"Authorization": ""}
        assert (await api.get("/api/v1/namespaces", nobody)).status in (401, 403)
        for path in ("/healthz", "/livez", "/readyz"):
            assert (await api.get(path, nobody)).body == "ok"
            assert (await api.get(path, stranger)).status == 401
        assert (await api.get("/version", nobody)).body["gitVersion"].startswith("v1.36.")

    play(scenario)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/nonsense", 404),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/web/nonsense", 404),
        ("PUT", "/api/v1/namespaces/default/pods", 405),
        ("POST", "/api/v1/pods", 405),
    ],
)
def test_what_is_not_served_is_refused_with_a_status(play: Play, method: str, path: str, code: int) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.request(method, path, None if method == "GET" else {})
        assert answer.status == code
        assert (answer.body["kind"], answer.body["status"]) == ("Status", "Failure")

    play(scenario)


def test_two_hundred_parallel_creations_are_all_kept_apart(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answers = await asyncio.gather(*(api.post("~/configmaps", config_map(f"c{n}")) for n in range(200)))
        assert {answer.status for answer in answers} == {201}
        assert len({answer.version for answer in answers}) == 200
        assert len(await api.names("~/configmaps")) == 200

    play(scenario)


def test_events_written_in_one_api_group_are_read_in_the_other(play: Play) -> None:
    async def scenario(api: Api) -> None:
        regarding = {"kind": "Pod", "name": "p", "namespace": api.namespace, "uid": "u1"}
        body: Json = {
            "metadata": {"name": "e1", "namespace": api.namespace},
            "eventTime": "2026-01-05T09:00:00.123456Z",
            "regarding": regarding,
            "note": "started",
            "reason": "Started",
            "type": "Normal",
            "action": "Start",
            "reportingController": "tests",
            "reportingInstance": "tests-1",
        }
        written = await api.create("~events.k8s.io/v1/events", body)
        assert (written["apiVersion"], written["note"]) == ("events.k8s.io/v1", "started")
        found = (
            await api.get("~/events", fieldSelector="involvedObject.name=p,involvedObject.uid=u1,type=Normal")
        ).body
        event = found["items"][0]
        assert (event["message"], event["involvedObject"], event["reportingComponent"]) == (
            "started",
            regarding,
            "tests",
        )
        series = {"count": 2, "lastObservedTime": "2026-01-05T09:00:05.000000Z"}
        patched = await api.patch("~events.k8s.io/v1/events/e1", {"series": series})
        assert patched.body["series"] == series
        assert (await api.get("~/events/e1")).body["message"] == "started"

    play(scenario)


def test_an_export_of_a_dying_object_can_be_created_anew(play: Play) -> None:
    async def scenario(api: Api) -> None:
        body = config_map(n="1")
        body["metadata"]["finalizers"] = ["x/hold"]
        await api.create("~/configmaps", body)
        exported = (await api.delete("~/configmaps/settings")).body
        await api.patch("~/configmaps/settings", {"metadata": {"finalizers": None}})
        del exported["metadata"]["resourceVersion"]
        created = await api.create("~/configmaps", exported)
        assert "deletionTimestamp" not in created["metadata"]
        assert created["metadata"]["uid"] != exported["metadata"]["uid"]

    play(scenario)


def test_secret_data_must_be_base64(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.post("~/secrets", {"metadata": {"name": "s"}, "data": {"key": "not base64!"}})
        assert answer.refusal == (400, "BadRequest")
        assert "illegal base64 data" in answer.message

    play(scenario)
