"""GitHub by a person who has an App's private key: is the key accepted, is the installation suspended; suspend it.

Sources: GitHub REST docs, "Get an installation for the authenticated app", "Suspend an app installation".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from actions_gateway.engine.clock import SystemClock
from actions_gateway.github import errors
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.transport import CaBundleInvalid
from actions_gateway.github.urls import scope_of
from gw.errors import Refused
from gw.sources.installation import InstallationQuery, explain_refusal, proxy_for

_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class AppInstallationFact:
    """An installation as its App sees it."""

    app_slug: str
    account: str
    suspended_at: datetime | None


class AppControl(Protocol):
    """What gw asks of GitHub in an App's name; every method raises GwError."""

    async def look(self, query: InstallationQuery) -> AppInstallationFact:
        """The installation; raises CredentialsRejected when GitHub does not accept the key."""

    async def accepts(self, query: InstallationQuery) -> bool:
        """Whether GitHub takes the key for one of the App's."""

    async def suspend(self, query: InstallationQuery) -> None:
        """Keeps the App out of the account; once more is fine."""

    async def unsuspend(self, query: InstallationQuery) -> None:
        """Lets it in again; once more is fine."""


class GitHubAppControl:
    """The real one."""

    async def look(self, query: InstallationQuery) -> AppInstallationFact:
        async with _rest(query) as rest:
            found = await rest.get_installation(query.credentials)
        return AppInstallationFact(found.app_slug, found.account, found.suspended_at)

    async def accepts(self, query: InstallationQuery) -> bool:
        async with _rest(query) as rest:
            try:
                await rest.get_installation(query.credentials)
            except errors.ClockSkewed:
                raise
            except errors.Unauthorized:
                return False
        return True

    async def suspend(self, query: InstallationQuery) -> None:
        async with _rest(query) as rest:
            await rest.suspend_installation(query.credentials)

    async def unsuspend(self, query: InstallationQuery) -> None:
        async with _rest(query) as rest:
            await rest.unsuspend_installation(query.credentials)


@asynccontextmanager
async def _rest(query: InstallationQuery) -> AsyncIterator[GitHubRest]:
    scope, clock = scope_of(query.github_url), SystemClock()
    try:
        async with GitHubHttp(
            clock, timeout_seconds=_TIMEOUT_SECONDS, ca_bundle=query.ca_bundle, proxy=proxy_for(query.github_url)
        ) as http:
            yield GitHubRest(http, scope, clock)
    except errors.GitHubError as problem:
        raise explain_refusal(problem, scope, query) from problem
    except CaBundleInvalid as problem:
        raise Refused(
            f"the CA bundle {query.ca_bundle} cannot be used: {problem}", "Name a PEM file with --ca-bundle-file."
        ) from problem
