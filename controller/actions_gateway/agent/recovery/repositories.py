"""The repositories whose jobs the tenant's agents had lately: where a job is looked for that only its runner tells of.

Written down with the ledger, each at most once a day by an agent, since an agent that starts anew knows none.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from actions_gateway.agent.recovery.seen import NEVER, REWRITE, lately
from actions_gateway.agent.recovery.store import LedgerStore
from actions_gateway.agent.signals import Signal
from actions_gateway.engine.clock import Clock


class SeenRepositories:
    """Notes repositories and remembers them beyond the process."""

    def __init__(self, store: LedgerStore, clock: Clock, *, only: str | None) -> None:
        self._store = store
        self._clock = clock
        self._only = only
        """The gateway's, when it serves no other one: there is nothing to write down."""
        self._seen: dict[str, datetime] = {}
        self._written: dict[str, datetime] = {}
        """When this process last wrote each one."""
        self._owners: list[dict[str, Any]] = []
        self._changed = Signal()

    def note(self, repository: str | None, group: Mapping[str, Any]) -> None:
        """A job of the repository is run by a group with that manifest."""
        if repository is None or self._only is not None:
            return
        self._seen[repository] = self._clock.now()
        self._owners = group["metadata"].get("ownerReferences") or []
        if self._is_due(repository):
            self._changed.notify()

    def _is_due(self, repository: str) -> bool:
        known = [one.get(repository, NEVER) for one in (self._store.repositories, self._written)]
        return self._clock.now() - max(known) > REWRITE

    async def newest(self) -> list[str]:
        """Those of the last day or two, the latest first."""
        if self._only is not None:
            return [self._only]
        await self._store.loaded.wait()
        return list(lately(self._clock.now(), self._store.repositories, self._seen))

    async def run(self) -> None:
        """Writes until cancelled."""
        await self._store.loaded.wait()
        while True:
            changed = self._changed.next
            if any(self._is_due(repository) for repository in self._seen):
                now = self._clock.now()
                self._seen = lately(now, self._seen)
                await self._store.see(self._seen, owners=self._owners)
                self._written = lately(now, self._written, dict.fromkeys(self._seen, now))
            await changed.wait()
