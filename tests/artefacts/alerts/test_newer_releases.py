"""Rules, cases and routes hold on a newer Prometheus and Alertmanager than Debian has, where they were built."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway_sandbox.controlplane.programs import AMTOOL, PROMTOOL
from gw_alerts import generate
from support.components import newer_program
from support.rule_files import needed_rules

CASES = sorted(generate.TESTS.glob("*.yaml"))


def check(*command: str | Path) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-20_000:]


def test_it_reads_the_rules() -> None:
    check(newer_program(PROMTOOL), "check", "rules", "--lint=all", "--lint-fatal", generate.FOLDER / generate.RULES)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_case_is_as_it_says_there_too(path: Path, tmp_path: Path) -> None:
    """With the rules that its looks need; Debian's release evaluates them all beside."""
    promtool = newer_program(PROMTOOL)
    test = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    (shipped,) = test["rule_files"]
    rules = yaml.load((path.parent / shipped).read_text(), Loader=yaml.CSafeLoader)
    (tmp_path / "rules.yaml").write_text(json.dumps(needed_rules(rules, test)))
    (tmp_path / "test.yaml").write_text(json.dumps({**test, "rule_files": ["rules.yaml"]}))
    check(promtool, "test", "rules", tmp_path / "test.yaml")


def test_it_reads_the_example_of_a_whole_configuration() -> None:
    # Without kubernetes_sd, which reads a service account's files.
    check(newer_program(PROMTOOL), "check", "config", "--syntax-only", generate.FOLDER / "prometheus.example.yaml")


def test_it_reads_the_routes() -> None:
    check(newer_program(AMTOOL), "check-config", generate.FOLDER / "alertmanager.example.yaml")
