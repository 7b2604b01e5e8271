"""The transcription of the production runbook is whole within itself."""

import re
from collections import Counter

import pytest

from support.seed import PLACES, SeedCommand, production_runbook

RUNBOOK = production_runbook()
COMMANDS = RUNBOOK.commands
OF_THE_PAGE = [command for section in RUNBOOK.sections for command in section.commands]


def test_every_command_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(command.id for command in COMMANDS).items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", command.id) for command in COMMANDS)


def test_every_section_has_commands_and_a_title_of_its_own() -> None:
    titles = [section.title for section in (*RUNBOOK.sections, *RUNBOOK.plain_kubectl)]
    assert len(set(titles)) == len(titles)
    assert all(section.commands for section in RUNBOOK.sections)


@pytest.mark.parametrize("command", OF_THE_PAGE, ids=lambda command: command.id)
def test_a_command_is_printed_by_the_page_or_fills_a_named_gap(command: SeedCommand) -> None:
    assert bool(command.printed) != bool(command.gap)
    if command.printed:
        assert command.command in command.printed


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)
def test_a_command_uses_known_places_only_and_says_what_it_shows(command: SeedCommand) -> None:
    texts = (command.command, *command.shows)
    assert {place for text in texts for place in re.findall(r"<([a-z-]+)>", text)} <= PLACES
    for pattern in command.shows:
        re.compile(pattern)
    assert bool(command.editor) == command.command.startswith("kubectl edit")


def test_what_the_page_prints_in_full_is_transcribed_to_the_letter() -> None:
    assert {command.command for command in OF_THE_PAGE if command.printed} == {
        "kubectl get namespace <namespace>",
        "kubectl describe resourcequota -n <namespace>",
        "kubectl get pods -n <namespace> | grep Pending",
        "kubectl describe pod -n <namespace> <pod>",
        "kubectl edit resourcequota -n <namespace> <quota-name>",
        "kubectl get pod -n <namespace> -l app=actions-gateway-controller",
        "kubectl logs -n <namespace> deploy/actions-gateway-controller --tail=100",
        "kubectl get runnergroup -n <namespace> -o yaml",
        "kubectl rollout restart deploy/actions-gateway-controller -n <namespace>",
        "kubectl rollout restart deploy/gmc-controller-manager -n gmc-system",
        "shred -u <path>",
    }


def test_every_row_of_the_alert_table_has_a_threshold_and_one_of_the_two_severities() -> None:
    assert len(RUNBOOK.thresholds) == 10
    assert Counter(row.severity for row in RUNBOOK.thresholds) == {"Page": 6, "Ticket": 4}
    assert all(row.signal and row.threshold and row.notes for row in RUNBOOK.thresholds)
    lines = [row.line for row in RUNBOOK.thresholds]
    assert lines == sorted(set(lines))


def test_the_two_lists_of_severities_and_the_hand_over_are_complete() -> None:
    assert (len(RUNBOOK.page_worthy), len(RUNBOOK.ticket_worthy), len(RUNBOOK.handoff)) == (6, 4, 8)


@pytest.mark.parametrize("line", RUNBOOK.handoff)
def test_a_line_of_the_hand_over_has_a_command_or_a_deviation_that_says_why_not(line: str) -> None:
    has_command = any(command.gap == line for command in OF_THE_PAGE)
    is_explained = any(deviation.says == line for deviation in RUNBOOK.deviations)
    assert has_command != is_explained


def test_every_deviation_says_both_sides_and_names_commands_that_exist() -> None:
    known = {command.id for command in COMMANDS}
    for deviation in RUNBOOK.deviations:
        assert deviation.says
        assert deviation.holds
        assert set(deviation.commands) <= known
