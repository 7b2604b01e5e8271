"""What an installation says of itself in a values file: its cluster, its links, and how its people are reached.

A secret is never in it: it names the file from which Alertmanager reads the secret, on Alertmanager's own machine, so
nothing here can look whether that file is there. Keys of receivers are Alertmanager's own names.
"""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from actions_gateway.installation.selection import check_label
from gw_alerts.model import Links
from gw_alerts.routing import Receiver

EXAMPLE = "`gw alerts render values`"
"""What prints the example, wherever gw was installed."""
EXAMPLE_FILE = Path(__file__).with_name("values.example.yaml")
REQUIRED = (Receiver.ONCALL, Receiver.TICKETS, Receiver.DEAD_MAN)
OLDEST_VERSION = "0.25"
"""Debian's Alertmanager, and the oldest whose receivers read their secrets from files."""
URL_FILE_VERSION = "0.26"
"""The first whose webhooks read their URL from a file (its change log)."""

ALERTMANAGER_ADDRESS = "localhost:9093"
"""Where a Prometheus beside it reaches it, unless it was told to listen elsewhere."""

_MAX_PORT = 2**16 - 1
_ADDRESS = re.compile(r"[A-Za-z0-9.-]+:([0-9]{1,5})")
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""Of a URL, with its port."""
_ILLEGAL = re.compile(r"""[ "<>\\^`{|}]|%(?![0-9A-Fa-f]{2})""")
"""What no URL has (RFC 3986, section 2), beside what cannot be printed.

Alertmanager refuses its whole configuration for some of it, and braces would begin a template in an alert's link.
"""

_OWN = "values"
"""The type of the problems that are found here; the others are pydantic's."""
_WRITE_FILE = "Write the secret to a file that Alertmanager can read, and give the file's absolute path"
_INLINE = (
    "routing_key",
    "service_key",
    "api_url",
    "api_key",
    "auth_password",
    "auth_secret",
    "credentials",
    "password",
)
"""Alertmanager's keys that hold a secret."""


class ValuesError(Exception):
    """A values file that cannot be used: where in it, what is wrong, what to do. No value is repeated."""

    def __init__(self, field: str, message: str, next_step: str) -> None:
        super().__init__(f"{field} {message}. {next_step}")
        self.field = field
        self.message = message
        self.next_step = next_step


def _problem(message: str, next_step: str, *, field: str = "") -> PydanticCustomError:
    return PydanticCustomError(_OWN, "{problem}", {"problem": message, "next_step": next_step, "field": field})


def _check_file(path: str) -> str:
    if not path.startswith("/") or "\n" in path:
        raise _problem("is no absolute path", f"{_WRITE_FILE}.")
    return path


def _check_url(url: str) -> str:
    # Before it is taken apart, since urlsplit drops ends of lines.
    if _ILLEGAL.search(url) or not url.isprintable():
        raise _problem(
            "has a blank or another character that no URL may have",
            "Give it as https://host/path, in which %20 stands for a blank.",
        )
    try:
        parts = urlsplit(url)
        is_host = _HOST.fullmatch(parts.netloc.rpartition("@")[2]) is not None
        has_place = is_host and (parts.port is None or _is_port(parts.port))
    except ValueError:
        has_place = False
    if not has_place or parts.scheme not in ("http", "https"):
        raise _problem("is no URL", "Give it as https://host/path.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _problem(
            "has more than host and path, and may hold a secret",
            "Leave user, password, query and fragment out; secrets are given as files.",
        )
    return url


def _check_address(address: str) -> str:
    parts = _ADDRESS.fullmatch(address)
    if not parts or not _is_port(int(parts[1])):
        raise _problem("is no host with a port", f"Give it as host.example.com:587, with a port from 1 to {_MAX_PORT}.")
    return address


def _is_port(number: int) -> bool:
    return 1 <= number <= _MAX_PORT


def _check_version(version: str) -> str:
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
        raise _problem("is no version", 'Give it in quotes, such as "0.28".')
    if _numbers(version) < _numbers(OLDEST_VERSION):
        raise _problem("is too old", f"Use Alertmanager {OLDEST_VERSION} or newer: it reads secrets from files.")
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2])


SecretFile = Annotated[str, AfterValidator(_check_file)]
Url = Annotated[str, AfterValidator(_check_url)]
ClusterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
Address = Annotated[str, AfterValidator(_check_address)]
"""Host and port."""
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True)


class Webhook(_Part):
    """Alertmanager's own JSON, by POST."""

    url: Url | None = None
    url_file: SecretFile | None = None
    """Where the URL itself is the secret, as with most heartbeats."""
    credentials_file: SecretFile | None = None
    """A bearer token."""
    ca_file: SecretFile | None = None
    """Of a receiver with a certificate of one's own authority."""

    @model_validator(mode="after")
    def _has_one_url(self) -> "Webhook":
        if (self.url is None) == (self.url_file is None):
            raise _problem("needs either url or url_file", "Give url_file where the URL itself is a secret, else url.")
        return self


class PagerDuty(_Part):
    """Events API v2."""

    routing_key_file: SecretFile
    url: Url | None = None
    """Only where it is not the American service."""


class Slack(_Part):
    """An incoming webhook."""

    api_url_file: SecretFile
    channel: Text


class Email(_Part):
    """By SMTP with STARTTLS."""

    to: Text
    sender: Text = Field(alias="from")
    smarthost: Address
    auth_username: Text | None = None
    auth_password_file: SecretFile | None = None

    @model_validator(mode="after")
    def _knows_both_or_none(self) -> "Email":
        if self.auth_username and not self.auth_password_file:
            raise _problem("is missing", f"{_WRITE_FILE}.", field="auth_password_file")
        if self.auth_password_file and not self.auth_username:
            raise _problem("is missing", "Add the name that the password belongs to.", field="auth_username")
        return self


class Opsgenie(_Part):
    """An API integration."""

    api_key_file: SecretFile
    api_url: Url | None = None
    """Only where it is not the American service."""


class Destinations(_Part):
    """Everybody whom one receiver tells."""

    webhook: tuple[Webhook, ...] = ()
    pagerduty: tuple[PagerDuty, ...] = ()
    slack: tuple[Slack, ...] = ()
    email: tuple[Email, ...] = ()
    opsgenie: tuple[Opsgenie, ...] = ()

    @model_validator(mode="after")
    def _tells_somebody(self) -> "Destinations":
        if not any((self.webhook, self.pagerduty, self.slack, self.email, self.opsgenie)):
            raise _problem("tells nobody", f"Add one of {', '.join(type(self).model_fields)}.")
        return self


class Alertmanager(_Part):
    """The Alertmanager that reads the configuration."""

    address: Address = ALERTMANAGER_ADDRESS
    """Where Prometheus reaches it."""
    version: Annotated[str, AfterValidator(_check_version)] = OLDEST_VERSION
    """The oldest one that has to read it."""


def _check_selection(selected_by: dict[str, str]) -> dict[str, str]:
    for key, value in selected_by.items():
        try:
            check_label(key, value)
        except ValueError:
            raise _problem(
                "has a name or a value that no label may have, or one of this project's own",
                "Write it as in release: kube-prometheus-stack.",
            ) from None
    return selected_by


class Monitoring(_Part):
    """The Prometheus operator, where there is one."""

    labels: Annotated[dict[str, str], AfterValidator(_check_selection)] = {}
    """By which its Prometheus selects monitors and rules."""


class Values(_Part):
    """One installation."""

    cluster: ClusterName
    """The external label of its Prometheus, by which alerts of several clusters are kept apart."""
    runbooks: Url | None = None
    """Where the project's `runbooks/` folder is published, without it."""
    grafana: Url | None = None
    alertmanager: Alertmanager = Alertmanager()
    monitoring: Monitoring = Monitoring()
    receivers: dict[Receiver, Destinations]

    @property
    def links(self) -> Links:
        """For the annotations of alerts."""
        return Links(runbooks=self.runbooks or "", grafana=self.grafana or "")

    @model_validator(mode="after")
    def _has_all_receivers(self) -> "Values":
        for receiver in REQUIRED:
            if receiver not in self.receivers:
                raise _problem(
                    "is missing", f"Say whom it tells, as {EXAMPLE} does.", field=f"receivers.{receiver.value}"
                )
        if Receiver.NOBODY in self.receivers:
            raise _problem("tells nobody, ever", "Remove it.", field=f"receivers.{Receiver.NOBODY.value}")
        return self

    @model_validator(mode="after")
    def _is_read_by_its_alertmanager(self) -> "Values":
        for receiver, destinations in self.receivers.items():
            for number, webhook in enumerate(destinations.webhook):
                if webhook.url_file and _numbers(self.alertmanager.version) < _numbers(URL_FILE_VERSION):
                    raise _problem(
                        f"is not read by Alertmanager {self.alertmanager.version}",
                        f"Use Alertmanager {URL_FILE_VERSION} or newer and say so in alertmanager.version.",
                        field=f"receivers.{receiver.value}.webhook.{number}.url_file",
                    )
        return self


def load_values(path: Path) -> Values:
    """The values of a file. Raises ValuesError."""
    try:
        return parse_values(path.read_text(encoding="utf-8"), name=str(path))
    except OSError as problem:
        raise ValuesError(
            str(path), f"cannot be read: {problem.strerror}", f"Name a file such as {EXAMPLE} prints."
        ) from problem
    except UnicodeDecodeError:
        raise ValuesError(str(path), "is not text in UTF-8", f"Name a file such as {EXAMPLE} prints.") from None


def parse_values(text: str, *, name: str = "values") -> Values:
    """The values of a file's text; `name` is the file's. Raises ValuesError."""
    try:
        content = yaml.load(text, Loader=_Unambiguous)  # noqa: S506  # it is a SafeLoader
    except _KeyTwice as problem:
        raise ValuesError(name, f"has a key twice{_line_of(problem)}", "Keep one of them.") from None
    except yaml.MarkedYAMLError as problem:
        # Without its own words: they may repeat a secret that was written where YAML means something else.
        raise ValuesError(name, f"is not YAML{_line_of(problem)}", "Correct that line.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ValuesError(name, "is not YAML", f"Compare it with what {EXAMPLE} prints.") from None
    if not isinstance(content, dict):
        raise ValuesError(name, "has no keys", f"Start from what {EXAMPLE} prints.")
    try:
        return Values.model_validate(content)
    except ValidationError as refused:
        # Without its cause: that one may show what somebody wrote in place of a file's name.
        raise _explained(_foremost(refused.errors(include_url=False, include_input=False))) from None


def _line_of(problem: yaml.MarkedYAMLError) -> str:
    return f" in line {problem.problem_mark.line + 1}" if problem.problem_mark else ""


def _foremost(errors: list[ErrorDetails]) -> ErrorDetails:
    """A secret before all others: whoever wrote one has to know, and what is missing often is its file."""
    return next((error for error in errors if _is_secret(error)), errors[0])


def _is_secret(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden" and error["loc"][-1] in _INLINE


def _explained(error: ErrorDetails) -> ValuesError:
    place = [str(part) for part in error["loc"] if part != "[key]"]
    kind, context = error["type"], error.get("ctx", {})
    if kind == _OWN:
        field = str(context["field"])
        where = [*place, *([field] if field else [])]
        return ValuesError(".".join(where) or "values", str(context["problem"]), str(context["next_step"]))
    field = ".".join(place)
    if _is_secret(error):
        return ValuesError(field, "would be a secret in the file", f"{_WRITE_FILE}, as {place[-1]}_file.")
    if kind == "missing" and place[-1].endswith("_file"):
        return ValuesError(field, "is missing", f"{_WRITE_FILE}.")
    if kind == "missing":
        return ValuesError(field, "is missing", f"Add it; {EXAMPLE} shows one.")
    if kind == "extra_forbidden":
        return ValuesError(field, "is not known", f"Correct its name or remove it; {EXAMPLE} shows all keys.")
    if kind == "enum" and error["loc"][-1] == "[key]":
        known = ", ".join(each.value for each in Receiver if each is not Receiver.NOBODY)
        return ValuesError(field, "is no receiver", f"Routes know {known}.")
    return ValuesError(field, _lower(error["msg"]), f"{EXAMPLE} shows its form.")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


class _KeyTwice(yaml.MarkedYAMLError):
    """Of a mapping."""


class _Unambiguous(yaml.SafeLoader):
    """Refuses a key that is there twice: of two receivers of one name the first would be forgotten silently."""


def _mapping(loader: _Unambiguous, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise _KeyTwice(problem_mark=key.start_mark)
            seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_Unambiguous.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
