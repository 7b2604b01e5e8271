"""What can go wrong with a Kubernetes request.

KubeError                 the base; carries HTTP status, `reason`, the server's message and Retry-After
├── Unreachable           no answer: refused, reset, timed out, TLS, name resolution
├── Unauthorized          401: the credentials are missing or rejected
├── Forbidden             403: known caller, missing right or refused by admission
│   ├── QuotaExceeded     403: the namespace's ResourceQuota does not admit the object now
│   └── NamespaceTerminating  403: the namespace is being deleted and takes nothing new any more
├── NotFound              404
├── AlreadyExists         409 on create
├── Conflict              409 on write: the object moved on, or another field manager owns a field
├── Gone                  410: the resource version is too old; list again
├── Invalid               400, 422: the object is malformed
├── TooManyRequests       429: the server's own throttle
└── ServerError           5xx
ConfigurationError        no usable kubeconfig or in-cluster environment (not a KubeError: nothing was asked)

Only the message of a real `Status` body is kept; any other text is cut, so that a proxy's page or an object never
lands in a log.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

_MESSAGE_LIMIT = 500


class ConfigurationError(RuntimeError):
    """There is no usable connection configuration; the text names the file or variable and the next step."""


class KubeError(RuntimeError):
    """A request failed."""

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Unreachable(KubeError):
    """The API server gave no answer."""


class Unauthorized(KubeError):
    """The API server does not accept our credentials."""


class Forbidden(KubeError):
    """The caller lacks a right, or admission refused the object."""


class QuotaExceeded(Forbidden):
    """The namespace's ResourceQuota refuses the object for now."""


class NamespaceTerminating(Forbidden):
    """The namespace is being deleted: what is to be made in it will never be."""


class NotFound(KubeError):
    """The object or the resource type does not exist."""


class AlreadyExists(KubeError):
    """An object of that name exists."""


class Conflict(KubeError):
    """The object changed meanwhile, or a field belongs to another manager."""


class Gone(KubeError):
    """The resource version is no longer served."""


class Invalid(KubeError):
    """The server refuses the object's content."""


class TooManyRequests(KubeError):
    """The server asks for patience."""


class ServerError(KubeError):
    """The server failed."""


SERVER_WIDE: tuple[type[KubeError], ...] = (Unreachable, Unauthorized, TooManyRequests)
"""Refusals that the next request would meet as well, whatever it asks for."""

_BY_STATUS: Mapping[int, type[KubeError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


_ECHOED_OBJECT = re.compile(r'(patch: Invalid value: )".*"(: )', re.DOTALL)
"""A patch whose result cannot be decoded is refused with the whole patched object in the text: a Secret's content."""
_NAMESPACE_TERMINATING = "NamespaceTerminating"
"""The cause that Kubernetes gives (k8s.io/api/core/v1, `NamespaceTerminatingCause`)."""


def error_from_response(status: int, body: Any, *, retry_after: str | None = None) -> KubeError:
    """The typed error of an unsuccessful response; `body` is the decoded JSON or the text."""
    reason, message = "", f"the API server answers {_status_text(status)}"
    causes: list[str] = []
    if isinstance(body, dict) and body.get("kind") == "Status":
        reason, message = str(body.get("reason") or ""), str(body.get("message") or message)
        causes = [str(cause.get("reason")) for cause in (body.get("details") or {}).get("causes") or []]
    elif isinstance(body, str) and body.strip():
        message = body.strip()
    kind: type[KubeError] = _BY_STATUS.get(status, ServerError if status >= 500 else KubeError)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    elif kind is Forbidden and "exceeded quota" in message:
        # Kubernetes gives a quota refusal no reason of its own; the wording is that of its quota admission plugin.
        kind = QuotaExceeded
    elif kind is Forbidden and _NAMESPACE_TERMINATING in causes:
        kind = NamespaceTerminating
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
    message = _ECHOED_OBJECT.sub(r"\1(not shown)\2", message)
    return kind(message[:_MESSAGE_LIMIT], status=status, reason=reason, retry_after_seconds=seconds)


def _status_text(status: int) -> str:
    """As in "503 Service Unavailable"; the number alone when it has no name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
