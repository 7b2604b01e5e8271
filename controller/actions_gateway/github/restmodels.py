"""The REST API's answers as values.

Source: GitHub REST docs ("Apps", "Self-hosted runners"); fields that we do not use are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from actions_gateway.github.decoding import Fields
from actions_gateway.github.errors import MalformedAnswer
from actions_gateway.github.jit import JitConfig
from actions_gateway.github.secrets import Secret


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """What the installation may do for an hour."""

    token: Secret
    expires_at: datetime
    permissions: Mapping[str, str]
    """Such as {"administration": "write"}."""
    repository_selection: str = ""
    """`all` or `selected`."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The App's installation."""

    id: int
    account: str
    app_slug: str
    permissions: Mapping[str, str]
    repository_selection: str
    suspended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner's record."""

    id: int
    name: str
    is_online: bool
    is_busy: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """A new just-in-time runner: registered, never connected, good for one job."""

    runner_id: int
    name: str
    jit: JitConfig


def parse_installation_token(fields: Fields) -> InstallationToken:
    """Raises MalformedAnswer."""
    token, expires_at = fields.secret("token"), fields.moment("expires_at")
    if token is None or expires_at is None:
        raise MalformedAnswer("the installation token's answer lacks the token or its expiry")
    return InstallationToken(token, expires_at, fields.texts("permissions"), fields.text("repository_selection"))


def parse_installation(fields: Fields) -> Installation:
    """Raises MalformedAnswer."""
    return Installation(
        id=_number(fields, "id", "installation"),
        account=fields.fields("account").text("login") or fields.fields("account").text("slug"),
        app_slug=fields.text("app_slug"),
        permissions=fields.texts("permissions"),
        repository_selection=fields.text("repository_selection"),
        suspended_at=fields.moment("suspended_at"),
    )


def parse_runner(fields: Fields) -> Runner:
    """Raises MalformedAnswer."""
    return Runner(
        id=_number(fields, "id", "runner"),
        name=fields.text("name"),
        is_online=fields.text("status").lower() == "online",
        is_busy=fields.flag("busy"),
        labels=tuple(label.text("name") for label in fields.objects("labels")),
    )


def _number(fields: Fields, name: str, what: str) -> int:
    number = fields.number(name)
    if number is None:
        raise MalformedAnswer(f"the {what}'s answer lacks {name}")
    return number
