"""Lays the job's files where `Runner.Worker` looks for them, and reads the job message.

The Secret's keys are files: `payload` (the acquired job, verbatim or gzipped), `plan-id`, `runner` and `credentials`
(the JSON of `.runner` and `.credentials`). `Runner.Worker` reads no RSA parameters (actions/runner `src/Runner.Common/
ConfigurationStore.cs`, used by the listener only), so none are staged: steps run as the same user and could read them.
"""

# Importing pathlib would add 6 ms to every pod's start.
# ruff: noqa: PTH103, PTH108, PTH110, PTH118, PTH123
from __future__ import annotations

import os

from .errors import StartError, WrongJob
from .framing import MAX_BODY_BYTES

GZIP = b"\x1f\x8b"
"""How a compressed payload begins (RFC 1952, 2.3.1); no JSON does."""


def read_job_message(payload_folder: str) -> str:
    """The acquired job as text, neither parsed nor reformatted; raises StartError."""
    raw = read_key(payload_folder, "payload")
    if raw.startswith(GZIP):
        raw = _expanded(raw)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise StartError(f"the job message is not UTF-8 text (byte {exc.start})") from exc
    if not text.strip():
        raise StartError("the job message is empty")
    return text


def _expanded(raw: bytes) -> bytes:
    import zlib  # only a job too large for its Secret pays for it

    expander = zlib.decompressobj(wbits=31)
    try:
        # The runner refuses what is larger; an archive must not take the pod's memory before.
        expanded = expander.decompress(raw, MAX_BODY_BYTES)
    except zlib.error:
        expanded = b""
    if not expander.eof:
        raise StartError("the compressed job message is damaged, or larger than the runner accepts")
    return expanded


def check_plan(payload_folder: str, plan_id: str) -> None:
    """Raises WrongJob when the Secret names another plan than the pod, which an empty `plan_id` leaves open."""
    if plan_id and read_key(payload_folder, "plan-id").decode("utf-8", "replace").strip() != plan_id:
        raise WrongJob("the job's Secret holds another job by now; this pod runs nothing")


def read_plan_id(payload_folder: str) -> str:
    """The plan's id for the log; empty when the Secret has none."""
    try:
        return read_key(payload_folder, "plan-id").decode("utf-8", "replace").strip()
    except StartError:
        return ""


def stage_runner_files(payload_folder: str, runner_home: str) -> None:
    """Writes `.runner` and, when given, `.credentials` (mode 0600) and creates `_diag`; raises StartError."""
    write_private(os.path.join(runner_home, ".runner"), read_key(payload_folder, "runner"))
    if os.path.exists(os.path.join(payload_folder, "credentials")):
        write_private(os.path.join(runner_home, ".credentials"), read_key(payload_folder, "credentials"))
    try:
        os.makedirs(os.path.join(runner_home, "_diag"), exist_ok=True)
    except OSError as exc:
        raise StartError(f"cannot create {runner_home}/_diag: {exc.strerror}; mount a writable volume there") from exc


def read_key(payload_folder: str, key: str) -> bytes:
    """The bytes of one key of the mounted Secret; raises StartError naming the key."""
    path = os.path.join(payload_folder, key)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as exc:
        raise StartError(f"cannot read key {key!r} of the job's Secret at {path}: {exc.strerror}") from exc


def write_private(path: str, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces `path` by a new file that only the runner's user reads; a link left there is not followed."""
    try:
        if os.path.lexists(path):
            os.unlink(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # the umask may have taken bits away
            file.write(content)
    except OSError as exc:
        raise StartError(f"cannot write {path}: {exc.strerror}; the runner's home must be writable") from exc
