"""The alert rules: generated, understood by Prometheus, on metrics and thresholds that exist, each with its page."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.metrics.catalog import CATALOG, Kind
from gw.checks.frontmatter import front_matter
from gw_alerts import generate
from gw_alerts.rules import ALERTS, Alert
from gw_alerts.thresholds import ALL, Severity
from support.components import require_promtool

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "alerts" / "tests"
NAMES = re.compile(r"\b(?:actions_gateway|controller_runtime)_[a-z0-9_]+")


def series_names() -> set[str]:
    """The series that the components export, histograms by their parts."""
    parts = {Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
    return {metric.name + part for metric in CATALOG for part in parts.get(metric.kind, ("",))}


def test_the_committed_rules_are_what_the_code_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_the_check_fails_on_drift_and_names_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--folder", str(tmp_path), "--check"]) == 1
    assert generate.COMMAND in capsys.readouterr().err
    assert generate.main(["--folder", str(tmp_path)]) == 0
    assert generate.main(["--folder", str(tmp_path), "--check"]) == 0


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_it_names_metrics_that_are_exported_and_its_threshold(alert: Alert) -> None:
    named = set(NAMES.findall(alert.expression))
    assert named
    assert named <= series_names()
    assert alert.threshold in ALL
    assert f"{alert.threshold.comparison.replace('=', '==')} {alert.threshold.value:g}" in alert.expression
    assert alert.threshold.severity in (Severity.PAGE, Severity.TICKET)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_it_has_a_page_that_knows_it(alert: Alert) -> None:
    text = (ROOT / alert.page).read_text()
    assert alert.name in front_matter(text)["alerts"]
    assert f'id="{alert.name.lower()}"' in text


def test_no_page_speaks_of_an_alert_that_is_gone() -> None:
    pages = [page for folder in ("alerts", "checks") for page in sorted((ROOT / "runbooks" / folder).glob("*.md"))]
    told = [name for page in pages for name in front_matter(page.read_text()).get("alerts", ())]
    assert sorted(told) == sorted(alert.name for alert in ALERTS)


def cases(alert: Alert) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What the test files expect of the alert after it had the time to fire: (the test, one of its expectations)."""
    documents = [yaml.safe_load(path.read_text()) for path in sorted(TESTS.glob("*.yaml"))]
    return [
        (test, case)
        for document in documents
        for test in document["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert.name and int(case["eval_time"].removesuffix("m")) > alert.for_minutes
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_it_has_a_case_in_which_it_fires(alert: Alert) -> None:
    severities = {fired["exp_labels"]["severity"] for _, case in cases(alert) for fired in case["exp_alerts"]}
    assert severities == {alert.threshold.severity.value}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_it_has_a_case_in_which_its_metrics_are_there_and_it_stays_quiet(alert: Alert) -> None:
    named = set(NAMES.findall(alert.expression))
    quiet = [test for test, case in cases(alert) if not case["exp_alerts"]]
    assert any(named & {entry["series"].partition("{")[0] for entry in test["input_series"]} for test in quiet)


def test_promtool_reads_the_rules_and_their_tests_pass() -> None:
    promtool = require_promtool()
    rules = [str(path) for path in sorted(generate.FOLDER.glob("*.yaml"))]
    for arguments in (["check", "rules", *rules], ["test", "rules", *map(str, sorted(TESTS.glob("*.yaml")))]):
        result = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_promtool_finds_a_rule_that_is_broken(tmp_path: Path) -> None:
    promtool = require_promtool()
    path = tmp_path / "rules.yaml"
    path.write_text(generate.render_rules().replace("> 5", "> > 5"))
    result = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert result.returncode != 0
