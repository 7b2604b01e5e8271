"""CPU and memory of process trees, rates between looks, and the documents that say them."""

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway_sandbox.metricsapi import documents
from gateway_sandbox.metricsapi.processes import (
    Processes,
    ProcessFact,
    Usage,
    parse_stat,
    read_processes,
    usage_by_leader,
)
from gateway_sandbox.metricsapi.sampler import ContainerSample, RunningContainer, Sampler
from support.aio import run
from support.clock import ManualClock

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
# proc(5): pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime
# priority nice threads itrealvalue starttime vsize rss ...
STAT = "42 (a (b) c) S 7 42 41 0 -1 4194560 100 0 0 0 300 200 50 25 20 0 1 0 1000 99999999 512 1844674407"


def fact(pid: int, parent: int, session: int, cpu_seconds: float = 1.0, memory_bytes: int = 10) -> ProcessFact:
    return ProcessFact(pid, parent, session, cpu_seconds, memory_bytes)


def table(*facts: ProcessFact) -> Processes:
    return {one.pid: one for one in facts}


def container(name: str, pid: int, pod: str = "p") -> RunningContainer:
    return RunningContainer("team-a", pod, "uid", name, pid)


def test_a_name_with_blanks_and_brackets_does_not_shift_the_fields() -> None:
    assert parse_stat(STAT) == ProcessFact(42, 7, 41, 575 / TICKS, 512 * PAGE)


def test_this_process_is_found_with_memory_and_its_parent() -> None:
    own = read_processes()[os.getpid()]
    assert (own.parent, own.session) == (os.getppid(), os.getsid(0))
    assert own.memory_bytes > 1_000_000


@pytest.mark.parametrize(
    ("others", "count"),
    [
        ([], 1),
        ([fact(11, 10, 10)], 2),
        ([fact(11, 1, 10)], 2),
        ([fact(11, 10, 11)], 2),
        ([fact(11, 10, 11), fact(12, 11, 12)], 3),
        ([fact(11, 1, 11)], 1),
        ([fact(20, 1, 20), fact(21, 20, 20)], 1),
    ],
    ids=[
        "alone",
        "a child",
        "a member of the session whose parent is gone",
        "a child in a session of its own",
        "a grandchild outside of the session",
        "somebody who left session and parent",
        "another container",
    ],
)
def test_a_container_is_its_session_and_what_descends_from_it(others: list[ProcessFact], count: int) -> None:
    usage = usage_by_leader([10], table(fact(10, 1, 10), *others))
    assert usage == {10: Usage(float(count), 10 * count)}


def test_a_leader_that_is_gone_uses_nothing() -> None:
    assert usage_by_leader([10], table(fact(20, 1, 20))) == {10: Usage()}


def test_a_rate_needs_two_looks_and_is_what_was_used_in_between() -> None:
    clock = ManualClock()
    processes = table(fact(10, 1, 10, cpu_seconds=5.0))
    sampler = Sampler(lambda: [container("main", 10)], clock, read=lambda: processes)

    async def scenario() -> None:
        nonlocal processes
        await sampler.look()
        assert sampler.samples == ()
        processes = table(fact(10, 1, 10, cpu_seconds=6.0, memory_bytes=77))
        await clock.advance(4.0)
        await sampler.look()

    run(scenario())
    (sample,) = sampler.samples
    assert (sample.cpu_cores, sample.memory_bytes, sample.window_seconds) == (0.25, 77, 4.0)


def test_a_container_that_started_anew_is_measured_anew() -> None:
    clock = ManualClock()
    running = [container("main", 10)]
    processes = table(fact(10, 1, 10), fact(11, 1, 11, cpu_seconds=50.0))
    sampler = Sampler(lambda: running, clock, read=lambda: processes)

    async def scenario() -> None:
        nonlocal running
        await sampler.look()
        running = [container("main", 11)]
        await clock.advance(2.0)
        await sampler.look()

    run(scenario())
    assert sampler.samples == ()


def sample(name: str, pod: str = "p", cores: float = 0.5) -> ContainerSample:
    return ContainerSample(container(name, 10, pod), cores, 2049, NOW, 2.0)


def test_a_pod_has_its_containers_in_one_document() -> None:
    made = documents.pod_documents(
        [sample("b"), sample("c"), sample("a", pod="other")], {("team-a", "p"): {"app": "x"}}
    )
    assert [(one["metadata"]["name"], [part["name"] for part in one["containers"]]) for one in made] == [
        ("other", ["a"]),
        ("p", ["b", "c"]),
    ]
    assert made[1]["metadata"]["labels"] == {"app": "x"}
    assert made[1]["containers"][0]["usage"] == {"cpu": "500000000n", "memory": "3Ki"}
    assert (made[1]["timestamp"], made[1]["window"]) == ("2026-01-05T09:00:00Z", "2.000s")


def test_a_node_uses_what_its_pods_use_together() -> None:
    made: dict[str, Any] = documents.node_document("n", {}, [sample("a"), sample("b")], NOW)
    assert made["usage"] == {"cpu": "1000000000n", "memory": "5Ki"}
    idle = documents.node_document("n", {}, [], NOW)
    assert idle["usage"] == {"cpu": "0n", "memory": "0Ki"}
