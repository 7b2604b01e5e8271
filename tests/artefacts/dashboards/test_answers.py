"""What boards answer of clusters that two Prometheus servers watch, and of one whose rules nobody evaluates.

What both servers tell of one process, and an alert that fires for two reasons, counts once.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.metrics import catalog as m
from gw_alerts.model import TEAM
from gw_dashboards.alerting import ARMED, WATCHDOG
from support.board_queries import EVERYTHING, Asked, questions
from support.board_series import INTERVAL, MINUTES, SAMPLES, input_series
from support.components import require_promtool

ONCE, TWICE = "once", "twice"
EVAL_TIME = f"{MINUTES}m"
ONE_ERROR = f"0x{SAMPLES - 100} 1x100"
ASKED = {cluster: list(questions((cluster,))) for cluster in (ONCE, TWICE)}


def unexpected(folder: Path, series: list[dict[str, str]], looks: list[dict[str, Any]]) -> str:
    """What promtool finds that the looks do not expect."""
    test = {"interval": INTERVAL, "input_series": series, "promql_expr_test": looks}
    (path := folder / "replicas.test.yaml").write_text(json.dumps({"rule_files": [], "tests": [test]}))
    result = subprocess.run([require_promtool(), "test", "rules", path], capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def none_of(expression: str) -> dict[str, Any]:
    return {"expr": expression, "eval_time": EVAL_TIME, "exp_samples": []}


def differs(once: Asked, twice: Asked) -> str:
    """Series in which the two answers are not the same."""
    one = f"({once.expression})"
    other = f'label_replace({twice.expression}, "cluster", "{ONCE}", "cluster", "{TWICE}")'
    return f"abs({other} - {one}) > 0.000001 or ({other} unless {one}) or ({one} unless {other})"


@pytest.fixture(scope="module")
def series() -> list[dict[str, str]]:
    return [
        each
        for cluster, asked in ASKED.items()
        for each in input_series((one.expression for one in asked), cluster, is_told_twice=cluster == TWICE)
    ]


def test_every_query_answers_the_same_of_what_is_told_twice(tmp_path: Path, series: list[dict[str, str]]) -> None:
    looks = [none_of(differs(once, twice)) for once, twice in zip(ASKED[ONCE], ASKED[TWICE], strict=True)]
    assert unexpected(tmp_path, series, looks) == ""


def test_every_query_has_an_answer_that_could_be_twice_as_much(tmp_path: Path, series: list[dict[str, str]]) -> None:
    # The least of several is the idle tenant's 0.
    asked = [each.expression for each in ASKED[TWICE] if not each.expression.startswith("min(")]
    assert unexpected(tmp_path, series, [none_of(f"absent(({each}) != 0)") for each in asked]) == ""


def test_one_error_that_two_servers_tell_is_one_and_fine_as_for_its_alert(tmp_path: Path) -> None:
    metric = m.TOKEN_REFRESH_ERRORS
    asked = [each for each in ASKED[TWICE] if metric.name in each.query.expression]
    series = [
        {"series": f'{metric.name}{{cluster="{TWICE}",namespace="x",prometheus_replica="{each}"}}', "values": ONE_ERROR}
        for each in ("a", "b")
    ]
    one = [{"labels": f'{{cluster="{TWICE}",namespace="x"}}', "value": 1}]
    looks = [{"expr": each.expression, "eval_time": EVAL_TIME, "exp_samples": one} for each in asked]
    assert unexpected(tmp_path, series, looks) == ""
    assert {each.panel.title for each in asked if each.is_judged and not each.is_bad(1) and each.is_bad(2)} == {
        "Tenants",
        "Installation tokens that could not be minted, of an hour",
    }


ALIVE, DEAD, UNLABELLED = 'cluster="alive"', 'cluster="dead"', ""


def armed_in(cluster: str) -> dict[str, str]:
    labels = ",".join(filter(None, ('alertname="Watchdog"', f'team="{TEAM}"', 'alertstate="firing"', cluster)))
    return {"series": f"ALERTS{{{labels}}}", "values": f"1x{SAMPLES}"}


def has_ours(cluster: str) -> dict[str, str]:
    return {"series": f'{m.BUILD_INFO.name}{{component="manager",{cluster}}}', "values": f"1x{SAMPLES}"}


def answers(asked: Asked, samples: dict[str, int]) -> dict[str, Any]:
    found = [{"labels": f"{{{labels}}}", "value": value} for labels, value in samples.items()]
    return {"expr": asked.expression, "eval_time": EVAL_TIME, "exp_samples": found}


@pytest.mark.parametrize(
    ("series", "switch", "count"),
    [
        pytest.param([armed_in(ALIVE)], {}, {}, id="it has nothing of ours"),
        pytest.param([armed_in(ALIVE), has_ours(DEAD)], {DEAD: 0}, {}, id="it has something of ours"),
        pytest.param(
            [armed_in(UNLABELLED), has_ours(DEAD)], {UNLABELLED: 1}, {UNLABELLED: 0}, id="one for all of them"
        ),
        pytest.param([armed_in(DEAD), has_ours(DEAD)], {DEAD: 1}, {UNLABELLED: 0}, id="by its own"),
    ],
)
def test_rules_that_another_cluster_evaluates_arm_no_other_one(
    tmp_path: Path, series: list[dict[str, str]], switch: dict[str, int], count: dict[str, int]
) -> None:
    """A Prometheus that is no cluster's evaluates the rules of all of them."""
    armed = [each for each in questions(("dead",)) if WATCHDOG in each.panel.alerts]
    counts = [each for each in questions(("dead",)) if each.query.expression.endswith(f"0 * count({ARMED})")]
    assert armed
    assert counts
    looks = [*(answers(each, switch) for each in armed), *(answers(each, count) for each in counts)]
    assert unexpected(tmp_path, series, looks) == ""


def test_the_switch_shows_a_cluster_whose_rules_nobody_evaluates_beside_one_whose_are(tmp_path: Path) -> None:
    (armed,) = [each for each in questions((EVERYTHING,)) if WATCHDOG in each.panel.alerts]
    series = [armed_in(ALIVE), has_ours(ALIVE), has_ours(DEAD)]
    assert unexpected(tmp_path, series, [answers(armed, {ALIVE: 1, DEAD: 0})]) == ""
    assert armed.is_bad(0)
    assert not armed.is_bad(1)
