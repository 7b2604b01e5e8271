"""Reading JSON that others wrote: names match without case, numbers and booleans may be strings, all may be absent.

GitHub's own clients read the same way (Newtonsoft.Json in actions/runner), and answers mix PascalCase with camelCase.
Nothing here passes a number through a float: message ids exceed 2^53.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from actions_gateway.github.errors import EmptyAnswer, MalformedAnswer
from actions_gateway.github.secrets import Secret

_TIME_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{2}):(?P<seconds>\d{2}(?:\.\d+)?)")
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


class Fields:
    """One JSON object; an exact name wins over one that differs in case."""

    __slots__ = ("_exact", "_folded")

    def __init__(self, members: dict[str, Any]) -> None:
        self._exact = members
        self._folded: dict[str, Any] | None = None

    def raw(self, name: str) -> Any:
        """The value as JSON gave it, None when absent."""
        if name in self._exact:
            return self._exact[name]
        if self._folded is None:
            self._folded = {key.lower(): value for key, value in self._exact.items()}
        return self._folded.get(name.lower())

    def text(self, name: str) -> str:
        """A string, or a number as a string; empty when absent or something else."""
        value = self.raw(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        return _encodable(str(value)) if isinstance(value, str | int | float) else ""

    def number(self, name: str) -> int | None:
        """An integer, also given as a string; None when absent or something else."""
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int | str):
            return None
        try:
            return int(value)
        except ValueError:
            return None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean, also given as a string."""
        text = self.text(name).strip().lower()
        return text in ("true", "1") if text else default

    def secret(self, name: str) -> Secret | None:
        """A token fit for a header; None when absent. Raises MalformedAnswer when no header can carry it."""
        text = self.text(name)
        if not text:
            return None
        if not _HEADER_SAFE.fullmatch(text):
            raise MalformedAnswer(f"{name} holds characters that no token has")
        return Secret(text)

    def fields(self, name: str) -> "Fields":
        """A nested object; empty when absent or something else."""
        value = self.raw(name)
        return Fields(value if isinstance(value, dict) else {})

    def items(self, name: str) -> list[Any]:
        """A list; empty when absent or something else."""
        value = self.raw(name)
        return value if isinstance(value, list) else []

    def objects(self, name: str) -> Iterator["Fields"]:
        """The objects of a list; other items are left out."""
        return (Fields(item) for item in self.items(name) if isinstance(item, dict))

    def moment(self, name: str) -> datetime | None:
        """A time stamp, aware, in UTC; None when absent, unreadable or .NET's "unset" (year 1)."""
        return parse_timestamp(self.text(name))

    def texts(self, name: str) -> dict[str, str]:
        """A nested object's string members."""
        value = self.raw(name)
        return (
            {_encodable(key): _encodable(item) for key, item in value.items() if isinstance(item, str)}
            if isinstance(value, dict)
            else {}
        )


def parse_object(content: bytes | str, what: str = "the answer") -> Fields:
    """The JSON object in `content`; errors call it `what`.

    Raises EmptyAnswer when there is nothing, or a document that ends early; MalformedAnswer when it is anything else.
    The parser's own exception carries the whole document, so it is not chained.
    """
    text = decode_text(content)
    if not text.strip():
        raise EmptyAnswer(f"{what} is empty")
    failed_at, ended_early = 0, False
    try:
        value = json.loads(text)
    except json.JSONDecodeError as problem:
        # A string cut off in the middle is reported at its opening quote.
        ended_early = problem.pos >= len(text.rstrip()) or problem.msg.startswith("Unterminated string")
        failed_at = problem.pos
    except (ValueError, RecursionError):
        pass
    else:
        if isinstance(value, dict):
            return Fields(value)
        if value is None:
            raise EmptyAnswer(f"{what} is null")
        raise MalformedAnswer(f"{what} is no JSON object")
    if ended_early:
        raise EmptyAnswer(f"{what} ends in the middle of a document, after {len(text)} characters")
    raise MalformedAnswer(f"{what} is no JSON (character {failed_at} of {len(text)})")


def _encodable(text: str) -> str:
    """JSON can escape half of a character, which no request, file or log takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def decode_text(content: bytes | str) -> str:
    """UTF-8 with or without a byte order mark; undecodable bytes are replaced."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    return text.removeprefix("\ufeff")


def parse_timestamp(text: str) -> datetime | None:
    """RFC 3339 with up to seven fractional digits; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year <= 1:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_time_span(text: str) -> float | None:
    """Seconds of a .NET TimeSpan `[d.]hh:mm:ss[.fffffff]`; None when it is none."""
    match = _TIME_SPAN.fullmatch(text.strip())
    if match is None:
        return None
    hours = int(match["days"] or 0) * 24 + int(match["hours"])
    return hours * 3600.0 + int(match["minutes"]) * 60 + float(match["seconds"])


def decode_base64(text: str) -> bytes:
    """Standard or URL-safe base64, padded or not; raises ValueError."""
    compact = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except binascii.Error as problem:
        raise ValueError(f"no base64: {problem}") from None
