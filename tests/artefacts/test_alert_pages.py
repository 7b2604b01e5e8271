"""Alerts and their pages: one for each, in the house form, short, with the catalogue's numbers and with queries."""

import functools
import re
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.api import labels, names
from actions_gateway.api.names import AGENT, API_GROUP, MANAGER, PROXY
from gateway_sandbox.apiserver.builtin import BuiltinTypes
from gw.checks.catalog import CATALOG as CHECKS
from gw.checks.frontmatter import front_matter
from gw.ops.runbook.finding import search
from gw.ops.runbook.library import find_page, read_library
from gw.ops.runbook.model import Need
from gw_alerts import pages
from gw_alerts.catalog import ALERTS, BY_NAME
from gw_alerts.model import Alert, Links
from gw_alerts.thresholds import Severity
from gw_dashboards.catalog import BOARDS, short_name
from support.components import require_promtool
from support.page_commands import commands_in, gw_commands_in, refusal
from support.page_rights import is_given, rights_of
from support.promql import expressions_in, known_labels, selections, series_in
from support.seed import production_runbook

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "runbooks"
PATHS = sorted((RUNBOOKS / "alerts").glob("*.md"))
OF_ALERTS = [pytest.param(path, id=path.stem) for path in PATHS]
EVERY = [pytest.param(path, id=path.stem) for path in sorted(RUNBOOKS.rglob("*.md"))]
OF_CHECKS_TOO = [each for each in EVERY if each.values[0].parent.name in ("alerts", "checks")]
BY_ALERT = [pytest.param(alert, id=alert.name) for alert in ALERTS]
LIBRARY = read_library()
RUNBOOK = production_runbook()

SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Verification", "False positives", "Rules", "Escalation"]
MAY_LACK = {"False positives"}
MOST_LINES, MOST_CHARACTERS = 85, 6000
"""Of what is written by hand: what a person who was woken reads to its end."""
CLOCK = re.compile(r"\b(1 h|10 min|2 min|24 h)\b")
"""Of GitHub's clocks: a token, a lock, a delivery, a queued job."""

PANEL = re.compile(r'On the board (\S+), "([^"]+)"')
ANSWERS = re.compile(r'actions_gateway_github_requests_total\{[^}]*code_class=~("[^"]+")')
CONFUSED_BY_OTHERS = ("--category", "--check alerts.firing")
"""Of `gw health`: they look at what fires, or is broken, beside the alert of the page."""
BEYOND_ONCALL = {
    "By the platform's owners": Need.PLATFORM,
    "By whoever may write the tenant's Secrets": Need.SECRETS,
}
"""The words with which a step says that it takes more than the role of those on call."""
COMMAND = re.compile(r"`((?:gw|kubectl) [^`]+)`")

ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
FENCE = re.compile(r"^ *```sh\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(kubectl [^`]+)`")
KEY = re.compile(rf"{re.escape(API_GROUP)}/[a-z0-9-]*[a-z0-9]")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def by_hand(text: str) -> str:
    """A page without its front matter and without what is generated."""
    body = text.partition("\n---\n")[2]
    return re.sub(r"<!-- generated: .*?<!-- end of generated -->", "", body, flags=re.DOTALL)


def alerts_of(path: Path) -> list[Alert]:
    return [alert for alert in ALERTS if ROOT / alert.page == path]


# -- which pages there are


def test_every_alert_has_a_page_and_every_page_alerts() -> None:
    assert sorted({ROOT / alert.page for alert in ALERTS}) == PATHS


def test_an_alert_is_in_the_front_matter_of_its_own_page_alone() -> None:
    told = {path: front_matter(read(path)).get("alerts", []) for path in RUNBOOKS.glob("*/*.md") if path in PATHS}
    assert {path: sorted(names) for path, names in told.items()} == {
        path: sorted(alert.name for alert in alerts_of(path)) for path in PATHS
    }
    others = [path for path in RUNBOOKS.rglob("*.md") if path not in PATHS and read(path).startswith("---\n")]
    assert [path for path in others if "alerts" in front_matter(read(path))] == []


def test_an_alert_has_one_anchor_which_its_notification_leads_to() -> None:
    found = [(path, anchor) for path in RUNBOOKS.rglob("*.md") for anchor in ANCHOR.findall(read(path))]
    wanted = {(ROOT / alert.page, alert.anchor) for alert in ALERTS}
    assert len(found) == len(set(found))
    assert wanted <= set(found)
    assert {anchor for path, anchor in set(found) - wanted if path in PATHS} == set()


@pytest.mark.parametrize("alert", BY_ALERT)
def test_an_alert_s_check_is_one_of_health(alert: Alert) -> None:
    assert set(alert.checks) <= {check.id for check in CHECKS}


@pytest.mark.parametrize("path", OF_ALERTS)
def test_a_page_says_when_it_is_to_be_reviewed_and_what_one_sees(path: Path) -> None:
    head = front_matter(read(path))
    assert isinstance(head["review_due"], date)
    assert head["symptoms"]
    assert list(head) == ["title", "alerts", "review_due", "symptoms"]
    assert f"\n# {head['title']}\n" in read(path)


# -- form


@pytest.mark.parametrize("path", OF_ALERTS)
def test_a_page_has_its_sections_in_order(path: Path) -> None:
    found = re.findall(r"^## (.+)$", by_hand(read(path)), re.MULTILINE)
    assert found == [title for title in SECTIONS if title in found]
    assert set(SECTIONS) - set(found) <= MAY_LACK


@pytest.mark.parametrize("path", OF_ALERTS)
def test_a_page_is_read_to_its_end_at_night(path: Path) -> None:
    text = by_hand(read(path))
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text) <= MOST_CHARACTERS


@pytest.mark.parametrize("path", OF_ALERTS)
def test_meaning_begins_with_the_catalogue_s_words_and_the_rules_end_the_page(path: Path) -> None:
    text = read(path)
    assert section(text, "Meaning").startswith("\n<!-- generated: alerts -->\n")
    assert section(text, "Rules").startswith("\n<!-- generated: rules -->\n")


@pytest.mark.parametrize(
    "path", [each for each in OF_ALERTS if any(a.severity is Severity.PAGE for a in alerts_of(each.values[0]))]
)
def test_the_impact_of_a_page_alert_has_a_clock(path: Path) -> None:
    assert path.stem == "abuse-eviction-loop" or CLOCK.search(section(read(path), "Impact"))


@pytest.mark.parametrize("path", OF_ALERTS)
def test_diagnosis_goes_from_gw_to_kubectl_to_promql_to_a_table(path: Path) -> None:
    text = section(read(path), "Diagnosis")
    commands = [words[0] for words in commands_in(FENCE.findall(text)[0])]
    assert commands[0] == "gw"
    assert commands == sorted(commands, key=lambda program: program != "gw")[: len(commands)]
    assert "kubectl" in commands
    places = [text.index("```sh"), text.index("```promql"), text.index("| Then |")]
    assert places == sorted(places)


@pytest.mark.parametrize("alert", [each for each in BY_ALERT if each.values[0].checks])
def test_a_page_asks_the_checks_that_the_notification_names(alert: Alert) -> None:
    text = read(ROOT / alert.page)
    asked = section(text, "Diagnosis") if alert.severity is Severity.PAGE else text
    assert [check for check in alert.checks if f"--check {check}" not in asked] == []


@pytest.mark.parametrize("path", OF_ALERTS)
def test_what_changes_something_says_whom_it_hits_and_how_it_is_undone(path: Path) -> None:
    steps = re.split(r"^\d+\. ", section(read(path), "Mitigation"), flags=re.MULTILINE)[1:]
    assert steps
    writes = re.compile(
        r"`(?:gw (?:restart|tenant (?:update|pause|remove)|runner-group scale|quota adjust|key rotate|incident \w+-\w+"
        r"|install|job rerun)|kubectl (?:rollout|patch|annotate|scale|cordon|delete))"
    )
    silent = [step for step in steps if writes.match(step) and not ("Hits:" in step and "Undo:" in step)]
    assert silent == []


def steps_of(path: Path) -> list[str]:
    """Those of its mitigation."""
    return re.split(r"^\d+\. ", section(read(path), "Mitigation"), flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("path", OF_ALERTS)
def test_a_step_says_where_it_takes_more_than_the_role_of_those_on_call(path: Path) -> None:
    for step in steps_of(path):
        needs = [Need.ONCALL, *(need for words, need in BEYOND_ONCALL.items() if words in step)]
        taken = [right for command in COMMAND.findall(step) for right in rights_of(command)]
        assert [str(right) for right in taken if not is_given(right, needs)] == [], step


def test_a_restart_of_an_agent_that_may_hold_its_last_token_is_warned_of() -> None:
    """It revokes its token when it stops, and gets no other while GitHub refuses or limits it."""
    for name in ("token-refresh", "sessions-zero", "acquisition-stalled"):
        (step,) = [
            each for each in steps_of(RUNBOOKS / "alerts" / f"{name}.md") if each.startswith("`gw restart agent")
        ]
        assert "Not while GitHub refuses the key or limits the tenant" in step


@pytest.mark.parametrize("path", OF_ALERTS)
def test_verification_ends_with_the_incident_whatever_else_fires(path: Path) -> None:
    text = section(read(path), "Verification")
    assert [words for words in CONFUSED_BY_OTHERS if words in text] == []


@pytest.mark.parametrize("path", OF_ALERTS)
def test_verification_names_a_panel_on_which_one_sees_it_end(path: Path) -> None:
    ((name, title),) = PANEL.findall(section(read(path), "Verification"))
    (board,) = [board for board in BOARDS if short_name(board) == name]
    (panel,) = [panel for panel in board.panels() if panel.title == title]
    assert set(panel.alerts) & set(alerts_of(path))


# -- numbers


def test_what_is_generated_is_what_the_catalogue_says() -> None:
    assert pages.outdated_pages() == [], "repair with: make generate"


def test_a_number_that_was_changed_by_hand_is_found_and_put_right(tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    page = tmp_path / "alerts" / "renewjob.md"
    good = read(RUNBOOKS / "alerts" / "renewjob.md")
    page.write_text(good.replace("over 5 errors per minute", "over 6 errors per minute"), encoding="utf-8")
    assert pages.outdated_pages(tmp_path) == ["alerts/renewjob.md"]
    pages.write_pages(tmp_path)
    assert read(page) == good


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("ActionsGatewayTokenRefreshErrors", [3600]),
        ("ActionsGatewayPodCreationLatencyP99", [1800, 0, 0]),
        ("ActionsGatewayNoActiveSessions", [0, 0]),
        ("ActionsGatewayManagerDown", [0]),
        ("ActionsGatewayEvictionRetriesExhausted", [900]),
        ("ActionsGatewaySLOPodCreation15sBurnFast", [1800]),
        ("ActionsGatewaySLOPodCreation15sBurnSlow", [21600]),
    ],
)
def test_a_page_says_how_long_an_alert_outlives_its_cause(name: str, seconds: list[int]) -> None:
    assert [pages.looks_back_seconds(arm) for arm in BY_NAME[name].arms] == seconds


# -- the production runbook's tables


def alerting(block: str) -> str:
    text = read(ROOT / pages.ALERTING)
    return text.partition(f"<!-- generated: {block} -->\n")[2].partition("<!-- end of generated -->")[0]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.signal) for row in RUNBOOK.thresholds])
def test_a_row_of_the_table_stands_to_the_letter_beside_our_alert(row: Any) -> None:
    (alert,) = [alert for alert in ALERTS if alert.seed == row.signal]
    begin = f"| `{row.signal}` | `{row.threshold}` | {row.severity} | {row.notes} | [{alert.name}]("
    assert len([line for line in alerting("runbook-metrics").splitlines() if line.startswith(begin)]) == 1
    assert alert.severity.value == row.severity.lower()


def test_the_lists_of_pages_and_tickets_stand_to_the_letter_beside_our_alerts() -> None:
    wanted = dict.fromkeys(RUNBOOK.page_worthy, Severity.PAGE)
    wanted |= dict.fromkeys(RUNBOOK.ticket_worthy, Severity.TICKET)
    assert {line: {alert.severity for alert in alerts} for line, alerts in pages.WORTH.items()} == {
        line: {severity} for line, severity in wanted.items()
    }
    assert all(line in alerting("page-or-ticket") for line in wanted)


def test_every_alert_is_in_the_list_of_its_severity_and_in_the_index() -> None:
    index = read(RUNBOOKS / "index.md")
    for alert in ALERTS:
        place = f"{alert.page.removeprefix('runbooks/')}#{alert.anchor})"
        assert f"| [{alert.name}](../{place}" in alerting("page-or-ticket")
        assert f"| [{alert.name}]({place} | {alert.severity.value} |" in index


# -- finding


@pytest.mark.parametrize("alert", BY_ALERT)
def test_gw_finds_a_page_by_its_alert_and_by_a_notification_s_link(alert: Alert) -> None:
    links = [Links().page(alert.page, alert.anchor), Links("https://docs.example.com/").page(alert.page, alert.anchor)]
    for word in (alert.name, alert.name.lower(), alert.page, *links):
        assert f"runbooks/{find_page(LIBRARY, word).path}" == alert.page


@pytest.mark.parametrize("path", OF_ALERTS)
def test_a_search_for_an_alert_finds_its_page_first(path: Path) -> None:
    assert search(LIBRARY, [alerts_of(path)[0].name])[0].page.path == f"alerts/{path.name}"


def test_what_is_for_machines_is_not_shown() -> None:
    for page in LIBRARY:
        assert "<a id=" not in page.text
        assert "generated -->" not in page.text
        assert "<!-- generated" not in page.text


# -- queries


@pytest.mark.parametrize("path", EVERY)
def test_a_query_reads_series_that_there_are_by_labels_that_they_have(path: Path) -> None:
    known = known_labels()
    for expression in expressions_in(read(path)):
        for name, chosen in selections(expression):
            assert name in known, expression
            assert chosen <= known[name], expression


@pytest.mark.parametrize("path", OF_ALERTS)
def test_the_queries_of_a_page_read_what_its_alerts_read(path: Path) -> None:
    asked = {name for text in expressions_in(by_hand(read(path))) for name in series_in(text)}
    for alert in alerts_of(path):
        read_by_it = {name for arm in alert.arms for name in series_in(arm.expression)}
        assert read_by_it & asked or alert.is_always_firing, alert.name


@pytest.mark.parametrize("path", OF_ALERTS)
def test_a_page_takes_for_an_answer_of_github_what_its_rule_does(path: Path) -> None:
    in_rules = {found for alert in alerts_of(path) for arm in alert.arms for found in ANSWERS.findall(arm.expression)}
    assert set(ANSWERS.findall(by_hand(read(path)))) <= in_rules


def test_pages_ask_for_alerts_of_this_project_alone() -> None:
    """Another project's dead-man's switch has the same name as ours."""
    asked = [found for path in RUNBOOKS.rglob("*.md") for found in re.findall(r"\bALERTS\b(?:\{[^}]*\})?", read(path))]
    assert asked
    assert [each for each in asked if 'team="ci-platform"' not in each] == []


def parsed(expressions: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What promtool says to all of them, as the rules of one file."""
    rules = [{"record": f"page:{number}", "expr": text} for number, text in enumerate(expressions)]
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "pages", "rules": rules}]}), encoding="utf-8")
    command = [require_promtool(), "check", "rules", "--lint=none", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_prometheus_reads_every_query_of_every_page(tmp_path: Path) -> None:
    expressions = [text for path in RUNBOOKS.rglob("*.md") for text in expressions_in(read(path))]
    assert len(expressions) > len(ALERTS)
    result = parsed(expressions, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_query_that_is_broken_or_reads_nothing_is_found(tmp_path: Path) -> None:
    assert parsed(["sum by (namespace (up)"], tmp_path).returncode != 0
    assert selections('rate(a_total{b="x}",c!~"y"}[5m]) / on (d) group_left (e) f offset 1h > bool 1.5e3') == {
        ("a_total", frozenset({"b", "c"})),
        ("f", frozenset()),
    }
    assert list(expressions_in("```promql\na\n  or b\nc\n```\n")) == ["a\n  or b", "c"]


# -- commands


@pytest.mark.parametrize("path", OF_CHECKS_TOO)
def test_gw_takes_the_commands_of_a_page(path: Path) -> None:
    scripts = FENCE.findall(read(path))
    assert [problem for text in scripts for words in gw_commands_in(text) if (problem := refusal(words))] == []


ELSEWHERE = {
    *("prometheusrule", "servicemonitor", "podmonitor", "prometheus", "apiservice", "statefulset", "daemonset"),
    *("validatingadmissionpolicy", "validatingadmissionpolicybinding", "validatingwebhookconfiguration"),
    *("servicecidr", "crd"),
}
"""Kinds of clusters and operators that the sandbox's small API server does not serve, or not by that name."""
OF_KINDS = {"get", "describe", "patch", "annotate", "label", "scale", "create", "delete", "wait", "edit"}
"""The verbs of kubectl that are followed by a kind."""
DEPLOYMENTS = {AGENT, MANAGER, PROXY, "metrics-server"}
WITH_VALUE = {"-n", "-l", "-o", "-p", "-f", "--type", "--for"}


@functools.cache
def kinds() -> set[str]:
    """What kubectl calls the kinds that there are."""
    served = [word for kind in BuiltinTypes().kinds for word in (kind.plural, kind.kind.lower(), *kind.short_names)]
    own = ("actionsgateways", "actionsgateway", "runnergroups", "runnergroup")
    return {*served, *own, *ELSEWHERE}


def kinds_asked_for(words: list[str]) -> set[str]:
    """What a command of kubectl is about, as it is called there."""
    rest = words[2:] if len(words) > 2 and words[1] in OF_KINDS else []
    named = [
        word for before, word in zip(["", *rest], rest, strict=False) if word[0] != "-" and before not in WITH_VALUE
    ]
    return {kind.partition("/")[0] for kind in named[0].split(",")} if named else set()


@pytest.mark.parametrize("path", EVERY)
def test_kubectl_is_asked_for_kinds_and_deployments_that_there_are(path: Path) -> None:
    for script in (*FENCE.findall(read(path)), *INLINE.findall(read(path))):
        for words in commands_in(script):
            if words[0] == "kubectl":
                unknown = kinds_asked_for(words) - kinds()
                assert {kind for kind in unknown if kind.removesuffix("s") not in kinds()} == set(), words
                assert {word.partition("/")[2] for word in words if word.startswith("deploy/")} <= DEPLOYMENTS


def test_a_page_names_keys_of_ours_that_there_are() -> None:
    ours = {value for module in (labels, names) for value in vars(module).values() if isinstance(value, str)}
    found = {key for path in RUNBOOKS.rglob("*.md") for key in KEY.findall(read(path))}
    assert found <= ours | {f"{API_GROUP}/{names.API_VERSION}"}
