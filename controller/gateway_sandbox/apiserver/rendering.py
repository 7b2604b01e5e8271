"""The forms in which objects are answered: as they are, or as table rows for `kubectl get`.

Source: Kubernetes documentation, "API Concepts" (Receiving resources as Tables).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.kinds import Column, Json, Kind
from gateway_sandbox.apiserver.statuses import left_out
from gateway_sandbox.apiserver.store import Record, dump

_SHOWN_KINDS = {"name": ("string", "name"), "age": ("string", ""), "created": ("date", "")}
"""Type and format that clients see, where the kind of a column is not the type."""


def wants_table(accept: str) -> bool:
    """Whether the first form of an Accept header that this server writes is a Table; raises ApiError 406."""
    for choice in accept.split(","):
        media_type, *parameters = [part.strip() for part in choice.split(";")]
        form = dict(parameter.partition("=")[::2] for parameter in parameters).get("as", "")
        if media_type in ("application/json", "application/*", "*/*", "") and form in ("Table", ""):
            return form == "Table"
    accepted = "application/json, application/json;as=Table;v=v1;g=meta.k8s.io"
    raise left_out(f"the form {accept!r} of an answer; only the following media types are accepted: {accepted}", 406)


class Renderer:
    """Writes objects of one kind in one form; plain objects come from the bytes that their version keeps."""

    def __init__(self, kind: Kind, clock: Clock, *, as_table: bool, include_object: str) -> None:
        self._kind = kind
        self._as_table = as_table
        self._clock = clock
        self._include_object = include_object
        # Items of a list of a built-in kind carry no type of their own.
        typed = dump({"kind": kind.kind, "apiVersion": kind.api_version})[:-1] + b","
        self._item_prefix = b"" if kind.is_custom else typed

    def one(self, record: Record) -> bytes:
        """A single object."""
        if self._as_table:
            return dump(self._table([record], {"resourceVersion": record.obj["metadata"].get("resourceVersion", "")}))
        kind = self._kind
        is_as_stored = not kind.renames and record.obj["apiVersion"] == kind.api_version
        return record.serialised("" if is_as_stored else kind.api_version, kind.to_served)

    def many(self, records: list[Record], metadata: Json) -> bytes:
        """A list with its list metadata."""
        if self._as_table:
            return dump(self._table(records, metadata))
        head = dump({"kind": self._kind.list_kind, "apiVersion": self._kind.api_version, "metadata": metadata})[:-1]
        return head + b',"items":[' + b",".join(self._item(record) for record in records) + b"]}"

    def event(self, event_type: str, record: Record) -> bytes:
        """One line of a watch."""
        return b'{"type":"' + event_type.encode() + b'","object":' + self.one(record) + b"}\n"

    def bookmark(self, version: int) -> bytes:
        """The line that only moves a watch's resource version on."""
        metadata = {"resourceVersion": str(version)}
        typed = {"kind": self._kind.kind, "apiVersion": self._kind.api_version}
        shown = self._table([], metadata) if self._as_table else typed | {"metadata": metadata}
        return dump({"type": "BOOKMARK", "object": shown}) + b"\n"

    def _item(self, record: Record) -> bytes:
        data = self.one(record)
        prefix = self._item_prefix
        return b"{" + data[len(prefix) :] if prefix and data.startswith(prefix) else data

    def _table(self, records: Iterable[Record], metadata: Json) -> Json:
        now = self._clock.now()
        table = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        columns = [_definition(column) for column in self._kind.columns]
        return table | {"columnDefinitions": columns, "rows": [self._row(record, now) for record in records]}

    def _row(self, record: Record, now: datetime) -> Json:
        partly = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": record.obj["metadata"]}
        shown = self._kind.to_served(record.obj) if self._include_object == "Object" else partly
        return {"cells": [_cell(column, record.obj, now) for column in self._kind.columns], "object": shown}


def _definition(column: Column) -> Json:
    kind = _SHOWN_KINDS.get(column.kind, (column.kind, ""))
    shown = {"name": column.name, "type": kind[0], "format": kind[1]}
    return shown | {"description": "", "priority": column.priority}


def _cell(column: Column, obj: Json, now: datetime) -> Any:
    value = column.cell(obj)
    if column.kind in ("age", "date"):
        return "<unknown>" if value is None else human_age((now - datetime.fromisoformat(value)).total_seconds())
    return dump(value).decode() if isinstance(value, dict | list) else value


def human_age(seconds: float) -> str:
    """A duration as kubectl shows ages (k8s.io/apimachinery pkg/util/duration)."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole >= -1 else "<invalid>"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    steps = (
        (whole < 120, whole, "s", 0, ""),
        (minutes < 10, minutes, "m", whole % 60, "s"),
        (hours < 3, minutes, "m", 0, ""),
        (hours < 8, hours, "h", minutes % 60, "m"),
        (hours < 48, hours, "h", 0, ""),
        (days < 8, days, "d", hours % 24, "h"),
        (True, days, "d", 0, ""),
    )
    _, main, unit, rest, rest_unit = next(step for step in steps if step[0])
    return f"{main}{unit}" + (f"{rest}{rest_unit}" if rest else "")
