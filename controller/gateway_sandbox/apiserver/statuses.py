"""Refusals as Kubernetes `Status` bodies: one exception and the constructors for every reason the server gives.

Wording and codes follow k8s.io/apimachinery pkg/api/errors and pkg/util/validation/field: clients match on them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway_sandbox.apiserver.kinds import Kind

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One field's fault: `reason` is the machine word, `message` what follows the field's path."""

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def as_json(self) -> Json:
        return {"reason": self.reason, "message": self.message, "field": self.field}


def required(field: str, detail: str = "") -> Cause:
    return Cause(field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))


def invalid_value(field: str, value: object, detail: str) -> Cause:
    return Cause(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}")


def not_supported(field: str, value: object, allowed: Sequence[object]) -> Cause:
    options = ", ".join(_shown(option) for option in allowed)
    return Cause(field, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {options}")


def duplicate(field: str, value: object) -> Cause:
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")


def forbidden_field(field: str, detail: str) -> Cause:
    return Cause(field, "FieldValueForbidden", f"Forbidden: {detail}")


def _shown(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class ApiError(Exception):
    """A request that is answered with a `Status` of failure."""

    def __init__(self, code: int, reason: str, message: str, *, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def body(self) -> Json:
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message} | ({"reason": self.reason} if self.reason else {})
        return status | ({"details": self.details} if self.details else {}) | {"code": self.code}


def success(kind: "Kind", name: str, uid: str) -> Json:
    """The `Status` that answers a completed deletion."""
    details = _details(kind, name) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _details(kind: "Kind", name: str, word: str = "") -> Json:
    return {"name": name} | ({"group": kind.group} if kind.group else {}) | {"kind": word or kind.plural}


def not_found(kind: "Kind", name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.qualified} "{name}" not found', details=_details(kind, name))


def already_exists(kind: "Kind", name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists', details=_details(kind, name))


def conflict(kind: "Kind", name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    text = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", text, details=_details(kind, name))


def invalid(kind: "Kind", name: str, causes: Sequence[Cause]) -> ApiError:
    shown = str(causes[0]) if len(causes) == 1 else "[" + ", ".join(map(str, causes)) + "]"
    word = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = _details(kind, name, kind.kind) | {"causes": [cause.as_json() for cause in causes]}
    return ApiError(422, "Invalid", f'{word} "{name}" is invalid: {shown}', details=details)


def invalid_request(cause: Cause) -> ApiError:
    """The refusal of a query parameter, a member of DeleteOptions or a patch."""
    return ApiError(422, "Invalid", str(cause), details={"causes": [cause.as_json()]})


def forbidden(kind: "Kind", name: str, why: str, cause: Cause | None = None) -> ApiError:
    details = _details(kind, name) | ({"causes": [cause.as_json()]} if cause else {})
    return ApiError(403, "Forbidden", f'{kind.qualified} "{name}" is forbidden: {why}', details=details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", text)


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def left_out(what: str, code: int = 501) -> ApiError:
    """The refusal of what a real API server does and this one leaves out."""
    reason = {404: "NotFound", 406: "NotAcceptable"}.get(code, "NotImplemented")
    return ApiError(code, reason, f"the embedded sandbox API server does not serve {what}")
