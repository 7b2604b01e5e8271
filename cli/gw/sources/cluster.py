"""The connection to one cluster and what its refusals mean to a person at a terminal."""

import os
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from actions_gateway.kube import errors
from actions_gateway.kube.client import ObjectList, WatchEvent, connect
from actions_gateway.kube.resources import Resource
from gw.errors import Blind, CredentialsRejected, GwError, Refused

Manifest = dict[str, Any]

_TIMEOUT_SECONDS = 15.0
_NAME_A_CLUSTER = "Name a cluster with --kubeconfig FILE or KUBECONFIG, or start one here with `gw sandbox up`."


@dataclass(frozen=True, slots=True)
class ClusterTarget:
    """Which cluster is meant; None leaves it to discovery ($KUBECONFIG, the pod, ~/.kube/config)."""

    kubeconfig: Path | None = None
    context: str | None = None


class Cluster(Protocol):
    """What gw asks of a cluster; `KubeClient` is the real one."""

    @property
    def host(self) -> str: ...

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Manifest: ...

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> ObjectList: ...

    def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        size: int | None,
    ) -> AsyncIterator[ObjectList]: ...

    def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str
    ) -> AsyncIterator[WatchEvent]: ...

    async def create(
        self, resource: Resource, manifest: Manifest, *, namespace: str | None = None, dry_run: bool = False
    ) -> Manifest: ...

    async def apply(
        self, resource: Resource, manifest: Manifest, *, field_manager: str, force: bool = True, dry_run: bool = False
    ) -> Manifest: ...

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Manifest,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Manifest: ...

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None
    ) -> object: ...

    async def request(
        self, method: str, path: str, *, body: Any = None, query: dict[str, str] | None = None
    ) -> Manifest: ...

    async def read(self, path: str, *, query: dict[str, str] | None = None) -> bytes: ...

    def stream(self, path: str, *, query: dict[str, str] | None = None) -> AsyncGenerator[bytes, None]: ...


@asynccontextmanager
async def open_cluster(target: ClusterTarget) -> AsyncIterator[Cluster]:
    """A connection; raises GwError when there is no usable configuration."""
    _require_configuration(target, os.environ)
    try:
        async with connect(target.kubeconfig, target.context, timeout_seconds=_TIMEOUT_SECONDS, program="gw") as client:
            yield client
    except errors.ConfigurationError as problem:
        raise Blind(
            one_line(str(problem)), _NAME_A_CLUSTER if target.context is None else _name_a_context(target)
        ) from problem


def _name_a_context(target: ClusterTarget) -> str:
    option = f" --kubeconfig {shlex.quote(str(target.kubeconfig))}" if target.kubeconfig else ""
    return f"See the contexts that there are with `kubectl config get-contexts{option}`."


def _require_configuration(target: ClusterTarget, environment: Mapping[str, str]) -> None:
    """Raises GwError when no file is there to read; the client library would print to standard output instead."""
    if target.kubeconfig is not None:
        if not target.kubeconfig.is_file():
            raise Refused(
                f"the kubeconfig {target.kubeconfig} does not exist", "Name an existing file with --kubeconfig."
            )
        return
    named = environment.get("KUBECONFIG", "")
    if not named and environment.get("KUBERNETES_SERVICE_HOST"):
        return
    candidates = [Path(part) for part in named.split(os.pathsep) if part] or [Path("~/.kube/config").expanduser()]
    if not any(candidate.is_file() for candidate in candidates):
        what = f"KUBECONFIG names {named}, which does not exist" if named else "there is no kubeconfig"
        raise Blind(what, _NAME_A_CLUSTER)


@contextmanager
def asking(doing: str, *, writes: bool = False) -> Iterator[None]:
    """Turns a refusal inside the block into a GwError; `doing` continues the words "could not"."""
    try:
        yield
    except errors.KubeError as problem:
        raise explain(problem, doing, writes=writes) from problem


def explain(problem: errors.KubeError, doing: str, *, writes: bool = False) -> GwError:
    """What a refusal means: a read that is forbidden leaves gw blind, a write that is forbidden is refused."""
    what = f"could not {doing}: {one_line(problem.message)}"
    match problem:
        case errors.Unreachable():
            return Blind(
                one_line(problem.message), "Check that the cluster runs and that --kubeconfig and --context name it."
            )
        case errors.Unauthorized():
            return CredentialsRejected(
                f"could not {doing}: the API server does not accept the kubeconfig's credentials",
                "Log in to the cluster again, or name another --context.",
            )
        case errors.QuotaExceeded():
            return Refused(what, "Raise the namespace's ResourceQuota, then try again.")
        case errors.NamespaceTerminating():
            return Refused(what, "Wait until the namespace is gone, create it anew, then try again.")
        case errors.Forbidden() if writes:
            return Refused(what, "Ask the platform's owners for that right, or run gw as somebody who has it.")
        case errors.Forbidden():
            return Blind(what, "Ask the platform's owners for that right, or name one tenant that you may read.")
        case errors.Invalid():
            return Refused(what, "Change the value that the API server names.")
        case errors.TooManyRequests():
            pause = f"{problem.retry_after_seconds or 10:g} s"
            return Blind(what, f"The API server is overloaded: try again in {pause}.")
        case errors.ServerError():
            return Blind(what, "The API server is in trouble: ask the platform's owners, or try again later.")
        case _:
            return Blind(what, "Try again; with --debug gw shows the trace.")


def one_line(text: str) -> str:
    """The server's text on one line, without a full stop."""
    return " ".join(text.split()).rstrip(".")
