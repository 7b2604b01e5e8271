"""The fake worker without the wrapper: its command line, its channel, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.patience import HANG_SECONDS

from .harness import Pod, job_message, step


def start_worker(pod: Pod, *arguments: str, descriptors: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(pod.home / "bin" / "Runner.Worker"), *arguments],
        env={**pod.environ, "ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT": "1"},
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=descriptors,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "arguments",
    [(), ("spawnclient",), ("spawnclient", "3"), ("spawnclient", "a", "b"), ("other", "3", "4")],
    ids=lambda arguments: " ".join(arguments) or "none",
)
def test_other_command_lines_are_refused(pod: Pod, arguments: tuple[str, ...]) -> None:
    with start_worker(pod, *arguments) as worker:
        output = worker.communicate(timeout=HANG_SECONDS)[0]
    assert worker.returncode == 1
    assert "Runner.Worker" in output or "descriptor" in output


class Channel:
    """The listener's side of a worker that is started without the wrapper."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._worker: subprocess.Popen[str] | None = None
        self._write_end = -1

    @property
    def worker(self) -> subprocess.Popen[str]:
        assert self._worker is not None
        return self._worker

    def start(self) -> None:
        (self._pod.home / ".runner").write_text('{"workFolder": "_work"}')
        read_end, self._write_end = os.pipe()
        other_read, other_write = os.pipe()
        self._worker = start_worker(
            self._pod, "SpawnClient", str(read_end), str(other_write), descriptors=(read_end, other_write)
        )
        for descriptor in (read_end, other_write, other_read):
            os.close(descriptor)

    def send(self, kind: int, text: str = "") -> None:
        body = text.encode("utf-16-le")
        os.write(self._write_end, kind.to_bytes(4, "little", signed=True) + len(body).to_bytes(4, "little") + body)

    def until_line(self, text: str) -> None:
        assert self.worker.stdout is not None
        assert any(text == line.strip() for line in self.worker.stdout), f"no line {text!r}"

    def output(self) -> str:
        """The rest of the output, once the worker has ended."""
        return self.worker.communicate(timeout=HANG_SECONDS)[0]

    def exit_code(self) -> int:
        return self.worker.wait(timeout=HANG_SECONDS)

    def close(self) -> None:
        """Ends the worker and the steps of one that died without ending them."""
        if self._worker is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._worker.pid, signal.SIGKILL)
            self._worker.communicate(timeout=HANG_SECONDS)
            os.close(self._write_end)


@pytest.fixture
def channel(pod: Pod) -> Iterator[Channel]:
    found = Channel(pod)
    yield found
    found.close()


def message_text(**parts: Any) -> str:
    return json.dumps(job_message(parts.pop("steps", [step("echo runs; exec sleep 60")]), **parts))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (2, message_text()),
        (1, ""),
        (1, "[]"),
        (1, "{not json"),
        (1, message_text(messageType="PipelineAgentJobRequest")),
        (1, message_text(plan={})),
        (1, message_text(jobId="")),
        (1, message_text(resources={"endpoints": []})),
    ],
    ids=["type 2 first", "empty", "a list", "no JSON", "another type", "no plan", "no job id", "no endpoint"],
)
def test_a_message_that_is_no_job_ends_the_worker_with_1(channel: Channel, kind: int, text: str) -> None:
    channel.start()
    channel.send(kind, text)
    assert channel.exit_code() == 1


def test_a_first_message_that_does_not_come_ends_the_worker_with_1(pod: Pod, channel: Channel) -> None:
    pod.set_knobs(first_message_seconds=0.1)
    channel.start()
    assert channel.exit_code() == 1


def test_property_names_have_no_case(pod: Pod, channel: Channel) -> None:
    pod.set_knobs(reports=False)
    channel.start()
    channel.send(1, message_text(steps=[]).replace('"messageType"', '"MESSAGETYPE"').replace('"jobId"', '"JobId"'))
    assert channel.exit_code() == 100


ENDINGS: list[tuple[str, Callable[[Channel], None], int]] = [
    ("a cancellation", lambda channel: channel.send(2), 103),
    ("a runner shutdown", lambda channel: channel.send(3), 102),
    ("a system shutdown", lambda channel: channel.send(4), 102),
    ("SIGTERM", lambda channel: channel.worker.send_signal(signal.SIGTERM), 102),
    ("an unknown message", lambda channel: channel.send(9), 1),
]


@pytest.mark.parametrize(("end", "code"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS])
def test_a_running_job_is_ended(pod: Pod, channel: Channel, end: Callable[[Channel], None], code: int) -> None:
    pod.set_knobs(reports=False)
    channel.start()
    channel.send(1, message_text())
    channel.until_line("runs")
    end(channel)
    assert channel.exit_code() == code


def test_a_second_sigterm_ends_the_worker_at_once(pod: Pod, channel: Channel) -> None:
    pod.set_knobs(reports=False, interrupt_seconds=60)
    channel.start()
    channel.send(1, stubborn_job())
    channel.until_line("runs")
    channel.worker.send_signal(signal.SIGTERM)
    channel.worker.send_signal(signal.SIGINT)
    channel.until_line("interrupted")
    channel.worker.send_signal(signal.SIGTERM)
    assert channel.exit_code() == 143


def test_the_first_sigterm_leaves_a_bounded_time(pod: Pod, channel: Channel) -> None:
    pod.set_knobs(reports=False, interrupt_seconds=60, sigterm_seconds=0.2)
    channel.start()
    channel.send(1, stubborn_job())
    channel.until_line("runs")
    channel.worker.send_signal(signal.SIGTERM)
    assert channel.exit_code() == 143


def stubborn_job() -> str:
    script = """
import os, signal
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"interrupted\\n"))
print("runs", flush=True)
while True:
    signal.pause()
"""
    return message_text(steps=[step(script, shell="python")])


def test_the_diagnostic_log_has_the_runners_markers(pod: Pod, channel: Channel) -> None:
    pod.set_knobs(reports=False)
    channel.start()
    channel.send(1, message_text(steps=[step("true", displayNameToken="Quick")]))
    assert channel.exit_code() == 100
    (path,) = (pod.home / "_diag").glob("Worker_*-utc.log")
    lines = path.read_text().splitlines()
    shape = re.compile(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ (CRIT|ERR |WARN|INFO|VERB) ([^\]]+)\] (.*)$")
    matched = [match for line in lines if (match := shape.match(line))]
    assert len(matched) == len(lines)
    texts = [f"{match[2]}: {match[3]}" for match in matched]
    assert texts == [
        "JobRunner: Job ID job-1",
        "StepsRunner: Processing step: DisplayName='Quick'",
        "StepsRunner: Step result: success",
        "JobRunner: Job result after all job steps finish: Succeeded",
        "Worker: Job completed.",
    ]
    assert f"[WORKER {lines[0][1:]}" in channel.output()


def test_the_worker_starts_quickly(pod: Pod) -> None:
    """A guard against slow imports: the modules that cost tens of milliseconds are not loaded."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import gateway_sandbox.runner.worker; print(*sys.modules)"
    root = Path(__file__).parents[3] / "controller"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(root)], capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {"asyncio", "dataclasses", "inspect", "typing", "pathlib", "ssl", "http.client", "urllib.parse", "yaml"}
    assert slow & set(loaded) == set()
