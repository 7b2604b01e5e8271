"""Runs gw in this process on doubles: streams in memory, a clock that waits move on, a cluster and a GitHub."""

import io
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from actions_gateway.engine.clock import SystemClock
from gw.commandline import run
from gw.errors import CredentialsRejected
from gw.sources.appcontrol import AppInstallationFact
from gw.sources.cluster import Cluster, ClusterTarget
from gw.sources.installation import Installation, InstallationQuery
from gw.surroundings import Surroundings
from support.clock import START

from .double import ClusterDouble

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "GW_UPDATE_GOLDEN"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class SteppingClock:
    """Stands still but for sleeps, which end at once and move it on; `on_sleep` is the rest of the world."""

    def __init__(self) -> None:
        self.slept_seconds = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return START + timedelta(seconds=self.slept_seconds)

    def monotonic(self) -> float:
        return self.slept_seconds

    async def sleep(self, seconds: float) -> None:
        self.slept_seconds += seconds
        self.on_sleep()


class PresentClock(SteppingClock):
    """The API server's own time, which managedFields are written by."""

    now = SystemClock().now


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class GitHubDouble:
    """Answers every query alike and remembers them."""

    answer: Installation | Exception = field(
        default_factory=lambda: Installation(
            app_slug="octo-runners",
            account="octo",
            permissions={"actions": "write", "administration": "write"},
            scope="octo/demo",
        )
    )
    queries: list[InstallationQuery] = field(default_factory=list)

    async def look_up(self, query: InstallationQuery) -> Installation:
        self.queries.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class AppDouble:
    """An App at GitHub as whoever has one of its keys sees it; implements `gw.sources.appcontrol.AppControl`.

    A key that was deleted signs nothing that GitHub accepts (GitHub docs, "Managing private keys for GitHub Apps");
    only a suspension ends what tokens may do (REST docs, "Suspend an app installation").
    """

    keys: set[str] = field(default_factory=set)
    """Fingerprints of those that GitHub accepts."""
    suspended: set[int] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    on_call: Callable[[], None] = lambda: None
    """After each call that changes something."""
    trusted: list[str | None] = field(default_factory=list)
    """The certificate authorities of each look; None for the system's alone."""

    async def look(self, query: InstallationQuery) -> AppInstallationFact:
        self._refuse(query)
        self.trusted.append(query.ca_bundle.read_text() if query.ca_bundle else None)
        is_suspended = query.credentials.installation_id in self.suspended
        return AppInstallationFact("octo-runners", "octo", START if is_suspended else None)

    async def accepts(self, query: InstallationQuery) -> bool:
        return query.credentials.key_fingerprint in self.keys

    async def suspend(self, query: InstallationQuery) -> None:
        self._refuse(query)
        self.suspended.add(query.credentials.installation_id)
        self._called(f"suspend {query.credentials.installation_id}")

    async def unsuspend(self, query: InstallationQuery) -> None:
        self._refuse(query)
        self.suspended.discard(query.credentials.installation_id)
        self._called(f"unsuspend {query.credentials.installation_id}")

    def _called(self, what: str) -> None:
        self.calls.append(what)
        self.on_call()

    def _refuse(self, query: InstallationQuery) -> None:
        if query.credentials.key_fingerprint not in self.keys:
            raise CredentialsRejected("github.com does not accept this private key", "Name a key that it lists.")


@dataclass
class Gw:
    """`gw` with its surroundings; call it with a command line."""

    cluster: ClusterDouble = field(default_factory=ClusterDouble)
    github: GitHubDouble = field(default_factory=GitHubDouble)
    app: AppDouble = field(default_factory=AppDouble)
    clock: SteppingClock = field(default_factory=SteppingClock)
    targets: list[ClusterTarget] = field(default_factory=list)
    """Which clusters were opened."""
    opening: BaseException | None = None
    """Raised in place of opening the cluster."""
    real_cluster: bool = False
    """Whether the cluster is opened as in production."""
    real_github: bool = False
    http: dict[str, Callable[[str, dict[str, str]], tuple[int, bytes]]] = field(default_factory=dict)
    """By host and port: what answers there, with status and body; nobody anywhere else."""
    http_changes: dict[str, Callable[[str, str, Any], tuple[int, bytes]]] = field(default_factory=dict)
    """The same for requests that change something."""
    open_http: Callable[[], Any] | None = None
    """To Prometheus and Alertmanager by URL; None opens what `http` says."""

    def __call__(self, *arguments: str, answer: str | None = None, terminal: bool = False) -> Answer:
        """Runs a command line; `answer` is what a person at a terminal types."""
        stdin = io.StringIO() if answer is None else Terminal(answer)
        out, err = (Terminal() if terminal else io.StringIO() for _ in range(2))
        surroundings: dict[str, Any] = {} if self.real_cluster else {"open_cluster": self._open}
        surroundings |= {} if self.real_github else {"look_up_installation": self.github.look_up}
        surroundings |= {} if self.real_github else {"app_control": lambda: self.app}
        surroundings |= {"open_http": self.open_http or self._open_http}
        code = run(
            arguments,
            surroundings=Surroundings(
                stdin=stdin,
                stdout=out,
                stderr=err,
                clock=self.clock,
                **surroundings,
            ),
        )
        return Answer(code, out.getvalue(), err.getvalue())

    def _open_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._send))

    def _send(self, request: httpx.Request) -> httpx.Response:
        answer = self.http.get(request.url.netloc.decode())
        if answer is None:
            raise httpx.ConnectError("All connection attempts failed")
        if request.method != "GET":
            change = self.http_changes[request.url.netloc.decode()]
            status, body = change(request.method, request.url.path, json.loads(request.content or b"null"))
            return httpx.Response(status, content=body)
        status, body = answer(request.url.path, dict(request.url.params))
        return httpx.Response(status, content=body)

    @asynccontextmanager
    async def _open(self, target: ClusterTarget) -> AsyncIterator[Cluster]:
        self.targets.append(target)
        if self.opening is not None:
            raise self.opening
        yield self.cluster


def check_golden(name: str, text: str) -> None:
    """Compares with the kept file; GW_UPDATE_GOLDEN=1 rewrites it instead."""
    path = GOLDEN / name
    if os.environ.get(UPDATE):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path.name} is missing; make it with {UPDATE}=1 pytest tests/cli"
    kept = path.read_text(encoding="utf-8")
    assert text == kept, f"{path.name} differs; if that is meant, rewrite it with {UPDATE}=1 pytest tests/cli"


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """The process environment with these GW_* variables and no others."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("GW_") and name != UPDATE]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
