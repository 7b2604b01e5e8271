"""`gw dashboards check` on what others write: no board of theirs hides what is said of the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from gw_alerts.model import Links
from gw_dashboards.catalog import BOARDS, short_name
from gw_dashboards.fleet import BOARD as FLEET
from gw_dashboards.grafana import build_board, render_board
from gw_dashboards.provisioning import build_config_maps, build_grafana_dashboards

from .double import ClusterDouble
from .objects import healthy_cluster
from .rig import Answer, Gw

Manifest = dict[str, Any]
Found = dict[tuple[str, str], dict[str, Any]]
TOO_DEEP = "[" * 100_000
LONG_NUMBER = "1" * 5_000
NAMES = {short_name(board) for board in BOARDS}


def strangers(text: str, key: str = "strangers.json") -> Manifest:
    """A ConfigMap with the sidecar's label."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "strangers", "namespace": "monitoring", "labels": {"grafana_dashboard": "1"}},
        "data": {key: text},
    }


def check(*manifests: Manifest) -> Answer:
    return Gw(ClusterDouble(*healthy_cluster(), *manifests))("dashboards", "check", "-o", "json")


def findings(answer: Answer) -> Found:
    return {(each["name"], each["state"]): each for each in json.loads(answer.out)["dashboards"]}


SHIPPED = build_config_maps(namespace="monitoring")


@pytest.mark.parametrize(
    "text",
    [
        TOO_DEEP,
        LONG_NUMBER,
        "null",
        "7",
        "[1]",
        json.dumps({"uid": ["x"]}),
        json.dumps({"uid": {"x": 1}, "tags": {"actions-gateway": 1}}),
        json.dumps({"uid": 7, "tags": 7}),
        json.dumps({"tags": [["actions-gateway"], {}]}),
        json.dumps({"uid": "nodes", "tags": "actions-gateway", "panels": 7}),
    ],
    ids=lambda text: text[:24],
)
def test_what_is_not_ours_is_left_out_whatever_it_holds(text: str) -> None:
    answer = check(*SHIPPED, strangers(text))
    assert answer.code == 0, answer
    assert findings(answer).keys() == {(name, "same") for name in NAMES}


@pytest.mark.parametrize("uid", [["x"], {"x": 1}, 7, None, "mine"], ids=str)
def test_what_calls_itself_ours_is_said_to_be_not_shipped(uid: Any) -> None:
    answer = check(*SHIPPED, strangers(json.dumps({"uid": uid, "title": "Copy", "tags": [{}, "actions-gateway"]})))
    assert answer.code == 1, answer
    assert findings(answer).keys() == {(name, "same") for name in NAMES} | {("Copy", "not shipped")}


def changed(**keys: Any) -> str:
    return json.dumps({**build_board(FLEET), **keys})


FIRST = build_board(FLEET)["panels"][0]
GONE = f'panel "{FIRST["title"]}" is gone'


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        (changed(panels=[1, 2], tags=7), GONE),
        (changed(panels=7), GONE),
        (changed(panels={"a": 1}), GONE),
        (changed(panels="abc"), GONE),
        (changed(panels=[*build_board(FLEET)["panels"], 1]), 'panel "" was added'),
        (changed(panels=[*build_board(FLEET)["panels"], {"id": [1], "title": "Odd"}]), 'panel "Odd" was added'),
        (changed(panels=[{**FIRST, "id": {}}, *build_board(FLEET)["panels"][1:]]), GONE),
        (changed(tags=7), "tags"),
        (changed(templating=[[1]]), "templating"),
    ],
)
def test_what_no_board_has_is_a_difference_of_ours(text: str, difference: str) -> None:
    others = [each for each in SHIPPED if each["metadata"]["name"] != FLEET.uid]
    answer = check(*others, strangers(text))
    assert answer.code == 1, answer
    found = findings(answer)
    assert found.keys() == {(name, "same") for name in NAMES - {"fleet"}} | {("fleet", "changed")}
    assert difference in found["fleet", "changed"]["differences"]


@pytest.mark.parametrize("links", [["x"], 7, "x", {"url": "x"}, [None], [{"url": ["x"]}], [{}]], ids=str)
def test_links_that_are_none_are_a_difference_of_their_panel(links: Any) -> None:
    """Wherever the others' pages are published."""
    model = build_board(FLEET, Links(runbooks="https://runbooks.example.com/gw"))
    linked = [each for each in model["panels"] if each.get("links")]
    linked[0]["links"] = links
    answer = check(strangers(json.dumps(model)))
    differences = findings(answer)["fleet", "changed"]["differences"]
    assert differences
    assert all(each.startswith(f'panel "{linked[0]["title"]}": links') for each in differences)


def test_a_link_that_no_page_is_published_at_is_a_difference() -> None:
    text = render_board(FLEET, Links(runbooks="https://runbooks.example.com"))
    answer = check(strangers(text.replace("https://runbooks.example.com", "javascript:alert(1)")))
    assert any(": links" in each for each in findings(answer)["fleet", "changed"]["differences"])


@pytest.mark.parametrize(
    ("text", "said"), [(TOO_DEEP, "it is nested too deeply"), (LONG_NUMBER, "it is no JSON")], ids=["deep", "long"]
)
def test_what_is_named_as_ours_and_cannot_be_read_is_said(text: str, said: str) -> None:
    operators = build_grafana_dashboards()
    operators[0]["spec"]["json"] = text
    for manifests in ([*SHIPPED, strangers(text, f"{FLEET.uid}.json")], operators):
        answer = check(*manifests)
        assert answer.code == 1, answer
        assert said in findings(answer)[None, "unreadable"]["differences"][0]  # type: ignore[index]
        assert len([state for _, state in findings(answer) if state == "same"]) >= len(NAMES) - 1


def test_files_of_others_may_be_of_any_encoding(tmp_path: Path) -> None:
    gw = Gw(ClusterDouble())
    assert gw("dashboards", "render", "--output-dir", str(tmp_path)).code == 0
    (tmp_path / "nodes.json").write_bytes(b"\xff\xfe")
    assert gw("dashboards", "check", "--folder", str(tmp_path)).code == 0
    (tmp_path / f"{FLEET.uid}.json").write_bytes(b"\xff\xfe")
    answer = gw("dashboards", "check", "--folder", str(tmp_path))
    assert answer.code == 1, answer
    assert "unreadable" in answer.out


@pytest.mark.parametrize("others", [False, True], ids=["empty", "with others' boards"])
def test_a_folder_without_any_of_ours_is_unknown_and_not_a_problem(tmp_path: Path, others: bool) -> None:
    if others:
        (tmp_path / "nodes.json").write_text(json.dumps({"uid": "nodes"}))
    answer = Gw(ClusterDouble())("dashboards", "check", "--folder", str(tmp_path))
    assert (answer.code, answer.out) == (3, ""), answer
    assert f"{tmp_path} has no dashboard of ours" in answer.err
    assert f"gw dashboards render --output-dir {tmp_path}" in answer.err


@pytest.mark.parametrize("option", [("--namespace", "monitoring"), ("--label", "grafana_dashboard=1")])
def test_a_folder_is_of_no_namespace_and_has_no_label(tmp_path: Path, option: tuple[str, str]) -> None:
    answer = Gw(ClusterDouble())("dashboards", "check", "--folder", str(tmp_path), *option)
    assert (answer.code, answer.out) == (2, ""), answer
    assert f"{option[0]} is of the cluster's boards" in answer.err
    assert f"Leave {option[0]} out, or --folder." in answer.err
