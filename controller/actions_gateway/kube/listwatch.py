"""The list-watch loop: every object of a selection, then every change to it, for ever.

Ours instead of the client's helper, which retries an expired resource version with the same version and then gives up.
A watch that ends resumes from the last version seen (bookmarks move it on); 410 lists anew, and what vanished
meanwhile is reported as DELETED. Any other failure, and a watch that ends too soon, backs off and resumes; a server
that asks for a longer pause gets it.
"""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum

import structlog

from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient, Manifest, WatchType
from actions_gateway.kube.errors import Gone, KubeError
from actions_gateway.kube.resources import Resource

log = structlog.get_logger(__name__)

_LASTED_SECONDS = 5.0
_PAGE_SIZE = 200

Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is empty."""


class ChangeType(StrEnum):
    """What happened to an object; SYNCED follows the first complete list and carries no object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    SYNCED = "SYNCED"


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `object` is empty for SYNCED."""

    type: ChangeType
    object: Manifest


def key_of(manifest: Manifest) -> Key:
    """The key of an object."""
    metadata = manifest["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


async def list_watch(
    client: KubeClient,
    resource: Resource,
    namespace: str | None = None,
    *,
    clock: Clock,
    rng: random.Random,
    label_selector: str | None = None,
    field_selector: str | None = None,
    backoff: Backoff | None = None,
    in_full: bool = True,
) -> AsyncIterator[Change]:
    """Yields changes for ever; ends by cancellation only.

    Unless `in_full`, an object that vanished while the watch was interrupted is reported with its identity only
    (name, namespace, uid, resource version), so that no copy of every object is held to tell of it.
    """
    position = _ListWatch(client, resource, namespace, label_selector, field_selector, _same if in_full else _identity)
    pause = backoff or Backoff(base_seconds=1.0, cap_seconds=30.0)
    failures = 0
    synced = must_list = False
    while True:
        problem: KubeError | None = None
        began: float | None = None
        try:
            if not synced or must_list:
                async for change in position.relist():
                    yield change
                must_list = False
                if not synced:
                    synced = True
                    yield Change(ChangeType.SYNCED, {})
            began = clock.monotonic()
            async for change in position.follow():
                failures = 0
                yield change
        except KubeError as error:
            problem = error
            must_list = must_list or isinstance(error, Gone)
        # A watch that lasted ends in due course and is resumed at once; anything else must not become a hot loop.
        has_lasted = began is not None and clock.monotonic() - began >= _LASTED_SECONDS
        failures = 0 if has_lasted else failures
        if problem is None and has_lasted:
            continue
        failures += 1
        asked = problem.retry_after_seconds if problem else None
        delay = pause.delay_seconds(failures, rng, asked_seconds=asked)
        cause = problem.message if problem else "the watch ended at once"
        log.warning("watch interrupted", kind=resource.kind, problem=cause, retry_in_seconds=round(delay, 1))
        await clock.sleep(delay)


def _same(manifest: Manifest) -> Manifest:
    return manifest


def _identity(manifest: Manifest) -> Manifest:
    metadata = manifest["metadata"]
    return {"metadata": {name: metadata.get(name) for name in ("name", "namespace", "uid", "resourceVersion")}}


class _ListWatch:
    """The position in the stream and the objects known, which a relist needs to tell what vanished."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        namespace: str | None,
        label_selector: str | None,
        field_selector: str | None,
        kept: Callable[[Manifest], Manifest],
    ) -> None:
        self._kept = kept
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._version = ""
        self._known: dict[Key, Manifest] = {}

    async def relist(self) -> AsyncIterator[Change]:
        """Everything that is new, has changed or vanished; in one piece when the pages expire before they are read."""
        try:
            async for change in self._read(_PAGE_SIZE):
                yield change
        except Gone:
            async for change in self._read(None):
                yield change

    async def _read(self, page_size: int | None) -> AsyncIterator[Change]:
        """Each page is told of before the next one is asked for, so that a large list is never held as a whole."""
        pages = self._client.pages(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            size=page_size,
        )
        current: set[Key] = set()
        version = ""
        async for page in pages:
            version = page.resource_version
            for item in page.items:
                key = key_of(item)
                current.add(key)
                before = self._known.get(key)
                self._known[key] = self._kept(item)
                if before is None:
                    yield Change(ChangeType.ADDED, item)
                elif before["metadata"].get("resourceVersion") != item["metadata"].get("resourceVersion"):
                    yield Change(ChangeType.MODIFIED, item)
        for key in [known for known in self._known if known not in current]:
            yield Change(ChangeType.DELETED, self._known.pop(key))
        self._version = version

    async def follow(self) -> AsyncIterator[Change]:
        stream = self._client.watch(
            self._resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        async for event in stream:
            self._version = str(event.object["metadata"].get("resourceVersion") or self._version)
            match event.type:
                case WatchType.BOOKMARK:
                    continue
                case WatchType.DELETED:
                    self._known.pop(key_of(event.object), None)
                    yield Change(ChangeType.DELETED, event.object)
                case WatchType.ADDED | WatchType.MODIFIED:
                    self._known[key_of(event.object)] = self._kept(event.object)
                    yield Change(ChangeType(event.type.value), event.object)
