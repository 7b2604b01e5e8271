"""What was asked: every request without its secrets, and counts by endpoint and status."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
MAX_BODY_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered (status 0: the connection was dropped or the client left first)."""

    at: datetime
    method: str
    path: str
    endpoint: str
    runner: str | None
    status: int
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: str


class Journal:
    """Bounded; the counts are not."""

    def __init__(self, size: int) -> None:
        self._requests: deque[Request] = deque(maxlen=size)
        self._counts: Counter[tuple[str, int]] = Counter()

    def record(self, request: Request) -> None:
        self._requests.append(request)
        self._counts[request.endpoint, request.status] += 1

    def requests(self, endpoint: str = "*", *, runner: str = "*", status: int | None = None) -> list[Request]:
        """The recorded requests whose endpoint and runner match the patterns, oldest first."""
        return [
            request
            for request in self._requests
            if fnmatchcase(request.endpoint, endpoint)
            and fnmatchcase(request.runner or "", runner)
            and status in (None, request.status)
        ]

    def count(self, endpoint: str = "*", status: int | None = None) -> int:
        """How many requests an endpoint has answered, with one status or with any."""
        return sum(
            n for (name, code), n in self._counts.items() if fnmatchcase(name, endpoint) and status in (None, code)
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Endpoint to status to number, for readers of the sandbox's state."""
        table: dict[str, dict[str, int]] = {}
        for (endpoint, status), number in sorted(self._counts.items()):
            table.setdefault(endpoint, {})[str(status)] = number
        return table

    def clear(self) -> None:
        self._requests.clear()
        self._counts.clear()


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: "***" if name in SECRET_HEADERS else value for name, value in headers.items()}


def readable_body(endpoint: str, body: bytes, *, secret_endpoints: Iterable[str] = ("oauth.token",)) -> str:
    """The start of a body; a client assertion is a credential and is not kept."""
    return "***" if endpoint in secret_endpoints else body[:MAX_BODY_CHARACTERS].decode(errors="replace")
