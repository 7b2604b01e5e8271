"""What comes over the wire becomes objects, events and errors: bodies, streams, and causes in plain words."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp

from actions_gateway.kube.errors import KubeError, ServerError, error_from_response

Manifest = dict[str, Any]

_WATCH_LINE_LIMIT_BYTES = 8 * 1024 * 1024


class WatchType(StrEnum):
    """The kinds of watch events."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch."""

    type: WatchType
    object: Manifest


def connection_problem(problem: Exception, timeout_seconds: float) -> str:
    """The cause in plain words; the library's own text names its internals."""
    if isinstance(problem, aiohttp.ConnectionTimeoutError):
        return "no connection comes about"
    if isinstance(problem, TimeoutError):
        return f"it took longer than {timeout_seconds:g} s"
    if isinstance(problem, aiohttp.ClientPayloadError):
        return "the connection broke off in the middle of the answer"
    if isinstance(problem, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    cause = getattr(problem, "os_error", problem)
    if isinstance(cause, ssl.SSLError):
        return f"its certificate is not trusted ({cause.reason})"
    if isinstance(cause, OSError) and cause.strerror:
        # asyncio puts its own sentence where the system's belongs.
        return os.strerror(cause.errno).lower() if cause.errno and cause.errno > 0 else cause.strerror
    return str(problem) or type(problem).__name__


async def error_of(response: aiohttp.ClientResponse) -> KubeError:
    """The typed error of an unsuccessful response."""
    text = (await response.read()).decode("utf-8", "replace")
    try:
        body: Any = json.loads(text)
    except ValueError:
        body = text
    return error_from_response(response.status, body, retry_after=response.headers.get("Retry-After"))


async def lines_of(response: aiohttp.ClientResponse, silence_seconds: float) -> AsyncIterator[bytes]:
    """The lines of a streamed body, until it ends or is silent for so long.

    An object may be larger than the reader's own line limit.
    """
    pending = bytearray()
    while chunk := await _chunk(response, silence_seconds):
        pending += chunk
        while (end := pending.find(b"\n")) >= 0:
            line = bytes(pending[:end])
            del pending[: end + 1]
            if line.strip():
                yield line
        if len(pending) > _WATCH_LINE_LIMIT_BYTES:
            raise KubeError("a watch event exceeds 8 MiB")


async def _chunk(response: aiohttp.ClientResponse, silence_seconds: float) -> bytes:
    """The next bytes; none at the end of the body or after so long a silence."""
    try:
        async with asyncio.timeout(silence_seconds):
            return await response.content.readany()
    except TimeoutError:
        return b""


def object_of(body: bytes, what: str) -> Manifest:
    """The decoded JSON object; raises ServerError, since something between us and the API server must have answered."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ServerError(f"{what} is answered with something that is no JSON object")
    return value


def watch_event_of(line: bytes) -> WatchEvent:
    """One line of a watch; raises the error that the server tells instead of an event."""
    event = object_of(line, "a watch")
    status = event.get("object")
    if not isinstance(status, dict) or event.get("type") not in (*WatchType, "ERROR"):
        raise ServerError("a watch is answered with something that is no event")
    if event["type"] == "ERROR":
        raise error_from_response(int(status.get("code") or 500), status)
    return WatchEvent(WatchType(event["type"]), status)
