"""Asks a Prometheus what the boards ask it."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import httpx

from gw_alerts.scaling import Pace
from gw_dashboards.bounds import GOOD
from gw_dashboards.catalog import BOARDS
from gw_dashboards.grafana import choices
from gw_dashboards.model import Panel, Presence, Query, Variable
from gw_dashboards.promql import INTERVAL

EVERYTHING = ".*"
_RANGE_SECONDS = 2


@dataclass(frozen=True)
class Asked:
    """A query of a panel, about one cluster."""

    board: str
    panel: Panel
    query: Query
    cluster: str
    """Empty where series have no such label; EVERYTHING for all of them."""

    @property
    def expression(self) -> str:
        """The query as Grafana would send it."""
        return _chosen(self.query.expression, self.cluster)

    def __str__(self) -> str:
        return f"{self.board} | {self.panel.title} | {self.query.name or '-'} | {self.cluster}"

    @property
    def is_judged(self) -> bool:
        """Whether some value of it is shown as bad."""
        return bool(self.panel.bounds_of(self.query)) or any(word.is_bad for word in self.panel.words_of(self.query))

    @property
    def can_show(self) -> bool:
        """Whether a fault makes a difference: a colour, or series that are not there without one."""
        return self.is_judged or self.query.presence in {Presence.FAULT, Presence.ELSEWHERE}

    def is_bad(self, value: float) -> bool:
        """Whether the panel shows the value as bad."""
        for word in self.panel.words_of(self.query):
            if word.value == f"{value:g}":
                return word.is_bad
        bounds = self.panel.bounds_of(self.query)
        return bounds is not None and bounds.color_of(value) != GOOD

    def shows(self, answer: "list[Sample] | str") -> bool:
        """Whether a fault is seen in it: as bad, or at all where there are series in faults only."""
        if isinstance(answer, str):
            return False
        if self.is_judged:
            return any(self.is_bad(sample.value) for sample in answer)
        return self.can_show and bool(answer)


@dataclass(frozen=True)
class Sample:
    """One series of an answer."""

    labels: Mapping[str, str]
    value: float


Answers = dict[Asked, list[Sample] | str]
"""By what was asked; a text is Prometheus's refusal."""


def wrong_labels(asked: Asked, answer: Collection[Sample]) -> str | None:
    """The labels of an answer where they are not the promised ones; `cluster` may be there or not."""
    aside = {"cluster"}
    found = {label for sample in answer for label in sample.labels} - aside
    return None if found == set(asked.query.labels) - aside else f"labels {sorted(found)}"


def questions(clusters: Collection[str]) -> Iterable[Asked]:
    """All queries of all boards, about each of the clusters."""
    for board in BOARDS:
        for panel, query in board.queries():
            for cluster in clusters:
                yield Asked(board.uid, panel, query, cluster)


def questions_about(alerts: Collection[str], cluster: str) -> Iterable[Asked]:
    """The queries that can show what the alerts are about: of panels that name one of them."""
    for asked in questions((cluster,)):
        if asked.can_show and not {alert.name for alert in asked.panel.alerts}.isdisjoint(alerts):
            yield asked


@dataclass
class BoardQuestions:
    """Asks a Prometheus."""

    http: httpx.AsyncClient
    url: str
    pace: Pace = Pace()  # noqa: RUF009  # it is frozen
    """Of its rules."""

    async def all(self, asked: Collection[Asked]) -> Answers:
        limit = asyncio.Semaphore(8)

        async def one(each: Asked) -> list[Sample] | str:
            async with limit:
                return await self._ask(each)

        return dict(zip(asked, await asyncio.gather(*map(one, asked)), strict=True))

    async def variables(self) -> dict[tuple[str, str], set[str]]:
        """What a reader may choose, by board and variable."""
        found = {}
        for board in BOARDS:
            for variable in board.variables:
                found[board.uid, variable.value] = await self._choices(variable)
        return found

    async def has(self, number: int, query: str) -> bool:
        """Whether there are so many series: what all the others build on, so that they are not asked too early."""
        try:
            answer = await self.http.get(f"{self.url}/api/v1/query", params={"query": query})
        except httpx.TransportError:
            return False
        return answer.is_success and len(answer.json()["data"]["result"]) == number

    async def _choices(self, variable: Variable) -> set[str]:
        series = _chosen(choices(variable), EVERYTHING)
        answer = await self.http.get(f"{self.url}/api/v1/label/{variable.value}/values", params={"match[]": series})
        return set(answer.json()["data"])

    async def _ask(self, asked: Asked) -> list[Sample] | str:
        try:
            answer = await self._query(asked)
        except httpx.TransportError as problem:
            return f"no answer: {problem!r}"
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return "not ready yet"
        document = answer.json()
        if document["status"] != "success":
            return str(document["error"])
        # Of a range the last value, as beside its line.
        return [
            Sample(each["metric"], float((each.get("value") or each["values"][-1])[1]))
            for each in document["data"]["result"]
        ]

    async def _query(self, asked: Asked) -> httpx.Response:
        """As Grafana does: of a time range where the panel shows one."""
        asks = {"query": self.pace.expression(asked.expression)}
        if not asked.panel.kind.is_over_time:
            return await self.http.post(f"{self.url}/api/v1/query", data=asks)
        now = time.time()
        times = {"start": f"{now - _RANGE_SECONDS}", "end": f"{now}", "step": "1"}
        return await self.http.post(f"{self.url}/api/v1/query_range", data=asks | times)


def _chosen(text: str, cluster: str) -> str:
    values = {"$cluster": cluster, "$namespace": EVERYTHING, "$runner_group": EVERYTHING, INTERVAL: "1m"}
    for name, value in values.items():
        text = text.replace(name, value)
    return text
