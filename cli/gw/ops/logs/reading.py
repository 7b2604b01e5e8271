"""The lines of several containers by time.

They pass redaction on the way: nobody needs a key or a token from a log to help a tenant.
"""

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from actions_gateway.kube import errors
from gw.checks.wording import counted
from gw.errors import Refused
from gw.exits import ExitCode
from gw.ops.logs.request import Filter, LogRequest
from gw.ops.logs.selection import Selected, filter_of, has_log, nothing, select, state_notes
from gw.ops.redaction import LineRedactor
from gw.sources.cluster import Cluster, explain, one_line
from gw.sources.logs import LogLine, LogQuery, LogSource, read_log

_AT_ONCE = 8
_STARTING = re.compile(r"is waiting to start|is not available|not found")
"""The kubelet's words for a container without this log (pkg/kubelet/kubelet_pods.go, validateContainerLogStatus)."""


@dataclass(frozen=True, slots=True)
class LogReport:
    """The lines of several containers by time, and what is to be known of them."""

    sources: tuple[LogSource, ...]
    lines: tuple[LogLine, ...]
    notes: tuple[str, ...]
    """Restarted containers, containers that have not started, and that older lines were left out."""
    unread: tuple[str, ...] = ()
    """Which log could not be read, and why."""

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.UNKNOWN if self.unread else ExitCode.OK


@dataclass(slots=True)
class _Kept:
    """The newest lines of one container."""

    lines: deque[LogLine]
    is_cut: bool = False
    problem: errors.KubeError | None = None


async def read_logs(cluster: Cluster, request: LogRequest) -> LogReport:
    """The lines that are there; raises GwError when there is nothing to read, or no right to."""
    selected = await select(cluster, request)
    if not selected.pods:
        raise nothing(request)
    return await read_selected(cluster, request, selected)


async def read_selected(cluster: Cluster, request: LogRequest, selected: Selected) -> LogReport:
    """The lines of the selected containers; raises GwError as `read_logs` does."""
    sources = [
        source for source, container in selected.containers.items() if has_log(container, previous=request.previous)
    ]
    if request.previous and not sources:
        raise Refused(
            f"no container of {request.described} was restarted, so no log of a run before is there",
            "Leave out --previous.",
        )
    wanted, at_once = filter_of(request, selected), asyncio.Semaphore(_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        tasks = {source: group.create_task(_newest(cluster, source, request, wanted, at_once)) for source in sources}
    kept = {source: task.result() for source, task in tasks.items()}
    unread = {source: each.problem for source, each in kept.items() if each.problem is not None}
    serious = {source: one for source, one in unread.items() if not _STARTING.search(one.message)}
    if serious and len(unread) == len(kept):
        first = next(iter(serious.values()))
        raise explain(first, f"read the log of {request.described}") from first
    lines = sorted((line for each in kept.values() for line in each.lines), key=lambda line: line.nanoseconds)
    notes = [*state_notes(request, selected), *_cut_note(request, kept)]
    return LogReport(
        tuple(sources),
        tuple(lines),
        tuple(notes),
        tuple(f"{source.container} of {source.pod}: {one_line(one.message)}" for source, one in serious.items()),
    )


async def _newest(
    cluster: Cluster, source: LogSource, request: LogRequest, wanted: Filter, at_once: asyncio.Semaphore
) -> _Kept:
    """The newest lines that pass; what the server can leave out it does not send."""
    kept = _Kept(deque(maxlen=request.kept))
    query = LogQuery(
        since_seconds=max(1, int(request.since_seconds)) if request.since_seconds is not None else None,
        # One more than is kept tells whether there are older ones.
        tail=None if request.is_filtered else request.kept + 1,
        previous=request.previous,
    )
    redactor = LineRedactor(lambda _: None)
    try:
        async with at_once, aclosing(read_log(cluster, source, query)) as lines:
            async for line in lines:
                clean = replace(line, text=redactor.redact(line.text))
                if wanted.passes(clean.text):
                    kept.is_cut = kept.is_cut or len(kept.lines) == request.kept
                    kept.lines.append(clean)
    except errors.KubeError as problem:
        kept.problem = problem
    return kept


def _cut_note(request: LogRequest, kept: Mapping[LogSource, _Kept]) -> list[str]:
    if not any(each.is_cut for each in kept.values()):
        return []
    return [f"these are the last {counted(request.kept, 'line')} of each container; more: --tail N, or --since 1h"]
