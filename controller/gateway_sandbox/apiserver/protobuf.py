"""What kubectl sends as protobuf: the kinds that `kubectl create` makes, reviews and token requests.

kubectl's generators write built-in kinds in Kubernetes' protobuf envelope (client-go from 1.32 on) and have no way back
to JSON, so the few kinds that they make are decoded here; any other kind is refused as an unsupported media type.
Facts: Kubernetes documentation, "Kubernetes API concepts: Protobuf encoding"; field numbers from `generated.proto` of
k8s.io/apimachinery `meta/v1`, k8s.io/api `core/v1`, `scheduling/v1` and `authentication/v1`.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
_VARINT, _BYTES = 0, 2


class UndecodableProtobuf(ValueError):
    """The body is no envelope, or holds a kind that is not decoded here."""


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field number is read; `is_map` fields are repeated pairs of key (1) and value (2)."""

    name: str
    decode: Callable[[Any], Any]
    is_map: bool = False


_Message = dict[int, _Field]


def decode_envelope(body: bytes) -> dict[str, Any]:
    """The manifest in `body`; raises UndecodableProtobuf."""
    if not body.startswith(_MAGIC):
        raise UndecodableProtobuf("the body is no Kubernetes protobuf envelope")
    envelope = dict(_fields(body[len(_MAGIC) :]))
    type_meta = dict(_fields(envelope.get(1, b"")))
    api_version, kind = _text(type_meta.get(1, b"")), _text(type_meta.get(2, b""))
    message = _KINDS.get((api_version, kind))
    if message is None:
        raise UndecodableProtobuf(f"the sandbox reads {api_version} {kind} as JSON or YAML only")
    return {"apiVersion": api_version, "kind": kind, **_decode(envelope.get(2, b""), message)}


def _decode(data: bytes, message: _Message) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for number, value in _fields(data):
        field = message.get(number)
        if field is None:
            continue
        if field.is_map:
            pair = dict(_fields(value))
            result.setdefault(field.name, {})[_text(pair.get(1, b""))] = field.decode(pair.get(2, b""))
        elif (decoded := field.decode(value)) not in ("", {}):
            # Go writes empty strings and messages for fields that are not set.
            result[field.name] = decoded
    return result


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value): an int for numbers, bytes for everything length-delimited."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, position = _varint(data, position)
            yield number, value
        elif wire_type == _BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise UndecodableProtobuf("a field is longer than the body")
            yield number, data[position : position + length]
            position += length
        else:
            raise UndecodableProtobuf(f"wire type {wire_type} is not used by the kinds that are decoded here")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, position
        shift += 7
    raise UndecodableProtobuf("a number does not end")


def _text(value: bytes) -> str:
    return value.decode()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _nested(message: _Message) -> Callable[[bytes], dict[str, Any]]:
    return lambda data: _decode(data, message)


def _quantity(data: bytes) -> str:
    return _text(dict(_fields(data)).get(1, b"0"))


def _map(name: str, decode: Callable[[Any], Any] = _text) -> _Field:
    return _Field(name, decode, is_map=True)


_OBJECT_META: _Message = {1: _Field("name", _text), 2: _Field("generateName", _text), 3: _Field("namespace", _text)}
_OBJECT_META |= {11: _map("labels"), 12: _map("annotations")}
_METADATA = _Field("metadata", _nested(_OBJECT_META))
_PRIORITY: _Message = {2: _Field("value", _signed), 3: _Field("globalDefault", bool), 4: _Field("description", _text)}
_SECRET: _Message = {2: _map("data", _base64), 3: _Field("type", _text), 4: _map("stringData")}
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io/v1", "authorization.k8s.io/v1"
_KINDS: dict[tuple[str, str], _Message] = {
    (_AUTHENTICATION, "SelfSubjectReview"): {},
    (_AUTHENTICATION, "TokenRequest"): {2: _Field("spec", _nested({4: _Field("expirationSeconds", _signed)}))},
    (_AUTHORIZATION, "SelfSubjectAccessReview"): {},
    ("v1", "DeleteOptions"): {1: _Field("gracePeriodSeconds", _signed), 4: _Field("propagationPolicy", _text)},
    **{("v1", kind): {1: _METADATA} for kind in ("Namespace", "ServiceAccount")},
    ("v1", "ConfigMap"): {1: _METADATA, 2: _map("data"), 3: _map("binaryData", _base64), 4: _Field("immutable", bool)},
    ("v1", "Secret"): {1: _METADATA, **_SECRET, 5: _Field("immutable", bool)},
    ("v1", "ResourceQuota"): {1: _METADATA, 2: _Field("spec", _nested({1: _map("hard", _quantity)}))},
    ("scheduling.k8s.io/v1", "PriorityClass"): {1: _METADATA, **_PRIORITY, 5: _Field("preemptionPolicy", _text)},
}
