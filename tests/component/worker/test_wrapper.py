"""The wrapper with real processes: delivery, signals, cancellation, crashes, exit codes, and what it gives away."""

import asyncio
import json
import os
import re
import select
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.agent.jobs.packing import packed
from support.aio import run

from .harness import GITHUB_TOKEN, JOB_TOKEN, Pod, job_message, step

SLEEPER = "trap 'echo interrupted; exit 1' INT TERM; echo step-runs; while :; do sleep 0.05; done"


def test_a_succeeding_job_ends_with_zero_and_says_so(pod: Pod) -> None:
    pod.set_job(job_message([step("echo hello from the job")]))
    pod.set_knobs(reports=False)
    assert run(pod.run()) == 0
    assert "hello from the job" in pod.output
    assert pod.message == {"exit_code": 100, "result": "succeeded", "reason": None}


def test_a_failing_job_hands_its_result_on(pod: Pod) -> None:
    pod.set_job(job_message([step("exit 7")]))
    pod.set_knobs(reports=False)
    assert run(pod.run()) == 102
    assert pod.message == {"exit_code": 102, "result": "failed", "reason": None}


@pytest.mark.parametrize(
    ("worker_code", "exit_code", "result"),
    [
        (100, 0, "succeeded"),
        (101, 0, "succeededWithIssues"),
        (103, 103, "canceled"),
        (104, 104, "skipped"),
        (105, 105, "abandoned"),
        (1, 1, None),
        (17, 17, None),
    ],
)
def test_each_exit_code_of_the_worker_has_its_own(
    pod: Pod, worker_code: int, exit_code: int, result: str | None
) -> None:
    pod.set_job(job_message([]))
    pod.set_knobs(exit_code=worker_code)
    assert run(pod.run()) == exit_code
    assert (pod.message["exit_code"], pod.message["result"]) == (worker_code, result)


def test_the_job_message_arrives_byte_for_byte(pod: Pod) -> None:
    text = json.dumps(job_message([], jobDisplayName="é😀"), ensure_ascii=False, indent=3) + "\n \r\n"
    pod.write_key("payload", "\ufeff" + text)
    pod.set_knobs(reports=False, record_path=str(pod.record))
    assert run(pod.run()) == 0
    assert pod.recorded["message"] == text


def test_a_message_larger_than_the_pipe_waits_for_a_slow_reader(pod: Pod) -> None:
    pod.set_job(job_message([], padding="x" * 3_000_000))
    pod.set_knobs(reports=False, read_delay_seconds=0.3)
    assert run(pod.run()) == 0


def test_steps_see_none_of_the_wrappers_variables_and_no_secret_is_in_environment_or_arguments(pod: Pod) -> None:
    pod.environ["WORKER_SHUTDOWN_GRACE"] = "3"
    pod.environ["HTTPS_PROXY"] = "http://proxy:3128"
    pod.set_job(job_message([step("echo environment:; env")]))
    pod.set_knobs(reports=False, record_path=str(pod.record))
    assert run(pod.run()) == 0
    recorded = pod.recorded
    environ, arguments = recorded["environ"], recorded["argv"]
    own = {"RUNNER_HOME_DIR", "PAYLOAD_SECRET_PATH", "CANCELLATION_PATH", "WORKER_SHUTDOWN_GRACE"}
    assert own & environ.keys() == set()
    assert "TERMINATION_MESSAGE_PATH" not in environ
    assert environ["HTTPS_PROXY"] == "http://proxy:3128"
    assert arguments[1] == "spawnclient"
    assert set(map(int, arguments[2:])) <= set(recorded["descriptors"])
    for secret in (JOB_TOKEN, GITHUB_TOKEN):
        assert secret not in json.dumps([environ, arguments])
        assert secret not in pod.output


def test_the_worker_inherits_its_two_pipes_and_nothing_else(pod: Pod) -> None:
    worker = pod.home / "bin" / "Runner.Worker"
    worker.write_text('#!/bin/sh\necho "pipes $2 $3"\nexec ls -l /proc/self/fd\n')
    pod.set_job(job_message([]))
    run(pod.run())
    pipes = set(re.findall(r"\d+", re.findall(r"pipes (.*)", pod.output)[0]))
    opened = dict(re.findall(r" (\d+) -> (.*)", pod.output))
    listing = {number for number, target in opened.items() if target.startswith("/proc/")}
    assert opened.keys() - listing == {"0", "1", "2"} | pipes
    assert opened["0"] == "/dev/null"


def test_the_runners_files_are_private_and_its_keys_are_not_there(pod: Pod) -> None:
    pod.set_job(job_message([]))
    pod.set_knobs(reports=False)
    assert run(pod.run()) == 0
    for name, key in ((".runner", "runner"), (".credentials", "credentials")):
        path = pod.home / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == (pod.secret / key).read_text()
    assert not (pod.home / ".credentials_rsaparams").exists()
    assert list((pod.home / "_diag").glob("Worker_*-utc.log"))


def test_a_link_left_in_the_home_is_not_followed(pod: Pod, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    (pod.home / ".runner").symlink_to(target)
    pod.set_job(job_message([]))
    pod.set_knobs(reports=False)
    assert run(pod.run()) == 0
    assert target.read_text() == "untouched"


def test_a_termination_before_the_job_is_delivered_kills_the_worker(pod: Pod) -> None:
    pod.set_job(job_message([], padding="x" * 3_000_000))
    pod.set_knobs(read_delay_seconds=60)

    async def main() -> int:
        await pod.start()
        await pod.until("starting")
        pod.process.send_signal(signal.SIGTERM)
        return await pod.end()

    assert run(main()) == 143
    assert pod.message["result"] is None
    assert "before the job was handed" in pod.message["reason"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_termination_shuts_the_worker_down_and_the_job_fails(pod: Pod, number: signal.Signals) -> None:
    pod.set_job(job_message([step(SLEEPER), step("echo never", name="later", condition="always()")]))
    pod.set_knobs(reports=False, record_path=str(pod.record))

    async def main() -> int:
        await pod.start()
        await pod.until_line("step-runs")
        pod.process.send_signal(number)
        pod.process.send_signal(number)
        return await pod.end()

    assert run(main()) == 102
    assert "message type 3" in pod.output
    assert "echo never" not in pod.output
    assert number.name in pod.message["reason"]
    assert pod.message["result"] == "failed"


def test_a_worker_that_ignores_the_shutdown_is_killed_after_the_grace(pod: Pod) -> None:
    pod.environ["WORKER_SHUTDOWN_GRACE"] = "0.3"
    pod.set_job(job_message([step(SLEEPER)]))
    pod.set_knobs(ignore_control=True)

    async def main() -> int:
        await pod.start()
        await pod.until_line("step-runs")
        pod.process.send_signal(signal.SIGTERM)
        return await pod.end()

    assert run(main()) == 137
    assert "SIGKILL" in pod.output
    assert "SIGTERM to Runner.Worker" not in pod.output, "a SIGTERM after the shutdown message would cut its report"
    assert "killed 0.3 s later" in pod.message["reason"]


def test_a_users_cancellation_cancels_the_job_and_runs_its_clean_up(pod: Pod) -> None:
    pod.set_job(job_message([step(SLEEPER), step("echo cleaned up", name="later", condition="cancelled()")]))
    pod.set_knobs(reports=False)

    async def main() -> int:
        await pod.start()
        await pod.until_line("step-runs")
        pod.cancellation.write_text("2099-01-01T00:00:00Z")
        return await pod.end()

    assert run(main()) == 103
    assert "message type 2" in pod.output
    assert "cleaned up" in pod.output
    assert pod.message == {"exit_code": 103, "result": "canceled", "reason": "the job was cancelled"}


def test_an_empty_cancellation_file_means_none(pod: Pod) -> None:
    pod.cancellation.write_text("")
    pod.set_job(job_message([step("true")]))
    pod.set_knobs(reports=False)
    assert run(pod.run()) == 0


def test_a_termination_during_a_cancellation_is_passed_on_as_a_signal(pod: Pod) -> None:
    pod.environ["WORKER_SHUTDOWN_GRACE"] = "20"
    pod.set_job(job_message([step(f"trap '' INT; {SLEEPER.replace('INT TERM', 'TERM')}")]))
    pod.set_knobs(reports=False, interrupt_seconds=30)
    pod.cancellation.write_text("2099-01-01T00:00:00Z")

    async def main() -> int:
        await pod.start()
        await pod.until("message type 2")
        pod.process.send_signal(signal.SIGTERM)
        return await pod.end()

    code = run(main())
    assert "SIGTERM to Runner.Worker" in pod.output
    assert code in (102, 103, 143), "the worker's own end races with its step"


def test_a_crash_is_told_with_the_workers_last_words_and_without_secrets(pod: Pod) -> None:
    pod.set_job(job_message([]))
    pod.set_knobs(crash_text=f"Unhandled exception with {JOB_TOKEN}\nBearer {GITHUB_TOKEN}\nlast words")
    assert run(pod.run()) == 1
    reason = pod.message["reason"]
    assert pod.message["result"] is None
    assert "last words" in reason
    assert "exit code 1" in reason
    assert JOB_TOKEN not in reason
    assert GITHUB_TOKEN not in reason


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_worker_killed_by_a_signal_gives_128_plus_its_number(pod: Pod, number: signal.Signals) -> None:
    pod.set_job(job_message([]))
    pod.set_knobs(kill_signal=int(number))
    assert run(pod.run()) == 128 + number
    assert f"killed by signal {int(number)}" in pod.message["reason"]


def test_a_worker_that_closes_its_pipe_is_judged_by_its_exit(pod: Pod) -> None:
    pod.set_job(job_message([], padding="x" * 3_000_000))
    pod.set_knobs(close_channel=True, duration_seconds=0.2)
    assert run(pod.run()) == 1
    assert "exit code 1" in pod.message["reason"]


def test_a_process_that_outlives_the_job_does_not_hold_the_pod(pod: Pod) -> None:
    pod.set_job(job_message([step("true")]))
    pod.set_knobs(reports=False, lingering_child_seconds=60)
    started = time.monotonic()

    async def main() -> int:
        await pod.start()
        return await pod.process.wait()

    assert run(main()) == 0
    assert time.monotonic() - started < 20, "the drain is bounded by 2 s"


def test_everything_that_a_noisy_job_prints_arrives(pod: Pod) -> None:
    pod.set_job(job_message([]))
    pod.set_knobs(reports=False, stdout_bytes=2_000_000)
    assert run(pod.run()) == 0
    assert pod.output.count("x" * 99 + "\n") == 20_000


def test_a_log_that_nobody_reads_does_not_delay_the_termination(pod: Pod) -> None:
    pod.environ["WORKER_SHUTDOWN_GRACE"] = "0.3"
    pod.set_job(job_message([step("yes")]))
    read_end, write_end = os.pipe()

    async def main() -> int:
        await pod.start(output=write_end)
        while _has_room(write_end):  # noqa: ASYNC110 - a pipe's filling is no event
            await asyncio.sleep(0.01)
        pod.process.send_signal(signal.SIGTERM)
        return await pod.process.wait()

    try:
        assert run(main()) in (102, 137)
    finally:
        os.close(read_end)
        os.close(write_end)


def _has_room(descriptor: int) -> bool:
    return bool(select.select([], [descriptor], [], 0)[1])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda pod: (pod.secret / "payload").unlink(missing_ok=True), "cannot read key 'payload'"),
        (lambda pod: pod.write_key("payload", " "), "the job message is empty"),
        (lambda pod: (pod.secret / "payload").write_bytes(b"\xff\xfe{}"), "not UTF-8"),
        (lambda pod: (pod.secret / "runner").unlink(), "cannot read key 'runner'"),
        (lambda pod: (pod.home / "bin" / "Runner.Worker").unlink(), "no Runner.Worker on PATH"),
        (lambda pod: pod.environ.update(WORKER_SHUTDOWN_GRACE="soon"), "WORKER_SHUTDOWN_GRACE must be a number"),
        (lambda pod: pod.environ.update(GITHUB_CA_CERT_PATH=str(pod.folder)), "GITHUB_CA_CERT_PATH names"),
    ],
    ids=["no payload", "blank payload", "no text", "no runner file", "no worker", "bad grace", "bad authority"],
)
def test_what_keeps_a_job_from_starting_is_one_sentence(pod: Pod, spoil: Any, sentence: str) -> None:
    pod.set_job(job_message([]))
    spoil(pod)
    assert run(pod.run()) == 1
    assert sentence in pod.message["reason"]
    assert pod.message["exit_code"] is None
    assert "Traceback" not in pod.output


def test_a_worker_that_cannot_be_executed_is_named(pod: Pod) -> None:
    worker = pod.home / "bin" / "Runner.Worker"
    worker.write_text("#!/no/such/interpreter\n")
    pod.set_job(job_message([]))
    assert run(pod.run()) == 1
    assert f"cannot start {worker}" in pod.message["reason"]


def test_the_wrapper_reaps_orphans_and_still_learns_the_workers_status(pod: Pod) -> None:
    """As PID 1 it is every orphan's parent; here a subreaper bit plays that part."""
    prctl = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
    launcher = pod.folder / "subreaper"
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S -c '{prctl}' {pod.wrapper}\n")
    launcher.chmod(0o755)
    pod.wrapper = launcher
    pod.set_job(job_message([step("(sleep 0.05 & ) ; (true &); sleep 0.2; exit 3")]))
    pod.set_knobs(reports=False)
    assert run(pod.run()) == 102


def test_a_job_that_was_too_large_for_its_secret_arrives_byte_for_byte(pod: Pod) -> None:
    text = json.dumps(job_message([], padding="é" * 3_000_000), ensure_ascii=False)
    stored = packed(text.encode())
    assert stored is not None
    assert stored != text.encode()
    (pod.secret / "payload").write_bytes(stored)
    pod.set_knobs(reports=False, record_path=str(pod.record))
    assert run(pod.run()) == 0
    assert pod.recorded["message"] == text


@pytest.mark.parametrize("damage", [slice(0, 40), slice(40, None)])
def test_a_damaged_archive_is_no_job(pod: Pod, damage: slice) -> None:
    stored = packed(json.dumps(job_message([], padding="x" * 3_000_000)).encode())
    assert stored is not None
    (pod.secret / "payload").write_bytes(b"\x1f\x8b" + stored[damage])
    assert run(pod.run()) == 1
    assert "the compressed job message is damaged" in pod.message["reason"]
