"""Reruns that people ask for: an annotation on a RunnerGroup, carried out once, whatever was decided of the job before.

It charges no budget. The ledger remembers the request of each job, so that a restart repeats nothing; and it counts
only for jobs of that group which were lost by then, so that an annotation that still stands reruns nothing that nobody
has looked at: one that an agent hears of as it is made, for what the ledger has at that moment, and one that it finds,
for what was lost, or asked for last, before the moment that the API server keeps of it.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from actions_gateway.agent.recovery.ledger import KEEP_SECONDS, requested
from actions_gateway.agent.recovery.store import LedgerStore
from actions_gateway.agent.signals import Signal
from actions_gateway.api import labels
from actions_gateway.api.ledger import MOST_OF_A_REQUEST, LostJob, RerunRequest, RunEntry, parse_request
from actions_gateway.engine.clock import Clock

log = structlog.get_logger(__name__)

Tell = Callable[[str, str, str], Awaitable[None]]
"""Writes a warning: group, reason, message."""

_SKEW = timedelta(seconds=5)
"""Between the clocks of API server and agent, and for the whole seconds of the former's times."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True)
class _Asked:
    request: RerunRequest | None
    """None when the annotation is none."""
    at: datetime | None
    """By the API server's clock; None when that is not kept."""
    is_found: bool
    """It may be older than this process: it stood there when the group was first seen."""


class RerunRequests:
    """Hears requests and writes them to the ledger; `changed` fires for each new one."""

    def __init__(self, store: LedgerStore, clock: Clock, changed: Signal, tell: Tell) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed
        self._tell = tell
        self._heard: dict[str, str] = {}
        """By group: the last annotation, empty without one."""
        self._waiting: dict[str, _Asked] = {}
        """Those of them that the ledger has still to hear of."""

    def hear(self, group: dict[str, Any]) -> None:
        """A group's present manifest."""
        metadata = group["metadata"]
        name, text = str(metadata["name"]), str((metadata.get("annotations") or {}).get(labels.RERUN) or "")
        before, self._heard[name] = self._heard.get(name), text
        if text.strip() and text != before:
            self._waiting[name] = _Asked(parse_request(text), asked_at(metadata), is_found=before is None)
            self._changed.notify()

    async def take(self) -> list[tuple[int, str]]:
        """Writes what was heard; the jobs that wait anew for their rerun, by run and runner."""
        taken = []
        for group, asked in list(self._waiting.items()):
            if asked.request is None:
                form = f"a token and the names of 1 to {MOST_OF_A_REQUEST} lost runners, as `gw job rerun` writes it"
                await self._tell(group, "RerunRequestUnreadable", f"the annotation {labels.RERUN} is not {form}")
            else:
                taken += await self._take(group, asked.request, asked)
            if self._waiting.get(group) is asked:
                del self._waiting[group]
        return taken

    async def _take(self, group: str, request: RerunRequest, asked: _Asked) -> list[tuple[int, str]]:
        if any(self._find(group, runner) is None for runner in request.runners):
            await self._store.load()  # another agent may have written of it
        now = self._clock.now()
        at = min(now, asked.at or (_NEVER if asked.is_found else now))
        # The ledger forgets a job a day after its request.
        is_carried_out = asked.is_found and now - at > timedelta(seconds=KEEP_SECONDS)
        taken, refused = [], list[str]()
        for runner in request.runners:
            found = self._find(group, runner)
            if found is None:
                refused += [] if is_carried_out else [runner]
            elif asked.is_found and found[1].changed_at > at + _SKEW and found[1].request != request.token:
                refused.append(runner)
            elif await self._write(*found, request.token, at):
                taken.append((found[0], runner))
        if refused:
            names = ", ".join(refused[:_SHOWN_NAMES]) + (" and others" if len(refused) > _SHOWN_NAMES else "")
            text = f"a rerun was asked for of {names}, not known as lost by this group at that time: it is not rerun"
            log.warning("rerun not taken", runner_group=group, runners=refused, request=request.token)
            await self._tell(group, "RerunRequestUnknown", f"{text}; see `gw job list`, and ask again")
        return taken

    async def _write(self, run_id: int, job: LostJob, token: str, at: datetime) -> bool:
        before, after = await self._store.change(
            run_id, lambda entry: requested(entry or RunEntry(""), job.runner, token, at)
        )
        if job.runner not in after.jobs or before == after:
            return False
        log.info("rerun asked for", runner_group=job.group, run_id=run_id, job=job.name, request=token)
        return True

    def _find(self, group: str, runner: str) -> tuple[int, LostJob] | None:
        """The lost job of the group's runner, with its run."""
        found = ((run_id, entry.jobs.get(runner)) for run_id, entry in self._store.entries.items())
        return next(((run_id, job) for run_id, job in found if job is not None and job.group == group), None)


def asked_at(metadata: Mapping[str, Any]) -> datetime | None:
    """When an object's annotation got its present value, by the API server's clock; None when that is not kept.

    Whoever changes a field becomes its owner, with the time of that write; of several owners the first one set it
    (Kubernetes docs, "Server-Side Apply", "Field management"). A program that later changes another annotation under
    the same name moves the time; `gw` writes this one alone. Whoever may annotate can set it to any year, too.
    """
    times = []
    for entry in metadata.get("managedFields") or []:
        owned = ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:annotations") or {}
        if f"f:{labels.RERUN}" in owned and entry.get("time"):
            with contextlib.suppress(ValueError):
                times.append(datetime.fromisoformat(entry["time"]))
    return min(times, default=None)
