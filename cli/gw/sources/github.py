"""What GitHub says to a caller who has the App's key: what its installation grants, and which jobs wait there.

A job whose labels no session has is never delivered, so only the REST API knows of it. Only reads, apart from a token
that is minted for them and revoked right after, and that tells the permissions. Sources: GitHub REST docs, "Create an
installation access token for an app", "List workflow runs for a repository" and "List jobs for a workflow run".
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import GitHubScope, scope_of
from actions_gateway.kube.resources import ACTIONSGATEWAYS
from gw.errors import Blind, Refused
from gw.sources.cluster import Cluster
from gw.sources.endpoints import NoAnswer
from gw.sources.gateways import GatewayFact, parse_gateway

if TYPE_CHECKING:
    from actions_gateway.github.rest import GitHubRest
    from actions_gateway.github.runs import WorkflowJob

_TIMEOUT_SECONDS = 15.0
RUNS = 30
"""Of each status, the newest: a request each."""
_STATUSES = ("queued", "in_progress")
"""A run of which one job runs has others that wait."""


@dataclass(frozen=True, slots=True)
class QueuedJobFact:
    """One job that waits at GitHub."""

    namespace: str
    """Of the gateway that serves its repository."""
    repository: str
    run_id: int
    name: str
    labels: tuple[str, ...]
    """Of `runs-on`."""
    queued_at: datetime | None
    url: str


@dataclass(frozen=True, slots=True)
class GitHubFact:
    """What GitHub said of one gateway's App and repository, or of several."""

    jobs: tuple[QueuedJobFact, ...] = ()
    runs_left_out: int = 0
    """Runs that wait or run, beyond the newest ones that were asked for their jobs."""
    permissions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What the installation grants now, by namespace."""
    unlisted: tuple[str, ...] = ()
    """Why jobs that wait were not listed, a sentence for each gateway."""


@dataclass(frozen=True, slots=True)
class GitHubQuery:
    """Of which gateway GitHub is asked, and with what."""

    gateway: GatewayFact
    private_key: Secret = field(repr=False)
    ca_bundle: Path | None = None


AskGitHub = Callable[[GitHubQuery], Awaitable[GitHubFact]]


async def ask_github(query: GitHubQuery) -> GitHubFact:
    """What the App's installation grants, and the jobs that wait in the gateway's repository; raises NoAnswer."""
    # Most reports ask GitHub nothing, and its client takes a while to load.
    from actions_gateway.engine.clock import SystemClock
    from actions_gateway.github import errors
    from actions_gateway.github.app import CredentialInvalid, parse_credentials
    from actions_gateway.github.http import GitHubHttp
    from actions_gateway.github.rest import GitHubRest
    from actions_gateway.github.transport import CaBundleInvalid
    from gw.sources.installation import InstallationQuery, explain_refusal, proxy_for

    gateway, credential = query.gateway, query.gateway.credential
    if credential is None:
        raise NoAnswer("the gateway's status does not say of which App its key is", "See credential.available.")
    try:
        scope = scope_of(gateway.github_url)
        credentials = parse_credentials(
            app_id=credential.app_id,
            installation_id=credential.installation_id,
            private_key=query.private_key.reveal(),
        )
    except (ValueError, CredentialInvalid) as problem:
        raise NoAnswer(f"GitHub cannot be asked: {problem}", "Name the App's .pem file.", is_lasting=True) from problem
    clock = SystemClock()
    try:
        async with GitHubHttp(
            clock, timeout_seconds=_TIMEOUT_SECONDS, ca_bundle=query.ca_bundle, proxy=proxy_for(gateway.github_url)
        ) as http:
            rest = GitHubRest(http, scope, clock)
            minted = await rest.mint_token(credentials)
            try:
                found = await read_waiting(rest, minted.token, scope, gateway.namespace)
            finally:
                with contextlib.suppress(errors.GitHubError):
                    await rest.revoke_token(minted.token)
            return replace(found, permissions={gateway.namespace: dict(minted.permissions)})
    except errors.GitHubError as problem:
        refusal = explain_refusal(problem, scope, InstallationQuery(gateway.github_url, credentials))
        is_lasting = not isinstance(refusal, Blind)
        raise NoAnswer(refusal.what, refusal.next_step, is_lasting=is_lasting) from problem
    except CaBundleInvalid as problem:
        raise NoAnswer(f"the CA bundle cannot be used: {problem}", "Name a PEM file.", is_lasting=True) from problem


@dataclass(frozen=True, slots=True)
class GitHubAccess:
    """The key of a caller who has one."""

    private_key: Secret = field(repr=False)
    ca_bundle: Path | None = None
    ask: AskGitHub = ask_github


def read_key(path: Path) -> Secret:
    """An App's private key as its file has it; raises Refused."""
    try:
        return Secret(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Refused(
            f"the private key file {path} does not exist", "Name the .pem file from the App's settings."
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise Refused(
            f"the private key file {path} cannot be read as text", "Name the .pem file from the App's settings."
        ) from problem


async def gather_github(cluster: Cluster, namespace: str | None, access: GitHubAccess | None) -> GitHubFact | None:
    """What GitHub says of the tenant's gateways; None when nobody may ask it. Raises KubeError, NoAnswer."""
    if access is None:
        return None
    gateways = [parse_gateway(item) for item in (await cluster.list(ACTIONSGATEWAYS, namespace)).items]
    found = [await access.ask(GitHubQuery(gateway, access.private_key, access.ca_bundle)) for gateway in gateways]
    return GitHubFact(
        jobs=tuple(job for each in found for job in each.jobs),
        runs_left_out=sum(each.runs_left_out for each in found),
        permissions={name: granted for each in found for name, granted in each.permissions.items()},
        unlisted=tuple(why for each in found for why in each.unlisted),
    )


async def read_waiting(rest: "GitHubRest", token: Secret, scope: GitHubScope, namespace: str) -> GitHubFact:
    """The jobs that wait in the repository's newest runs; raises GitHubError."""
    from actions_gateway.github.runs import GitHubRuns

    if scope.repository is None:
        why = f"GitHub lists waiting jobs by repository, and {namespace} serves all of {scope.owner}"
        return GitHubFact(unlisted=(why,))
    repository = scope.repository
    path, action = f"/repos/{repository}/actions/runs", "list the runs"
    pages = await asyncio.gather(
        *(rest.read(path, token, action, {"status": status, "per_page": str(RUNS)}) for status in _STATUSES)
    )
    listed = [page.raw("workflow_runs") or [] for page in pages]
    ids = sorted({int(run["id"]) for page in listed for run in page})
    left_out = sum(int(page.raw("total_count") or 0) - len(known) for page, known in zip(pages, listed, strict=True))
    jobs = await asyncio.gather(*(GitHubRuns(rest).list_jobs(token, repository, run_id) for run_id in ids))
    waiting = [job for each in jobs for job in each if job.status == "queued"]
    return GitHubFact(tuple(_queued(job, repository, namespace) for job in waiting), max(0, left_out))


def _queued(job: "WorkflowJob", repository: str, namespace: str) -> QueuedJobFact:
    return QueuedJobFact(namespace, repository, job.run_id, job.name, job.labels, job.created_at, job.url)
