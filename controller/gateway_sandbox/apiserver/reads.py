"""Get, list and watch.

Lists are whole; a watch reads the bounded history of its resource from a resource version on, wakes on writes and
once a second for bookmarks and its deadline. Source: Kubernetes documentation, "API Concepts" (Efficient detection of
changes, 410 Gone).
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.rendering import Renderer
from gateway_sandbox.apiserver.selectors import Predicate
from gateway_sandbox.apiserver.statuses import ApiError, bad_request, expired, left_out
from gateway_sandbox.apiserver.store import Event, EventType, Record, Storage, Store, dump

_BOOKMARK_SECONDS = 55.0
_WATCH_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list or watch asks for; an empty namespace means all of them."""

    storage: Storage
    namespace: str
    predicate: Predicate


class Reader:
    """Serves lists and watches from the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._is_stopping = False
        self._waiting: set[asyncio.Event] = set()

    def selected(self, selection: Selection, query: Mapping[str, str]) -> list[Record]:
        """The objects that a list selects, all of them; raises ApiError 504 for a version of the future."""
        if query.get("continue"):
            raise left_out("lists in pages; a list is whole, whatever its limit")
        self._check_version(query)
        items = self._store.items(selection.storage, selection.namespace)
        return [record for _, record in items if selection.predicate(record.obj)]

    def _check_version(self, query: Mapping[str, str]) -> None:
        wanted = _integer(query, "resourceVersion")
        if wanted > self._store.version:
            details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
            text = f"Timeout: Too large resource version: {wanted}, current: {self._store.version}"
            raise ApiError(504, "Timeout", text, details=details | {"retryAfterSeconds": 1})

    async def watch(self, request: web.Request, renderer: Renderer, selection: Selection) -> web.StreamResponse:
        """Streams events until the deadline, the client's leave or the server's stop."""
        query = request.query
        version = _integer(query, "resourceVersion")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        feed = _Feed(self._store, selection, renderer)
        deadline = self._clock.monotonic() + (_integer(query, "timeoutSeconds") or _WATCH_SECONDS)
        wants_bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        with _woken_by(feed.collection.watchers, self._waiting) as woken:
            try:
                await response.write(feed.start(version))
                next_bookmark = self._clock.monotonic() + _BOOKMARK_SECONDS
                while not feed.is_over and not self._is_stopping and request.transport is not None:
                    lines = feed.read()
                    now = self._clock.monotonic()
                    is_last = now >= deadline
                    if wants_bookmarks and not feed.is_over and (is_last or now >= next_bookmark):
                        lines += renderer.bookmark(self._store.version)
                        next_bookmark = now + _BOOKMARK_SECONDS
                    if lines:
                        await response.write(lines)
                    if is_last or feed.is_over:
                        break
                    await woken.wait()
                    woken.clear()
                await response.write_eof()
            except ConnectionResetError:
                pass  # the client has left
        return response

    async def tick(self) -> None:
        """Wakes every watch once a second, for its deadline and its bookmarks."""
        while True:
            await self._clock.sleep(1.0)
            self._wake()

    def stop(self) -> None:
        """Ends all watches."""
        self._is_stopping = True
        self._wake()

    def _wake(self) -> None:
        for woken in self._waiting:
            woken.set()


@contextmanager
def _woken_by(*sets: set[asyncio.Event]) -> Iterator[asyncio.Event]:
    """An event in the sets of those who wake it: writes to one collection, and the reader's tick."""
    woken = asyncio.Event()
    for each in sets:
        each.add(woken)
    try:
        yield woken
    finally:
        for each in sets:
            each.discard(woken)


class _Feed:
    """One watch's position in the history and its view of events through the selectors."""

    def __init__(self, store: Store, selection: Selection, renderer: Renderer) -> None:
        self.collection = store.collection(selection.storage)
        self.is_over = False
        self._store = store
        self._selection = selection
        self._renderer = renderer
        self._position = self._version = 0

    def start(self, version: int) -> bytes:
        """Takes the position; without a version the current objects come first, as ADDED."""
        self._version = version
        self._position = self.collection.position_after(version or self._store.version)
        if version and version < self.collection.forgotten_version:
            return self._end(f"too old resource version: {version} ({self.collection.forgotten_version})")
        if version:
            return b""
        records = (record for _, record in self._store.items(self._selection.storage, self._selection.namespace))
        return b"".join(self._renderer.event("ADDED", record) for record in records if self._selects(record))

    def read(self) -> bytes:
        """The lines of all events since the last call."""
        events = self.collection.since(self._position)
        if events is None:
            return self._end("too old resource version: the watch fell behind the history that is kept")
        self._position += len(events)
        namespace = self._selection.namespace
        return b"".join(self._line(event) for event in events if not namespace or event.key[0] == namespace)

    def _selects(self, record: Record | None) -> bool:
        return record is not None and self._selection.predicate(record.obj)

    def _line(self, event: Event) -> bytes:
        """What the event means to this watch: an object can also enter or leave its selection."""
        was_seen = self._selects(event.before)
        is_seen = event.type is not EventType.DELETED and self._selects(event.record)
        if event.record.version <= self._version:
            return b""
        if is_seen:
            return self._renderer.event("MODIFIED" if was_seen else "ADDED", event.record)
        if not was_seen or event.before is None:
            return b""
        if event.type is EventType.DELETED:
            return self._renderer.event("DELETED", event.record)
        metadata = event.before.obj["metadata"] | {"resourceVersion": str(event.record.version)}
        return self._renderer.event("DELETED", Record(event.before.obj | {"metadata": metadata}, event.record.version))

    def _end(self, message: str) -> bytes:
        self.is_over = True
        return dump({"type": "ERROR", "object": expired(message).body()}) + b"\n"


def _integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not text.isdigit():
        raise bad_request(f"{name}: Invalid value: {json.dumps(text)}: must be a number")
    return int(text)
