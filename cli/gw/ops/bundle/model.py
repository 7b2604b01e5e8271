"""What a support bundle is asked to be, and what it has become."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gw.errors import Refused
from gw.exits import ExitCode
from gw.ops.redaction import Rule
from gw.sources.places import Sources

Json = Mapping[str, Any]
MEBIBYTE = 1024 * 1024
_LEAST_BYTES, _MOST_BYTES = MEBIBYTE, 1024 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """Whose bundle, and its bounds."""

    namespace: str | None
    """One tenant and the platform around it; None for all tenants."""
    since_seconds: float
    """How far back logs, events and series go."""
    max_bytes: int
    """Of the whole file; what it holds is bounded before it is compressed, so that it never comes to more."""
    timeout_seconds: float
    sources: Sources
    is_redacted: bool = True


@dataclass(frozen=True, slots=True)
class Removal:
    """What redaction took out of one place."""

    rule: Rule
    where: str
    """The object and its field; empty for a log, whose lines have no names."""
    times: int


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of a bundle."""

    path: str
    content: bytes
    removed: tuple[Removal, ...] = ()
    cut: str = ""
    """What is missing of it and why, as a sentence without a full stop; empty when it is whole."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """What a bundle lacks."""

    what: str
    reason: str
    is_expected: bool = False
    """The cluster has no such thing; or it is the platform's owners' to see, and one tenant was asked for."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """All of it, before it is a file."""

    request: BundleRequest
    at: datetime
    name: str
    """Of the folder inside of it, and of the file without its ending."""
    files: tuple[BundleFile, ...]
    not_read: tuple[NotRead, ...]
    removed: Mapping[Rule, int]
    """All of them, also those that the files' lists of places leave out."""

    @property
    def exit_code(self) -> ExitCode:
        """What the caller could not find out is unknown, never fine; bounds that were asked for are no failure."""
        return ExitCode.UNKNOWN if any(not each.is_expected for each in self.not_read) else ExitCode.OK


Render = Callable[[Any], Json]
"""A health report as its document."""


def parse_size(text: str) -> int:
    """The bytes of a size such as 50MiB or 50Mi; raises Refused."""
    from actions_gateway.api.quantities import parse_quantity

    example = "Write --max-size 50MiB, for example."
    try:
        size = int(parse_quantity(text.removesuffix("B")))
    except ValueError as problem:
        raise Refused(f"--max-size {text!r} is no size", example) from problem
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise Refused(f"--max-size {text}: a bundle has from 1MiB to 1GiB", example)
    return size
