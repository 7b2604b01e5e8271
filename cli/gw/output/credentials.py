"""What a gateway's status tells of its App's token and permissions, in the words of every command that shows them."""

from collections.abc import Mapping
from datetime import datetime

from gw.output.layout import age
from gw.sources.gateways import CredentialFact

UNKNOWN = "unknown"


def token_words(credential: CredentialFact | None, now: datetime) -> str:
    """When the newest token ends or ended; `credential` is None where no agent has reported on one."""
    if credential is None:
        return UNKNOWN
    ends_at = credential.token_expires_at
    if ends_at is None:
        return "none"
    return f"expired {age(ends_at, now)} ago" if ends_at <= now else f"expires in {age(now, ends_at)}"


def permission_words(permissions: Mapping[str, str]) -> str:
    """By name; empty where there are none."""
    return ", ".join(f"{name}:{level}" for name, level in sorted(permissions.items()))
