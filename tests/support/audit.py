"""The API server's audit log as a list of what one caller asked for (audit.k8s.io/v1, level Metadata)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from support.rights import Right

ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request to an API resource."""

    right: Right
    namespace: str
    code: int
    uri: str
    received: datetime


def requests_of(log: Path, user: str, *, since: int = 0) -> list[Request]:
    """Everything that `user` asked for, in order; a watch is there once it has ended.

    `since` is a size that the log had before: what it held then is left out.
    """
    return [_parse(event) for event in events_of(log, user, since=since) if "objectRef" in event]


def events_of(log: Path, user: str, *, since: int = 0) -> Iterator[dict[str, Any]]:
    """The events of `user` as the log has them, in order; see `requests_of`."""
    return (event for event in _events(log, since) if event["user"]["username"] == user)


def _events(log: Path, since: int) -> Iterator[dict[str, Any]]:
    with log.open("rb") as lines:
        lines.seek(since)
        for line in lines:
            # The server may be in the middle of the last one.
            if line.endswith(b"\n"):
                yield json.loads(line)


def _parse(event: dict[str, Any]) -> Request:
    target = event["objectRef"]
    resource = target["resource"] + (f"/{target['subresource']}" if "subresource" in target else "")
    name = target.get("name", "") if event["verb"] not in ("list", "watch", "create") else ""
    right = Right(event["verb"], target.get("apiGroup", ""), resource, name)
    received = datetime.fromisoformat(event["requestReceivedTimestamp"])
    return Request(right, target.get("namespace", ""), event["responseStatus"]["code"], event["requestURI"], received)
