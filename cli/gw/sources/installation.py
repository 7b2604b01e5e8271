"""An App's installation as GitHub sees it: does the key open it, does it cover the URL, what may it do.

Every call is a read, apart from a token that is minted to prove the key and revoked right after.
"""

import contextlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from actions_gateway.engine.clock import SystemClock
from actions_gateway.github import errors
from actions_gateway.github.app import AppCredentials
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.secrets import Secret
from actions_gateway.github.transport import CaBundleInvalid
from actions_gateway.github.urls import GitHubScope, needed_permissions, scope_of
from gw.errors import Blind, CredentialsRejected, GwError, Refused

_TIMEOUT_SECONDS = 15.0
_PROBE_NAME = "gw-looks-whether-it-may-list-runners"


@dataclass(frozen=True, slots=True)
class InstallationQuery:
    """Which installation, by which key, for whose runners."""

    github_url: str
    credentials: AppCredentials
    ca_bundle: Path | None = None
    url_from: str = "--github-url"
    """What to correct when the URL is wrong."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What GitHub confirmed."""

    app_slug: str
    account: str
    permissions: Mapping[str, str]
    scope: str
    """The organization, repository or enterprise whose runners the installation may register."""


async def look_up_installation(query: InstallationQuery) -> Installation:
    """The confirmed installation; raises CredentialsRejected when GitHub says no, Blind when it says nothing."""
    scope, clock = scope_of(query.github_url), SystemClock()
    try:
        async with GitHubHttp(
            clock, timeout_seconds=_TIMEOUT_SECONDS, ca_bundle=query.ca_bundle, proxy=proxy_for(query.github_url)
        ) as http:
            return await _confirm(GitHubRest(http, scope, clock), scope, query)
    except errors.GitHubError as problem:
        raise explain_refusal(problem, scope, query) from problem
    except CaBundleInvalid as problem:
        raise Refused(
            f"the CA bundle {query.ca_bundle} cannot be used: {problem}", "Name a PEM file with --ca-bundle-file."
        ) from problem


def proxy_for(url: str) -> str | None:
    """The proxy that this machine's environment names for a URL."""
    host = urlsplit(url).hostname or ""
    if _is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get("https")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _confirm(rest: GitHubRest, scope: GitHubScope, query: InstallationQuery) -> Installation:
    installation = await rest.get_installation(query.credentials)
    if installation.suspended_at is not None:
        raise errors.Suspended("the installation is suspended")
    minted = await rest.mint_token(query.credentials)
    try:
        _refuse_missing_permissions(scope, minted.permissions)
        await _probe(rest, scope, query, minted.token)
    finally:
        with contextlib.suppress(errors.GitHubError):
            await rest.revoke_token(minted.token)
    return Installation(
        app_slug=installation.app_slug,
        account=installation.account,
        permissions=dict(minted.permissions),
        scope=scope.repository or scope.owner,
    )


async def _probe(rest: GitHubRest, scope: GitHubScope, query: InstallationQuery, token: Secret) -> None:
    """Lists runners of the scope, since an installation may exist and not cover this repository."""
    try:
        await rest.list_runners(token, name=_PROBE_NAME)
    except errors.NotFound as problem:
        raise CredentialsRejected(
            f"installation {query.credentials.installation_id} does not cover {scope.repository or scope.owner}",
            f"Give the App access to it in the installation's settings at GitHub, or correct {query.url_from}.",
        ) from problem


def _refuse_missing_permissions(scope: GitHubScope, granted: Mapping[str, str]) -> None:
    lacking = [f"{name}:{level}" for name, level in needed_permissions(scope).items() if granted.get(name) != level]
    if lacking:
        raise CredentialsRejected(
            f"the App's installation lacks the permission {' and '.join(lacking)}",
            "Grant it in the App's settings at GitHub and accept it in the installation.",
        )


def explain_refusal(problem: errors.GitHubError, scope: GitHubScope, query: InstallationQuery) -> GwError:
    """What GitHub's refusal of an App means to a person at a terminal."""
    app, installation = query.credentials.app_id, query.credentials.installation_id
    match problem:
        case errors.ClockSkewed():
            return Blind(f"{scope.host} refuses this machine's clock", "Set the clock, then try again.")
        case errors.Unauthorized():
            return CredentialsRejected(
                f"{scope.host} does not accept this private key for the App {app}",
                "Name a key that the App's settings list, and check --app-id.",
            )
        case errors.NotFound():
            return CredentialsRejected(
                f"{scope.host} knows no installation {installation} of the App {app}",
                "Take --installation-id from the address of the installation's settings page at GitHub.",
            )
        case errors.Suspended():
            return CredentialsRejected(
                f"the installation {installation} of the App {app} is suspended",
                "Unsuspend it in its settings at GitHub.",
            )
        case errors.Forbidden():
            return CredentialsRejected(
                f"{scope.host} refuses the App {app} the runners of {scope.repository or scope.owner}: {problem}",
                "Check the App's permissions in its settings at GitHub.",
            )
        case errors.Moved():
            return Refused(f"{scope.repository or scope.owner} has another name now", f"Correct {query.url_from}.")
        case _:
            return Blind(
                f"could not ask GitHub about the App: {str(problem).rstrip('.')}",
                "Try again; behind a private certificate authority add --ca-bundle-file.",
            )
