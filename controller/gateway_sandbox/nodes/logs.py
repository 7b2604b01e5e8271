"""The log of one container run: lines with their times, kept in at most two files, readable while they grow.

Each record is `<RFC 3339 time> <F|P> <text>`, as the container runtimes write it (kubernetes
pkg/kubelet/kuberuntime/logs): P marks a piece of a line that goes on in the next record.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from actions_gateway.engine.clock import Clock

_PIECE_BYTES = 16 * 1024
_ROTATE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The parameters of a log request (`PodLogOptions` of the Kubernetes API)."""

    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None
    follow: bool = False
    timestamps: bool = False


class ContainerLog:
    """Appends what a container prints; when a file is full the one before it is dropped, as the kubelet rotates."""

    def __init__(self, path: Path, clock: Clock, *, rotate_bytes: int = _ROTATE_BYTES) -> None:
        self._path = path
        self._older = path.with_suffix(".older")
        self._clock = clock
        self._rotate_bytes = rotate_bytes
        self._rest = b""
        self._start = 0
        """Bytes written before the current file began."""
        self._older_start = 0
        self._end = 0
        self._closed = False
        self._grown = asyncio.Event()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)

    def append(self, chunk: bytes) -> None:
        """Adds output; a line is recorded when it is complete or too long to wait for its end."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        records = [record for line in lines for record in self._records(line)]
        while len(self._rest) >= _PIECE_BYTES:
            records.append(self._record(b"P", self._rest[:_PIECE_BYTES]))
            self._rest = self._rest[_PIECE_BYTES:]
        self._write(b"".join(records))

    def close(self) -> None:
        """Records an unfinished line and ends every follower; further output is an error."""
        if self._closed:
            return
        if self._rest:
            self._write(self._record(b"P", self._rest))
        self._closed = True
        self._file.close()
        self._grown.set()

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """What the options select; with `follow` until the container ends."""
        position = self._end
        records = self._read_from(0).split(b"\n")[:-1]
        if options.since is not None:
            stamp = _stamp(options.since)
            records = [record for record in records if record[: len(stamp)] >= stamp]
        left = options.limit_bytes
        async for text in self._texts(_tail(records, options.tail_lines), position, options):
            if left is not None and left <= len(text):
                yield text[:left]
                return
            left = None if left is None else left - len(text)
            yield text

    def last_bytes(self, limit: int) -> bytes:
        """The end of the log, at most `limit` bytes and 80 lines: what a failed container's message falls back to."""
        records = self._read_from(0).split(b"\n")[:-1]
        return b"".join(_text(record, timestamps=False) for record in _tail(records, 80))[-limit:]

    async def _texts(self, first: list[bytes], position: int, options: LogOptions) -> AsyncIterator[bytes]:
        fresh = True
        for record in first:
            yield _text(record, timestamps=options.timestamps and fresh)
            fresh = _ends_line(record)
        while options.follow:
            self._grown.clear()
            if self._end > position:
                records, position = self._read_from(position).split(b"\n")[:-1], self._end
                for record in records:
                    yield _text(record, timestamps=options.timestamps and fresh)
                    fresh = _ends_line(record)
            elif self._closed:
                return
            else:
                await self._grown.wait()

    def _records(self, line: bytes) -> list[bytes]:
        pieces = [line[at : at + _PIECE_BYTES] for at in range(0, len(line), _PIECE_BYTES)] or [b""]
        return [*(self._record(b"P", piece) for piece in pieces[:-1]), self._record(b"F", pieces[-1])]

    def _record(self, flag: bytes, text: bytes) -> bytes:
        return _stamp(self._clock.now()) + b" " + flag + b" " + text + b"\n"

    def _write(self, records: bytes) -> None:
        if not records:
            return
        if self._end - self._start >= self._rotate_bytes:
            self._file.close()
            self._path.replace(self._older)
            self._file = self._path.open("wb", buffering=0)
            self._older_start, self._start = self._start, self._end
        self._file.write(records)
        self._end += len(records)
        self._grown.set()

    def _read_from(self, position: int) -> bytes:
        parts = []
        if position < self._start and self._older.exists():
            parts.append(_file_from(self._older, max(0, position - self._older_start)))
        parts.append(_file_from(self._path, max(0, position - self._start)))
        return b"".join(parts)


def _file_from(path: Path, offset: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(offset)
        return stream.read()


def _stamp(moment: datetime) -> bytes:
    return (moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z").encode()


def _text(record: bytes, *, timestamps: bool) -> bytes:
    stamp, flag, text = record.split(b" ", 2)
    return (stamp + b" " if timestamps else b"") + text + (b"\n" if flag == b"F" else b"")


def _ends_line(record: bytes) -> bool:
    return record.split(b" ", 2)[1] == b"F"


def _tail(records: list[bytes], lines: int | None) -> list[bytes]:
    if lines is None:
        return records
    if lines <= 0:
        return []
    seen = 0
    for index in range(len(records) - 1, -1, -1):
        ends_a_line = _ends_line(records[index])
        if ends_a_line or index == len(records) - 1:
            seen += 1
        if seen > lines:
            return records[index + 1 :]
    return records
