"""The ledger of lost jobs: budgets, idempotence, what is dropped, and its text."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actions_gateway.agent.recovery.ledger import (
    MOST_BYTES,
    MOST_JOBS_OF_A_RUN,
    MOST_RUNS,
    is_outlived,
    owned,
    requested,
    reserved,
    settled,
    superfluous,
)
from actions_gateway.api.ledger import (
    Cause,
    LostJob,
    RerunRequest,
    RerunState,
    RunEntry,
    parse,
    parse_request,
    parse_run_id,
    render,
)

_SIXTY_FOUR = RerunRequest("token-1", tuple(f"ci-{number}" for number in range(64)))
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
EMPTY = RunEntry("octo/demo")


def lost(runner: str = "ci-cpu-1", *, at: datetime = NOW, job_id: int | None = 11) -> LostJob:
    return LostJob(
        runner=runner,
        job_id=job_id,
        name="build",
        group="ci-cpu",
        cause=Cause.EVICTION,
        attempt=1,
        lost_at=at,
        not_before=at + timedelta(seconds=5),
        is_own_ending=False,
    )


def test_a_run_is_helped_as_often_as_its_budget_allows_and_then_no_more() -> None:
    entry = EMPTY
    for number in range(4):
        entry = reserved(entry, lost(f"runner-{number}"), most_retries=2)
    assert entry.retries == 2
    states = [job.state for job in entry.jobs.values()]
    assert states == [RerunState.PENDING] * 2 + [RerunState.EXHAUSTED] * 2


def test_the_same_loss_is_charged_once_whoever_tells_of_it_again() -> None:
    once = reserved(EMPTY, lost(), most_retries=2)
    assert reserved(once, lost(at=NOW + timedelta(hours=1)), most_retries=2) == once
    decided = settled(once, once.jobs["ci-cpu-1"], RerunState.REQUESTED)
    assert reserved(decided, lost(), most_retries=2) == decided


def test_without_retries_a_loss_is_only_written_down() -> None:
    entry = reserved(EMPTY, lost(), most_retries=0)
    assert (entry.retries, entry.jobs["ci-cpu-1"].state) == (0, RerunState.EXHAUSTED)
    assert entry.pending == []


def test_a_lost_lock_is_a_persons_to_decide_and_charges_nothing() -> None:
    entry = reserved(EMPTY, replace(lost(), cause=Cause.LOCK_LOST), most_retries=2)
    assert (entry.retries, entry.jobs["ci-cpu-1"].state, entry.pending) == (0, RerunState.MANUAL, [])
    assert parse(render(entry)) == entry


@pytest.mark.parametrize("state", RerunState)
def test_a_request_opens_any_decision_once_and_charges_nothing(state: RerunState) -> None:
    decided = RunEntry("octo/demo", 2, {"ci-cpu-1": replace(lost(), state=state)})
    later = NOW + timedelta(hours=30)
    entry = requested(decided, "ci-cpu-1", "token-1", later)
    job = entry.jobs["ci-cpu-1"]
    assert (entry.retries, job.is_pending, job.request, job.not_before) == (2, True, "token-1", later)
    assert parse(render(entry)) == entry
    done = settled(entry, job, RerunState.REQUESTED)
    assert requested(done, "ci-cpu-1", "token-1", later + timedelta(hours=1)) == done
    assert requested(done, "ci-cpu-1", "token-2", later).pending
    assert requested(done, "stranger", "token-2", later) == done


def test_an_entry_is_kept_for_a_day_after_the_last_request() -> None:
    entry = requested(reserved(EMPTY, lost(), most_retries=0), "ci-cpu-1", "token-1", NOW + timedelta(hours=20))
    entry = settled(entry, entry.jobs["ci-cpu-1"], RerunState.REQUESTED)
    assert not is_outlived(entry, NOW + timedelta(hours=43))
    assert is_outlived(entry, NOW + timedelta(hours=45))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("token-1", None),
        (7, None),
        (" token-1  ci-1\n ci-2 ci-1 ", RerunRequest("token-1", ("ci-1", "ci-2"))),
        (f"{'t' * 64} {'r' * 64}", RerunRequest("t" * 64, ("r" * 64,))),
        (f"{'t' * 65} ci-1", None),
        (f"token-1 {'r' * 65}", None),
        ("token_1 ci-1", None),
        ("t\u00f6ken ci-1", None),
        ("token-1 ci-1 ci/2", None),
        ("token-1 ci-1 \x00", None),
        ("token-1 " + " ".join(f"ci-{number}" for number in range(64)) + " ci-0", _SIXTY_FOUR),
        ("token-1 " + " ".join(f"ci-{number}" for number in range(65)), None),
    ],
)
def test_a_request_is_read_whatever_anybody_wrote(text: object, expected: RerunRequest | None) -> None:
    assert parse_request(text) == expected
    assert expected is None or parse_request(expected.render()) == expected


def test_no_request_makes_the_ledger_forget_other_jobs() -> None:
    """The longest one for as many jobs as it may name, in a ledger of hundreds."""
    entries = {run_id: RunEntry("octo/demo", 2, {f"ci-{run_id}": lost(f"ci-{run_id}")}) for run_id in range(500)}
    assert parse_request(f"{'t' * 240_000} ci-0") is None
    request = parse_request(" ".join(("t" * 64, *(f"ci-{run_id}" for run_id in range(64)))))
    assert request is not None
    for run_id, runner in enumerate(request.runners):
        entries[run_id] = requested(entries[run_id], runner, request.token, NOW)
    sizes = {run_id: len(render(entry)) for run_id, entry in entries.items()}
    assert superfluous(entries, sizes, NOW) == []


@pytest.mark.parametrize(("key", "expected"), [("7", 7), ("07", None), ("repositories", None), ("", None), ("²", None)])
def test_a_key_of_a_run_is_its_number(key: str, expected: int | None) -> None:
    assert parse_run_id(key) == expected


@pytest.mark.parametrize("cause", [Cause.EVICTION, Cause.LOCK_LOST])
def test_a_decision_is_taken_once_of_what_waits_for_it_or_for_a_person(cause: Cause) -> None:
    before = reserved(EMPTY, replace(lost(), cause=cause), most_retries=1)
    job = before.jobs["ci-cpu-1"]
    entry = settled(before, job, RerunState.WITHHELD)
    assert entry.jobs["ci-cpu-1"].state is RerunState.WITHHELD
    assert settled(entry, job, RerunState.REQUESTED) == entry
    assert settled(entry, entry.jobs["ci-cpu-1"], RerunState.REQUESTED) == entry
    assert settled(entry, lost("stranger"), RerunState.REQUESTED) == entry


def test_what_is_asked_for_while_it_is_looked_at_stays_open() -> None:
    before = reserved(EMPTY, replace(lost(), cause=Cause.LOCK_LOST), most_retries=1)
    entry = requested(before, "ci-cpu-1", "token-1", NOW)
    assert settled(entry, before.jobs["ci-cpu-1"], RerunState.WITHHELD) == entry


def test_an_ending_of_our_own_can_be_learnt_later() -> None:
    entry = owned(reserved(EMPTY, lost(), most_retries=1), "ci-cpu-1")
    assert entry.jobs["ci-cpu-1"].is_own_ending
    assert owned(entry, "ci-cpu-1") == entry
    assert owned(entry, "stranger") == entry


@pytest.mark.parametrize(
    ("state", "age", "outlived"),
    [
        (RerunState.REQUESTED, timedelta(hours=23), False),
        (RerunState.REQUESTED, timedelta(hours=25), True),
        (RerunState.PENDING, timedelta(hours=25), False),
        (RerunState.EXPIRED, timedelta(hours=47), False),
        (RerunState.EXPIRED, timedelta(hours=49), True),
    ],
)
def test_a_budget_is_kept_for_a_day_after_the_last_loss(state: RerunState, age: timedelta, outlived: bool) -> None:
    entry = RunEntry("octo/demo", 1, {"ci-cpu-1": replace(lost(), state=state)})
    assert is_outlived(entry, NOW + age) is outlived


def test_too_many_runs_lose_the_oldest_decided_ones_first() -> None:
    entries = {number: of_age(number, RerunState.REQUESTED) for number in range(MOST_RUNS + 3)}
    entries[0] = of_age(0, RerunState.PENDING)
    assert superfluous(entries, dict.fromkeys(entries, 300), NOW) == [1, 2, 3]


def of_age(number: int, state: RerunState) -> RunEntry:
    return RunEntry("octo/demo", 1, {"r": replace(lost("r", at=NOW + timedelta(seconds=number)), state=state)})


def test_too_large_entries_are_dropped_until_the_rest_fits_and_pending_ones_last() -> None:
    entries = {number: of_age(number, RerunState.EXHAUSTED) for number in range(4)}
    entries[0] = of_age(0, RerunState.PENDING)
    third = MOST_BYTES // 3
    assert superfluous(entries, dict.fromkeys(entries, third), NOW) == [1]
    assert superfluous(entries, {**dict.fromkeys(entries, third), 0: MOST_BYTES}, NOW) == [1, 2, 3]
    assert superfluous(entries, dict.fromkeys(entries, MOST_BYTES + 1), NOW) == [1, 2, 3, 0]


def test_a_run_with_many_losses_forgets_decided_ones_and_keeps_its_pending_ones_and_its_budget() -> None:
    entry = EMPTY
    for number in range(MOST_JOBS_OF_A_RUN + 2):
        entry = reserved(entry, lost(f"runner-{number}"), most_retries=10)
    assert len(entry.jobs) == MOST_JOBS_OF_A_RUN
    assert [job.runner for job in entry.pending] == [f"runner-{number}" for number in range(10)]
    assert "runner-10" not in entry.jobs
    assert f"runner-{MOST_JOBS_OF_A_RUN + 1}" in entry.jobs
    assert entry.retries == 10


def test_a_name_of_any_length_takes_little_room() -> None:
    entry = EMPTY
    for number in range(MOST_JOBS_OF_A_RUN):
        entry = reserved(entry, replace(lost(f"runner-{number}"), name="n" * 1000), most_retries=2)
    assert len(render(entry)) < 64 * 1024


def test_an_entry_survives_its_text() -> None:
    entry = reserved(EMPTY, lost(), most_retries=2)
    entry = reserved(entry, lost("ci-cpu-2", job_id=None), most_retries=2)
    entry = settled(entry, entry.jobs["ci-cpu-2"], RerunState.UNNEEDED)
    assert parse(render(entry)) == entry


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"repository": "o/r", "retries": 1, "jobs": [{}]}',
        render(reserved(EMPTY, lost(), most_retries=1)).replace("eviction", "boredom"),
        render(reserved(EMPTY, lost(), most_retries=1)).replace("+00:00", ""),
    ],
)
def test_a_text_that_is_no_entry_says_so(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
