"""What a hand-over reads: managedFields as the API server writes them, and records as anybody may have edited them."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actions_gateway.api import labels
from gw.sources import records
from gw.sources.changes import RESTARTED, dotted_fields, parse_object
from gw.sources.records import HandoverRecord, RecordedProblem, RecordsFact, parse_record, render_record
from support.clock import START

EDITED = "2026-01-05T08:00:00Z"
CREATED = "2026-01-01T08:00:00Z"


def entry(manager: str, fields: dict[str, Any], *, time: str = EDITED, **more: str) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "actions-gateway.github.com/v1alpha1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def stored(*entries: Any, **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "team-a", "name": "ci", "creationTimestamp": CREATED, "managedFields": list(entries)}
    return {"metadata": metadata, **more}


@pytest.mark.parametrize(
    ("fields", "dotted"),
    [
        ({"f:spec": {"f:gitHubAppRef": {"f:name": {}}}}, ["spec.gitHubAppRef.name"]),
        ({"f:spec": {".": {}, "f:paused": {}}}, ["spec.paused"]),
        ({"f:spec": {"f:proxy": {".": {}}}}, ["spec.proxy"]),
        (
            {"f:spec": {"f:runnerGroups": {'k:{"name":"cpu"}': {".": {}, "f:maxListeners": {}, "f:name": {}}}}},
            ["spec.runnerGroups[name=cpu].maxListeners", "spec.runnerGroups[name=cpu].name"],
        ),
        ({"f:metadata": {"f:finalizers": {'v:"a.b/c"': {}}}}, ['metadata.finalizers[="a.b/c"]']),
        ({"f:list": {"i:0": {"f:a": {}}}}, ["list[0].a"]),
        ({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}, ["spec.hard[requests.cpu]"]),
        (
            {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {f"f:{labels.RESTARTED_AT}": {}}}}}},
            [RESTARTED],
        ),
        ({"f:ports": {'k:{"containerPort":8080,"protocol":"TCP"}': {}}}, ["ports[containerPort=8080,protocol=TCP]"]),
        ({"f:ports": {"k:no json": {}}}, ["ports[no json]"]),
        ({}, []),
    ],
    ids=[
        "a field",
        "a parent that is owned with its child",
        "a parent that is owned alone",
        "an entry of a list by its key",
        "an entry of a set",
        "an entry by its place",
        "a key of a map with dots",
        "an annotation of a template",
        "an entry by two keys",
        "a key that nobody can read",
        "nothing",
    ],
)
def test_the_fields_of_an_entry_are_dotted_paths(fields: dict[str, Any], dotted: list[str]) -> None:
    assert list(dotted_fields(fields)) == dotted


def test_changes_are_told_oldest_first_with_whoever_made_them() -> None:
    spec: dict[str, Any] = {"f:spec": {"f:paused": {}}}
    earlier = entry("kubectl-create", spec, time=CREATED)
    status = entry("actions-gateway-gmc-status", {"f:status": {"f:phase": {}}}, subresource="status")
    fact = parse_object(stored(entry("kubectl-edit", spec), earlier, status))
    assert [edit.manager for edit in fact.edits] == ["kubectl-create", "kubectl-edit", "actions-gateway-gmc-status"]
    (found,) = fact.edits_since(START - timedelta(hours=2), "spec")
    assert (found[0].manager, found[1]) == ("kubectl-edit", ("spec.paused",))
    assert list(fact.edits_since(START, "spec")) == []


def test_a_prefix_is_a_whole_step_of_a_path() -> None:
    fact = parse_object(stored(entry("x", {"f:spec": {"f:gitHubAppReference": {}, "f:gitHubAppRef": {"f:name": {}}}})))
    assert fact.edits[0].below("spec.gitHubAppRef") == ("spec.gitHubAppRef.name",)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"managedFields": None},
        {"managedFields": "none"},
        {"managedFields": [None, {}, {"manager": "x"}, {"time": "soon", "fieldsV1": {}}, {"time": EDITED}]},
    ],
    ids=["none", "null", "a text", "entries of another form"],
)
def test_of_an_object_of_which_nothing_is_noted_no_change_is_known(metadata: dict[str, Any]) -> None:
    fact = parse_object({"metadata": metadata})
    assert (fact.edits, fact.is_told) == ((), False)


def test_of_an_object_with_an_entry_that_nobody_can_read_not_all_is_known() -> None:
    fine = entry("kubectl-edit", {"f:spec": {"f:paused": {}}})
    assert parse_object(stored(fine)).is_told
    assert not parse_object(stored(fine, {"manager": "x"})).is_told
    assert not parse_object(stored()).is_told, "emptied, as the API server allows"


def test_a_restart_is_the_annotation_of_the_template() -> None:
    template = {"metadata": {"annotations": {labels.RESTARTED_AT: "2026-01-05T10:00:00+02:00"}}}
    fact = parse_object(stored(spec={"template": template}))
    assert fact.restarted_at == START - timedelta(hours=1)


# -- records -----------------------------------------------------------------------------------------------------------

RECORD = HandoverRecord(
    at=START,
    since=START - timedelta(hours=12),
    by="alice",
    to="bob",
    note="watch team-a",
    namespace=None,
    states=("done",) * 7 + ("open",),
    problems=(RecordedProblem("job.lost", "team-a/octo/demo run 1", "ticket"),),
    unknown=(RecordedProblem("clock.agrees", "", ""),),
    checks=("job.lost", "clock.agrees"),
    markdown_checksum="sha256:aa",
    json_checksum="sha256:0123456789abcdef",
)


def with_body(change: Any) -> dict[str, Any]:
    """A stored record whose body somebody has changed."""
    manifest = render_record(RECORD, "# Hand-over")
    body = json.loads(manifest["data"]["record.json"])
    body = change(body) or body
    manifest["data"]["record.json"] = body if isinstance(body, str) else json.dumps(body)
    return manifest


def test_a_record_is_read_as_it_was_written() -> None:
    manifest = render_record(RECORD, "# Hand-over")
    assert manifest["metadata"]["name"] == "handover-20260105-090000-01234567"
    assert manifest["metadata"]["namespace"] == "gmc-system"
    assert manifest["metadata"]["labels"][labels.RECORD] == "handover"
    assert manifest["data"]["handoff.md"] == "# Hand-over"
    assert parse_record(manifest) == replace(RECORD, name="handover-20260105-090000-01234567")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body.update(version="gw/v9"), "its version is 'gw/v9'"),
        (lambda body: body.pop("at") and None, "was edited: KeyError 'at'"),
        (lambda body: body.update(at="yesterday"), "'yesterday' is no time"),
        (lambda body: body.update(problems=["x"]), "was edited: IndexError"),
        (lambda body: body.update(problems=7), "was edited: TypeError"),
        (lambda body: "{", "is no JSON"),
        (lambda body: "[]", "is no object"),
        (lambda body: "[" * 100_000, "is no JSON"),
    ],
    ids=["another version", "no time", "a word for a time", "short rows", "no rows", "cut", "a list", "a deep list"],
)
def test_an_edited_record_says_what_is_wrong_with_it(change: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_record(with_body(change))


def test_a_config_map_without_a_record_is_none() -> None:
    with pytest.raises(ValueError, match=r"it has no record\.json"):
        parse_record({"metadata": {"name": "x"}, "data": None})


def test_a_record_is_bounded_whatever_is_in_it() -> None:
    many = tuple(RecordedProblem("session.open", f"team-{number:06}/{'g' * 62}", "page") for number in range(20_000))
    manifest = render_record(replace(RECORD, problems=many, unknown=many), "\u00e9" * 2_000_000)
    size = sum(len(text.encode()) for text in manifest["data"].values())
    assert size < 1_000_000
    read = parse_record(manifest)
    assert read.is_cut
    assert len(read.problems) == records.MOST_PROBLEMS
    assert manifest["data"]["handoff.md"].endswith("(the rest was too long)\n")


def test_the_last_one_is_that_about_the_same_tenants() -> None:
    of_tenant = replace(RECORD, namespace="team-a", at=START + timedelta(hours=1))
    known = RecordsFact((of_tenant, RECORD), ())
    assert known.latest(None) == RECORD
    assert known.latest("team-a") == of_tenant
    assert known.latest("team-b") is None
