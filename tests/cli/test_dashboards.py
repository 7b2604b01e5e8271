"""`gw dashboards` on a folder and on a cluster in memory."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.kube import errors
from gw_dashboards.catalog import BOARDS, short_name
from gw_dashboards.fleet import BOARD as FLEET
from gw_dashboards.grafana import build_board, render_board
from gw_dashboards.provisioning import MOUNTED_AT, PROVIDER, build_config_maps, build_grafana_dashboards
from support.page_commands import command_of

from .double import ClusterDouble
from .objects import healthy_cluster
from .rig import Gw, check_golden

Manifest = dict[str, Any]
NAMES = [short_name(board) for board in BOARDS]


def gw_on(*manifests: Manifest) -> Gw:
    return Gw(ClusterDouble(*healthy_cluster(), *manifests))


@pytest.fixture
def gw() -> Gw:
    return gw_on()


@pytest.fixture
def folder(gw: Gw, tmp_path: Path) -> Path:
    answer = gw("dashboards", "render", "--output-dir", str(tmp_path))
    assert answer.code == 0, answer
    return tmp_path


def test_one_board_is_printed_as_grafana_reads_it(gw: Gw) -> None:
    answer = gw("dashboards", "render", "fleet")
    assert (answer.code, answer.out, answer.err) == (0, render_board(FLEET), "")
    assert gw.targets == []


def test_several_boards_cannot_be_printed_in_one(gw: Gw) -> None:
    answer = gw("dashboards", "render")
    assert answer.code == 2
    assert "Name one of them, a folder with --output-dir DIR, or --configmaps." in answer.err


def test_an_unknown_board_is_refused_with_those_that_there_are(gw: Gw) -> None:
    answer = gw("dashboards", "render", "fleet", "runners")
    assert answer.code == 2
    assert "there is no board runners" in answer.err
    assert ", ".join(NAMES) in answer.err


def test_a_folder_gets_a_file_for_each_and_the_provisioning(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {f"{board.uid}.json" for board in BOARDS} | {PROVIDER}
    (provider,) = yaml.safe_load((folder / PROVIDER).read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)


def test_a_file_that_differs_is_overwritten_only_when_somebody_says_so(gw: Gw, folder: Path) -> None:
    path = folder / f"{FLEET.uid}.json"
    path.write_text("{}")
    answer = gw("dashboards", "render", "--output-dir", str(folder))
    assert answer.code == 2, answer
    assert "--force" in answer.err
    assert path.read_text() == "{}"
    answer = gw("dashboards", "render", "--output-dir", str(folder), "--force", "-o", "json")
    assert answer.code == 0
    was = {Path(each["path"]).name: each["was"] for each in json.loads(answer.out)["files"]}
    assert was[path.name] == "different"
    assert set(was.values()) == {"different", "same"}
    assert path.read_text() == render_board(FLEET)


def test_pages_are_linked_where_they_are_published(gw: Gw) -> None:
    answer = gw("dashboards", "render", "fleet", "--runbook-url", "https://runbooks.example.com/gw")
    assert '"https://runbooks.example.com/gw/runbooks/alerts/sessions-zero.md#' in answer.out
    answer = gw("dashboards", "render", "oncall", "--runbook-url", "https://runbooks.example.com/gw/")
    assert "https://runbooks.example.com/gw/runbooks/alerts/${__value.text:raw}" in answer.out


@pytest.mark.parametrize("form", [(), ("--configmaps",)], ids=["files", "configmaps"])
def test_without_an_address_of_the_pages_it_says_how_links_are_made(
    gw: Gw, tmp_path: Path, form: tuple[str, ...]
) -> None:
    where = ("--output-dir", str(tmp_path), *form)
    assert "--runbook-url makes links" in gw("dashboards", "render", *where).err
    linked = gw("dashboards", "render", *where, "--force", "--runbook-url", "https://runbooks.example.com")
    assert linked.code == 0, linked
    assert "--runbook-url" not in linked.err
    assert "Next:" in linked.err


def test_config_maps_have_the_sidecars_label(gw: Gw) -> None:
    answer = gw(
        "dashboards", "render", "fleet", "slo", "--configmaps", "--namespace", "monitoring", "--label", "board=yes"
    )
    assert answer.code == 0, answer
    fleet, slo = yaml.safe_load_all(answer.out)
    assert (fleet["kind"], fleet["metadata"]["namespace"]) == ("ConfigMap", "monitoring")
    assert fleet["metadata"]["labels"]["board"] == "yes"
    assert fleet["data"] == {f"{FLEET.uid}.json": render_board(FLEET)}
    assert slo["metadata"]["name"] == "actions-gateway-slo"


def test_the_provisioning_names_the_folder_that_grafana_has(gw: Gw, tmp_path: Path) -> None:
    path = "/srv/grafana/boards"
    answer = gw("dashboards", "render", "--output-dir", str(tmp_path), "--dashboards-path", path)
    assert f"the boards into its `path`, {path}." in answer.err
    provisioning = yaml.safe_load((tmp_path / PROVIDER).read_text())
    assert provisioning["providers"][0]["options"]["path"] == path
    command, _ = command_of(["dashboards", "render"])
    (told,) = (option.help for option in command.params if option.name == "path")
    assert MOUNTED_AT in told


def test_config_maps_can_be_a_file(gw: Gw, tmp_path: Path) -> None:
    answer = gw("dashboards", "render", "--configmaps", "--output-dir", str(tmp_path), "-o", "short")
    (path,) = tmp_path.iterdir()
    assert answer.out.strip() == str(path)
    manifests = list(yaml.safe_load_all(path.read_text()))
    assert [each["metadata"]["labels"]["grafana_dashboard"] for each in manifests] == ["1"] * len(BOARDS)
    assert all(len(json.dumps(each)) < 1024 * 1024 for each in manifests), "no ConfigMap is larger"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--label", "grafana_dashboard"), "--label: 'grafana_dashboard' is no label"),
        (("--label", "a b=1"), "'a b=1' is no label"),
        (("--label", "aäb=1"), "'aäb' is no name of a label"),
        (("--label", "board=aäb"), "'aäb' is no value of a label"),
        (("--label", f"{'a' * 80}=1"), "is no name of a label"),
        (("--label", "a..b/c=1"), "'a..b/c' is no name of a label"),
        (("--namespace", "monitoring", "fleet"), "--namespace is of ConfigMaps"),
        (("--label", "board=yes", "fleet"), "--label is of ConfigMaps"),
        (("--namespace", "Bad NS!", "--configmaps"), "'Bad NS!' cannot be a namespace's name"),
        (("--namespace", "a" * 64, "--configmaps"), "at most 63"),
        (("--namespace", "a/b", "--configmaps", "--output-dir", "missing"), "'a/b' cannot be a namespace's name"),
        (("--runbook-url", "javascript:alert(1)", "fleet"), "--runbook-url: this is no base URL"),
        (("--runbook-url", "https://h/x?a=b#c", "--configmaps"), "--runbook-url: a base URL has no query"),
        (("--runbook-url", "https://u:hunter2@h/x", "fleet"), "--runbook-url: the URL holds a password"),
        (("--dashboards-path", "/srv/boards", "fleet"), "--dashboards-path is of a provisioning file"),
        (("--dashboards-path", "/srv/boards", "--configmaps", "--output-dir", "x"), "is of a provisioning file"),
        (("--dashboards-path", "boards", "--output-dir", "x"), "'boards' is no absolute path"),
    ],
)
def test_wrong_usage_is_refused(gw: Gw, arguments: tuple[str, ...], said: str) -> None:
    answer = gw("dashboards", "render", *arguments)
    assert (answer.code, answer.out) == (2, ""), answer
    assert said in answer.err
    assert "Next:" in answer.err
    assert "hunter2" not in answer.err


def test_config_maps_may_be_of_any_namespace_that_can_be(gw: Gw) -> None:
    """Whose dashboards they are is the platform's to decide, so those reserved from tenants are fine."""
    answer = gw("dashboards", "render", "fleet", "--configmaps", "--namespace", "kube-system")
    assert answer.code == 0, answer


def test_without_grafanalib_it_says_what_to_install(gw: Gw, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("grafanalib", "gw_dashboards.grafana"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "gw_dashboards.provisioning")
    monkeypatch.setitem(sys.modules, "grafanalib", None)
    for arguments in (
        ("dashboards", "render", "fleet"),
        ("dashboards", "render", "--configmaps"),
        ("install", "--export", "--monitoring", "with", "--controller-image", f"example.com/c@sha256:{'a' * 64}",
         "--proxy-image", f"example.com/p@sha256:{'b' * 64}"),
    ):  # fmt: skip
        answer = gw(*arguments)
        assert answer.code == 2, answer
        assert "the dashboards cannot be built without the Python package grafanalib" in answer.err
        assert "extra `dashboards`" in answer.err


def test_files_as_they_ship_are_fine_wherever_pages_are_published(gw: Gw, tmp_path: Path) -> None:
    published = ("--runbook-url", "https://runbooks.example.com/gw")
    assert gw("dashboards", "render", "--output-dir", str(tmp_path), *published).code == 0
    answer = gw("dashboards", "check", "--folder", str(tmp_path), "-o", "json")
    assert answer.code == 0, answer
    assert {each["name"]: each["state"] for each in json.loads(answer.out)["dashboards"]} == dict.fromkeys(
        NAMES, "same"
    )
    assert gw.targets == []


def change(path: Path) -> None:
    """As an edit in Grafana, exported again."""
    model = json.loads(path.read_text())
    model["id"], model["version"] = 7, 3
    panel = next(each for each in model["panels"] if each["type"] == "stat")
    panel["targets"][0]["expr"] = "vector(0)"
    panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] = 5
    model["panels"].append({"id": 1, "type": "stat", "title": "Mine"})
    model["panels"] = [each for each in model["panels"] if each["title"] != "Workers by phase"]
    model["refresh"] = "5s"
    path.write_text(json.dumps(model))


def test_what_was_changed_by_hand_is_named(gw: Gw, folder: Path) -> None:
    change(folder / f"{FLEET.uid}.json")
    (folder / "actions-gateway-slo.json").unlink()
    (folder / "actions-gateway-egress.json").write_text("{")
    (folder / "copy.json").write_text(json.dumps({"uid": "mine", "title": "My copy", "tags": ["actions-gateway"]}))
    (folder / "nodes.json").write_text(json.dumps({"uid": "nodes", "title": "Nodes"}))
    (folder / "broken.json").write_text("{")
    answer = gw("dashboards", "check", "--folder", str(folder))
    assert answer.code == 1
    check_golden("dashboards-check.txt", answer.out.replace(str(folder), "DIR") + answer.err)
    document = json.loads(gw("dashboards", "check", "--folder", str(folder), "-o", "json").out)
    found = {(each["name"], each["state"]): each["differences"] for each in document["dashboards"]}
    assert found["fleet", "changed"] == [
        "refresh",
        'panel "Groups without a session": fieldConfig.defaults.thresholds.steps[1].value',
        'panel "Groups without a session": targets[0].expr',
        'panel "Workers by phase" is gone',
        'panel "Mine" was added',
    ]
    assert found["slo", "missing"] == []


def test_a_folder_that_is_none_is_refused(gw: Gw, tmp_path: Path) -> None:
    answer = gw("dashboards", "check", "--folder", str(tmp_path / "nowhere"))
    assert answer.code == 2
    assert "--folder DIR" in answer.err


def test_a_clusters_boards_are_found_in_both_forms() -> None:
    operators = build_grafana_dashboards()
    sidecars = build_config_maps(namespace="monitoring")
    sidecars[0]["data"]["strangers.json"] = "{"
    for manifests in (operators, sidecars):
        answer = gw_on(*manifests)("dashboards", "check", "-o", "json")
        assert answer.code == 0, answer
        assert [each["name"] for each in json.loads(answer.out)["dashboards"]] == NAMES


def test_an_edit_in_the_cluster_is_found() -> None:
    manifests = build_config_maps(namespace="monitoring")
    (fleet,) = [each for each in manifests if each["metadata"]["name"] == FLEET.uid]
    model = build_board(FLEET)
    model["title"] = "Ours now"
    fleet["data"] = {f"{FLEET.uid}.json": json.dumps(model)}
    gw = gw_on(*manifests)
    answer = gw("dashboards", "check", "-o", "json")
    assert answer.code == 1
    (changed,) = [each for each in json.loads(answer.out)["dashboards"] if each["state"] != "same"]
    assert (changed["name"], changed["place"]) == (
        "fleet",
        f"ConfigMap monitoring/{FLEET.uid} {FLEET.uid}.json",
    )
    assert changed["differences"] == ["title"]
    assert gw("dashboards", "check", "--namespace", "elsewhere").code == 3


def test_a_board_that_lies_elsewhere_is_not_called_fine() -> None:
    (first, *others) = build_grafana_dashboards()
    first["spec"] = {"url": "https://boards.example.com/oncall.json"}
    answer = gw_on(first, *others)("dashboards", "check")
    assert answer.code == 1
    assert "it names a board that lies elsewhere" in answer.out


def test_a_cluster_without_any_is_unknown_and_not_fine(gw: Gw) -> None:
    answer = gw("dashboards", "check")
    assert answer.code == 3
    assert "neither as GrafanaDashboard nor as ConfigMap with grafana_dashboard=1" in answer.err


def test_a_cluster_that_may_not_be_asked_is_unknown() -> None:
    cluster = ClusterDouble(*healthy_cluster())
    cluster.refusals["list", "configmaps"] = errors.Forbidden("configmaps is forbidden", status=403)
    answer = Gw(cluster)("dashboards", "check")
    assert answer.code == 3, answer
    assert "--namespace NS" in answer.err
