"""Get, list and watch.

Lists come in pages; a watch reads the bounded history of its resource from a resource version on, wakes on writes and
once a second for bookmarks and its deadline. Source: Kubernetes documentation, "API Concepts" (Efficient detection of
changes, Retrieving large results sets in chunks, 410 Gone).
"""

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator, Mapping

from aiohttp import web

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.rendering import Renderer
from gateway_sandbox.apiserver.selectors import Predicate
from gateway_sandbox.apiserver.statuses import ApiError, bad_request, expired
from gateway_sandbox.apiserver.store import Collection, Event, EventType, Key, Record, Store, dump

_BOOKMARK_SECONDS = 55.0
_WATCH_SECONDS = 1800
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter."
)


class Reader:
    """Serves lists and watches from the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._is_stopping = False
        self._waiting: set[asyncio.Event] = set()

    def selected(self, kind: Kind, namespace: str, predicate: Predicate | None) -> Iterator[tuple[Key, Record]]:
        """The objects that a list selects."""
        for key, record in self._store.items(kind.storage, namespace):
            if predicate is None or predicate(record.obj):
                yield key, record

    def page(
        self, kind: Kind, namespace: str, predicate: Predicate | None, query: Mapping[str, str]
    ) -> tuple[list[Record], Json]:
        """One page of a list and its list metadata; raises ApiError 410 for a continuation that is too old."""
        version, start = self._position(kind, query)
        found = ((key, record) for key, record in self.selected(kind, namespace, predicate) if key > start)
        limit = _integer(query, "limit")
        page = list(itertools.islice(found, limit)) if limit else list(found)
        metadata: Json = {"resourceVersion": str(version)}
        rest = list(found) if limit else []
        if rest:
            token = json.dumps({"rv": version, "start": page[-1][0]})
            metadata["continue"] = base64.urlsafe_b64encode(token.encode()).decode()
            metadata |= {"remainingItemCount": len(rest)} if predicate is None else {}
        return [record for _, record in page], metadata

    def _position(self, kind: Kind, query: Mapping[str, str]) -> tuple[int, Key]:
        wanted = _integer(query, "resourceVersion")
        if wanted > self._store.version:
            details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
            text = f"Too large resource version: {wanted}, current: {self._store.version}"
            raise ApiError(504, "Timeout", text, details=details | {"retryAfterSeconds": 1})
        token = query.get("continue", "")
        if not token:
            return self._store.version, ("", "")
        try:
            parsed = json.loads(base64.urlsafe_b64decode(token))
            version, (namespace, name) = int(parsed["rv"]), parsed["start"]
        except (ValueError, KeyError, TypeError) as problem:
            raise bad_request("continue key is not valid") from problem
        if version < self._store.collection(kind.storage).forgotten_version:
            raise expired(_TOO_OLD)
        return version, (namespace, name)

    async def watch(
        self,
        request: web.Request,
        renderer: Renderer,
        kind: Kind,
        namespace: str,
        predicate: Predicate | None,
    ) -> web.StreamResponse:
        """Streams events until the deadline, the client's leave or the server's stop."""
        query = request.query
        self._position(kind, {"resourceVersion": query.get("resourceVersion", "")})
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        response.enable_chunked_encoding()
        await response.prepare(request)
        feed = _Feed(self._store, kind, namespace, predicate, renderer)
        deadline = self._clock.monotonic() + (_integer(query, "timeoutSeconds") or _WATCH_SECONDS)
        wants_bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        with _Waker(feed.collection, self._waiting) as woken:
            try:
                await response.write(feed.start(_integer(query, "resourceVersion")))
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


class _Waker:
    """An event that is set by writes to one collection and by the reader's tick."""

    def __init__(self, collection: Collection, waiting: set[asyncio.Event]) -> None:
        self._sets = (collection.watchers, waiting)
        self._woken = asyncio.Event()

    def __enter__(self) -> asyncio.Event:
        for each in self._sets:
            each.add(self._woken)
        return self._woken

    def __exit__(self, *_: object) -> None:
        for each in self._sets:
            each.discard(self._woken)


class _Feed:
    """One watch's position in the history and its view of events through the selectors."""

    def __init__(
        self, store: Store, kind: Kind, namespace: str, predicate: Predicate | None, renderer: Renderer
    ) -> None:
        self.collection = store.collection(kind.storage)
        self.is_over = False
        self._store = store
        self._kind = kind
        self._namespace = namespace
        self._predicate = predicate
        self._renderer = renderer
        self._position = 0

    def start(self, version: int) -> bytes:
        """Takes the position; without a version the current objects come first, as ADDED."""
        self._position = self.collection.position_after(version or self._store.version)
        if version and version < self.collection.forgotten_version:
            return self._end(f"too old resource version: {version} ({self.collection.forgotten_version})")
        if version:
            return b""
        records = (record for _, record in self._store.items(self._kind.storage, self._namespace))
        return b"".join(self._renderer.event("ADDED", record) for record in records if self._selects(record))

    def read(self) -> bytes:
        """The lines of all events since the last call."""
        events = self.collection.since(self._position)
        if events is None:
            return self._end("too old resource version: the watch fell behind the history that is kept")
        self._position += len(events)
        return b"".join(self._line(event) for event in events if not self._namespace or event.key[0] == self._namespace)

    def _selects(self, record: Record | None) -> bool:
        return record is not None and (self._predicate is None or self._predicate(record.obj))

    def _line(self, event: Event) -> bytes:
        """What the event means to this watch: an object can also enter or leave its selection."""
        was_seen = self._selects(event.before)
        is_seen = event.type is not EventType.DELETED and self._selects(event.record)
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
