"""Addresses: which REST API and which runner collection belong to a configured GitHub URL, and how URLs are joined.

Sources: actions/runner `src/Runner.Sdk/Util/UrlUtil.cs` and `src/Runner.Common/RunnerDotcomServer.cs` (hosts);
GitHub REST docs "Self-hosted runners" (collections). A host is compared as a whole, never by a part of it, and
everything is https: a token never travels in the clear.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_DOTCOM_HOSTS = frozenset({"github.com", "www.github.com", "api.github.com"})
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class GitHubScope:
    """Where a gateway's runners are registered."""

    host: str
    """The configured host, with its port when it has one: what metrics and messages call this GitHub."""
    api_base: str
    """The REST API without a slash at the end."""
    runners_path: str
    """The runner collection below the API base, such as /repos/o/r/actions/runners."""
    owner: str
    """The organization, the repository's owner, or the enterprise."""
    repository: str | None = None
    """owner/name when the runners belong to one repository."""


def scope_of(github_url: str) -> GitHubScope:
    """The scope of https://HOST/ORG, https://HOST/OWNER/REPO or https://HOST/enterprises/NAME; raises ValueError."""
    parts = _secure_parts(github_url, "the GitHub URL")
    if parts.query or parts.fragment:
        raise ValueError("the GitHub URL must end with the organization or repository, without ? or #")
    host, api_base = _host(parts), _api_base(parts)
    match [name for name in parts.path.split("/") if name]:
        case ["enterprises", enterprise] if _is_name(enterprise):
            return GitHubScope(host, api_base, f"/enterprises/{enterprise}/actions/runners", enterprise)
        case ["orgs" | "organizations", *_]:
            raise ValueError("the GitHub URL of an organization is https://HOST/ORGANIZATION")
        case [owner] if _is_name(owner):
            return GitHubScope(host, api_base, f"/orgs/{owner}/actions/runners", owner)
        case [owner, repository] if _is_name(owner) and _is_name(repository.removesuffix(".git")):
            full_name = f"{owner}/{repository.removesuffix('.git')}"
            return GitHubScope(host, api_base, f"/repos/{full_name}/actions/runners", owner, full_name)
        case _:
            raise ValueError(
                "the GitHub URL must name an organization, a repository or an enterprise, "
                "such as https://github.com/acme or https://github.com/acme/shop"
            )


def needed_permissions(scope: GitHubScope) -> Mapping[str, str]:
    """What registering runners and rerunning jobs takes (GitHub REST docs, "Permissions required for GitHub Apps")."""
    registers = "administration" if scope.repository else "organization_self_hosted_runners"
    return {registers: "write", "actions": "write"}


def is_repository(full_name: str) -> bool:
    """Whether this is owner/name, fit to be part of a path."""
    owner, _, name = full_name.partition("/")
    return _is_name(owner) and _is_name(name)


def secure_url(url: str, what: str) -> str:
    """`url` itself when it is an absolute https URL without credentials; raises ValueError that names `what`."""
    _secure_parts(url, what)
    return url


def join(base: str, leaf: str) -> str:
    """`leaf` below `base`, whether or not the base ends with a slash."""
    return f"{base.rstrip('/')}/{leaf.lstrip('/')}"


def _secure_parts(url: str, what: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_complete = parts.port != 0 and bool(parts.hostname) and not re.search(r"[\s\\\x00-\x20]", url)
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError(f"{what} is no URL with a host")
    if parts.scheme != "https":
        raise ValueError(f"{what} must start with https://")
    if "@" in parts.netloc:
        raise ValueError(f"{what} must not carry a user name or password")
    return parts


def _host(parts: SplitResult) -> str:
    name = parts.hostname or ""
    bracketed = f"[{name}]" if ":" in name else name
    return bracketed if parts.port in (None, 443) else f"{bracketed}:{parts.port}"


def _api_base(parts: SplitResult) -> str:
    name = parts.hostname or ""
    if name in _DOTCOM_HOSTS:
        return "https://api.github.com"
    if name.endswith((".ghe.com", ".ghe.localhost")) or name == "github.localhost":
        return f"https://api.{_host(parts)}"
    return f"https://{_host(parts)}/api/v3"


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and text not in (".", "..")
