"""Containers as process trees: output, exit codes, signals, and nothing left behind."""

import asyncio
import os
import sys
import uuid
from pathlib import Path

import pytest

from actions_gateway.engine.clock import SystemClock
from gateway_sandbox.nodes.processes import ContainerProcess, Launch, kill_pod, markers
from support.aio import run
from support.clock import ManualClock

from .world import advance_until


class Harness:
    """One started container with its output and exit code."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.output = bytearray()
        self.exit_code: int | None = None
        self.first_line = asyncio.Event()

    def take(self, chunk: bytes) -> None:
        self.output += chunk
        if b"\n" in self.output:
            self.first_line.set()

    def ended(self, exit_code: int) -> None:
        self.exit_code = exit_code


async def start(
    script: str, folder: Path, tasks: asyncio.TaskGroup, *, pre_stop_seconds: float = 0.0
) -> tuple[ContainerProcess, Harness]:
    harness = Harness(str(uuid.uuid4()))
    env = {"PATH": os.environ["PATH"], **markers(harness.uid, "main")}
    process = await ContainerProcess.start(
        Launch(["/bin/sh", "-c", script], env, folder, pre_stop_seconds), harness.take
    )
    tasks.create_task(process.supervise(harness.ended))
    return process, harness


class Told(ContainerProcess):
    """A process that ignores SIGTERM; what it was told, and when."""

    def __init__(self, process: ContainerProcess, clock: ManualClock) -> None:
        self.__dict__.update(process.__dict__)
        self.signals: list[tuple[str, float]] = []
        self._clock = clock

    def terminate(self) -> None:
        self.signals.append(("SIGTERM", self._clock.monotonic()))

    def kill(self) -> None:
        self.signals.append(("SIGKILL", self._clock.monotonic()))
        super().kill()


def is_alive(pid: int) -> bool:
    """A zombie that its new parent has not reaped yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("script", "exit_code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_the_exit_code_is_that_of_a_container(tmp_path: Path, script: str, exit_code: int) -> None:
    async def scenario() -> int | None:
        async with asyncio.TaskGroup() as tasks:
            _, harness = await start(script, tmp_path, tasks)
        return harness.exit_code

    assert run(scenario()) == exit_code


def test_both_streams_are_read_to_their_end(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        async with asyncio.TaskGroup() as tasks:
            _, harness = await start("echo one; echo two >&2; head -c 300000 /dev/zero", tmp_path, tasks)
        return bytes(harness.output)

    assert run(scenario()) == b"one\ntwo\n" + bytes(300000)


def test_the_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_SECRET", "x")

    async def scenario() -> bytes:
        async with asyncio.TaskGroup() as tasks:
            _, harness = await start("env", tmp_path, tasks)
        return bytes(harness.output)

    assert b"SANDBOX_SECRET" not in run(scenario())


def test_a_daemon_dies_with_the_main_process(tmp_path: Path) -> None:
    """The daemon has a session of its own, holds the output pipe and ignores SIGTERM."""
    daemon = f"{sys.executable} -c 'import os,time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)' &"

    async def scenario() -> int:
        async with asyncio.TaskGroup() as tasks:
            _, harness = await start(f"trap '' TERM; {daemon} read line < fifo", tmp_path, tasks)
            await harness.first_line.wait()
            (tmp_path / "fifo").write_text("go\n")
        assert harness.exit_code == 0
        return int(harness.output.split()[0])

    os.mkfifo(tmp_path / "fifo")
    assert not is_alive(run(scenario()))


def test_sigterm_reaches_the_main_process_only_and_the_grace_ends_it(tmp_path: Path) -> None:
    script = (
        "trap 'echo main got it' TERM; sh -c 'trap \"echo child got it\" TERM; echo up; sleep 600' & wait; sleep 600"
    )

    async def scenario() -> Harness:
        async with asyncio.TaskGroup() as tasks:
            process, harness = await start(script, tmp_path, tasks)
            await harness.first_line.wait()
            await process.stop(2.0, SystemClock())
        return harness

    harness = run(scenario())
    assert harness.exit_code == 137
    assert bytes(harness.output) == b"up\nmain got it\n"


def test_an_obedient_process_ends_within_its_grace(tmp_path: Path) -> None:
    async def scenario() -> int | None:
        async with asyncio.TaskGroup() as tasks:
            process, harness = await start("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done", tmp_path, tasks)
            await harness.first_line.wait()
            await process.stop(600, SystemClock())
        return harness.exit_code

    assert run(scenario()) == 7


@pytest.mark.parametrize(
    ("grace_seconds", "sleep_seconds", "term_after_seconds", "kill_after_seconds"),
    [(60, 45, 45, 60), (60, 0, 0, 60), (30, 45, 30, 32), (0, 45, 0, 0)],
    ids=["the rest of the grace follows", "no hook", "a short grace cuts it short", "no grace, no hook"],
)
def test_the_sleep_before_the_sigterm_counts_into_the_grace(
    tmp_path: Path, grace_seconds: int, sleep_seconds: int, term_after_seconds: int, kill_after_seconds: int
) -> None:
    async def scenario() -> list[tuple[str, float]]:
        clock = ManualClock()
        async with asyncio.TaskGroup() as tasks:
            process, harness = await start("echo up; sleep 600", tmp_path, tasks, pre_stop_seconds=sleep_seconds)
            await harness.first_line.wait()
            told = Told(process, clock)
            await advance_until(clock, 1.0, told.stop(float(grace_seconds), clock))
        return told.signals

    assert run(scenario()) == [("SIGTERM", term_after_seconds), ("SIGKILL", kill_after_seconds)]


def test_a_process_that_ends_while_its_hook_sleeps_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            process, harness = await start("exit 3", tmp_path, tasks, pre_stop_seconds=600)
            await process.stop(900, ManualClock())
        assert harness.exit_code == 3

    run(scenario())


def test_a_pods_mark_finds_all_of_its_processes(tmp_path: Path) -> None:
    async def scenario() -> tuple[int | None, int | None]:
        async with asyncio.TaskGroup() as tasks:
            _, harness = await start("sleep 600", tmp_path, tasks)
            _, other = await start("exit 0", tmp_path, tasks)
            await kill_pod(harness.uid)
        return harness.exit_code, other.exit_code

    assert run(scenario()) == (137, 0)


def test_what_cannot_be_executed_is_an_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(FileNotFoundError):
            await ContainerProcess.start(Launch(["/no/such/file"], markers("u", "main"), tmp_path), lambda _: None)

    run(scenario())
