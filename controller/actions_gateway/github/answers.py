"""What came back from one request: the answer as bytes, and the throttling that its headers tell.

Sources: GitHub REST docs "Rate limits for the REST API" and "Best practices for using the REST API".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from actions_gateway.github.decoding import Fields, decode_text, parse_object


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer of any status."""

    status: int
    headers: Mapping[str, str]
    """Names match without case."""
    content: bytes = field(repr=False)
    received_at: datetime
    """Our clock's time."""
    host: str = "GitHub"

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str:
        """What GitHub's support asks for."""
        return self.headers.get("x-github-request-id") or self.headers.get("activityid") or ""

    @property
    def text(self) -> str:
        """The body; only for `redact`."""
        return decode_text(self.content)

    def fields(self) -> Fields:
        """The body's JSON object; raises MalformedAnswer."""
        return parse_object(self.content, f"the answer of {self.host} (HTTP {self.status})")

    @property
    def clock_skew_seconds(self) -> float | None:
        """How far our clock is ahead of the server's, from the Date header."""
        sent_at = _http_date(self.headers.get("date", ""))
        return None if sent_at is None else (self.received_at - sent_at).total_seconds()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One REST budget of the installation as the last answer showed it."""

    resource: str
    limit: int
    remaining: int
    reset_at: datetime


def rate_limit_of(answer: Answer) -> RateLimit | None:
    """The budget that the answer reports, None when it reports none (GitHub Enterprise Server may not)."""
    limit, remaining, reset = (_count(answer, f"x-ratelimit-{name}") for name in ("limit", "remaining", "reset"))
    if limit is None or remaining is None or reset is None:
        return None
    resource = answer.headers.get("x-ratelimit-resource") or "core"
    try:
        return RateLimit(resource, limit, remaining, datetime.fromtimestamp(reset, UTC))
    except (OverflowError, OSError, ValueError):
        return None


def retry_after_seconds(answer: Answer) -> float | None:
    """The Retry-After header, as seconds or as a date; never negative."""
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        moment = _http_date(text)
        if moment is None:
            return None
        seconds = (moment - answer.received_at).total_seconds()
    return max(0.0, seconds) if seconds < float("inf") else None


def throttle_seconds(answer: Answer, *, default_seconds: float) -> float | None:
    """How long a 403 or 429 asks us to wait; None when it is no throttle but a refusal.

    In the order that GitHub's docs give: Retry-After, an exhausted budget's reset, else the default.
    """
    if answer.status not in (403, 429):
        return None
    asked = retry_after_seconds(answer)
    if asked is not None:
        return max(1.0, asked)
    budget = rate_limit_of(answer)
    if budget is not None and budget.remaining == 0:
        return max(1.0, (budget.reset_at - answer.received_at).total_seconds())
    if answer.status == 429 or "rate limit" in answer.text.lower():
        return default_seconds
    return None


def _count(answer: Answer, name: str) -> int | None:
    text = answer.headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
