"""The API server's audit log as a list of what one caller asked for (audit.k8s.io/v1, level Metadata)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
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


def requests_of(log: Path, user: str) -> list[Request]:
    """Everything that `user` asked for, in order; a watch is there once it has ended."""
    return [_parse(event) for event in _events(log) if event["user"]["username"] == user and "objectRef" in event]


def _events(log: Path) -> Iterator[dict[str, Any]]:
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            # The server may be in the middle of the last one.
            if line.endswith("\n"):
                yield json.loads(line)


def _parse(event: dict[str, Any]) -> Request:
    target = event["objectRef"]
    resource = target["resource"] + (f"/{target['subresource']}" if "subresource" in target else "")
    name = target.get("name", "") if event["verb"] not in ("list", "watch", "create") else ""
    right = Right(event["verb"], target.get("apiGroup", ""), resource, name)
    return Request(right, target.get("namespace", ""), event["responseStatus"]["code"], event["requestURI"])
