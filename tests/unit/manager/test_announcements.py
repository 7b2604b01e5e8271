"""Which events go with a change of conditions."""

import pytest

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.manager.gateway.announcements import decide_announcements
from actions_gateway.manager.gateway.conditions import Verdict
from support import manager_objects as make

Before = list[tuple[str, str, str]]

WAS_READY: Before = [("Ready", "True", "AllAvailable")]
NORMAL, WARNING = False, True


def condition(kind: ConditionType, status: str, reason: Reason, message: str = "as it is") -> Condition:
    return Condition(kind, ConditionStatus(status), reason, message)


READY = condition(ConditionType.READY, "True", Reason.ALL_AVAILABLE)


def told(before: Before, *now: Condition) -> list[tuple[str, bool]]:
    owner = make.gateway(status={"conditions": [make.condition(*entry) for entry in before]})
    return [(entry.reason, entry.is_warning) for entry in decide_announcements(owner, Verdict(now))]


def case(name: str, before: Before, now: tuple[ConditionType, str, Reason], *expected: tuple[str, bool]) -> object:
    return pytest.param(before, condition(*now), list(expected), id=name)


T, R = ConditionType, Reason


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        case("ready for the first time", [], (T.READY, "True", R.ALL_AVAILABLE), ("Ready", NORMAL)),
        case("still ready", WAS_READY, (T.READY, "True", R.ALL_AVAILABLE)),
        case("not yet ready is how it begins", [], (T.READY, "False", R.AGC_NOT_READY)),
        case("no longer ready", WAS_READY, (T.READY, "False", R.AGC_NOT_READY), ("AGCNotReady", WARNING)),
        case("refused at once", [], (T.READY, "False", R.ANOTHER_GATEWAY), ("AnotherGateway", WARNING)),
        case(
            "refused for something else",
            [("Ready", "False", "NamespaceNotMarked")],
            (T.READY, "False", R.INVALID_SPEC),
            ("InvalidSpec", WARNING),
        ),
        case(
            "sessions after a pause",
            [*WAS_READY, ("Paused", "True", "PausedBySpec")],
            (T.READY, "False", R.NO_ACTIVE_SESSIONS),
        ),
        case("the agent's first start", [], (T.AGC_AVAILABLE, "False", R.AGC_NOT_READY)),
        case(
            "the agent starts before it was ever ready",
            [("Ready", "False", "AGCNotReady"), ("AGCAvailable", "False", "AGCNotReady")],
            (T.AGC_AVAILABLE, "True", R.AGC_READY),
        ),
        case(
            "the proxy goes",
            [*WAS_READY, ("ProxyAvailable", "True", "ProxyReady")],
            (T.PROXY_AVAILABLE, "False", R.PROXY_NOT_READY),
            ("ProxyNotReady", WARNING),
        ),
        case(
            "fewer proxies",
            [*WAS_READY, ("ProxyAvailable", "True", "ProxyReady")],
            (T.PROXY_AVAILABLE, "True", R.PROXY_REDUCED),
            ("ProxyReduced", WARNING),
        ),
        case(
            "all proxies again",
            [*WAS_READY, ("ProxyAvailable", "True", "ProxyReduced")],
            (T.PROXY_AVAILABLE, "True", R.PROXY_READY),
            ("ProxyReady", NORMAL),
        ),
        case(
            "the credential fails",
            [("CredentialUnavailable", "Unknown", "CredentialNotYetChecked")],
            (T.CREDENTIAL_UNAVAILABLE, "True", R.KEY_REJECTED),
            ("KeyRejected", WARNING),
        ),
        case(
            "it fails for another reason",
            [("CredentialUnavailable", "True", "SecretNotFound")],
            (T.CREDENTIAL_UNAVAILABLE, "True", R.KEY_REJECTED),
            ("KeyRejected", WARNING),
        ),
        case(
            "the credential works again",
            [("CredentialUnavailable", "True", "KeyRejected")],
            (T.CREDENTIAL_UNAVAILABLE, "False", R.CREDENTIAL_AVAILABLE),
            ("CredentialAvailable", NORMAL),
        ),
        case(
            "the credential is known to work",
            [("CredentialUnavailable", "Unknown", "CredentialNotYetChecked")],
            (T.CREDENTIAL_UNAVAILABLE, "False", R.CREDENTIAL_AVAILABLE),
        ),
        case(
            "the credential is not known for a while",
            [("CredentialUnavailable", "True", "KeyRejected")],
            (T.CREDENTIAL_UNAVAILABLE, "Unknown", R.CREDENTIAL_UNKNOWN),
        ),
        case(
            "the Secret was edited",
            [("CredentialUnavailable", "False", "CredentialAvailable")],
            (T.CREDENTIAL_UNAVAILABLE, "False", R.SECRET_EDITED),
            ("SecretEdited", NORMAL),
        ),
        case("a step fails", [], (T.DEGRADED, "True", R.PROVISIONING_FAILED), ("ProvisioningFailed", WARNING)),
        case("no step fails", [], (T.DEGRADED, "False", R.RECONCILED)),
        case(
            "no step fails any more",
            [("Degraded", "True", "ProvisioningFailed")],
            (T.DEGRADED, "False", R.RECONCILED),
            ("ReconcileSucceeded", NORMAL),
        ),
        case("limited", [], (T.RATE_LIMITED, "True", R.SUSTAINED_RATE_LIMIT), ("SustainedRateLimit", WARNING)),
        case(
            "limited no more",
            [("RateLimited", "True", "SustainedRateLimit")],
            (T.RATE_LIMITED, "False", R.WITHIN_RATE_LIMIT),
            ("WithinRateLimit", NORMAL),
        ),
        case(
            "a group in trouble",
            [("RunnerGroupsDegraded", "False", "AllRunnerGroupsHealthy")],
            (T.RUNNER_GROUPS_DEGRADED, "True", R.RUNNER_GROUPS_IMPAIRED),
            ("RunnerGroupsImpaired", WARNING),
        ),
        case(
            "groups are well again",
            [("RunnerGroupsDegraded", "True", "RunnerGroupsImpaired")],
            (T.RUNNER_GROUPS_DEGRADED, "False", R.RUNNER_GROUPS_HEALTHY),
            ("AllRunnerGroupsHealthy", NORMAL),
        ),
        case("paused", [], (T.PAUSED, "True", R.PAUSED_BY_SPEC), ("PausedBySpec", NORMAL)),
        case(
            "contained while paused",
            [("Paused", "True", "PausedBySpec")],
            (T.PAUSED, "True", R.CONTAINED),
            ("Contained", WARNING),
        ),
        case(
            "neither any more",
            [("Paused", "True", "Contained")],
            (T.PAUSED, "False", R.NOT_PAUSED),
            ("NotPaused", NORMAL),
        ),
        case("never paused", [], (T.PAUSED, "False", R.NOT_PAUSED)),
        case(
            "the objects' turn",
            [("Deleting", "True", "RemovingRegistrations")],
            (T.DELETING, "True", R.REMOVING_OBJECTS),
            ("RemovingObjects", NORMAL),
        ),
    ],
)
def test_events_tell_of_transitions(before: Before, now: Condition, expected: list[tuple[str, bool]]) -> None:
    assert told(before, now) == expected


def test_one_cause_that_flips_two_conditions_is_told_once() -> None:
    lost = condition(ConditionType.READY, "False", Reason.KEY_REJECTED)
    credential = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED)
    assert told(WAS_READY, lost, credential) == [("KeyRejected", WARNING)]


def test_what_ends_with_the_gateway_is_no_news_beside_its_deletion() -> None:
    reason = Reason.REMOVING_OBJECTS
    gone = condition(ConditionType.AGC_AVAILABLE, "False", Reason.AGC_NOT_READY)
    now = (condition(ConditionType.READY, "False", reason), gone, condition(ConditionType.DELETING, "True", reason))
    assert told([*WAS_READY, ("AGCAvailable", "True", "AGCReady")], *now) == [("RemovingObjects", NORMAL)]


def test_an_agent_that_comes_back_is_told_where_the_gateway_was_ready_before() -> None:
    entries = [
        make.condition("Ready", "False", "KeyRejected", since="2026-01-05T08:30:00Z"),
        make.condition("AGCAvailable", "False", "AGCNotReady", since="2026-01-05T08:40:00Z"),
        make.condition("Degraded", "False", "ReconcileSucceeded"),
    ]
    back = condition(ConditionType.AGC_AVAILABLE, "True", Reason.AGC_READY)
    owner = make.gateway(status={"conditions": entries})
    assert [entry.reason for entry in decide_announcements(owner, Verdict((back,)))] == ["AGCReady"]


@pytest.mark.parametrize(
    ("not_ready_since", "expected"),
    [("2026-01-05T08:30:00Z", ["CredentialAvailable"]), ("2026-01-05T08:40:00Z", [])],
    ids=["for longer", "at the same time"],
)
def test_a_credential_that_works_after_a_restart_is_told_where_the_gateway_was_not_ready_before(
    not_ready_since: str, expected: list[str]
) -> None:
    entries = [
        make.condition("Ready", "False", "AGCNotReady", since=not_ready_since),
        make.condition("CredentialUnavailable", "Unknown", "CredentialUnknown", since="2026-01-05T08:40:00Z"),
        make.condition("RateLimited", "Unknown", "AGCNotReady", since="2026-01-05T08:40:00Z"),
    ]
    works = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "False", Reason.CREDENTIAL_AVAILABLE)
    unlimited = condition(ConditionType.RATE_LIMITED, "False", Reason.WITHIN_RATE_LIMIT)
    told_of = decide_announcements(make.gateway(status={"conditions": entries}), Verdict((works, unlimited)))
    assert [entry.reason for entry in told_of] == expected
    assert not any(entry.is_warning for entry in told_of)


def test_a_problem_that_outlives_a_restart_is_told_anew() -> None:
    before = [("RateLimited", "Unknown", "AGCNotReady")]
    limited = condition(ConditionType.RATE_LIMITED, "True", Reason.SUSTAINED_RATE_LIMIT)
    assert told(before, limited) == [("SustainedRateLimit", WARNING)]
