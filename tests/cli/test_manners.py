"""What every command has in common: where its settings come from, how it ends, what it never shows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from actions_gateway.kube import errors
from gw.errors import Blind

from .double import ClusterDouble
from .objects import healthy_cluster
from .rig import Gw, environment


@pytest.fixture
def healthy() -> Gw:
    return Gw(ClusterDouble(*healthy_cluster()))


def write_config(folder: Path, text: str) -> Path:
    path = folder / "gw.yaml"
    path.write_text(text)
    return path


def test_a_flag_beats_the_environment_beats_the_file(healthy: Gw, tmp_path: Path) -> None:
    path = write_config(tmp_path, "context: of-file\n")

    def context(*arguments: str, **variables: str) -> str | None:
        with environment(GW_CONFIG=str(path), **variables):
            assert healthy("tenant", "list", *arguments).code == 0
        return healthy.targets[-1].context

    assert context() == "of-file"
    assert context(GW_CONTEXT="of-environment") == "of-environment"
    assert context("--context", "of-flag", GW_CONTEXT="of-environment") == "of-flag"


def test_without_any_setting_discovery_decides(healthy: Gw) -> None:
    assert healthy("tenant", "list").code == 0
    assert (healthy.targets[-1].context, healthy.targets[-1].kubeconfig) == (None, None)


def test_the_file_may_choose_format_and_tenant(healthy: Gw, tmp_path: Path) -> None:
    with environment(GW_CONFIG=str(write_config(tmp_path, "output: json\nnamespace: team-a\n"))):
        shown = json.loads(healthy("runner-group", "list").out)
        assert shown["tenant"] == "team-a"
        assert json.loads(healthy("runner-group", "list", "-A").out)["tenant"] is None


def test_the_file_is_found_below_xdg_config_home(healthy: Gw) -> None:
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "gw" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("output: short\n")
    assert healthy("tenant", "list").out == "team-a\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("contxt: x\n", "unknown key 'contxt'"),
        ("output: xml\n", "'xml' is no format"),
        ("output: [\n", "line 2 is no YAML"),
        ("namespace: 7\n", "'namespace'"),
        ("- a\n", "no mapping"),
    ],
    ids=["unknown key", "unknown format", "broken YAML", "a number", "a list"],
)
def test_a_settings_file_that_is_wrong_is_refused_by_name(healthy: Gw, tmp_path: Path, text: str, said: str) -> None:
    path = write_config(tmp_path, text)
    with environment(GW_CONFIG=str(path)):
        answer = healthy("tenant", "list")
    assert answer.code == 2, answer
    assert said in answer.err


def test_a_settings_file_that_is_named_and_missing_is_refused(healthy: Gw) -> None:
    with environment(GW_CONFIG="/nonexistent/gw.yaml"):
        answer = healthy("tenant", "list")
    assert answer.code == 2
    assert "/nonexistent/gw.yaml" in answer.err


def test_json_and_yaml_hold_the_same_document(healthy: Gw) -> None:
    document = json.loads(healthy("tenant", "list", "-o", "json").out)
    assert yaml.safe_load(healthy("tenant", "list", "-o", "yaml").out) == document
    assert document["version"] == "gw/v1"


def test_without_a_terminal_nothing_is_coloured(healthy: Gw) -> None:
    for arguments in (["health"], ["tenant", "list"], ["tenant", "show", "team-a"]):
        answer = healthy(*arguments)
        assert "\x1b" not in answer.out + answer.err


def test_on_a_terminal_no_color_is_obeyed_and_the_words_stay_the_same(
    healthy: Gw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "300")
    plain = healthy("health").out
    coloured = healthy("health", terminal=True).out
    assert "\x1b[" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in healthy("health", terminal=True).out
    assert "ok        gateway.ready" in plain


def test_an_unreachable_cluster_is_one_sentence_and_exit_3(gw: Gw, tmp_path: Path) -> None:
    gw.real_cluster = True
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "a", "user": {"token": "planted-token"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "current-context": "a",
            }
        )
    )
    answer = gw("tenant", "list", "--kubeconfig", str(kubeconfig))
    assert answer.code == 3, answer
    assert answer.err.count("Error:") == 1
    assert "http://127.0.0.1:1 gives no answer" in answer.err
    assert "planted-token" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "said"),
    [
        (["--kubeconfig", "/nonexistent"], {}, 2, "the kubeconfig /nonexistent does not exist"),
        ([], {"KUBECONFIG": "/nonexistent"}, 3, "KUBECONFIG names /nonexistent"),
        ([], {}, 3, "there is no kubeconfig"),
    ],
    ids=["named by option", "named by KUBECONFIG", "nothing anywhere"],
)
def test_a_missing_kubeconfig(
    gw: Gw, arguments: list[str], variables: dict[str, str], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gw.real_cluster = True
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    answer = gw("tenant", "list", *arguments)
    assert answer.code == code, answer
    assert said in answer.err
    assert answer.out == ""


def test_a_context_that_the_kubeconfig_lacks(gw: Gw, tmp_path: Path) -> None:
    gw.real_cluster = True
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\ncurrent-context: x\n")
    answer = gw("tenant", "list", "--kubeconfig", str(kubeconfig), "--context", "other")
    assert answer.code == 3, answer
    assert "other" in answer.err
    assert f"kubectl config get-contexts --kubeconfig {kubeconfig}" in answer.err


def test_rejected_credentials_exit_with_4(healthy: Gw) -> None:
    healthy.cluster.refusals["*", "*"] = errors.Unauthorized("Unauthorized", status=401)
    for arguments in (["tenant", "list"], ["tenant", "show", "team-a"], ["runner-group", "list"], ["health"]):
        answer = healthy(*arguments)
        assert answer.code == 4, answer
        assert "does not accept the kubeconfig's credentials" in answer.err


def test_an_interrupt_exits_with_130_and_no_trace(gw: Gw) -> None:
    gw.opening = KeyboardInterrupt()
    answer = gw("tenant", "list")
    assert answer.code == 130
    assert answer.err == ""


def test_a_bug_is_a_sentence_and_a_trace_only_with_debug(gw: Gw) -> None:
    gw.opening = ZeroDivisionError("division by zero")
    answer = gw("tenant", "list")
    assert answer.code == 3
    assert "Traceback" not in answer.err
    assert "--debug" in answer.err
    assert "Traceback" in gw("tenant", "list", "--debug").err


def test_debug_shows_the_trace_of_an_expected_error_and_keeps_its_code(gw: Gw) -> None:
    gw.opening = Blind("the cluster is far away", "Go there.")
    assert "Traceback" not in gw("tenant", "list").err
    debugged = gw("tenant", "list", "--debug")
    assert debugged.code == 3
    assert "Traceback" in debugged.err
    assert "the cluster is far away" in debugged.err


def test_a_reader_that_goes_away_ends_gw_without_a_trace() -> None:
    program = "import gw.__main__ as m\nm.main()"
    # Gone before gw starts: a machine with much to do might let gw finish first.
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, "version"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (130, "")


def test_debug_shows_the_trace_and_keeps_the_two_sentences(healthy: Gw) -> None:
    answer = healthy("tenant", "show", "ghost", "--debug")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert "\nError: there is no namespace ghost.\nNext:  " in answer.err
