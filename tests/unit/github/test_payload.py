"""What is read from a job's payload: context values in every encoding, the job token, whose run it is."""

from typing import Any

import pytest

from actions_gateway.github.contextdata import decode_context
from actions_gateway.github.decoding import Fields
from actions_gateway.github.payload import RunIdentity, job_token, run_identity


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("text", "text"),
        (7, 7),
        (True, True),
        (None, None),
        ({"t": 0, "s": "text"}, "text"),
        ({"s": "text"}, "text"),
        ({"t": 3, "b": True}, True),
        ({"t": 4, "n": 1.5}, 1.5),
        ({"t": 1, "a": ["x", {"t": 4, "n": 2}]}, ["x", 2]),
        ({"t": 1}, []),
        (
            {"t": 2, "d": [{"k": "a", "v": "1"}, {"k": "b", "v": {"t": 5, "d": [{"k": "c", "v": None}]}}]},
            {"a": "1", "b": {"c": None}},
        ),
        ({"T": "2", "D": [{"K": "a", "V": "1"}]}, {"a": "1"}),
        ({"t": 99, "d": []}, None),
        ({"t": "x"}, None),
    ],
)
def test_context_values_lose_their_tags(encoded: Any, value: Any) -> None:
    assert decode_context(encoded) == value


def endpoint(name: str = "SystemVssConnection", key: str = "AccessToken", value: Any = "job.jwt") -> dict[str, Any]:
    return {
        "name": name,
        "url": "https://run.example.test/38/",
        "authorization": {"scheme": "OAuth", "parameters": {key: value}},
    }


def with_endpoints(*endpoints: Any) -> Fields:
    return Fields({"resources": {"endpoints": list(endpoints)}})


@pytest.mark.parametrize(
    "found",
    [
        endpoint(),
        endpoint("systemvssconnection"),
        endpoint(key="accesstoken"),
        endpoint(key="accessToken"),
    ],
    ids=["as sent", "endpoint in lower case", "key in lower case", "key in camelCase"],
)
def test_the_job_token_is_found_whatever_the_case(found: dict[str, Any]) -> None:
    token = job_token(with_endpoints(None, endpoint("other", value="wrong"), found))
    assert token is not None
    assert token.reveal() == "job.jwt"


@pytest.mark.parametrize("payload", [Fields({}), with_endpoints(), with_endpoints(endpoint("other"))])
def test_a_payload_without_a_job_token_says_so(payload: Fields) -> None:
    assert job_token(payload) is None


def context(**values: Any) -> dict[str, Any]:
    return {"t": 2, "d": [{"k": name, "v": value} for name, value in values.items()]}


GITHUB = context(repository="acme/shop", run_id="1234", run_attempt="2")
VARIABLES = {
    "system.github.repository": {"value": "acme/other"},
    "system.github.run_id": {"value": "99"},
    "system.github.job": {"value": "build"},
}


@pytest.mark.parametrize(
    ("payload", "identity"),
    [
        (
            {
                "contextData": {"github": GITHUB, "job": context(check_run_id=76604170560)},
                "jobDisplayName": "build (3.11)",
                "variables": VARIABLES,
            },
            RunIdentity("acme/shop", 1234, 2, 76604170560, "build (3.11)"),
        ),
        (
            {"ContextData": {"GitHub": GITHUB, "Job": context(check_run_id={"t": 4, "n": 5})}},
            RunIdentity("acme/shop", 1234, 2, 5, ""),
        ),
        ({"variables": VARIABLES}, RunIdentity("acme/other", 99, None, None, "build")),
        ({"variables": {"system.github.run_id": "98"}, "run_id": 7}, RunIdentity(None, 98)),
        ({"run_id": 7}, RunIdentity(None, 7)),
        (
            {"contextData": {"github": context(repository="../../user", run_id="7/../8")}, "variables": VARIABLES},
            RunIdentity("acme/other", 99, None, None, "build"),
        ),
        ({"contextData": {"github": "text", "job": None}}, RunIdentity()),
        ({"contextData": None, "variables": []}, RunIdentity()),
    ],
    ids=[
        "contexts go before variables",
        "names in another case, a tagged number",
        "variables where there are no contexts",
        "a variable goes before the top level",
        "the top level at last",
        "values that do not belong into a path are passed over",
        "a context that is no dictionary",
        "nothing",
    ],
)
def test_the_run_is_identified_from_what_there_is(payload: dict[str, Any], identity: RunIdentity) -> None:
    assert run_identity(Fields(payload)) == identity


def test_a_context_too_deep_to_read_only_costs_the_identity() -> None:
    deep: Any = "x"
    for _ in range(3000):
        deep = {"t": 1, "a": [deep]}
    payload = {"contextData": {"github": context(repository="acme/shop", run_id="1", inputs=deep)}}
    assert run_identity(Fields(payload | {"variables": VARIABLES})).repository == "acme/other"
