"""Our thresholds are those of the transcribed runbook: each row of its table, and each sentence that one rests on."""

import re

import pytest

from gw_alerts.thresholds import ALL, OURS, PROVISIONING_SECONDS, Severity
from gw_alerts.thresholds import Threshold as Ours
from support.seed import Threshold as Row
from support.seed import production_runbook

RUNBOOK = production_runbook()
BOUND = re.compile(
    r"(?:rate |duration )?(?P<comparison>[<>=]) (?P<number>[0-9.]+)(?P<unit>s| minutes|/hour|/minute|/5min|)(?: .*)?"
)
UNITS = {
    "s": "seconds",
    " minutes": "minutes",
    "/hour": "errors per hour",
    "/minute": "errors per minute",
    "/5min": "errors per 5 minutes",
    "": "sessions",
}
"""The runbook's unit and ours."""
COUNTED = {"actions_gateway_eviction_retries_exhausted_total": "jobs"}
"""What a row without a unit counts, if not sessions."""
ANY = {"AGC pod OOMKilled": "containers", "Proxy HPA TARGETS: <unknown>": "autoscalers"}
"""What there is to be none of, in the rows whose threshold is `any`."""


def bound(row: Row) -> tuple[str, float, str]:
    """(comparison, number, our unit) of a row."""
    if row.threshold == "any":
        return ">", 0.0, ANY[row.signal]
    found = BOUND.fullmatch(row.threshold)
    assert found, row.threshold
    return found["comparison"], float(found["number"]), COUNTED.get(row.signal) or UNITS[found["unit"]]


def of_row(row: Row) -> list[Ours]:
    return [ours for ours in ALL if ours.source.startswith(f"{row.signal} |")]


@pytest.mark.parametrize("row", RUNBOOK.thresholds, ids=lambda row: row.signal)
def test_a_row_is_a_threshold_of_ours_to_the_letter(row: Row) -> None:
    assert of_row(row)
    for ours in of_row(row):
        assert ours.source == row.text
        assert (ours.comparison, ours.value, ours.unit) == bound(row)
        assert ours.severity.value == row.severity.lower()


@pytest.mark.parametrize("ours", ALL, ids=lambda ours: ours.subject)
def test_what_a_threshold_rests_on_is_in_the_transcription_or_is_called_ours(ours: Ours) -> None:
    sentences = {
        *(row.text for row in RUNBOOK.thresholds),
        *(command.gap for section in RUNBOOK.sections for command in section.commands if command.gap),
        *(*RUNBOOK.page_worthy, *RUNBOOK.ticket_worthy, *RUNBOOK.handoff, *RUNBOOK.statements),
    }
    assert ours.source.startswith(OURS) or ours.source in sentences


@pytest.mark.parametrize(
    ("lines", "severity"), [(RUNBOOK.page_worthy, Severity.PAGE), (RUNBOOK.ticket_worthy, Severity.TICKET)]
)
def test_a_threshold_that_rests_on_a_list_of_the_page_has_the_lists_severity(
    lines: tuple[str, ...], severity: Severity
) -> None:
    assert {ours.severity for ours in ALL if ours.source in lines} <= {severity}


def test_provisioning_is_waited_for_as_long_as_the_page_and_the_threshold_say() -> None:
    command = next(command for command in RUNBOOK.commands if command.id == "provisioned-in-time")
    seconds = f"{PROVISIONING_SECONDS.value:g}"
    assert command.command.endswith(f" --timeout={seconds}s")
    assert command.gap == PROVISIONING_SECONDS.source
    assert f"~{seconds} seconds" in command.gap
