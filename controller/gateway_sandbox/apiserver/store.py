"""Objects in memory: resource versions, the bounded history that watches read, and indexes by owner.

One counter gives every write its resource version, as etcd's revision does. Objects are never changed once stored; a
write stores a new dict, so that lists and watches hand out what they hold. Each version is serialised once and shared
by all its readers. Everything runs in one event loop, so a write is atomic between two awaits.
"""

import asyncio
import itertools
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is empty."""
Storage = tuple[str, str]
"""(group, plural) under which objects are kept."""

HISTORY_EVENTS = 5_000
"""Events kept per resource; who asks for older ones is told to list anew."""


class EventType(StrEnum):
    """What a write did."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


def dump(value: Any) -> bytes:
    """Compact JSON, as the server writes it everywhere."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def timestamp(at: datetime) -> str:
    """An aware UTC time as objects carry it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Record:
    """One version of one object, with its serialised forms (by the API version they are served in)."""

    __slots__ = ("_forms", "obj", "version")

    def __init__(self, obj: Json, version: int) -> None:
        self.obj = obj
        self.version = version
        self._forms: dict[str, bytes] = {}

    def serialised(self, form: str, render: Callable[[Json], Json]) -> bytes:
        """The bytes of `render(obj)`, made once per `form`."""
        data = self._forms.get(form)
        if data is None:
            data = self._forms[form] = dump(render(self.obj))
        return data

    def copy(self) -> Json:
        """A private deep copy to change."""
        copied: Json = json.loads(self.serialised("", lambda obj: obj))
        return copied


@dataclass(frozen=True, slots=True)
class Event:
    """One write; `before` is what stood there (None for ADDED)."""

    type: EventType
    record: Record
    before: Record | None
    key: Key


@dataclass(slots=True)
class Collection:
    """The objects of one resource and their latest events."""

    objects: dict[Key, Record] = field(default_factory=dict)
    history: deque[Event] = field(default_factory=deque)
    dropped: int = 0
    """Events that have left the history: the position of its first event."""
    forgotten_version: int = 0
    """The resource version of the last event that left the history."""
    watchers: set[asyncio.Event] = field(default_factory=set)

    def append(self, event: Event, limit: int) -> None:
        self.history.append(event)
        while len(self.history) > limit:
            self.forgotten_version = self.history.popleft().record.version
            self.dropped += 1
        for watcher in self.watchers:
            watcher.set()

    def position_after(self, version: int) -> int:
        """Where a watch from `version` starts to read."""
        later = sum(event.record.version > version for event in self.history)
        return self.dropped + len(self.history) - later

    def since(self, position: int) -> list[Event] | None:
        """The events from a position on; None when some of them are gone."""
        if position < self.dropped:
            return None
        return list(itertools.islice(self.history, position - self.dropped, None))


class Store:
    """All collections; `on_commit` callbacks see every write, after it happened."""

    def __init__(self, history_events: int = HISTORY_EVENTS) -> None:
        self.version = 1
        self.on_commit: list[Callable[[Storage, Event], None]] = []
        self._collections: defaultdict[Storage, Collection] = defaultdict(Collection)
        self._dependents: defaultdict[str, set[tuple[Storage, Key]]] = defaultdict(set)
        self._history_events = history_events

    def collection(self, storage: Storage) -> Collection:
        return self._collections[storage]

    def get(self, storage: Storage, key: Key) -> Record | None:
        return self._collections[storage].objects.get(key)

    def items(self, storage: Storage, namespace: str = "") -> Iterator[tuple[Key, Record]]:
        """The objects of a resource in the order of their keys, of all namespaces when none is given."""
        objects = self._collections[storage].objects
        for key in sorted(objects):
            if not namespace or key[0] == namespace:
                yield key, objects[key]

    def dependents(self, uid: str) -> list[tuple[Storage, Key]]:
        """The objects that name `uid` as an owner."""
        return sorted(self._dependents.get(uid, ()))

    def in_namespace(self, namespace: str) -> list[tuple[Storage, Key]]:
        """Every object inside a namespace."""
        return [
            (storage, key)
            for storage, collection in self._collections.items()
            for key in collection.objects
            if key[0] == namespace
        ]

    def put(self, storage: Storage, key: Key, obj: Json) -> Record:
        """Stores a new version of `obj`, which belongs to the store from now on."""
        before = self.get(storage, key)
        record = self._stamped(obj)
        self._collections[storage].objects[key] = record
        self._index(storage, key, before, record)
        self._commit(storage, Event(EventType.MODIFIED if before else EventType.ADDED, record, before, key))
        return record

    def remove(self, storage: Storage, key: Key, obj: Json) -> Record:
        """Removes an object; `obj` is its last state, stamped with the version of the removal."""
        before = self._collections[storage].objects.pop(key)
        record = self._stamped(obj)
        self._index(storage, key, before, None)
        self._commit(storage, Event(EventType.DELETED, record, before, key))
        return record

    def _stamped(self, obj: Json) -> Record:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        return Record(obj, self.version)

    def _commit(self, storage: Storage, event: Event) -> None:
        self._collections[storage].append(event, self._history_events)
        for callback in self.on_commit:
            callback(storage, event)

    def _index(self, storage: Storage, key: Key, before: Record | None, after: Record | None) -> None:
        old, new = owner_uids(before), owner_uids(after)
        for uid in old - new:
            self._dependents[uid].discard((storage, key))
            if not self._dependents[uid]:
                del self._dependents[uid]
        for uid in new - old:
            self._dependents[uid].add((storage, key))


def owner_uids(record: Record | None) -> set[str]:
    """The uids that an object names as its owners."""
    references = record.obj["metadata"].get("ownerReferences") if record else None
    return {reference["uid"] for reference in references or ()}
