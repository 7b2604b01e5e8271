"""The fake `Runner.Worker`: one process that takes one job from its pipe, executes it and reports it.

It follows actions/runner `src/Runner.Worker/Program.cs`, `Worker.cs` and `JobRunner.cs`: command line, channel,
required files and fields, results and exit codes. It never renews the job's lock.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH100, PTH118, PTH120, PTH208
from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import traceback

from .cancellation import Cancellation
from .channel import NEW_JOB_REQUEST, Channel
from .diagnostics import Trace, print_lines, wants_stdout
from .errors import WorkerError
from .job import TASK_RESULT_CODES, JobRun
from .joblog import JobLog
from .jobmessage import JobMessage
from .knobs import VARIABLE, Knobs, read_knobs
from .masking import Masker
from .proxies import proxies_for_steps
from .reporting import Reporter
from .workspace import read_runner_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .service import ServiceClient

LAUNCH_FAILED = 1
FINAL_STATUSES = (401, 404)
"""The service has closed this job: completejob is not tried again."""


def main(argv: list[str]) -> None:
    """`argv` is the path of Runner.Worker and its arguments; ends the process."""
    try:
        code = _run(argv)
    except WorkerError as exc:
        print_lines([f"[WORKER] {exc}"])
        code = LAUNCH_FAILED
    except Exception:
        print_lines(traceback.format_exc().splitlines())
        code = LAUNCH_FAILED
    os._exit(code)  # threads that wait for a message or a slow service must not hold the exit


def _run(argv: list[str]) -> int:
    read_fd, write_fd = _arguments(argv)
    runner_root = os.path.dirname(os.path.dirname(os.path.abspath(argv[0])))
    knobs = read_knobs(os.environ, runner_root)
    trace = _open_trace(runner_root)
    cancellation = Cancellation(trace, knobs)
    channel = Channel(read_fd, write_fd)
    if knobs.close_channel:
        os.close(read_fd)
        cancellation.wait(knobs.duration_seconds)
        raise WorkerError("the channel was closed on request")
    text = _first_message(channel, knobs)
    _record(knobs, argv, text)
    message = JobMessage(text)
    settings = read_runner_settings(runner_root)
    trace.info("JobRunner", f"Job ID {message.job_id}")
    _misbehave(knobs)
    cancellation.listen(channel)
    return _execute(message, settings, runner_root, trace, cancellation, knobs)


def _arguments(argv: list[str]) -> tuple[int, int]:
    if len(argv) != 4 or argv[1].lower() != "spawnclient":
        raise WorkerError("usage: Runner.Worker spawnclient <pipe to read> <pipe to write>")
    try:
        return int(argv[2]), int(argv[3])
    except ValueError:
        raise WorkerError(f"{argv[2]!r} and {argv[3]!r} are not both descriptor numbers") from None


def _open_trace(runner_root: str) -> Trace:
    try:
        return Trace(os.path.join(runner_root, "_diag"), to_stdout=wants_stdout(os.environ))
    except OSError:
        # The runner opens its log before it handles errors, and aborts without it.
        traceback.print_exc()
        os.abort()


def _first_message(channel: Channel, knobs: Knobs) -> str:
    deadline = time.monotonic() + knobs.first_message_seconds
    time.sleep(knobs.read_delay_seconds)
    kind, text = channel.receive(deadline)
    if kind != NEW_JOB_REQUEST or not text:
        raise WorkerError(f"the first message has type {kind} and {len(text)} characters; a new job was expected")
    return text


def _record(knobs: Knobs, argv: list[str], text: str) -> None:
    """Writes what was delivered, for tests; the file holds the job's secrets."""
    if not knobs.record_path:
        return
    descriptors = sorted(int(name) for name in os.listdir("/dev/fd") if name.isdigit())
    found = {"argv": argv, "environ": dict(os.environ), "descriptors": descriptors, "message": text}
    with open(knobs.record_path, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        json.dump(found, file)


def _misbehave(knobs: Knobs) -> None:
    if knobs.stdout_bytes:
        line = "x" * 99
        print_lines([line] * (knobs.stdout_bytes // 100))
    if knobs.lingering_child_seconds:
        subprocess.Popen(["sleep", str(knobs.lingering_child_seconds)], close_fds=False)
    if knobs.crash_text:
        print_lines(knobs.crash_text.splitlines())
    if knobs.kill_signal:
        if knobs.kill_signal != signal.SIGKILL:
            signal.signal(knobs.kill_signal, signal.SIG_DFL)
        os.kill(os.getpid(), knobs.kill_signal)
    if knobs.crash_text:
        raise WorkerError("crashed on request")


def _execute(
    message: JobMessage,
    settings: dict[str, object],
    runner_root: str,
    trace: Trace,
    cancellation: Cancellation,
    knobs: Knobs,
) -> int:
    client = _LazyClient(message.token)
    reporter = _open_reporter(message, client, trace, knobs)
    masker = _masker(message)
    trace.mask = masker.mask
    log = JobLog(masker, reporter.log if reporter else lambda _line: None)
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE} | proxies_for_steps(os.environ)
    run = JobRun(
        message,
        settings,
        runner_root=runner_root,
        environ=environ,
        log=log,
        reporter=reporter,
        trace=trace,
        cancellation=cancellation,
        knobs=knobs,
    )
    run.run()
    if reporter is not None:
        reporter.close()
    if knobs.exit_code is not None:
        return knobs.exit_code
    if knobs.reports and not _complete(message, run, client, trace, knobs):
        return LAUNCH_FAILED
    trace.info("Worker", "Job completed.")
    return TASK_RESULT_CODES[run.result]


class _LazyClient:
    """Imports TLS and HTTP when the first request is due: the job's first step does not wait for them."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._lock = threading.Lock()
        self._client: ServiceClient | None = None

    def __call__(self) -> ServiceClient:
        with self._lock:
            if self._client is None:
                from .service import ServiceClient

                self._client = ServiceClient(self._token, os.environ)
            return self._client


def _open_reporter(message: JobMessage, client: _LazyClient, trace: Trace, knobs: Knobs) -> Reporter | None:
    if not message.results_url:
        return None
    return Reporter(
        client,
        message.results_url,
        message.plan_id,
        interval_seconds=knobs.upload_interval_seconds,
        on_error=lambda text: trace.error("ResultsServer", text),
    )


def _masker(message: JobMessage) -> Masker:
    masker = Masker()
    masker.add(message.token)
    for value in message.secrets.values():
        masker.add(value)
    for pattern in message.masks:
        masker.add_pattern(pattern)
    return masker


def _complete(message: JobMessage, run: JobRun, client: _LazyClient, trace: Trace, knobs: Knobs) -> bool:
    """Posts completejob until the service takes it; False when it never does."""
    from .service import ServiceError

    body = {
        "planId": message.plan_id,
        "jobId": message.job_id,
        "conclusion": run.result,
        "outputs": run.outputs,
        "stepResults": [record.for_completion() for record in run.records],
        "annotations": run.annotations,
        "telemetry": [],
        "environmentUrl": None,
        "billingOwnerId": message.billing_owner_id,
        "infrastructureFailureCategory": None,
    }
    for attempt in range(knobs.complete_attempts):
        if attempt:
            time.sleep(knobs.complete_retry_seconds)
        try:
            client().post_json(message.service_url, "completejob", body)
            return True
        except ServiceError as exc:
            trace.error("JobRunner", f"completejob was not accepted: {exc}")
            if exc.status in FINAL_STATUSES:
                return False
    return False
