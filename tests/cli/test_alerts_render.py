"""gw alerts render: every artefact as its generator makes it, and no file that differs is lost."""

import errno
import json
import os
from pathlib import Path

import pytest
import yaml

from gw_alerts import artefacts
from gw_alerts.alertmanager import render_alertmanager
from gw_alerts.cases import render_cases
from gw_alerts.model import Links
from gw_alerts.values import load_values
from support.alertmanager import EXAMPLE_VALUES

from .rig import Gw

VALUES = str(EXAMPLE_VALUES)


def body(text: str) -> str:
    head, _, rest = text.partition("\n")
    assert head == "# Rendered by `gw alerts render`: render it again rather than editing it."
    return rest


@pytest.mark.parametrize(
    ("artefact", "text"),
    [
        ("rules", artefacts.render_rules()),
        ("prometheusrule", artefacts.render_prometheus_rule()),
        ("scrape", artefacts.render_scrape_configs()),
        ("monitors", artefacts.render_monitors()),
    ],
)
def test_one_artefact_is_printed_without_any_values(gw: Gw, artefact: str, text: str) -> None:
    answer = gw("alerts", "render", artefact)
    assert answer.code == 0, answer
    assert body(answer.out) == text
    assert gw.targets == []


def test_values_bring_routes_and_links(gw: Gw) -> None:
    values = load_values(EXAMPLE_VALUES)
    assert body(gw("alerts", "render", "alertmanager", "--values", VALUES).out) == render_alertmanager(values)
    assert body(gw("alerts", "render", "prometheus", "--values", VALUES).out) == artefacts.render_prometheus(values)
    assert body(gw("alerts", "render", "rules", "--values", VALUES).out) == artefacts.render_rules(values.links)


def test_an_example_of_values_comes_with_gw(gw: Gw, tmp_path: Path) -> None:
    """Where only the package is installed there is no other place that has it."""
    missing = gw("alerts", "render", "alertmanager")
    assert missing.code == 2, missing
    assert "`gw alerts render values` prints an example" in missing.err
    printed = gw("alerts", "render", "values")
    assert printed.code == 0, printed
    (tmp_path / "values.yaml").write_text(printed.out)
    assert load_values(tmp_path / "values.yaml") == load_values(EXAMPLE_VALUES)
    assert printed.out.startswith("# What this project cannot know")


LABELS = {"release": "kube-prometheus-stack", "team.example.com/owner": "ci"}


def labels_of_objects(text: str) -> dict[str, dict[str, str]]:
    return {each["kind"]: each["metadata"]["labels"] for each in yaml.safe_load_all(text)}


def test_a_prometheus_that_selects_by_label_finds_monitors_and_rules(gw: Gw, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    content = yaml.safe_load(EXAMPLE_VALUES.read_text())
    values.write_text(yaml.safe_dump({**content, "monitoring": {"labels": LABELS}}))
    asked = [text for key, value in LABELS.items() for text in ("--label", f"{key}={value}")]
    for artefact in ("prometheusrule", "monitors"):
        for options in (["--values", str(values)], asked, ["--values", VALUES, *asked]):
            answer = gw("alerts", "render", artefact, *options)
            assert answer.code == 0, answer
            found = labels_of_objects(answer.out)
            found.pop("Service", None)
            assert found
            assert all(labels.items() >= LABELS.items() for labels in found.values())
        plain = labels_of_objects(gw("alerts", "render", artefact).out)
        assert not any("release" in labels for labels in plain.values())


@pytest.mark.parametrize(
    ("artefact", "label", "words"),
    [
        ("monitors", "release", "'release' is not KEY=VALUE"),
        ("monitors", "release=a b", "'a b' is no value of a label"),
        ("monitors", "a/b/c=x", "'a/b/c' is no name of a label"),
        ("monitors", "app.kubernetes.io/name=x", "is not to be changed"),
        ("monitors", "a=1,a=2", "'a' is there twice"),
        ("rules", "release=x", "rules has no labels"),
    ],
)
def test_what_is_no_label_to_select_by_is_refused(gw: Gw, artefact: str, label: str, words: str) -> None:
    answer = gw("alerts", "render", artefact, "--label", label)
    assert answer.code == 2, answer
    assert "--label" in answer.err
    assert words in answer.err


def test_links_may_be_given_by_themselves_and_before_those_of_the_values(gw: Gw) -> None:
    links = ("--runbook-url", "https://pages.example.com/gw", "--grafana-url", "https://grafana.example.com/x/")
    wanted = Links("https://pages.example.com/gw", "https://grafana.example.com/x")
    for more in ((), ("--values", VALUES)):
        assert body(gw("alerts", "render", "rules", *links, *more).out) == artefacts.render_rules(wanted)


def test_a_folder_gets_every_file_of_an_installation_and_a_second_run_changes_none(gw: Gw, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "files"
    command = ("alerts", "render", "--values", VALUES, "--output-dir", str(folder))
    answer = gw(*command)
    assert answer.code == 0, answer
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "actions-gateway.rules.yaml",
        "prometheusrule.yaml",
        "scrape-configs.yaml",
        "monitors.yaml",
        "alertmanager.yaml",
        "prometheus.yaml",
    }
    assert (folder / "alertmanager.yaml").stat().st_mode & 0o777 == 0o644
    again = gw(*command, "-o", "json")
    assert {each["was"] for each in json.loads(again.out)["files"]} == {"same"}
    assert {path.name for path in folder.iterdir()} == files


def test_without_values_the_files_of_no_installation_are_left_out(gw: Gw, tmp_path: Path) -> None:
    assert gw("alerts", "render", "--output-dir", str(tmp_path)).code == 0
    assert not (tmp_path / "alertmanager.yaml").exists()


def test_promtools_tests_find_the_rules_beside_them(gw: Gw, tmp_path: Path) -> None:
    for artefact in ("rules", "cases"):
        assert gw("alerts", "render", artefact, "--output-dir", str(tmp_path)).code == 0
    for path in (tmp_path / "tests").iterdir():
        (rules,) = yaml.safe_load(path.read_text())["rule_files"]
        assert (path.parent / rules).resolve() == tmp_path / "actions-gateway.rules.yaml"


def test_a_file_that_differs_is_kept_until_somebody_says_otherwise(gw: Gw, tmp_path: Path) -> None:
    command = ("alerts", "render", "--values", VALUES, "--output-dir", str(tmp_path))
    theirs = "receivers: [{name: mine, slack_configs: [{api_url: https://hooks.example.com/T0/planted}]}]\n"
    (tmp_path / "alertmanager.yaml").write_text(theirs)
    refused = gw(*command)
    assert refused.code == 2, refused
    assert "alertmanager.yaml differs" in refused.err
    assert "--force" in refused.err
    assert "planted" not in refused.out + refused.err
    assert gw(*command, answer="n\n").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["alertmanager.yaml"]
    assert (tmp_path / "alertmanager.yaml").read_text() == theirs
    assert gw(*command, answer="y\n").code == 0
    assert "oncall-sre" in (tmp_path / "alertmanager.yaml").read_text()
    (tmp_path / "alertmanager.yaml").write_text(theirs)
    assert gw(*command, "--force").code == 0
    assert "oncall-sre" in (tmp_path / "alertmanager.yaml").read_text()


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_plain_file_is_not_replaced(gw: Gw, tmp_path: Path, kind: str) -> None:
    place, target = tmp_path / "actions-gateway.rules.yaml", tmp_path / "elsewhere"
    place.mkdir() if kind == "folder" else place.symlink_to(target)
    answer = gw("alerts", "render", "--output-dir", str(tmp_path), "--force")
    assert answer.code == 2, answer
    assert "is no plain file" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["actions-gateway.rules.yaml"]


def test_a_file_that_is_closed_to_others_stays_so(gw: Gw, tmp_path: Path) -> None:
    (place := tmp_path / "actions-gateway.rules.yaml").write_text("")
    place.chmod(0o600)
    assert gw("alerts", "render", "--output-dir", str(tmp_path), "--force").code == 0
    assert place.stat().st_size
    assert place.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "monitors.yaml").stat().st_mode & 0o777 == 0o644


FOLDER_FILES = ("actions-gateway.rules.yaml", "prometheusrule.yaml", "scrape-configs.yaml", "monitors.yaml")


def old_files(folder: Path) -> None:
    for name in FOLDER_FILES:
        (folder / name).write_text("old\n")


def test_without_room_for_all_of_them_none_is_replaced(gw: Gw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_files(tmp_path)
    written: list[int] = []

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    answer = gw("alerts", "render", "--output-dir", str(tmp_path), "--force")
    assert answer.code == 2, answer
    assert f"{tmp_path} cannot be written to: No space left on device" in answer.err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(FOLDER_FILES, "old\n")


def test_files_that_are_replaced_before_an_error_are_named(
    gw: Gw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_files(tmp_path)
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target.name == FOLDER_FILES[2]:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    answer = gw("alerts", "render", "--output-dir", str(tmp_path), "--force")
    assert answer.code == 2, answer
    assert f"{tmp_path} is a mix of new and old files: Operation not permitted" in answer.err
    for name in FOLDER_FILES:
        is_old = (tmp_path / name).read_text() == "old\n"
        assert is_old is (name in FOLDER_FILES[2:])
        assert f"{'as before' if is_old else 'written'}: {tmp_path / name}" in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FOLDER_FILES), "nothing half-written is left"


def test_a_folder_that_is_a_file_is_named(gw: Gw, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    answer = gw("alerts", "render", "--output-dir", str(tmp_path / "x"))
    assert answer.code == 2, answer
    assert f"{tmp_path / 'x'} cannot be written to: " in answer.err


@pytest.mark.parametrize(
    ("change", "field", "next_step"),
    [
        (
            lambda each: each["receivers"]["oncall-sre"]["pagerduty"][0].pop("routing_key_file"),
            "routing_key_file",
            "file",
        ),
        (lambda each: each["receivers"].pop("dead-man"), "receivers.dead-man is missing", "Say whom it tells"),
        (
            lambda each: each["receivers"]["oncall-sre"]["pagerduty"][0].update(routing_key="planted-secret"),
            "routing_key would be a secret in the file",
            "routing_key_file",
        ),
        (lambda each: each.update(clustr="x"), "clustr is not known", "Correct its name"),
        (lambda each: each.pop("cluster"), "cluster is missing", "Add it"),
    ],
    ids=["a secret's file", "a receiver", "a secret in place of its file", "a wrong key", "the cluster"],
)
def test_values_that_cannot_be_used_are_refused_by_field_and_nothing_is_written(
    gw: Gw, tmp_path: Path, change: object, field: str, next_step: str
) -> None:
    content = yaml.safe_load(EXAMPLE_VALUES.read_text())
    assert callable(change)
    change(content)
    (values := tmp_path / "values.yaml").write_text(yaml.safe_dump(content))
    answer = gw("alerts", "render", "--values", str(values), "--output-dir", str(tmp_path / "out"))
    assert answer.code == 2, answer
    assert field in answer.err
    assert next_step in answer.err
    assert "planted-secret" not in answer.out + answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rulez"], "'rulez' is nothing that can be rendered"),
        ([], "several files cannot be printed"),
        (["cases"], f"cases are {len(render_cases())} files"),
        (["alertmanager"], "alertmanager is about one installation"),
        (["rules", "--values", "/nonexistent.yaml"], "cannot be used: cannot be read: No such file or directory"),
        (["rules", "--runbook-url", "pages"], "--runbook-url: this is no base URL"),
        (["rules", "--grafana-url", "https://admin:hunter2@g"], "--grafana-url: the URL holds a password"),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_the_next_step(gw: Gw, arguments: list[str], words: str) -> None:
    answer = gw("alerts", "render", *arguments)
    assert (answer.code, answer.out) == (2, ""), answer
    assert words in answer.err
    assert "Next:" in answer.err
    assert "hunter2" not in answer.err
