"""The ledger in its ConfigMap: one key per workflow run, written with the resource version that was read; one more key
holds the repositories seen lately.

A write that meets somebody else's is repeated on what is there by then, so that no loss is charged twice. The ConfigMap
is made when the first job is lost and is owned by the gateway, as the groups are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.recovery import seen
from actions_gateway.agent.recovery.ledger import KEEP_SECONDS, MOST_BYTES, superfluous
from actions_gateway.agent.writing import until_written
from actions_gateway.api import labels
from actions_gateway.api.ledger import RerunState, RunEntry, parse, parse_run_id, render
from actions_gateway.api.names import RERUN_LEDGER
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import AlreadyExists, Conflict, NamespaceTerminating, NotFound
from actions_gateway.kube.resources import CONFIGMAPS
from actions_gateway.metrics.catalog import RERUNS

log = structlog.get_logger(__name__)

Owners = list[dict[str, Any]]

_REPOSITORIES = "repositories"


class LedgerStore:
    """The entries by run id and the repositories, as last read or written."""

    def __init__(self, client: KubeClient, basics: Basics) -> None:
        self._client = client
        self._basics = basics
        self._lock = asyncio.Lock()
        self._version: str | None = None
        """None while there is no ConfigMap, as far as is known."""
        self._sizes: dict[int, int] = {}
        """Of the entries as text."""
        self._unreadable: dict[str, int] = {}
        """Sizes of somebody's edits, or a later release's entries, by key."""
        self._unreadable_since: dict[str, datetime] = {}
        self.loaded = asyncio.Event()
        self.entries: Mapping[int, RunEntry] = {}
        self.repositories: Mapping[str, datetime] = {}

    async def load(self) -> None:
        """Reads it, however long that takes."""
        async with self._lock:
            await until_written(self._read, self._basics, what=f"reading of {RERUN_LEDGER}")

    async def change(
        self, run_id: int, decide: Callable[[RunEntry | None], RunEntry], *, owners: Owners | None = None
    ) -> tuple[RunEntry | None, RunEntry]:
        """Replaces a run's entry by what `decide` makes of it, however long that takes; as it was known, and as it is.

        `decide` may be asked several times. Nothing is written when it changes nothing.
        """
        async with self._lock:
            before = after = self.entries.get(run_id)

            async def write() -> None:
                nonlocal after
                known = self.entries.get(run_id)
                after = decide(known)
                if after != known:
                    await self._write_entry(run_id, after, owners or [])

            await self._until_written(write, what=f"entry of run {run_id} in {RERUN_LEDGER}")
            assert after is not None, "decide returns an entry"
            return before, after

    async def see(self, repositories: Mapping[str, datetime], *, owners: Owners) -> None:
        """Adds repositories with the moments they were seen at, however long that takes."""

        async def write() -> None:
            known = seen.lately(self._basics.clock.now(), self.repositories, repositories)
            await self._write({_REPOSITORIES: seen.render(known)}, owners)
            self.repositories = known

        async with self._lock:
            await self._until_written(write, what=f"repositories in {RERUN_LEDGER}")

    async def _until_written(self, write: Callable[[], Awaitable[None]], *, what: str) -> None:
        async def attempt() -> None:
            while True:
                try:
                    await write()
                except (AlreadyExists, Conflict, NotFound):
                    await self._read()
                except NamespaceTerminating:
                    log.info("ledger not written: the namespace is being deleted", what=what)
                    return
                else:
                    return

        await until_written(attempt, self._basics, what=what)

    async def _read(self) -> None:
        try:
            found = await self._client.get(CONFIGMAPS, RERUN_LEDGER, self._basics.namespace)
        except NotFound:
            found = {}
        self._take(found.get("data") or {})
        self._version = str(found["metadata"]["resourceVersion"]) if found else None
        self.loaded.set()

    def _take(self, data: Mapping[str, str]) -> None:
        entries: dict[int, RunEntry] = {}
        self._sizes, self._unreadable, self.repositories = {}, {}, {}
        for key, text in data.items():
            try:
                if key == _REPOSITORIES:
                    self.repositories = seen.parse(text)
                elif (run_id := parse_run_id(key)) is not None:
                    entries[run_id] = parse(text)
                    self._sizes[run_id] = len(text.encode())
                else:
                    raise ValueError("no run's id")
            except ValueError:
                self._unreadable[key] = len(text.encode())
        now = self._basics.clock.now()
        self._unreadable_since = {key: self._unreadable_since.get(key, now) for key in self._unreadable}
        if self._unreadable:
            log.warning("ledger has unreadable entries", keys=sorted(self._unreadable))
        self.entries = entries

    async def _write_entry(self, run_id: int, entry: RunEntry, owners: Owners) -> None:
        text = render(entry)
        entries, sizes = {**self.entries, run_id: entry}, {**self._sizes, run_id: len(text)}
        dropped = superfluous(entries, sizes, self._basics.clock.now())
        changed: dict[str, str | None] = {str(run_id): text}
        changed |= {str(one): None for one in dropped}
        await self._write(changed, owners)
        for one in dropped:
            self._tell_dropped(one, entries.pop(one))
            del sizes[one]
        self.entries, self._sizes = entries, sizes

    def _tell_dropped(self, run_id: int, entry: RunEntry) -> None:
        for job in entry.pending:
            log.warning("no room for a rerun in the ledger", runner_group=job.group, run_id=run_id, job=job.name)
            labels = self._basics.labels_of(job.group)
            self._basics.metrics.inc(RERUNS, 1, **labels, outcome=RerunState.EXPIRED.value)

    async def _write(self, changed: Mapping[str, str | None], owners: Owners) -> None:
        """Writes keys, and drops the unreadable ones: a day after they were first seen, or for want of room."""
        is_full = sum(self._sizes.values()) + sum(self._unreadable.values()) > MOST_BYTES
        deadline = self._basics.clock.now() - timedelta(seconds=KEEP_SECONDS)
        outlived = [key for key, since in self._unreadable_since.items() if is_full or since < deadline]
        changed = {**dict.fromkeys(outlived), **changed}
        if self._version is None:
            written = await self._client.create(CONFIGMAPS, self._manifest(changed, owners))
        else:
            patch = {"metadata": {"resourceVersion": self._version}, "data": changed}
            written = await self._client.patch(CONFIGMAPS, RERUN_LEDGER, patch, namespace=self._basics.namespace)
        self._version = str(written["metadata"]["resourceVersion"])
        for key in changed:
            self._unreadable.pop(key, None)
            self._unreadable_since.pop(key, None)

    def _manifest(self, data: Mapping[str, str | None], owners: Owners) -> dict[str, Any]:
        # As an owner that blocks nothing: the agent may not hold the gateway's deletion up.
        shown = ("apiVersion", "kind", "name", "uid")
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": RERUN_LEDGER,
                "namespace": self._basics.namespace,
                "labels": {labels.MANAGED_BY: labels.BY_AGENT, labels.APP_PART_OF: labels.PART_OF},
                "ownerReferences": [{name: owner[name] for name in shown} for owner in owners],
            },
            "data": {key: text for key, text in data.items() if text is not None},
        }
