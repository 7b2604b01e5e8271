"""New lines as they are written, of the containers that are meant and of those that come later, until cancelled."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from gw.errors import Blind
from gw.ops.logs.reading import LogReport, read_selected
from gw.ops.logs.request import LogRequest
from gw.ops.logs.selection import Selected, filter_of, has_log, is_running, nothing, select
from gw.ops.redaction import LineRedactor
from gw.sources.cluster import Cluster, explain, one_line
from gw.sources.jobs import JobReference
from gw.sources.logs import LogLine, LogQuery, LogSource, read_log

LOOK_SECONDS = 2.0
"""Between two looks for containers that are new."""
_CLOCKS_DIFFER = 5.0
"""Seconds by which a node's clock may be behind ours."""


@dataclass(slots=True)
class Following:
    """One following; `on_report` hears what is there at first, `on_line` every later line, `on_note` what changed."""

    cluster: Cluster
    request: LogRequest
    clock: Clock
    on_report: Callable[[LogReport], None]
    on_line: Callable[[LogLine], None]
    on_note: Callable[[str], None]
    _last: dict[LogSource, int] = field(default_factory=dict)
    """The time of the last line of each container, in nanoseconds."""
    _tasks: dict[LogSource, "asyncio.Task[None]"] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _known: set[LogSource] = field(default_factory=set)
    """Those that were there at first, or are followed."""
    _began_at: datetime | None = None

    async def follow(self) -> NoReturn:
        """Follows until cancelled; raises GwError when there is nothing to follow, or no right to."""
        self._began_at = self.clock.now()
        selected = await select(self.cluster, self.request)
        if not selected.pods and isinstance(self.request.target, JobReference):
            raise nothing(self.request)
        if selected.pods:
            report = await read_selected(self.cluster, self.request, selected)
            self._last = {line.source: line.nanoseconds for line in report.lines}
            self.on_report(report)
        else:
            self._note(f"{nothing(self.request).what}; waiting for one")
        self._known = set(selected.containers)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._start(group, selected)
                    await self.clock.sleep(LOOK_SECONDS)
                    selected = await self._look_again(selected)
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None

    def _start(self, group: asyncio.TaskGroup, selected: Selected) -> None:
        """Follows what runs and is not followed, and what came and went between two looks."""
        for source, container in selected.containers.items():
            is_new = source not in self._known and has_log(container)
            if (is_new or is_running(container)) and self._is_free(source):
                since = self._since(source, is_new=is_new)
                self._known.add(source)
                self._tasks[source] = group.create_task(self._follow_one(source, since, selected))

    def _since(self, source: LogSource, *, is_new: bool) -> datetime | None:
        """From where a container is followed: its last line, its whole log when it is new."""
        if last := self._last.get(source):
            return datetime.fromtimestamp(last // 10**9, UTC)
        if is_new or self._began_at is None:
            return None
        return self._began_at - timedelta(seconds=self.request.since_seconds or _CLOCKS_DIFFER)

    def _is_free(self, source: LogSource) -> bool:
        task = self._tasks.get(source)
        return task is None or task.done()

    async def _look_again(self, before: Selected) -> Selected:
        """The containers now; those of before when nobody answers, or nothing is left."""
        try:
            found = await select(self.cluster, self.request)
        except Blind as problem:
            self._note(f"{problem.what}; still trying")
            return before
        self._told.clear()
        return found

    async def _follow_one(self, source: LogSource, since: datetime | None, selected: Selected) -> None:
        """Every line after the last one that was told; ends with the container's run."""
        last = self._last.get(source, 0)
        wanted, redactor = filter_of(self.request, selected), LineRedactor(lambda _: None)
        try:
            async with aclosing(read_log(self.cluster, source, LogQuery(since=since, follow=True))) as lines:
                async for line in lines:
                    clean = replace(line, text=redactor.redact(line.text))
                    if line.nanoseconds and line.nanoseconds <= last:
                        continue
                    self._last[source] = last = max(last, line.nanoseconds)
                    if wanted.passes(clean.text):
                        self.on_line(clean)
        except (errors.Forbidden, errors.Unauthorized) as problem:
            raise explain(problem, f"follow the log of {source.pod}") from problem
        except errors.KubeError as problem:
            self._note(f"the log of {source.pod} broke off: {one_line(problem.message)}; following it again")

    def _note(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.on_note(text)
