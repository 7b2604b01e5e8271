"""A Kubernetes answer becomes one typed error that keeps the server's words and nothing else."""

from typing import Any

import pytest

from actions_gateway.kube import errors


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("code", "reason", "message", "kind"),
    [
        (401, "Unauthorized", "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", 'pods is forbidden: User "x" cannot list', errors.Forbidden),
        (403, "Forbidden", 'pods "a" is forbidden: exceeded quota: q, requested: pods=1', errors.QuotaExceeded),
        (404, "NotFound", 'pods "a" not found', errors.NotFound),
        (409, "AlreadyExists", 'pods "a" already exists', errors.AlreadyExists),
        (409, "Conflict", "the object has been modified", errors.Conflict),
        (410, "Expired", "too old resource version", errors.Gone),
        (400, "BadRequest", "unknown field", errors.Invalid),
        (422, "Invalid", "spec.x: Required value", errors.Invalid),
        (429, "TooManyRequests", "slow down", errors.TooManyRequests),
        (500, "InternalError", "oops", errors.ServerError),
        (503, "ServiceUnavailable", "starting", errors.ServerError),
    ],
)
def test_each_answer_has_its_class(code: int, reason: str, message: str, kind: type[errors.KubeError]) -> None:
    error = errors.error_from_response(code, status(code, reason, message), retry_after="7")
    assert type(error) is kind
    assert (error.status, error.reason, error.message, error.retry_after_seconds) == (code, reason, message, 7.0)


def test_a_text_that_is_no_status_is_cut() -> None:
    error = errors.error_from_response(502, "x" * 10_000)
    assert type(error) is errors.ServerError
    assert len(str(error)) == 500


def test_an_object_that_is_no_status_is_not_repeated() -> None:
    error = errors.error_from_response(500, {"kind": "Secret", "data": {"privateKey": "cGxhbnRlZA=="}})
    assert str(error) == "the API server answers 500 Internal Server Error"


def test_a_refusal_of_a_namespace_that_is_being_deleted_has_a_class_of_its_own() -> None:
    message = 'secrets "a" is forbidden: unable to create new content in namespace x because it is being terminated'
    body = status(403, "Forbidden", message)
    body["details"] = {"name": "a", "kind": "secrets", "causes": [{"reason": "NamespaceTerminating", "message": "x"}]}
    error = errors.error_from_response(403, body)
    assert type(error) is errors.NamespaceTerminating
    assert isinstance(error, errors.Forbidden)


def test_a_code_without_a_name_is_told_by_its_number() -> None:
    assert str(errors.error_from_response(599, "")) == "the API server answers 599"


@pytest.mark.parametrize("text", ["soon", "-1", "1.5", ""])
def test_a_retry_after_that_is_no_number_of_seconds_asks_for_nothing(text: str) -> None:
    assert errors.error_from_response(429, "slow", retry_after=text).retry_after_seconds is None
