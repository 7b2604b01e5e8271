"""What the pages name exists: commands with their options, checks, alerts, metrics, events and labels.

And a procedure has what makes it one: gw before kubectl, a verification, who is called next, and steps that a machine
can run.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.manager.gateway.announcements import READY
from actions_gateway.metrics.catalog import CATALOG, Kind
from gw.checks.catalog import CATALOG as CHECKS
from gw.exits import ExitCode
from gw.ops.runbook.library import ESCALATION, QUICK_REFERENCE, find_page, read_library
from gw.ops.runbook.model import Block, Changes, Need, Page
from gw.ops.runbook.model import Kind as PageKind
from gw.ops.runbook.places import places_in
from gw.sources.endpoints import ALERTMANAGER, PROMETHEUS
from gw_alerts.catalog import ALERTS
from gw_alerts.thresholds import Severity
from support.manager_objects import children_of, gateway
from support.own_events import own_events
from support.page_commands import command_of, commands_in, gw_commands_in, inline_commands_in, refusal

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "runbooks").rglob("*.md"), ROOT / "README.md"])
LIST_OF_REASONS = ROOT / "runbooks" / "procedures" / "conditions.md"
LIBRARY = read_library()
STEPS = [pytest.param(page, step, id=f"{page.name} {step.number}") for page in LIBRARY for step in page.steps]
BLOCKS = [each for each in STEPS if isinstance(each.values[1], Block)]

METRIC = re.compile(r"\bactions_gateway_\w+")
EVENT = re.compile(r"[Ee]vents? (?:say )?`?([A-Z]\w*[a-z]\w*[A-Z]\w+)")
REASON = re.compile(r"(?<=with the reason )`?(\w+)")
ALERT = re.compile(r"\b(ActionsGateway[A-Z]\w+)\b")
SELECTOR = re.compile(r"(?:-l |--selector[= ])([^\s`'\"]+)")

OF_MONITORING = {
    (selector.partition("=")[0], selector.partition("=")[2])
    for product in (PROMETHEUS, ALERTMANAGER)
    for selector in product.selectors
}
"""Labels by which gw finds the Services of other projects."""
OF_KUBERNETES = {("kubernetes.io/service-name", "kubernetes"), ("k8s-app", "kube-dns")}
"""Labels that the cluster's own objects have."""


def found(pattern: re.Pattern[str]) -> list[Any]:
    """Each word that a pattern finds, with the name of the page."""
    return [
        pytest.param(word, id=f"{page.stem} {word}")
        for page in PAGES
        for word in sorted(set(pattern.findall(page.read_text(encoding="utf-8"))))
    ]


@pytest.mark.parametrize("name", found(METRIC))
def test_a_metric_is_in_the_catalogue(name: str) -> None:
    exported = {metric.name for metric in CATALOG}
    histograms = {metric.name for metric in CATALOG if metric.kind is Kind.HISTOGRAM}
    assert name in exported | {f"{one}_{part}" for one in histograms for part in ("bucket", "sum", "count")}


@pytest.mark.parametrize("reason", found(EVENT))
def test_an_event_is_one_that_code_writes(reason: str) -> None:
    assert reason in {*Reason, READY} | own_events()


@pytest.mark.parametrize("reason", [one for one in found(REASON) if one.values[0][0].isupper()])
def test_a_conditions_reason_is_of_the_vocabulary(reason: str) -> None:
    assert reason in {*Reason}


@pytest.mark.parametrize("reason", sorted(own_events()))
def test_an_event_that_is_no_condition_s_is_on_the_page_of_reasons(reason: str) -> None:
    assert f"`{reason}`" in LIST_OF_REASONS.read_text(encoding="utf-8")


def set_labels(manifest: Any) -> Iterator[tuple[str, str]]:
    """The labels of an object and of whatever it is a template for."""
    if isinstance(manifest, dict):
        metadata = manifest.get("metadata")
        yield from ((metadata or {}).get("labels") or {}).items() if isinstance(metadata, dict) else ()
        for value in manifest.values():
            yield from set_labels(value)


def known_labels() -> set[tuple[str, str]]:
    """What the manager's children, the installation, their pods and gw's records have, and what people put on
    namespaces."""
    manifests = [*children_of(gateway()).values(), *installation_manifests()]
    marks = {(labels.TENANT, labels.TENANT_MARK), (labels.METRICS_NAMESPACE, labels.METRICS_ENABLED)}
    marks |= {(labels.RECORD, labels.RECORD_HANDOVER)}
    return {pair for manifest in manifests for pair in set_labels(manifest)} | marks | OF_KUBERNETES | OF_MONITORING


@pytest.mark.parametrize("selector", found(SELECTOR))
def test_a_selector_finds_something(selector: str) -> None:
    known = known_labels()
    keys = {key for key, _ in known} | {labels.RUNNER_GROUP}
    for part in selector.split(","):
        key, _, value = part.partition("=")
        assert (key, value) in known if value else key in keys, f"no object has {part}"


def test_there_is_something_of_each_sort() -> None:
    assert all(found(pattern) for pattern in (METRIC, EVENT, REASON, SELECTOR))
    assert "WorkerPodCreateFailed" in own_events()


# -- verification

REFERENCE = {LIST_OF_REASONS}
"""Procedures in which nothing is done."""
PROCEDURES = [page for page in PAGES if page.parent.name == "procedures" and page not in REFERENCE]
CHECK = {check.id: check for check in CHECKS}


def verification(page: Path) -> str:
    """The section in which a page says how its end shows; empty without one."""
    return page.read_text(encoding="utf-8").partition("\n## Verification\n")[2].partition("\n## ")[0]


def verified(pages: list[Path]) -> list[Any]:
    """Each page with its section."""
    return [pytest.param(verification(page), id=page.relative_to(ROOT / "runbooks").as_posix()) for page in pages]


OF_CHECKS_AND_ALERTS = [page for page in PAGES if page.parent.name in ("checks", "alerts")]


@pytest.mark.parametrize("section", verified([*PROCEDURES, *OF_CHECKS_AND_ALERTS]))
def test_a_page_is_verified_by_a_check_that_can_fail(section: str) -> None:
    """A command exits with 0 whatever its check finds, where that is less bad than what `--fail-on` names."""
    commands = re.findall(r"\bgw (?:health|check)\b[^\n`]*", section)
    named = {command: re.findall(r"--check (\S+)", command) for command in commands}
    assert any(named.values()), "no command of a section Verification asks a check by its id"
    for command, ids in named.items():
        least = re.search(r"--fail-on (\w+)", command)
        severity = Severity(least[1]) if least else Severity.PAGE
        assert [each for each in ids if not CHECK[each].severity.reaches(severity)] == [], command


# -- commands


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_gw_takes_every_command_of_a_block(page: Page, step: Block) -> None:
    assert [problem for words in gw_commands_in(step.script) if (problem := refusal(words))] == []


def test_gw_takes_every_command_of_a_condition() -> None:
    conditions = [command for page in LIBRARY for command in page.conditions.values()]
    assert [problem for text in conditions for words in gw_commands_in(text) if (problem := refusal(words))] == []


@pytest.mark.parametrize("page", LIBRARY, ids=lambda page: page.name)
def test_gw_knows_every_command_and_option_of_the_running_text(page: Page) -> None:
    commands = inline_commands_in(page.text)
    assert [problem for text in commands if (problem := refusal(shlex.split(text)[1:], may_lack=True))] == []


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_a_block_needs_the_programs_that_it_runs(page: Page, step: Block) -> None:
    programs = {need.value for need in Need if need.is_program}
    run = {words[0] for words in commands_in(step.script)} & programs
    assert run <= {need.value for need in step.needs}
    if run & {Need.GW, Need.KUBECTL}:
        assert any(not need.is_program for need in step.needs), "who may do it is not said"


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_a_block_is_asked_for_by_its_own_command_exactly_where_that_asks(page: Page, step: Block) -> None:
    """`--yes` of a run is handed to every gw command of such a block, and `--confirm` to one that destroys."""
    options = [
        {name for parameter in command_of(words)[0].params for name in parameter.opts}
        for words in gw_commands_in(step.script)
    ]
    if step.changes is Changes.ASKED:
        assert options
        assert all("--yes" in names for names in options)
        assert {words[0] for words in commands_in(step.script)} == {"gw"}
    if step.confirm:
        assert all("--confirm" in names for names in options)


@pytest.mark.parametrize("check", [pytest.param(name, id=f"{p.name} {name}") for p in LIBRARY for name in p.checks])
def test_a_check_of_the_front_matter_is_in_the_catalogue(check: str) -> None:
    assert check in CHECK


@pytest.mark.parametrize("check", found(re.compile(r"--check ([a-z][\w.-]+)")))
def test_a_check_that_a_command_names_is_in_the_catalogue(check: str) -> None:
    assert check in CHECK


@pytest.mark.parametrize("name", found(ALERT))
def test_an_alert_is_one_of_the_rules(name: str) -> None:
    assert name in {alert.name for alert in ALERTS}


# -- procedures


def on_the_way(step: Block) -> bool:
    """Whether a block changes something and is run unless another section is asked for."""
    return step.changes is not Changes.NO and not step.is_aside


OF_THE_PLATFORM = {"install", "upgrade", "uninstall", "build-images", "gitops", "egress", "migrate-from-upstream"}
"""Procedures that nobody is woken for."""
OF_PROCEDURES = [pytest.param(page, id=page.name) for page in LIBRARY if page.kind is PageKind.PROCEDURE]
ROWS, COLUMNS = 60, 100
"""Of one printed page, in a type that a tired person can read."""


@pytest.mark.parametrize("page", OF_PROCEDURES)
def test_a_procedure_has_symptoms_checks_and_steps(page: Page) -> None:
    assert page.symptoms
    assert page.checks
    assert page.steps


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.name) for page in LIBRARY if page.kind is not PageKind.REFERENCE]
)
def test_a_page_ends_with_who_is_called_next(page: Page) -> None:
    assert f"](../{ESCALATION}.md#" in page.sections[-1].text
    assert page.sections[-1].title == "Escalation"


@pytest.mark.parametrize("page", OF_PROCEDURES)
def test_the_command_comes_first_and_plain_kubectl_second(page: Page) -> None:
    programs = [
        words[0]
        for step in page.steps
        if isinstance(step, Block)
        for words in commands_in(step.script)
        if words[0] in ("gw", "kubectl")
    ]
    if "gw" in programs and "kubectl" in programs:
        assert programs.index("gw") < programs.index("kubectl")


@pytest.mark.parametrize("page", OF_PROCEDURES)
def test_what_a_procedure_declares_is_what_it_uses(page: Page) -> None:
    named = {name for step in page.steps for name in (*step.before, *step.after)}
    assert named == set(page.conditions)
    texts = [*page.conditions.values(), *(step.script for step in page.steps if isinstance(step, Block))]
    assert {place for text in texts for place in places_in(text)} == set(page.places)


@pytest.mark.parametrize(("page", "step"), [each for each in BLOCKS if on_the_way(each.values[1])])
def test_what_changes_something_on_the_way_is_looked_at_before_or_after(page: Page, step: Block) -> None:
    assert step.before or step.after


def test_every_procedure_of_the_production_runbook_has_its_page() -> None:
    wanted = (
        *("add-tenant", "adjust-quota", "scale-runner-group", "rotate-key", "slo-pod-creation-latency"),
        *(
            "slo-active-sessions",
            "slo-jobs-acquired",
            "key-compromise",
            "agent-failure",
            "manager-failure",
            "hand-over",
        ),
    )
    pages = [find_page(LIBRARY, name) for name in wanted]
    assert [page.name for page in pages if "The production runbook" not in page.text and page.name != "hand-over"] == []


def test_the_quick_reference_is_one_printed_page_and_names_pages_that_there_are() -> None:
    page = find_page(LIBRARY, QUICK_REFERENCE)
    lines = page.text.splitlines()
    assert len(lines) <= ROWS
    assert [line for line in lines if len(line) > COLUMNS] == []
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    cells = [row[2] for row in rows if len(row) == 3 and "`gw" in row[1]]
    named = {name for cell in cells for name in cell.split(", ") if name and " " not in name}
    assert named <= {page.name for page in LIBRARY}
    procedures = {page.name for page in LIBRARY if page.kind is PageKind.PROCEDURE}
    assert named >= procedures - OF_THE_PLATFORM - {"drills", "conditions"}


def test_the_quick_reference_has_every_exit_code_and_both_severities() -> None:
    text = find_page(LIBRARY, QUICK_REFERENCE).text
    assert all(f"| {code.value} |" in text for code in ExitCode)
    assert all(f"| {severity.value} |" in text for severity in (Severity.PAGE, Severity.TICKET))
