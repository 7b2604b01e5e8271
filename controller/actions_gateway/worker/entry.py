"""One job from the mounted Secret to the container's exit code."""

from __future__ import annotations

import os
import signal
import time

from . import log
from .cancellation import CancellationFile
from .certificates import trust_extra_authorities
from .control import Control
from .errors import StartError
from .framing import NEW_JOB_REQUEST, frame
from .outcome import Outcome, clear_termination_message, from_status, not_started, write_termination_message
from .settings import TERMINATION_MESSAGE_PATH, Settings, scrubbed
from .signals import SignalPipe
from .spawning import find_worker, spawn
from .staging import check_plan, read_job_message, read_plan_id, stage_runner_files
from .supervision import Supervisor


def run() -> int:
    """Runs the job; returns the exit code of the container."""
    clear_termination_message(os.environ.get(TERMINATION_MESSAGE_PATH, ""))
    signals = SignalPipe()
    try:
        outcome = _run_job(Settings(os.environ), signals)
    except StartError as exc:
        outcome = not_started(str(exc), exit_code=exc.exit_code)
    _report(outcome)
    return outcome.exit_code


def _run_job(settings: Settings, signals: SignalPipe) -> Outcome:
    """Raises StartError for everything that keeps the Worker from starting."""
    check_plan(settings.payload_folder, settings.plan_id)
    text = read_job_message(settings.payload_folder)
    message = frame(NEW_JOB_REQUEST, text)
    worker_path = find_worker(settings.runner_home, os.environ.get("PATH", os.defpath))
    stage_runner_files(settings.payload_folder, settings.runner_home)
    environ = scrubbed(os.environ, _started_with())
    environ.update(trust_extra_authorities(settings.extra_ca_paths, settings.runner_home, environ))
    if settings.refusal:
        from .refusal import refusing_hook

        environ.update(refusing_hook(settings.refusal, settings.runner_home))
        log.info(f"the job will be refused: {settings.refusal}")
    if (number := signals.ending_signal()) != 0:
        return _ended_before_delivery(number)
    log.info(f"starting {worker_path} for plan {read_plan_id(settings.payload_folder) or '(not named)'}")
    supervisor = Supervisor(
        spawn(worker_path, environ),
        message,
        control=Control(started=time.monotonic(), grace_seconds=settings.shutdown_grace_seconds),
        signals=signals,
        cancellation=CancellationFile(settings.cancellation_path),
    )
    return _judge(supervisor, supervisor.run(), text)


def _started_with() -> bytes | None:
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - importing pathlib is slow
            return file.read()
    except OSError:
        return None


def _judge(supervisor: Supervisor, status: int, job_message: str) -> Outcome:
    control = supervisor.control
    if control.refused_by_signal:
        return _ended_before_delivery(control.refused_by_signal)
    outcome = from_status(status, reason=control.reason, tail="")
    if outcome.result is not None:
        return outcome
    from .redaction import redact  # only a Worker that died pays for it

    return from_status(status, reason=control.reason, tail=redact(supervisor.relay.tail, job_message))


def _ended_before_delivery(number: int) -> Outcome:
    name = signal.Signals(number).name
    return not_started(f"{name} came before the job was handed to Runner.Worker", exit_code=128 + signal.SIGTERM)


def _report(outcome: Outcome) -> None:
    summary = f"exit code {outcome.exit_code}, result {outcome.result or 'unknown'}"
    if outcome.result is None:
        log.error(f"{summary}: {outcome.reason.partition(chr(10))[0]}")  # the rest is the log's own tail
    else:
        log.info(summary + (f": {outcome.reason}" if outcome.reason else ""))
    write_termination_message(os.environ.get(TERMINATION_MESSAGE_PATH, ""), outcome)
