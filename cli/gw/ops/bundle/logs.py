"""The logs of a bundle: of each container the newest lines, agents and manager first, so that those stay."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from actions_gateway.kube import errors
from gw.ops.bundle.collector import Collector, Removed
from gw.ops.bundle.model import BundleRequest
from gw.ops.logs.selection import has_log
from gw.sources.cluster import Cluster, one_line
from gw.sources.logs import LogQuery, LogSource, read_log
from gw.sources.pods import PodFact, PodRole

_ORDER = (PodRole.AGENT, PodRole.MANAGER, PodRole.PROXY, PodRole.WORKER)
_TAIL = {PodRole.AGENT: 20_000, PodRole.MANAGER: 20_000, PodRole.PROXY: 2_000, PodRole.WORKER: 200}
"""The last lines that are read of a container."""
_BEFORE_TAIL = 2_000
"""And of its run before."""
_AT_ONCE = 8
_ONE_LOG_SECONDS = 10.0
"""A node that is gone answers never, and costs no more than this."""
_NO_TIME = "no time was left for it"


@dataclass(frozen=True, slots=True)
class _Wanted:
    source: LogSource
    query: LogQuery
    is_platforms: bool

    @property
    def path(self) -> str:
        before = ".previous" if self.query.previous else ""
        return f"logs/{self.source.namespace}/{self.source.pod}/{self.source.container}{before}.log"


@dataclass(slots=True)
class _Read:
    """The newest lines of one container."""

    lines: deque[bytes]
    removed: Removed
    size: int = 0
    is_cut: bool = False
    problem: str = _NO_TIME
    """Why it is not whole; empty when it is."""
    is_forbidden: bool = False


async def add_logs(cluster: Cluster, collector: Collector, request: BundleRequest, pods: Sequence[PodFact]) -> None:
    """All of them, however many fail; each may take an equal part of the room."""
    wanted = list(_wanted(pods, request))
    if not wanted:
        return
    most = collector.room // len(wanted)
    reads = {each: _Read(deque(), Counter()) for each in wanted}
    at_once = asyncio.Semaphore(_AT_ONCE)
    try:
        async with asyncio.TaskGroup() as group:
            for each in wanted:
                group.create_task(_read(cluster, collector, each, most, reads[each], at_once))
    finally:
        # When the time is over, what was read by then stays.
        for each, read in reads.items():
            _take(collector, each, read)


async def _read(
    cluster: Cluster, collector: Collector, wanted: _Wanted, most: int, read: _Read, at_once: asyncio.Semaphore
) -> None:
    clean = collector.line_cleaner(read.removed)
    async with at_once:
        try:
            async with (
                asyncio.timeout(_ONE_LOG_SECONDS),
                aclosing(read_log(cluster, wanted.source, wanted.query)) as lines,
            ):
                async for line in lines:
                    at = f"{line.at:%Y-%m-%dT%H:%M:%S.%fZ} " if line.at else ""
                    _keep(read, f"{at}{clean(line.text)}\n".encode("utf-8", "replace"), most)
            read.problem = ""
        except TimeoutError:
            read.problem = f"it took longer than {_ONE_LOG_SECONDS:g} s"
        except errors.KubeError as problem:
            read.problem = one_line(problem.message)
            read.is_forbidden = isinstance(problem, errors.Forbidden)


def _keep(read: _Read, line: bytes, most: int) -> None:
    read.lines.append(line)
    read.size += len(line)
    while read.size > most:
        read.size -= len(read.lines.popleft())
        read.is_cut = True


def _take(collector: Collector, wanted: _Wanted, read: _Read) -> None:
    """A log that was begun is a file; one of which nothing came is only named. An empty one is neither."""
    if not read.lines:
        if read.problem:
            is_platforms = read.is_forbidden and wanted.is_platforms
            collector.leave_out(wanted.path, read.problem, is_platforms=is_platforms)
        return
    cuts = (
        f"only the last {len(read.lines)} lines fit" if read.is_cut else "",
        f"its end is missing: {read.problem}" if read.problem else "",
    )
    collector.add(wanted.path, b"".join(read.lines), read.removed, "; ".join(filter(None, cuts)))
    if read.problem:
        collector.leave_out(f"the end of {wanted.path}", read.problem)


def _wanted(pods: Sequence[PodFact], request: BundleRequest) -> Iterator[_Wanted]:
    since = max(1, int(request.since_seconds))
    for role in _ORDER:
        for pod in (pod for pod in pods if pod.role is role):
            for container in (each for each in pod.containers if has_log(each)):
                source = LogSource(pod.namespace, pod.name, container.name)
                is_platforms = role is PodRole.MANAGER
                yield _Wanted(source, LogQuery(since_seconds=since, tail=_TAIL[role]), is_platforms)
                if has_log(container, previous=True):
                    yield _Wanted(source, LogQuery(tail=_BEFORE_TAIL, previous=True), is_platforms)
