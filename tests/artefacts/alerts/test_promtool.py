"""Real promtool reads the rules, evaluates every case of them, and tells a rule that is broken or changed."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gw_alerts import generate
from gw_alerts.cases import render_cases
from gw_alerts.catalog import ALERTS
from gw_alerts.model import Links
from support.components import require_promtool

FILES = sorted(generate.TESTS.glob("*.yaml"))
TOGETHER = 2
"""Processes at once; each takes one processor."""


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([require_promtool(), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """The rules and one short file of cases, to change."""
    (tmp_path / "generated").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "generated" / generate.RULES).write_text(generate.render_rules())
    (tmp_path / "tests" / "sessions.yaml").write_text(render_cases()["sessions.yaml"])
    return tmp_path


def test_promtool_reads_the_rules() -> None:
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", generate.FOLDER / generate.RULES)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_case_is_as_it_says() -> None:
    require_promtool()
    with ThreadPoolExecutor(TOGETHER) as pool:
        results = list(pool.map(lambda path: promtool("test", "rules", path), FILES))
    failed = [result.stdout + result.stderr for result in results if result.returncode]
    assert not failed, "\n".join(failed)[-20_000:]


def test_a_broken_rule_is_found(workshop: Path) -> None:
    path = workshop / "generated" / generate.RULES
    path.write_text(path.read_text().replace("> 5", "> > 5"))
    assert promtool("check", "rules", path).returncode != 0


def test_a_changed_number_is_found(workshop: Path) -> None:
    path, cases = workshop / "generated" / generate.RULES, workshop / "tests" / "sessions.yaml"
    assert promtool("test", "rules", cases).returncode == 0
    path.write_text(path.read_text().replace("> 180", "> 181"))
    assert promtool("test", "rules", cases).returncode != 0


MANAGERS = "gmc-system"
GRAFANA = "https://grafana.example.com"


@pytest.mark.parametrize("cluster", ["", "blue"], ids=["one cluster", "of several clusters"])
def test_links_and_commands_lead_to_the_tenant_and_for_the_managers_own_work_to_the_platform(
    tmp_path: Path, cluster: str
) -> None:
    alert = next(each for each in ALERTS if each.name == "ActionsGatewayReconcileErrors")
    (rule,) = alert.rules(Links(grafana=GRAFANA))
    told = {name: rule["annotations"][name] for name in ("dashboard_url", "command")}
    groups = [
        {
            "name": "g",
            "rules": [{"alert": alert.name, "expr": "sum by (cluster, namespace) (probe) > 0", "annotations": told}],
        }
    ]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": groups}))
    about = {"cluster": cluster} if cluster else {}
    wanted = {
        MANAGERS: (f"actions-gateway-fleet{'?var-cluster=blue' if cluster else ''}", "gw health --check "),
        "team-a": (
            f"actions-gateway-tenant?var-namespace=team-a{'&var-cluster=blue' if cluster else ''}",
            "gw health team-a --check ",
        ),
    }
    alerts = [
        {
            "exp_labels": {"namespace": namespace, **about},
            "exp_annotations": {"dashboard_url": f"{GRAFANA}/d/{board}", "command": f"{command}{alert.checks[0]}"},
        }
        for namespace, (board, command) in wanted.items()
    ]
    series = [{"series": f'probe{{namespace="{each}", cluster="{cluster}"}}', "values": "1"} for each in wanted]
    look = {"eval_time": "0m", "alertname": alert.name, "exp_alerts": alerts}
    case = {"interval": "1m", "input_series": series, "alert_rule_test": [look]}
    (tmp_path / "test.yaml").write_text(json.dumps({"rule_files": ["rules.yaml"], "tests": [case]}))
    result = promtool("test", "rules", tmp_path / "test.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
