"""A container's log: lines with times, tails, followers, rotation."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway_sandbox.nodes.logs import ContainerLog, LogOptions
from support.aio import run
from support.clock import START, ManualClock


async def collect(log: ContainerLog, options: LogOptions | None = None) -> bytes:
    return b"".join([chunk async for chunk in log.read(options or LogOptions())])


def read(log: ContainerLog, options: LogOptions | None = None) -> bytes:
    return run(collect(log, options))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(tmp_path: Path, clock: ManualClock) -> Iterator[ContainerLog]:
    opened = ContainerLog(tmp_path / "1.log", clock)
    yield opened
    opened.close()


def test_output_is_read_back_byte_for_byte(log: ContainerLog) -> None:
    log.append(b"one\ntw")
    log.append(b"o\n\n\xff\n")
    assert read(log) == b"one\ntwo\n\n\xff\n"


def test_an_unfinished_line_shows_when_the_container_has_ended(log: ContainerLog) -> None:
    log.append(b"no newline")
    assert read(log) == b""
    log.close()
    assert read(log) == b"no newline"


def test_a_line_of_any_length_stays_one_line(log: ContainerLog) -> None:
    line = b"x" * 40_000
    log.append(line[:20_000])
    log.append(line[20_000:] + b"\nnext\n")
    assert read(log) == line + b"\nnext\n"
    assert read(log, LogOptions(tail_lines=2)) == line + b"\nnext\n"


@pytest.mark.parametrize(("lines", "expected"), [(0, b""), (1, b"c\n"), (2, b"b\nc\n"), (9, b"a\nb\nc\n")])
def test_the_tail_counts_lines(log: ContainerLog, lines: int, expected: bytes) -> None:
    log.append(b"a\nb\nc\n")
    assert read(log, LogOptions(tail_lines=lines)) == expected


def test_a_limit_cuts_in_the_middle_of_a_line(log: ContainerLog) -> None:
    log.append(b"abc\ndef\n")
    assert read(log, LogOptions(limit_bytes=5)) == b"abc\nd"


def test_lines_carry_their_times(log: ContainerLog, clock: ManualClock) -> None:
    async def scenario() -> None:
        log.append(b"early\n")
        await clock.advance(60)
        log.append(b"late\n")
        since = LogOptions(since=START + timedelta(seconds=30), timestamps=True)
        assert await collect(log, since) == b"2026-01-05T09:01:00.000000000Z late\n"

    run(scenario())


def test_a_follower_sees_what_is_written_until_the_end(log: ContainerLog) -> None:
    async def scenario() -> None:
        log.append(b"before\n")
        async with asyncio.TaskGroup() as tasks:
            followers = [tasks.create_task(collect(log, LogOptions(follow=True))) for _ in range(2)]
            await asyncio.sleep(0)
            log.append(b"during\n")
            await asyncio.sleep(0)
            log.append(b"after")
            log.close()
        assert [follower.result() for follower in followers] == [b"before\nduring\nafter"] * 2

    run(scenario())


def test_rotation_keeps_the_newest_two_files(tmp_path: Path, clock: ManualClock) -> None:
    log = ContainerLog(tmp_path / "1.log", clock, rotate_bytes=400)
    for number in range(100):
        log.append(b"line %03d\n" % number)
    log.close()
    lines = read(log).splitlines()
    assert lines[-1] == b"line 099"
    assert lines == [b"line %03d" % number for number in range(100 - len(lines), 100)]
    assert 10 <= len(lines) < 30


def test_a_follower_loses_nothing_over_a_rotation(tmp_path: Path, clock: ManualClock) -> None:
    async def scenario() -> None:
        log = ContainerLog(tmp_path / "1.log", clock, rotate_bytes=400)
        async with asyncio.TaskGroup() as tasks:
            follower = tasks.create_task(collect(log, LogOptions(follow=True)))
            for number in range(100):
                log.append(b"line %03d\n" % number)
                await asyncio.sleep(0)
            log.close()
        assert follower.result() == b"".join(b"line %03d\n" % number for number in range(100))

    run(scenario())


def test_the_message_of_a_failure_is_the_end_of_the_log(log: ContainerLog) -> None:
    log.append(b"noise\n" * 1000 + b"the reason\n")
    assert log.last_bytes(11) == b"the reason\n"
