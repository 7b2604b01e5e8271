"""Calls, replies and routes without a transport: what HTTP carries, so that a simulation can do without sockets."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from gateway_sandbox.github.state import Refused

T = TypeVar("T")


@dataclass(eq=False)
class Call:
    """One request; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    endpoint: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def bearer(self) -> str | None:
        """The credential of `Authorization: Bearer X` or `token X`."""
        scheme, _, credential = self.headers.get("authorization", "").partition(" ")
        return credential.strip() or None if scheme.lower() in ("bearer", "token") else None

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body's JSON object, {} when empty; Refused 400 for anything else."""
        try:
            parsed = json.loads(self.body) if self.body.strip() else {}
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise Refused(400, {"message": "Problems parsing JSON", "status": "400"})
        return parsed

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(errors="replace")))


@dataclass(slots=True)
class Reply:
    """One answer; `body` is a JSON document, text, or None for an empty body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False
    """Closes the connection instead of answering."""
    on_written: Callable[[], None] | None = None
    """Called when the reply has been handed to the transport."""

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()

    @property
    def content_type(self) -> str | None:
        if self.body is None:
            return None
        return "text/plain" if isinstance(self.body, str) else "application/json"


Handler = Callable[[Call], Reply | Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is what faults and counters know the endpoint by; its first part is the plane."""

    name: str
    method: str
    template: str
    handler: Handler

    @property
    def plane(self) -> str:
        return self.name.partition(".")[0]


class Router:
    """Finds the route of a call; REST routes are served at `/api/v3` and at `/`."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(re.compile(_pattern(route)), route) for route in routes]

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        for pattern, route in self._routes:
            if route.method == method and (found := pattern.fullmatch(path)) is not None:
                return route, found.groupdict()
        return None


def _pattern(route: Route) -> str:
    prefix = "(?:/api/v3)?" if route.plane == "rest" else ""
    return prefix + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.template) + "/?"


def page_of(call: Call, items: Sequence[T], base_url: str) -> tuple[Sequence[T], dict[str, str]]:
    """The asked-for page of a list and its `Link` header."""
    size = min(100, max(1, _number(call.query.get("per_page"), 30)))
    page = max(1, _number(call.query.get("page"), 1))
    last = max(1, -(-len(items) // size))
    links = {"next": page + 1, "last": last} if page < last else {}
    links |= {"prev": page - 1, "first": 1} if page > 1 else {}
    query = {name: value for name, value in call.query.items() if name != "page"}
    here = base_url + quote(call.path)
    parts = [f'<{here}?{urlencode({**query, "page": to})}>; rel="{rel}"' for rel, to in links.items()]
    return items[(page - 1) * size : page * size], {"Link": ", ".join(parts)} if parts else {}


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default
