"""Containers' logs through the API server: streamed, split into lines, each with its time.

Sources: Kubernetes API reference, "read log of the specified Pod" (query and the time before each line); line shapes
are structlog's JSON (`actions_gateway.logs`), Envoy's ("[%time][%thread][%level][%logger] text", its documentation on
`--log-format`) and the runner's (actions/runner `src/Runner.Common/StdoutTraceListener.cs`).
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster

LONGEST_LINE_BYTES = 256 * 1024
"""What is kept of one line; no component writes longer ones."""
CUT_MARK = "…"

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")
_BRACKETED = re.compile(r"\[[A-Z]+ \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ ([A-Z]+) *[^\]]*\] ?")
_ENVOY = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]\[\d+\]\[([a-z]+)\]")
_CUT_WORD = re.compile(rb"[A-Za-z0-9+/_.=-]+\Z")


class Level(StrEnum):
    """How bad a line is, by its writer."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def reaches(self, least: "Level") -> bool:
        """Whether it is at least as bad."""
        order = list(Level)
        return order.index(self) >= order.index(least)


_LEVELS: Mapping[str, Level] = {
    "trace": Level.DEBUG,
    "debug": Level.DEBUG,
    "verb": Level.DEBUG,
    "info": Level.INFO,
    "warning": Level.WARNING,
    "warn": Level.WARNING,
    "err": Level.ERROR,
    "error": Level.ERROR,
    "critical": Level.ERROR,
    "exception": Level.ERROR,
}


@dataclass(frozen=True, slots=True, order=True)
class LogSource:
    """One container of one pod."""

    namespace: str
    pod: str
    container: str

    @property
    def path(self) -> str:
        return r.PODS.path(self.namespace, self.pod, "log")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which part of a log."""

    since_seconds: int | None = None
    since: datetime | None = None
    """The server takes whole seconds; what is older may come along."""
    tail: int | None = None
    """The last so many lines."""
    follow: bool = False
    previous: bool = False
    """The log of the container's run before this one."""

    def parameters(self, container: str) -> dict[str, str]:
        """As the API server wants them."""
        pairs = {
            "container": container,
            "timestamps": "true",
            "sinceSeconds": self.since_seconds,
            "sinceTime": self.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if self.since else None,
            "tailLines": self.tail,
            "follow": "true" if self.follow else None,
            "previous": "true" if self.previous else None,
        }
        return {name: str(value) for name, value in pairs.items() if value is not None}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container, as it wrote it."""

    source: LogSource
    nanoseconds: int
    """When the container runtime took it, since the epoch; 0 when it does not say."""
    text: str

    @property
    def at(self) -> datetime | None:
        return datetime.fromtimestamp(self.nanoseconds // 1000 / 1e6, UTC) if self.nanoseconds else None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line says, where its shape is known."""

    level: Level | None
    """None when the line does not say."""
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)


async def read_log(cluster: Cluster, source: LogSource, query: LogQuery) -> AsyncGenerator[LogLine, None]:
    """The lines of a log, oldest first; raises KubeError."""
    pieces = cluster.stream(source.path, query=query.parameters(source.container))
    async with aclosing(_lines(pieces)) as lines:
        async for line in lines:
            nanoseconds, text = parse_stamp(line.decode("utf-8", "replace"))
            yield LogLine(source, nanoseconds, text)


async def _lines(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Lines without their ends; of one that is too long its beginning, without the word that the cut would halve."""
    pending, is_cut = bytearray(), False
    async with aclosing(pieces) as stream:
        async for piece in stream:
            *complete, rest = piece.split(b"\n")
            for part in complete:
                pending += part
                yield _bounded(pending, is_cut=is_cut)
                pending, is_cut = bytearray(), False
            pending += rest
            if len(pending) > LONGEST_LINE_BYTES:
                del pending[LONGEST_LINE_BYTES:]
                is_cut = True
    if pending:
        yield _bounded(pending, is_cut=is_cut)


def _bounded(line: bytearray, *, is_cut: bool) -> bytes:
    if not is_cut and len(line) <= LONGEST_LINE_BYTES:
        return bytes(line).removesuffix(b"\r")
    return _CUT_WORD.sub(b"", bytes(line[:LONGEST_LINE_BYTES])) + CUT_MARK.encode()


def parse_stamp(line: str) -> tuple[int, str]:
    """The time before a line in nanoseconds since the epoch, and the line; 0 when no time stands there."""
    found = _STAMP.match(line)
    if found is None:
        return 0, line
    seconds, fraction, zone = found.groups()
    whole = int(datetime.fromisoformat(f"{seconds}{'+00:00' if zone == 'Z' else zone}").timestamp())
    return whole * 10**9 + int((fraction or "").ljust(9, "0")), line[found.end() :]


def parse_entry(text: str) -> Entry:
    """What a line says; a line of an unknown shape is all event."""
    if text.startswith("{"):
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if isinstance(data, dict):
            level = _LEVELS.get(str(data.pop("level", "")).lower())
            data.pop("timestamp", None)
            return Entry(level, str(data.pop("event", "")), data)
    found = _ENVOY.match(text)
    if found is not None:
        return Entry(_LEVELS.get(found[1]), text[found.end() :].strip())
    found = _BRACKETED.match(text)
    if found is not None:
        return Entry(_LEVELS.get(found[1].lower()), text[found.end() :])
    return Entry(None, text)
