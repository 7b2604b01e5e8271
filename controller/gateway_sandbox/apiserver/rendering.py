"""The forms in which objects are answered: as they are, as table rows for `kubectl get`, or metadata only.

Source: Kubernetes documentation, "API Concepts" (Receiving resources as Tables, PartialObjectMetadata).
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.kinds import Column, Json, Kind
from gateway_sandbox.apiserver.statuses import ApiError
from gateway_sandbox.apiserver.store import Record, dump


class Form(StrEnum):
    """How a client wants objects (the `as` parameter of Accept)."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


def negotiate(accept: str) -> Form:
    """The first form of an Accept header that this server writes; raises ApiError 406."""
    for choice in accept.split(","):
        media_type, *parameters = [part.strip() for part in choice.split(";")]
        if media_type not in ("application/json", "application/*", "*/*", ""):
            continue
        wanted = dict(parameter.partition("=")[::2] for parameter in parameters)
        form = wanted.get("as", "").removesuffix("List")
        if form in list(Form):
            return Form(form)
    text = "only the following media types are accepted: application/json"
    raise ApiError(406, "NotAcceptable", text)


class Renderer:
    """Writes objects of one kind in one form; plain objects come from the bytes that their version keeps."""

    def __init__(self, kind: Kind, form: Form, clock: Clock, include_object: str = "") -> None:
        self._kind = kind
        self._form = form
        self._clock = clock
        self._include_object = include_object or "Metadata"
        # Items of a list of a built-in kind carry no type of their own.
        typed = dump({"kind": kind.kind, "apiVersion": kind.api_version})[:-1] + b","
        self._item_prefix = b"" if kind.is_custom else typed

    def one(self, record: Record) -> bytes:
        """A single object."""
        if self._form is Form.TABLE:
            return dump(self._table([record], {"resourceVersion": record.obj["metadata"].get("resourceVersion", "")}))
        if self._form is Form.METADATA:
            return dump(_metadata_only(record.obj))
        kind = self._kind
        is_as_stored = not kind.renames and record.obj["apiVersion"] == kind.api_version
        return record.serialised("" if is_as_stored else kind.api_version, kind.to_served)

    def many(self, records: list[Record], metadata: Json) -> bytes:
        """A list with its list metadata."""
        if self._form is Form.TABLE:
            return dump(self._table(records, metadata))
        is_whole = self._form is Form.OBJECT
        kind = self._kind.list_kind if is_whole else "PartialObjectMetadataList"
        version = self._kind.api_version if is_whole else "meta.k8s.io/v1"
        head = dump({"kind": kind, "apiVersion": version, "metadata": metadata})[:-1]
        return head + b',"items":[' + b",".join(self._item(record) for record in records) + b"]}"

    def event(self, event_type: str, record: Record) -> bytes:
        """One line of a watch."""
        return b'{"type":"' + event_type.encode() + b'","object":' + self.one(record) + b"}\n"

    def bookmark(self, version: int) -> bytes:
        """The line that only moves a watch's resource version on."""
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        return dump({"type": "BOOKMARK", "object": self._bookmark_type() | {"metadata": metadata}}) + b"\n"

    def _bookmark_type(self) -> Json:
        if self._form is Form.OBJECT:
            return {"kind": self._kind.kind, "apiVersion": self._kind.api_version}
        return {"kind": self._form.value, "apiVersion": "meta.k8s.io/v1"}

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
        row: Json = {"cells": [_cell(column, record.obj, now) for column in self._kind.columns]}
        if self._include_object == "None":
            return row
        whole = self._include_object == "Object"
        return row | {"object": self._kind.to_served(record.obj) if whole else _metadata_only(record.obj)}


def _metadata_only(obj: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _definition(column: Column) -> Json:
    is_name = column.kind == "name"
    return {
        "name": column.name,
        "type": "string" if is_name else column.kind,
        "format": "name" if is_name else "",
        "description": "",
        "priority": column.priority,
    }


def _cell(column: Column, obj: Json, now: datetime) -> Any:
    value = column.cell(obj)
    if column.kind == "date":
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
        (days < 730, days, "d", 0, ""),
        (days < 2920, days // 365, "y", days % 365, "d"),
        (True, days // 365, "y", 0, ""),
    )
    _, main, unit, rest, rest_unit = next(step for step in steps if step[0])
    return f"{main}{unit}" + (f"{rest}{rest_unit}" if rest else "")
