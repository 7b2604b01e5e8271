"""How the steps of a procedure go together: what a section runs, what is asked for by name, what a condition tells."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gw.exits import ExitCode
from gw.ops.runbook.library import read_library
from gw.ops.runbook.model import Block, Changes, Deed, Kind, Need, Page, Step
from support.page_commands import commands_in, gw_commands_in
from support.page_rights import WITHOUT_CLUSTER, WRITES, Right, is_given, rights_of

RUNBOOKS = Path(__file__).parents[2] / "runbooks"
PROCEDURES = [page for page in read_library() if page.kind is Kind.PROCEDURE]
OF_PAGES = [pytest.param(page, id=page.name) for page in PROCEDURES]
BLOCKS = [
    pytest.param(page, step, id=f"{page.name} {step.number}")
    for page in PROCEDURES
    for step in page.steps
    if isinstance(step, Block)
]
CONDITIONS = [
    pytest.param(text, id=f"{page.name} {name}") for page in PROCEDURES for name, text in page.conditions.items()
]


# -- ways and other ways


def by_heading(page: Page) -> dict[int, list[Step]]:
    """The steps right below each heading, by the heading's line."""
    found = defaultdict[int, list[Step]](list)
    for step in page.steps:
        found[max(section.line for section in page.sections if section.line < step.line)].append(step)
    return found


def is_listed(page: Page, step: Step) -> bool:
    """Whether it stands in a numbered list, whose items are done one after the other."""
    lines = (RUNBOOKS / page.path).read_text(encoding="utf-8").splitlines()
    return lines[step.line - 1].startswith("   ")


def changes(step: Step) -> bool:
    """Whether it changes something, as far as anybody knows."""
    return not isinstance(step, Block) or step.changes is not Changes.NO


@pytest.mark.parametrize("page", OF_PAGES)
def test_a_heading_has_either_the_way_or_another_one(page: Page) -> None:
    mixed = [steps[0].section for steps in by_heading(page).values() if len({step.is_aside for step in steps}) > 1]
    assert mixed == [], "give what is done instead a heading of its own"


@pytest.mark.parametrize("page", OF_PAGES)
def test_other_ways_below_one_heading_are_numbered_steps_of_one(page: Page) -> None:
    """So that naming a section never runs two things of which a person would choose one."""
    for steps in by_heading(page).values():
        asides = [step for step in steps if step.is_aside and changes(step)]
        if len(asides) > 1:
            assert all(is_listed(page, step) for step in asides), f"{steps[0].section}: number them, or part them"


def runs(page: Page) -> Iterator[list[Step]]:
    """What one run may go through: the way of the page, and each heading's other way."""
    yield [step for step in page.steps if not step.is_aside]
    yield from ([step for step in steps if step.is_aside] for steps in by_heading(page).values())


# -- what is asked for by name

IRREVERSIBLE = {("kubectl", "delete"), ("helm", "uninstall")}


def is_irreversible(words: list[str]) -> bool:
    """Whether nothing brings back what the command takes away."""
    return words[0] == Need.SHRED.value or tuple(words[:2]) in IRREVERSIBLE


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_what_cannot_be_undone_is_asked_for_by_name(page: Page, step: Block) -> None:
    if any(map(is_irreversible, commands_in(step.script))):
        assert step.confirm
        assert step.changes is Changes.YES
    if step.confirm:
        assert step.changes is not Changes.NO


@pytest.mark.parametrize("page", OF_PAGES)
def test_one_name_is_enough_for_a_run(page: Page) -> None:
    """`--confirm` takes one."""
    for steps in runs(page):
        assert len({step.confirm for step in steps if isinstance(step, Block) and step.confirm}) <= 1


def test_some_pages_destroy_something() -> None:
    names = {each.values[0].name for each in BLOCKS if each.values[1].confirm}  # type: ignore[union-attr]
    assert names >= {"add-tenant", "remove-tenant", "rotate-key", "key-compromise", "migrate-from-upstream"}


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_an_incident_may_wait_for_a_person(page: Page, step: Block) -> None:
    if any(words[0] == "incident" for words in gw_commands_in(step.script)) and step.changes is Changes.ASKED:
        assert ExitCode.REFUSED in step.waits
        assert step.after, "exit code 2 says refused, too"


def test_containment_takes_the_tenants_name_alone() -> None:
    page = next(page for page in PROCEDURES if page.name == "key-compromise")
    told = {place for step in page.steps if isinstance(step, Deed) for place in step.gives}
    assert set(page.places) - told == {"TENANT", "GATEWAY"}
    first = page.steps[0]
    assert isinstance(first, Block)
    assert (first.confirm, first.after) == ("", ("contained",))
    # A contained gateway has no session by intention, which is well for every other check.
    assert "--check gateway.contained" in page.conditions["served"]
    assert "--fail-on ticket" in page.conditions["served"]


def test_nothing_of_a_migration_is_begun_without_the_upstream_project() -> None:
    page = next(page for page in PROCEDURES if page.name == "migrate-from-upstream")
    destroying = [step for step in page.steps if isinstance(step, Block) and step.confirm]
    assert destroying
    assert all({"this-cluster", "upstream-there", "saved"} <= set(step.before) for step in destroying)


# -- conditions


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_is_blind_nowhere(text: str) -> None:
    """A substitution inside of a command's words is empty when it fails, and the command goes on with that."""
    assert re.findall(r"(?<![\w=])(?:test|\[\[?)\s[^;&|]*(?:\$\(|`)", text) == []
    assert len(re.findall(r"\$\(|`", text)) == len(re.findall(r"(?:^|; )\w+=\$\(", text)), "keep it in a variable first"
    assert not re.search(r"(?:^|[;&|] ?)! |\|\||<\(", text), "a command that fails would hold"
    assert not re.search(r"(?:^|[;&(] ?)gw [^;)]*\|", text), "what ends a pipe hides the exit code of gw"


@pytest.mark.parametrize(
    "text",
    [
        'test -z "$(kubectl get pod)"',
        '[ "$(kubectl get pod)" = a ]',
        "[[ -z `kubectl get pod` ]]",
        "! kubectl get pod",
        "echo $(kubectl get pod) | grep a",
        "kubectl get pod || true",
        "gw incident list -o short | grep a",
    ],
)
def test_a_blind_condition_is_found(text: str) -> None:
    with pytest.raises(AssertionError):
        test_a_condition_is_blind_nowhere(text)


def scripts(page: Page) -> Iterator[str]:
    """Everything of it that a shell runs."""
    yield from page.conditions.values()
    yield from (step.script for step in page.steps if isinstance(step, Block))


def stale_waits(script: str) -> list[str]:
    """The waits that may hold on what was there before a change: on a count, or on a rollout that has not begun.

    Each has to come after one that says that the change was taken up: a condition, whose generation kubectl compares,
    a generation, a reason, or a field of a spec.
    """
    found, is_seen = [], not re.search(r"kubectl patch actionsgateway|status\.active", script)
    for words in commands_in(script):
        line = " ".join(words)
        if words[:2] == ["kubectl", "patch"]:
            is_seen = False
        if words[:2] == ["kubectl", "wait"] and re.search(r"condition=|observedGeneration|conditions\[|\.spec\.", line):
            is_seen = True
        is_late = words[:3] == ["kubectl", "rollout", "status"] or "status.active" in line
        if is_late and not is_seen:
            found.append(line)
    return found


@pytest.mark.parametrize("page", OF_PAGES)
def test_a_wait_does_not_hold_on_what_was_before(page: Page) -> None:
    assert [line for script in scripts(page) for line in stale_waits(script)] == []


def test_a_wait_that_may_hold_too_early_is_found() -> None:
    patch = "kubectl patch actionsgateway a -p '{}'\n"
    count = "kubectl wait --for=jsonpath='{.status.activeJobs}'=0 actionsgateway/a --timeout=1h\n"
    rollout = "kubectl rollout status deployment/a\n"
    seen = "kubectl wait --for=condition=Paused actionsgateway/a\n"
    assert [bool(stale_waits(text)) for text in (count, patch + count, patch + rollout)] == [True, True, True]
    assert [stale_waits(text) for text in (seen + count, patch + seen + rollout, rollout)] == [[], [], []]


# -- commands that do more than they say


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_a_patch_replaces_no_list_and_a_second_annotation_is_taken(page: Page, step: Block) -> None:
    for words in commands_in(step.script):
        if words[:2] == ["kubectl", "patch"] and "json" not in words and "--type=json" not in words:
            assert not any("[" in word for word in words if word.startswith("{")), "a merge patch wipes the others"
        if words[:2] in (["kubectl", "annotate"], ["kubectl", "label"]) and any("=" in word for word in words[2:]):
            assert "--overwrite" in words, "a second run would be refused"


@pytest.mark.parametrize("page", OF_PAGES)
def test_a_log_that_is_turned_on_is_turned_off(page: Page) -> None:
    for steps in runs(page):
        text = "".join(step.script for step in steps if isinstance(step, Block))
        assert text.rfind(" --access-log") <= text.rfind(" --no-access-log")
        assert text.rfind('"accessLog":true') <= text.rfind('"accessLog":false')


# -- needs


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_a_block_needs_the_programs_of_its_conditions(page: Page, step: Block) -> None:
    programs = {need.value for need in Need if need.is_program}
    texts = [page.conditions[name] for name in (*step.before, *step.after)]
    assert {words[0] for text in texts for words in commands_in(text)} & programs <= {need.value for need in step.needs}


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_whoever_has_what_a_block_needs_holds_the_rights_that_it_takes(page: Page, step: Block) -> None:
    texts = [step.script, *(page.conditions[name] for name in (*step.before, *step.after))]
    taken = {right for text in texts for right in rights_of(text)}
    assert [str(right) for right in taken if not is_given(right, step.needs)] == []


@pytest.mark.parametrize(("page", "step"), BLOCKS)
def test_it_is_known_what_a_command_of_gw_writes(page: Page, step: Block) -> None:
    if step.changes is not Changes.NO:
        known = {*WRITES, *WITHOUT_CLUSTER}
        commands = [tuple(words) for words in gw_commands_in(step.script)]
        assert [words for words in commands if not {words[:1], words[:2]} & known] == []


@pytest.mark.parametrize(
    ("script", "needs", "is_enough"),
    [
        ("kubectl create namespace TENANT", [Need.TENANT], False),
        ("kubectl create namespace TENANT", [Need.PLATFORM], True),
        ("gw tenant add TENANT --quota pods=50 --use-existing-namespace", [Need.TENANT], False),
        ("gw tenant add TENANT --use-existing-namespace", [Need.TENANT], True),
        ("kubectl rollout restart deploy/actions-gateway-controller -n TENANT", [Need.ONCALL], True),
        ("kubectl rollout restart deploy/another -n TENANT", [Need.ONCALL], False),
        ("kubectl rollout undo deploy/gmc-controller-manager -n gmc-system", [Need.ONCALL], False),
        ("kubectl scale deploy/gmc-controller-manager -n gmc-system --replicas=2", [Need.ONCALL], False),
        ("kubectl scale deploy/gmc-controller-manager -n gmc-system --replicas=2", [Need.PLATFORM], True),
        ("kubectl cordon NODE", [Need.ONCALL], False),
        ("kubectl get secret a -n TENANT", [Need.ONCALL], False),
        ("kubectl get secret a -n TENANT", [Need.SECRETS], True),
        ("kubectl get actionsgateway -A", [Need.TENANT], False),
        ("kubectl get actionsgateway -A", [Need.VIEWER], True),
        ("kubectl patch actionsgateway a -n TENANT -p '{}'", [Need.VIEWER, Need.SECRETS], False),
        ("gw incident agent-failure TENANT", [Need.VIEWER], False),
        ("gw incident agent-failure TENANT", [Need.ONCALL], True),
        ("gw handoff --sign --to PERSON", [Need.VIEWER], False),
        ("gw install --release RELEASE", [Need.ONCALL], False),
    ],
)
def test_a_need_gives_what_its_role_has(script: str, needs: list[Need], is_enough: bool) -> None:
    rights: list[Right] = list(rights_of(script))
    assert rights
    assert all(is_given(right, needs) for right in rights) == is_enough


def test_there_is_something_of_each_sort() -> None:
    every: list[Any] = [OF_PAGES, BLOCKS, CONDITIONS]
    assert all(every)
    assert any(step.is_aside for page in PROCEDURES for step in page.steps)
