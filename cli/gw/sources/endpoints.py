"""Prometheus and Alertmanager as HTTP endpoints, wherever they are.

Every request has a deadline of its own, so that what is slow costs a report seconds and never more. A failure says
which of them it was: nobody there, slow, somebody else answering, a missing right, or a write that is declined.

Sources: Prometheus documentation, "HTTP API" and "Management API"; Alertmanager's `api/v2/openapi.yaml`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gw.sources.cluster import one_line

T = TypeVar("T")

TIMEOUT_SECONDS = 4.0


class NoAnswer(Exception):
    """An endpoint told nothing; `reason` is one sentence without a full stop. Waiting is vain where `is_lasting`."""

    def __init__(
        self,
        reason: str,
        next_step: str,
        *,
        is_forbidden: bool = False,
        is_down: bool = False,
        is_lasting: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.next_step = next_step
        self.is_forbidden = is_forbidden
        self.is_down = is_down
        self.is_lasting = is_lasting or is_forbidden


class Declined(NoAnswer):
    """It has understood what it was told, and does not take it."""


@dataclass(frozen=True, slots=True)
class Product:
    """One of the two, and how it is named and found."""

    name: str
    option: str
    selectors: tuple[str, ...]
    """Labels of its Services: the recommended one, and the operator's."""
    port: int
    """Where it listens by default."""


PROMETHEUS = Product(
    "Prometheus", "--prometheus-url", ("app.kubernetes.io/name=prometheus", "operated-prometheus=true"), 9090
)
ALERTMANAGER = Product(
    "Alertmanager", "--alertmanager-url", ("app.kubernetes.io/name=alertmanager", "operated-alertmanager=true"), 9093
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever it says."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Prometheus or Alertmanager that can be asked."""

    product: Product
    place: str
    """For people."""
    send: Callable[[str, Mapping[str, str]], Awaitable[Reply]]
    """GET of a path below the product's root; raises NoAnswer, or KubeError of an API server in between."""
    change: Callable[[str, str, Any], Awaitable[Reply]] | None = None
    """A request of a method that changes something, with path and JSON body; raises as `send` does."""

    @property
    def source(self) -> str:
        return f"{self.product.name} at {self.place}"

    async def ask(self, path: str, query: Mapping[str, str] | None = None) -> Reply:
        """The reply of any status, within the deadline; raises NoAnswer."""
        return await self._in_time(self.send(path, query or {}))

    async def write(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded reply to a change, None for an empty one; raises Declined for a change that is not taken.

        Any other NoAnswer leaves open whether it was.
        """
        assert self.change is not None, f"{self.source} is only read"
        reply = await self._in_time(self.change(method, path, body))
        if 400 <= reply.status < 500 and reply.status not in (401, 403):
            told = one_line(reply.body.decode(errors="replace")).strip('"')[:200]
            raise Declined(f"{self.source} does not take it: {told or f'HTTP {reply.status}'}", "Change what it names.")
        if reply.status >= 300:
            raise self._refusal(reply)
        try:
            return json.loads(reply.body) if reply.body.strip() else None
        except ValueError:
            raise self.stranger("its answer is no JSON") from None

    async def _in_time(self, reply: Awaitable[Reply]) -> Reply:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await reply
        except TimeoutError:
            raise NoAnswer(
                f"{self.source} took longer than {TIMEOUT_SECONDS:g} s to answer", f"See why it is slow, {self._else}"
            ) from None

    async def is_ready(self) -> bool:
        """Whether it serves: it says 503 while it starts or stops."""
        return (await self.ask("/-/ready")).status < 300

    async def document(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The decoded JSON of a good reply; raises NoAnswer."""
        reply = await self.ask(path, query)
        if reply.status >= 300:
            raise self._refusal(reply)
        try:
            return json.loads(reply.body)
        except ValueError:
            raise self.stranger("its answer is no JSON") from None

    def parsed(self, parse: Callable[[Any], T], data: Any) -> T:
        """What `parse` makes of the data; raises NoAnswer when they have another shape."""
        try:
            return parse(data)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            raise self.stranger("its answer has another shape") from None

    def stranger(self, why: str) -> NoAnswer:
        """Something answers that is not the product."""
        return NoAnswer(
            f"what answers at {self.place} is no {self.product.name}: {why}",
            f"Name the right address {self._with}.",
            is_lasting=True,
        )

    @property
    def _with(self) -> str:
        return f"with {self.product.option} URL"

    @property
    def _else(self) -> str:
        return f"or name another {self.product.name} {self._with}."

    def _refusal(self, reply: Reply) -> NoAnswer:
        status = reply.status
        if status in (401, 403):
            return NoAnswer(
                f"{self.source} wants to know who asks (HTTP {status})",
                f"Reach it past its login, as with kubectl port-forward, and name that address {self._with}.",
                is_lasting=True,
            )
        if status < 400:
            return self.stranger(f"it sends callers elsewhere, as a login does (HTTP {status})")
        if status >= 500:
            return NoAnswer(
                f"{self.source} cannot answer now (HTTP {status})",
                f"See how it is, {self._else}",
                is_down=True,
            )
        return self.stranger(_told(reply) or f"HTTP {status}")


def _told(reply: Reply) -> str:
    """Prometheus's own words for a request that it refuses; empty for any other body."""
    try:
        document = json.loads(reply.body)
    except ValueError:
        return ""
    told = document.get("error") if isinstance(document, dict) else None
    return one_line(f"HTTP {reply.status}: {told}")[:200] if isinstance(told, str) else ""


async def all_of(*questions: Coroutine[Any, Any, Any]) -> list[Any]:
    """The answers of questions that are asked at once; raises the first failure when all have ended."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
