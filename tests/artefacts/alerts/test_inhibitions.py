"""Inhibitions as data: none hides what nobody else is told, and none comes too late; and the same on played faults."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.metrics.catalog import CATALOG, Component
from gw_alerts.artefacts import render_rules
from gw_alerts.catalog import ALERTS, BY_NAME, components, sessions
from gw_alerts.model import Alert, Arm, Depends, Signal
from gw_alerts.recordings import RECORDINGS
from gw_alerts.routing import INHIBITIONS, Inhibition
from gw_alerts.thresholds import Severity
from support.components import require_promtool
from support.firing import labels_of

NAME = re.compile(r"\bactions_gateway[a-z0-9_:]*")
EXPORTED_BY = {metric.name: set(metric.components) for metric in CATALOG}
RECORDED = {recording.name for recording in RECORDINGS}


def pairs() -> Iterator[tuple[Inhibition, Alert]]:
    for inhibition in INHIBITIONS:
        for alert in ALERTS:
            if inhibition.inhibits(alert):
                yield inhibition, alert


PAIRS = list(pairs())
IDS = [f"{inhibition.source.name}-{alert.name}" for inhibition, alert in PAIRS]


def ends_with_agent(arm: Arm) -> bool:
    """Whether the arm reads an agent's series alone: it cannot begin to fire because the agent is gone."""
    named = set(NAME.findall(arm.expression))
    return bool(named) and all(EXPORTED_BY.get(name) == {Component.AGENT} for name in named)


def test_every_inhibition_and_every_dependency_is_about_an_alert() -> None:
    assert {inhibition.source.name for inhibition, _ in PAIRS} == {each.source.name for each in INHIBITIONS}
    assert {each for alert in ALERTS for each in alert.depends} == set(Depends)
    assert all(BY_NAME[inhibition.source.name] is inhibition.source for inhibition in INHIBITIONS)


@pytest.mark.parametrize(("inhibition", "target"), PAIRS, ids=IDS)
def test_the_source_fires_no_later_than_its_target(inhibition: Inhibition, target: Alert) -> None:
    latest = max(arm.for_minutes for arm in inhibition.source.arms)
    sooner = [arm for arm in target.arms if arm.for_minutes < latest]
    assert all(inhibition.source is components.AGENT_DOWN and ends_with_agent(arm) for arm in sooner), [
        (arm.name, arm.for_minutes, latest) for arm in sooner
    ]


@pytest.mark.parametrize(("inhibition", "target"), PAIRS, ids=IDS)
def test_a_page_is_silenced_by_a_page_alone(inhibition: Inhibition, target: Alert) -> None:
    assert target.severity is not Severity.PAGE or inhibition.source.severity is Severity.PAGE


@pytest.mark.parametrize(("inhibition", "target"), PAIRS, ids=IDS)
def test_both_sides_have_the_labels_that_have_to_agree(inhibition: Inhibition, target: Alert) -> None:
    assert set(inhibition.equal) <= set(inhibition.source.grouping) & set(target.grouping)
    assert set(inhibition.equal) <= labels_of(inhibition.source).keys() & labels_of(target).keys()


def test_abuse_and_what_watches_the_watching_are_never_silenced() -> None:
    silenced = {alert.name for _, alert in PAIRS}
    kept = {alert.name for alert in ALERTS if alert.signal in (Signal.ABUSE, Signal.WATCH) or alert.is_always_firing}
    assert silenced & kept == set()
    assert any(BY_NAME[name].severity is Severity.PAGE and BY_NAME[name].signal is Signal.ABUSE for name in kept)


def test_whoever_silences_is_silenced_by_nobody() -> None:
    """So no chain, and no ring, ends in silence."""
    sources = {inhibition.source.name for inhibition in INHIBITIONS}
    assert sources & {alert.name for _, alert in PAIRS} == set()


def test_an_inhibition_that_excludes_a_label_spares_its_alerts() -> None:
    spared = Inhibition(
        sessions.GITHUB_UNREACHABLE,
        {Depends.GITHUB.value: "true"},
        ("cluster", "namespace"),
        "played",
        but={"severity": Severity.PAGE.value},
    )
    targets = {alert.severity for alert in ALERTS if spared.inhibits(alert)}
    assert targets == {Severity.TICKET}


# Faults as a Prometheus sees them: a sample each 30 s, the fault after ten minutes, another half an hour.
BEFORE, AFTER = 20, 60
MINUTES = range(1, (BEFORE + AFTER) // 2)


def constant(value: str) -> str:
    return f"{value}x{BEFORE + AFTER}"


def until_fault(values: str) -> str:
    """A target that is gone leaves a mark behind: its series end at once."""
    return f"{values}x{BEFORE} stale _x{AFTER}"


def drop(value: float) -> str:
    return f"{value}x{BEFORE} 0x{AFTER}"


def counts_until_fault(step: float) -> str:
    return f"0+{step}x{BEFORE} {BEFORE * step}x{AFTER}"


def counts_from_fault(step: float) -> str:
    return f"0x{BEFORE} 0+{step}x{AFTER}"


TENANT = 'namespace="team-a"'
GROUP = f'{TENANT},runner_group="ci"'
NAMED = f'{TENANT},name="gw"'

MANAGER_LIVES = {
    "actions_gateway_managed_gateways": constant("1"),
    f"actions_gateway_expected_sessions{{{GROUP}}}": constant("1"),
    f"actions_gateway_expected_agents{{{NAMED}}}": constant("1"),
}
AGENT_DIES = {
    **MANAGER_LIVES,
    f'actions_gateway_build_info{{{TENANT},component="agent"}}': until_fault("1"),
    # It closes its sessions first, and is scraped twice meanwhile.
    f"actions_gateway_active_sessions{{{GROUP}}}": f"1x{BEFORE - 2} 0x1 stale _x{AFTER}",
    f'actions_gateway_listener_slots{{{GROUP},state="polling"}}': until_fault("1"),
    f"actions_gateway_last_poll_timestamp_seconds{{{GROUP}}}": until_fault("0+30"),
    f"actions_gateway_lock_remaining_seconds{{{GROUP}}}": until_fault("590"),
    f"actions_gateway_token_expiry_timestamp_seconds{{{TENANT}}}": until_fault("3600"),
    f'actions_gateway_github_requests_total{{{TENANT},code_class="2xx"}}': until_fault("0+2"),
    # Its last word was an error: each of them counts one.
    f'actions_gateway_github_requests_total{{{TENANT},code_class="error"}}': f"0x{BEFORE - 1} 1 stale _x{AFTER}",
    f"actions_gateway_renewjob_errors_total{{{TENANT}}}": f"0x{BEFORE - 1} 1 stale _x{AFTER}",
}
GITHUB_ENDS = {
    **MANAGER_LIVES,
    f'actions_gateway_build_info{{{TENANT},component="agent"}}': constant("1"),
    # As bad as it gets: sessions close at once, and a hundred jobs renew their locks every minute.
    f"actions_gateway_active_sessions{{{GROUP}}}": drop(1),
    f'actions_gateway_listener_slots{{{GROUP},state="polling"}}': constant("1"),
    f"actions_gateway_last_poll_timestamp_seconds{{{GROUP}}}": f"0+30x{BEFORE} {BEFORE * 30}x{AFTER}",
    f"actions_gateway_lock_remaining_seconds{{{GROUP}}}": f"600x{BEFORE} 600-30x{AFTER}",
    f"actions_gateway_token_expiry_timestamp_seconds{{{TENANT}}}": constant("900"),
    f'actions_gateway_github_requests_total{{{TENANT},code_class="2xx"}}': counts_until_fault(52),
    f'actions_gateway_github_requests_total{{{TENANT},code_class="error"}}': counts_from_fault(52),
    f"actions_gateway_renewjob_errors_total{{{TENANT}}}": counts_from_fault(50),
    f"actions_gateway_message_poll_errors_total{{{TENANT}}}": counts_from_fault(10),
    f"actions_gateway_token_refresh_errors_total{{{TENANT}}}": counts_from_fault(1),
    f"actions_gateway_agent_recycle_errors_total{{{GROUP}}}": counts_from_fault(1),
}


def played(world: dict[str, str], source: Alert, targets: str) -> dict[str, Any]:
    """A test of promtool: at no minute fires a target while the source does not, and both do in the end."""
    firing = f'ALERTS{{alertstate="firing",{targets}}}'
    fires = f'ALERTS{{alertstate="firing",alertname="{source.name}"}}'
    early = {"expr": f"count({firing} unless on (namespace) {fires})", "exp_samples": []}
    both = {"expr": f"count({fires}) + 0 * count({firing})", "eval_time": "25m", "exp_samples": [{"value": 1}]}
    return {
        "interval": "30s",
        "name": source.name,
        "input_series": [{"series": name, "values": values} for name, values in world.items()],
        "promql_expr_test": [*({**early, "eval_time": f"{minute}m"} for minute in MINUTES), both],
    }


def test_on_played_faults_no_target_fires_before_its_source(tmp_path: Path) -> None:
    assert {name.partition("{")[0].removesuffix("_bucket") for name in {**AGENT_DIES, **GITHUB_ENDS}} <= set(
        EXPORTED_BY
    )
    (tmp_path / "rules.yaml").write_text(render_rules())
    tests = [
        played(AGENT_DIES, components.AGENT_DOWN, f'{Depends.AGENT.value}="true"'),
        played(GITHUB_ENDS, sessions.GITHUB_UNREACHABLE, f'{Depends.GITHUB.value}="true",severity="page"'),
    ]
    (path := tmp_path / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests})
    )
    result = subprocess.run(
        [require_promtool(), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
