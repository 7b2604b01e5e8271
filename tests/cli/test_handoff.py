"""gw handoff: drafts, signatures, what was signed before, and what goes wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.api.ledger import RerunState
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.handoff.checklist import CHECKLIST
from gw.sources.records import KEPT

from .double import ClusterDouble
from .objects import (
    Manifest,
    agent_pod,
    container,
    entry,
    gateway,
    healthy_cluster,
    ledger,
    lost,
    moment,
    namespace,
    ready,
    runner_group,
)
from .rig import Gw, check_golden

MONITOR = "Prometheus at the Service monitoring/prometheus:9090"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def on_call(*objects: Manifest, by: str = "alice", monitored: bool = True) -> Gw:
    """A healthy cluster, and somebody whom its API server knows."""
    base = [each for each in healthy_cluster() if monitored or each["kind"] != "Service"]
    for each in base:
        if each["kind"] == "ActionsGateway":
            making = written("kubectl-create", {"f:spec": {"f:gitHubURL": {}}}, seconds_ago=86400)
            each["metadata"]["managedFields"] = [making]
    gw = Gw(ClusterDouble(*base, namespace("gmc-system"), *objects))
    gw.cluster.answers[WHO] = {"status": {"userInfo": {"username": by}}}
    return gw


@pytest.fixture
def quiet() -> Gw:
    """Nothing has happened."""
    return on_call()


@pytest.fixture
def unwatched() -> Gw:
    """Nothing has happened, as far as can be seen without Prometheus and Alertmanager."""
    return on_call(monitored=False)


@pytest.fixture
def busy() -> Gw:
    """A shift with a bit of everything, and a Prometheus and an Alertmanager that tell of it."""
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": moment(5400)}}
    edited = gateway(
        conditions=[ready("False", Reason.KEY_REJECTED, "GitHub does not accept the key", seconds_ago=600)]
    )
    edited["metadata"]["managedFields"] = [
        written("kubectl-create", {"f:spec": {"f:gitHubURL": {}}}, seconds_ago=86400),
        written("kubectl-patch", {"f:spec": {"f:gitHubAppRef": {"f:name": {}}}}, seconds_ago=3600),
    ]
    gw = on_call(
        edited,
        agent_pod(containers=[container("agc", restarts=1, last=killed)]),
        quota(),
        deployment(),
        lost_jobs(),
    )
    gw.cluster.prometheus.tracks = [
        ("token_refresh_errors", {"namespace": "team-a"}, [(43200, 0.0), (7200, 4.0), (0, 0.0)]),
        ("renewjob_errors", {"namespace": "team-a"}, [(43200, 0.0), (0, 2.0)]),
        (
            "ALERTS",
            {"alertname": "ActionsGatewayTokenRefreshErrors", "namespace": "team-a", "severity": "page"},
            [(at, 1.0) for at in range(7200, 5399, -180)],
        ),
    ]
    page = {"alertname": "ActionsGatewayNoActiveSessions", "namespace": "team-a", "severity": "page"}
    gw.cluster.alertmanager.alerts = [
        {
            "labels": page | {"runner_group": "team-a-cpu"},
            "annotations": {"summary": "No session is open for team-a/team-a-cpu"},
            "startsAt": moment(900),
            "status": {"state": "suppressed", "silencedBy": ["s1"]},
        }
    ]
    matcher = {"name": "namespace", "value": "team-a", "isRegex": False, "isEqual": True}
    gw.cluster.alertmanager.silences = [
        {
            "id": "s1",
            "matchers": [matcher],
            "createdBy": "carol",
            "comment": "key is being *rotated*",
            "startsAt": moment(800),
            "endsAt": moment(-7200),
            "status": {"state": "active"},
        }
    ]
    return gw


def written(manager: str, fields: Manifest, *, seconds_ago: float) -> Manifest:
    return {
        "manager": manager,
        "operation": "Update",
        "time": moment(seconds_ago),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def quota() -> Manifest:
    fields: Manifest = {"f:spec": {"f:hard": {"f:requests.cpu": {}}}}
    metadata = {
        "name": "tenant",
        "namespace": "team-a",
        "creationTimestamp": moment(9e6),
        "managedFields": [written("kubectl-edit", fields, seconds_ago=1800)],
    }
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "status": {"hard": {"requests.cpu": "64"}, "used": {"requests.cpu": "1"}},
    }


def deployment() -> Manifest:
    metadata = {
        "name": "actions-gateway-controller",
        "namespace": "team-a",
        "labels": {labels.APP_PART_OF: labels.PART_OF},
    }
    template = {"metadata": {"annotations": {labels.RESTARTED_AT: moment(4000)}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}}


def lost_jobs() -> Manifest:
    states = {"r1": RerunState.EXHAUSTED, "r2": RerunState.REQUESTED}
    jobs = [
        lost(runner, state, seconds_ago=0, job_id=None, name=f"test ({runner})", group="cpu", attempt=3)
        for runner, state in states.items()
    ]
    return ledger({17000000001: entry(*jobs)})


def records(gw: Gw) -> list[Manifest]:
    found = [
        each for key, each in gw.cluster.objects.items() if key[0] == r.CONFIGMAPS.plural and key[1] == "gmc-system"
    ]
    return sorted(found, key=lambda each: str(each["metadata"]["name"]))


@pytest.mark.parametrize(
    ("name", "output"),
    [("quiet", "table"), ("quiet", "short"), ("unwatched", "table"), ("busy", "table"), ("busy", "json")],
)
def test_the_draft_is_as_kept(name: str, output: str, request: pytest.FixtureRequest) -> None:
    gw: Gw = request.getfixturevalue(name)
    answer = gw("handoff", "--to", "bob", "--note", "the key of team-a is being rotated", "-o", output)
    assert answer.code == {"quiet": 0, "unwatched": 3, "busy": 1}[name], answer
    check_golden(f"handoff-{name}.{'md' if output == 'table' else f'{output}.txt'}", answer.out)


def test_the_json_document_has_every_item_word_for_word_and_a_reason_for_all_that_is_unknown(busy: Gw) -> None:
    found: Any = json.loads(busy("handoff", "-o", "json").out)
    assert (found["version"], found["kind"], found["signature"]) == ("gw/v1", "Handoff", None)
    assert [item["title"] for item in found["items"]] == [item.title for item in CHECKLIST]
    for finding in [*(each for item in found["items"] for each in item["findings"]), *found["others"]]:
        assert finding["summary"]
        assert (finding["severity"] is not None) == (finding["outcome"] == "problem")
    for section in found["changes"].values():
        assert all(gap["reason"] for gap in section["unknown"])


def test_a_draft_writes_nothing(quiet: Gw) -> None:
    before = dict(quiet.cluster.objects)
    answer = quiet("handoff")
    assert "None: this is a draft." in answer.out
    assert quiet.cluster.objects == before
    assert quiet.cluster.created == []


def test_a_signature_names_who_when_to_whom_and_the_record(quiet: Gw) -> None:
    answer = quiet("handoff", "--sign", "--to", "bob")
    (stored,) = records(quiet)
    name = stored["metadata"]["name"]
    assert f"- Handed over by alice to bob at 2026-01-05T09:00:00Z.\n- Record: {name}\n" in answer.out
    assert stored["metadata"]["labels"][labels.RECORD] == "handover"
    body, _, _ = answer.out.partition("## Signature")
    assert stored["data"]["handoff.md"] == body


def test_the_second_hand_over_tells_what_is_new_unchanged_and_gone(quiet: Gw) -> None:
    def put_groups(*silent: str) -> None:
        for name in ("cpu", "gpu"):
            sessions = 0 if name in silent else 1
            conditions = [ready("False", Reason.NO_ACTIVE_SESSIONS, "none")] if name in silent else None
            quiet.cluster.put(runner_group(name=name, sessions=sessions, conditions=conditions))

    put_groups("cpu")
    assert quiet("handoff", "--sign", "--to", "bob", "--note", "watch it").code == 1
    quiet.clock.slept_seconds += 6 * 3600
    put_groups("gpu")
    quiet.cluster.put(agent_pod(containers=[container("agc", last={"terminated": {"reason": "OOMKilled"}})]))
    assert "- Items: 6 was done and is open\n" in quiet("handoff", "--since", "6h").out
    found: Any = json.loads(quiet("handoff", "--since", "6h", "-o", "json").out)["difference"]
    assert (found["last"]["by"], found["last"]["to"], found["last"]["note"]) == ("alice", "bob", "watch it")
    assert [each["subject"] for each in found["new"] if each["check"] == "session.open"] == ["team-a/team-a-gpu"]
    assert [each["subject"] for each in found["gone"] if each["check"] == "session.open"] == ["team-a/team-a-cpu"]


def test_a_hand_over_of_one_tenant_is_compared_with_its_own(quiet: Gw) -> None:
    quiet("handoff", "--sign")
    found: Any = json.loads(quiet("handoff", "team-a", "-o", "json").out)
    assert (found["tenant"], found["difference"]["last"]) == ("team-a", None)


def test_two_who_hand_over_at_the_same_time_are_both_kept_and_told(quiet: Gw) -> None:
    stored_by_another: list[Manifest] = []

    def another(manifest: Manifest) -> None:
        if manifest["kind"] == "ConfigMap" and not stored_by_another:
            other = json.loads(json.dumps(manifest))
            other["metadata"]["name"] += "-b"
            body = json.loads(other["data"]["record.json"])
            other["data"]["record.json"] = json.dumps(body | {"by": "dave"})
            stored_by_another.append(other)
            quiet.cluster.put(other)

    quiet.cluster.on_create = another
    answer = quiet("handoff", "--sign")
    assert len(records(quiet)) == 2
    assert "Note: dave handed over as well, at 2026-01-05 09:00:00 UTC" in answer.err


def test_the_same_again_within_the_second_is_stored_once(quiet: Gw) -> None:
    quiet("handoff", "--sign")
    quiet.cluster.refusals["list", "configmaps"] = errors.Forbidden("no", status=403)
    first = quiet("handoff", "--sign")
    again = quiet("handoff", "--sign")
    assert (first.code, again.code) == (3, 2), again
    assert "this very hand-over is stored already" in again.err
    assert "# Hand-over of" in again.out


def test_old_records_go_when_there_are_many(quiet: Gw) -> None:
    for _ in range(KEPT + 3):
        assert quiet("handoff", "--sign").code == 0
        quiet.clock.slept_seconds += 60
    kept = [each["metadata"]["name"] for each in records(quiet)]
    assert len(kept) == KEPT
    assert kept[0].startswith("handover-20260105-0903")


def test_the_latest_record_about_a_tenant_stays_whoever_else_hands_over(quiet: Gw) -> None:
    for _ in range(2):
        quiet("handoff", "team-a", "--sign")
        quiet.clock.slept_seconds += 60
    for _ in range(KEPT + 1):
        quiet("handoff", "--sign")
        quiet.clock.slept_seconds += 60
    assert len(records(quiet)) == KEPT + 1
    found: Any = json.loads(quiet("handoff", "team-a", "-o", "json").out)
    assert found["difference"]["last"]["at"] == "2026-01-05T09:01:00Z"


def test_without_the_right_to_write_it_prints_and_names_the_role(quiet: Gw) -> None:
    quiet.cluster.refusals["create", "configmaps"] = errors.Forbidden(
        'User "alice" cannot create resource "configmaps"', status=403, reason="Forbidden"
    )
    answer = quiet("handoff", "--sign")
    assert answer.code == 2
    assert "## Checklist" in answer.out
    assert "None: this is a draft." in answer.out
    assert 'the hand-over above is not signed: could not store the hand-over: User "alice" cannot create' in answer.err
    assert "--role=gw-oncall --user=alice" in answer.err


def test_without_the_right_to_read_records_the_difference_is_unknown(quiet: Gw) -> None:
    quiet.cluster.refusals["list", "configmaps"] = errors.Forbidden('User "eve" cannot list "configmaps"', status=403)
    answer = quiet("handoff")
    assert answer.code == 3
    assert 'unknown: could not read the last hand-over: User "eve" cannot list "configmaps"' in answer.out


def test_records_of_another_version_and_edited_ones_are_named(quiet: Gw) -> None:
    quiet("handoff", "--sign")
    (stored,) = records(quiet)
    stored["data"]["record.json"] = '{"version": "gw/v9"}'
    answer = quiet("handoff")
    assert answer.code == 3, answer
    assert "its version is 'gw/v9', and this gw reads gw/v1; it is left alone" in answer.out


def test_nobody_signs_without_a_name(quiet: Gw) -> None:
    quiet.cluster.answers[WHO] = {"status": {"userInfo": {"username": ""}}}
    answer = quiet("handoff", "--sign")
    assert answer.code == 2, answer
    assert "None: this is a draft." in answer.out
    assert "the API server does not say who you are" in answer.err
    assert records(quiet) == []


# -- verification ------------------------------------------------------------------------------------------------------


@pytest.fixture
def signed(quiet: Gw, tmp_path: Path) -> Path:
    path = tmp_path / "handoff.md"
    path.write_text(quiet("handoff", "--sign", "--to", "bob").out)
    return path


def test_a_signed_document_is_as_it_was_signed_until_somebody_edits_it(quiet: Gw, signed: Path) -> None:
    answer = quiet("handoff", "--verify", str(signed))
    assert (answer.code, answer.out) == (0, f"{signed}: it is as alice signed it to bob at 2026-01-05T09:00:00Z.\n")
    signed.write_text(signed.read_text().replace("**done**", "**open**", 1))
    answer = quiet("handoff", "--verify", str(signed))
    assert answer.code == 1
    assert "it was edited: its text is not what its checksum says" in answer.out


def test_a_new_checksum_does_not_hide_an_edit(quiet: Gw, signed: Path) -> None:
    import hashlib

    body, line, _ = signed.read_text().replace("**done**", "**open**").partition("## Signature\n")
    record = records(quiet)[0]["metadata"]["name"]
    checksum = hashlib.sha256(body.encode()).hexdigest()
    signed.write_text(f"{body}{line}\n- Record: {record}\n- Checksum: sha256:{checksum}\n")
    answer = quiet("handoff", "--verify", str(signed))
    assert answer.code == 1
    assert "the record has another checksum" in answer.out


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_documents_for_programs_are_verified_in_any_format(quiet: Gw, tmp_path: Path, output: str) -> None:
    path = tmp_path / "handoff"
    path.write_text(quiet("handoff", "--sign", "-o", output).out)
    assert quiet("handoff", "--verify", str(path)).code == 0
    document = yaml.safe_load(path.read_text())
    document["items"][6]["state"] = "open"
    path.write_text(json.dumps(document))
    assert quiet("handoff", "--verify", str(path)).code == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "\nAll of team-a is fine, see chat.\n",
        lambda text: text.replace("Handed over by alice", "Handed over by mallory"),
        lambda text: text.replace("to bob at", "to carol at"),
        lambda text: text.replace("- Record:", "- Nothing is open.\n- Record:"),
        lambda text: text.replace("## Signature\n", "## Signature\n- Checksum: sha256:0\n"),
    ],
    ids=["text below", "who signed", "to whom", "a line between", "a checksum before"],
)
def test_an_edited_signature_is_an_edit(quiet: Gw, signed: Path, edit: Callable[[str], str]) -> None:
    text = signed.read_text()
    signed.write_text(edit(text))
    answer = quiet("handoff", "--verify", str(signed))
    assert answer.code == 1, answer
    assert "it was edited: its signature is not what the record says" in answer.out
    signed.write_text(text.rstrip())
    assert quiet("handoff", "--verify", str(signed)).code == 0, "an editor's last line break is no edit"


@pytest.mark.parametrize(("key", "value"), [("by", "mallory"), ("to", "carol"), ("at", "2026-01-05T09:00:01Z")])
def test_an_edited_signature_of_a_document_for_programs_is_an_edit(
    quiet: Gw, tmp_path: Path, key: str, value: str
) -> None:
    path = tmp_path / "handoff"
    document = json.loads(quiet("handoff", "--sign", "--to", "bob", "-o", "json").out)
    document["signature"][key] = value
    path.write_text(json.dumps(document))
    answer = quiet("handoff", "--verify", str(path))
    assert answer.code == 1, answer
    assert "its signature is not what the record says" in answer.out


def test_a_checksum_of_any_characters_is_another_one(quiet: Gw, signed: Path) -> None:
    signed.write_text(signed.read_text().replace("sha256:", "sha256:\u00e9"), encoding="utf-8")
    assert quiet("handoff", "--verify", str(signed)).code == 1


def test_a_time_without_quotes_is_the_same_time(quiet: Gw, tmp_path: Path) -> None:
    path = tmp_path / "handoff.yaml"
    text = quiet("handoff", "--sign", "-o", "yaml").out
    path.write_text(text.replace("'2026-01-05T09:00:00Z'", "2026-01-05T09:00:00Z"))
    assert path.read_text() != text
    answer = quiet("handoff", "--verify", str(path))
    assert answer.code == 0, answer


def test_whether_it_is_the_signed_one_is_unknown_without_its_record(quiet: Gw, signed: Path) -> None:
    for each in records(quiet):
        del quiet.cluster.objects["configmaps", "gmc-system", each["metadata"]["name"]]
    answer = quiet("handoff", "--verify", str(signed))
    assert answer.code == 3
    assert "no record handover-20260105-090000" in answer.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("", "is no signed hand-over"),
        ("{", "is no signed hand-over"),
        ("[1]", "is no signed hand-over"),
        ("\x00", "is no signed hand-over"),
        ("# Hand-over\n\n## Signature\n\nNone: this is a draft.\n", "nobody has signed it"),
        ("[" * 100_000, "is no signed hand-over"),
        ("kind: Handoff\nsignature: {}\nat: !!timestamp 2026-01-05\n", "is no signed hand-over"),
        ("kind: Handoff\nsignature: {}\nat: &a [*a]\n", "is no signed hand-over"),
        (f"kind: Handoff\nsignature: {{}}\nat: {'9' * 5000}\n", "is no signed hand-over"),
    ],
    ids=["no file", "empty", "broken", "a list", "binary", "a draft", "deep", "a time", "a loop", "a long number"],
)
def test_other_files_are_refused(quiet: Gw, tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "file"
    if text is not None:
        path.write_text(text)
    answer = quiet("handoff", "--verify", str(path))
    assert answer.code == 2
    assert said in answer.err


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("soon", "'soon' is no duration"),
        ("2026-13-05T00:00:00Z", "is no time"),
        ("2026-01-05T00:00:00", "does not say its zone"),
        ("2026-01-06T00:00:00Z", "the shift began in the future"),
        ("0s", "the shift began in the future, or now"),
        ("1000h", "a shift has 31 days at most"),
        ("2025-01-05T00:00:00Z", "a shift has 31 days at most"),
    ],
)
def test_a_beginning_that_is_none_is_refused_with_an_example(quiet: Gw, since: str, said: str) -> None:
    answer = quiet("handoff", "--since", since)
    assert answer.code == 2, answer
    assert said in answer.err
    assert "--since 2026-01-04T21:00:00Z" in answer.err or "--since 90s" in answer.err


@pytest.mark.parametrize("since", ["6h", "2026-01-05T03:00:00Z", "2026-01-05T05:00:00+02:00"])
def test_a_shift_begins_so_long_ago_or_at_a_time(quiet: Gw, since: str) -> None:
    assert json.loads(quiet("handoff", "--since", since, "-o", "json").out)["since"] == "2026-01-05T03:00:00Z"


def test_options_that_do_not_go_together_and_texts_that_no_record_keeps_are_refused(quiet: Gw, tmp_path: Path) -> None:
    assert quiet("handoff", "--sign", "--verify", str(tmp_path)).code == 2
    answer = quiet("handoff", "--note", "x" * 3000)
    assert answer.code == 2
    assert "--note has 3000 characters, and a record keeps 2000" in answer.err
    answer = quiet("handoff", "--sign", "--note", "caf\udce9")
    assert answer.code == 2
    assert "--note is no UTF-8" in answer.err


def test_a_namespace_that_is_no_tenant_is_refused(quiet: Gw) -> None:
    assert quiet("handoff", "-n", "gmc-system").code == 2
    answer = quiet("handoff", "nobody")
    assert answer.code == 2
    assert "there is no namespace nobody" in answer.err


def test_expired_credentials_are_no_finding(quiet: Gw) -> None:
    quiet.cluster.refusals["*", "*"] = errors.Unauthorized("Unauthorized", status=401)
    answer = quiet("handoff", "--sign")
    assert (answer.code, answer.out) == (4, ""), answer


def test_a_prometheus_of_another_cluster_makes_rates_and_alerts_unknown(busy: Gw) -> None:
    busy.cluster.prometheus.uid_prefix = "another-"
    found: Any = json.loads(busy("handoff", "-o", "json").out)
    assert {number: items_of(found)[number] for number in (4, 5, 7)} == {4: "unknown", 5: "unknown", 7: "unknown"}
    (gap,) = found["changes"]["alerts"]["unknown"]
    assert "is of another cluster" in gap["reason"]


def test_a_prometheus_that_keeps_less_than_the_shift_says_so(quiet: Gw) -> None:
    quiet.cluster.prometheus.kept_seconds = 7200
    answer = quiet("handoff")
    nothing = "has nothing of the manager and agents from 2026-01-04 21:00 to 2026-01-05 07:00 UTC"
    assert f"what else would have fired: {MONITOR} {nothing}" in answer.out
    assert answer.code == 3
    assert "has nothing of" not in quiet("handoff", "--since", "1h").out
    quiet.cluster.prometheus.kept_seconds = 1800
    found: Any = json.loads(quiet("handoff", "-o", "json").out)
    assert {number: items_of(found)[number] for number in (4, 5)} == {4: "unknown", 5: "unknown"}


def test_without_rules_and_an_alertmanager_silence_says_nothing(quiet: Gw) -> None:
    quiet.cluster.prometheus.rules = {}
    quiet.cluster.prometheus.alertmanagers = []
    found: Any = json.loads(quiet("handoff", "-n", "team-a", "-o", "json").out)
    summaries = [each["summary"] for each in found["items"][6]["findings"] if each["outcome"] == "unknown"]
    assert any(f"whether there are pages: {MONITOR} does not evaluate" in each for each in summaries)
    fine = [each["summary"] for each in found["items"][6]["findings"] if each["outcome"] == "ok"]
    assert fine == ["no incident is open"]
    (gap,) = found["changes"]["alerts"]["unknown"]
    assert f"{MONITOR} does not evaluate" in gap["reason"]


def test_a_deleted_gateway_and_an_edit_that_nothing_is_noted_of_are_told(quiet: Gw) -> None:
    about = {"namespace": "team-z", "name": "ci", "uid": "uid-team-z"}
    quiet.cluster.prometheus.tracks = [("gateway_info", about, [(40000, 1.0), (3600, 1.0)])]
    for each in quiet.cluster.objects.values():
        if each["kind"] == "ActionsGateway":
            del each["metadata"]["managedFields"]
    answer = quiet("handoff")
    assert "- 2026-01-05 08:00 UTC team-z/ci: deleted; the manager told of it until then" in answer.out
    assert answer.out.count("- unknown: edits of team-a/team-a: what managedFields say of them is gone") == 2


def items_of(document: Any) -> dict[int, str]:
    return {item["number"]: item["state"] for item in document["items"]}


def test_a_tenants_person_sees_its_own_namespace_and_which_right_the_rest_takes(quiet: Gw) -> None:
    forbidden = errors.Forbidden('User "eve" cannot list resource "configmaps" in "gmc-system"', status=403)
    cluster = quiet.cluster
    list_all = cluster.list

    async def list_own(resource: r.Resource, namespace: str | None = None, **more: Any) -> Any:
        if namespace != "team-a":
            raise forbidden
        return await list_all(resource, namespace, **more)

    cluster.list = list_own  # type: ignore[method-assign]
    cluster.refusals["get", "deployments"] = cluster.refusals["get", "leases"] = forbidden
    answer = quiet("handoff", "-n", "team-a", "-o", "json")
    found: Any = json.loads(answer.out)
    assert answer.code == 3, answer
    assert [number for number, state in items_of(found).items() if state == "done"] == [1, 2, 3, 6, 8]
    assert 'User "eve" cannot list' in found["difference"]["unknown"][0]["reason"]


def test_an_open_incident_opens_the_seventh_and_names_how_to_go_on(quiet: Gw) -> None:
    opened = quiet("incident", "agent-failure", "team-a", "--yes")
    assert opened.code != 0, "the double's agent has no Deployment to be restarted"
    answer = quiet("handoff")
    assert answer.code == 1
    assert "agent-failure of team-a is open, by alice, at the step restart (failed)" in answer.out
    assert "next: gw incident agent-failure --resume incident-20260105-090000-agent-failure-" in answer.out.replace(
        "`", ""
    )
