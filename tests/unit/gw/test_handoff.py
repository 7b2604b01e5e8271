"""A hand-over as a whole: the difference from the last one, its exit code, and the words of others."""

from datetime import timedelta
from typing import Any

import pytest

from gw.checks.model import CheckResult, Finding, ok, problem, skipped, unknown
from gw.exits import ExitCode
from gw.ops.handoff.difference import compare, problems_of, unknown_of
from gw.ops.handoff.model import Difference, Gap, Handoff, Item, Said, Section
from gw.output.markdown import code, plain, step, table
from gw.sources.facts import Known
from gw.sources.records import HandoverRecord, RecordedProblem, RecordsFact
from gw_alerts.thresholds import Severity
from support.clock import START
from unit.gw.handoff_facts import FORBIDDEN, SINCE, ago, check, results


def record(*problems: tuple[str, str], **more: Any) -> HandoverRecord:
    base: dict[str, Any] = {
        "at": ago(hours=12),
        "since": ago(hours=24),
        "by": "alice",
        "to": "bob",
        "note": "",
        "namespace": None,
        "states": ("done",) * 8,
        "problems": tuple(RecordedProblem(check_id, subject, "page") for check_id, subject in problems),
        "unknown": (),
        "checks": (),
        "name": "handover-1",
    }
    return HandoverRecord(**(base | more))


def difference(last: HandoverRecord | None, found: tuple[CheckResult, ...], *unreadable: str) -> Difference:
    known = Known(RecordsFact((last,) if last else (), unreadable))
    return compare(known, found, namespace=None, since=SINCE, now=START)


def test_problems_are_new_unchanged_gone_or_unseen() -> None:
    last = record(("session.open", "a"), ("session.open", "b"), ("job.lost", "c"), ("old.check", "d"))
    found = difference(
        last,
        results(session_open=(problem("a", "silent"), problem("e", "silent")), job_lost=unknown("", "no right")),
    )
    assert [each.subject for each in found.new] == ["e"]
    assert [each.subject for each in found.unchanged] == ["a"]
    assert [each.subject for each in found.gone] == ["b"]
    assert [each.subject for each in found.unseen] == ["c", "d"], "a blind check and one that is no more prove nothing"


def test_one_that_is_unknown_by_itself_is_not_gone() -> None:
    found = difference(
        record(
            ("session.open", "a"),
        ),
        results(session_open=(unknown("a", "new"), ok("b", ""))),
    )
    assert (found.gone, [each.subject for each in found.unseen]) == ((), ["a"])


def test_time_that_no_hand_over_covers_is_named() -> None:
    (note,) = difference(record(at=ago(hours=20)), results()).notes
    assert note.startswith("8h lie between it and the beginning of this shift")
    assert "--since 2026-01-04T13:00:00Z" in note
    (note,) = difference(record(at=START + timedelta(minutes=5)), results()).notes
    assert note == "it is dated 5m ahead of this machine's clock"


def test_records_that_nobody_can_read_are_named_and_without_another_one_it_is_unknown() -> None:
    found = difference(None, results(), "handover-1: its version is 'gw/v9', and this gw reads gw/v1")
    assert found.gaps
    assert "handover-1" in found.notes[0]
    assert difference(record(), results(), "handover-0: it has no record.json").gaps == ()


def test_without_the_right_to_read_records_the_difference_is_unknown() -> None:
    found = compare(FORBIDDEN, results(), namespace=None, since=SINCE, now=START)
    assert found.gaps == (Gap(FORBIDDEN.reason, "ask"),)


def test_a_problem_is_recorded_once_with_its_worst_severity() -> None:
    twice = (problem("a", "mild", severity=Severity.INFO), problem("a", "bad"), unknown("b", "new"))
    found = (CheckResult(check("session.open"), twice),)
    assert problems_of(found) == (RecordedProblem("session.open", "a", "page"),)
    assert unknown_of(found) == (RecordedProblem("session.open", "b", ""),)


# -- the whole ---------------------------------------------------------------------------------------------------------


def handoff(*outcomes: Finding, section: Section | None = None, difference: Difference | None = None) -> Handoff:
    found = tuple(Item(number, "x", (Said("", each, Severity.PAGE),)) for number, each in enumerate(outcomes, start=1))
    return Handoff(
        "host",
        None,
        START,
        SINCE,
        "",
        "",
        found,
        (section,) if section else (),
        (),
        difference or Difference(),
    )


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (handoff(ok("", ""), skipped("", "")), ExitCode.OK),
        (handoff(ok("", ""), unknown("", "")), ExitCode.UNKNOWN),
        (handoff(unknown("", ""), problem("", "")), ExitCode.PROBLEM),
        (handoff(ok("", ""), section=Section("x", "X", (), (Gap("forbidden"),))), ExitCode.UNKNOWN),
        (handoff(ok("", ""), section=Section("x", "X", (), (Gap("nobody knows", "", False),))), ExitCode.OK),
        (handoff(ok("", ""), difference=Difference(gaps=(Gap("forbidden"),))), ExitCode.UNKNOWN),
    ],
    ids=["all done", "one unknown", "one open", "changes unseen", "what nobody knows", "records unseen"],
)
def test_the_exit_code_is_the_worst_of_all(made: Handoff, code: ExitCode) -> None:
    assert made.exit_code is code


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("actions_gateway_x fails", "actions_gateway_x fails"),
        ("_emphasis_ *bold* `code`", r"\_emphasis\_ \*bold\* \`code\`"),
        ("[link](http://x) <img src=x> a|b ~s~", r"\[link\](http://x) \<img src=x> a\|b \~s\~"),
        ("two\nlines\x1b[31m red\u202e", r"two lines \[31m red"),
        ("C:\\path", r"C:\\path"),
    ],
)
def test_text_of_others_formats_nothing(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_commands_are_code_whatever_they_hold() -> None:
    assert code("echo `date`") == "`` echo `date` ``"
    assert step("gw health team-a") == "`gw health team-a`"
    assert step("Ask *them*.") == r"Ask \*them\*."
    assert list(table(("A", "B"), [("x|y", "")])) == ["| A | B |", "| --- | --- |", r"| x\|y | - |"]
