"""gw key status and gw key verify: which keys are in use, by whom, and whether GitHub accepts another."""

import json
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.kube import errors
from gw.errors import Blind, CredentialsRejected
from gw.sources import series as s

from .double import ClusterDouble
from .key_rotation import OLD, TENANT, Rotation, fingerprint, secret
from .objects import gateway, moment, namespace, service
from .onboarding import KEY, OTHER_KEY, SECRET_LINES
from .rig import Gw, check_golden

Manifest = dict[str, Any]


def tenant(name: str, app_id: str = "1234", key: str = "SHA256:one=") -> Manifest:
    made = gateway(name)
    made["status"]["credential"] |= {"appId": app_id, "keyFingerprint": key}
    return made


@pytest.fixture
def gw() -> Gw:
    silent = gateway("team-d")
    del silent["status"]["credential"]
    edited = tenant("team-b")
    edited["metadata"]["managedFields"] = [
        {
            # What whoever made it keeps of a field that another one has taken over.
            "manager": "kubectl-create",
            "operation": "Update",
            "time": moment(86400),
            "fieldsV1": {"f:spec": {"f:gitHubAppRef": {}, "f:gitHubURL": {}}},
        },
        {
            "manager": "kubectl-edit",
            "operation": "Update",
            "time": moment(7200),
            "fieldsV1": {"f:spec": {"f:gitHubAppRef": {"f:name": {}}}},
        },
    ]
    others = [tenant(TENANT), edited, tenant("team-c", key="SHA256:two="), silent, tenant("team-e", "99", "SHA256:x=")]
    return Gw(ClusterDouble(namespace(TENANT), secret(OLD, KEY), *others))


def test_all_keys_and_who_shares_an_app(gw: Gw) -> None:
    answer = gw("key", "status")
    assert answer.code == 3, "of one tenant nobody has reported"
    check_golden("key-status.table.txt", answer.out + answer.err)
    assert ("get", "secrets") not in gw.cluster.refusals
    document = json.loads(gw("key", "status", "-o", "json").out)
    check_golden("key-status.json", json.dumps(document, indent=2) + "\n")


@pytest.mark.parametrize(
    ("ends_at", "words"),
    [(moment(-1800), "expires in 30m"), (moment(1800), "expired 30m ago"), (None, "none")],
    ids=["it works", "it has ended", "no token"],
)
def test_a_tokens_end_is_told_in_the_same_words_as_of_a_tenant(gw: Gw, ends_at: str | None, words: str) -> None:
    credential = gw.cluster.objects["actionsgateways", TENANT, TENANT]["status"]["credential"]
    credential.pop("tokenExpiresAt", None)
    if ends_at is not None:
        credential["tokenExpiresAt"] = ends_at
    for command in ("key", "status", TENANT), ("tenant", "show", TENANT):
        (told,) = [line.split(maxsplit=1)[1] for line in gw(*command).out.splitlines() if line.split()[:1] == ["Token"]]
        assert told == words


def test_no_secret_is_read_for_all_keys(gw: Gw) -> None:
    gw.cluster.refusals["get", "secrets"] = AssertionError("a Secret was read")  # type: ignore[assignment]
    assert gw("key", "status").code == 3
    assert gw("key", "status", "-o", "short").out.splitlines()[0] == f"{TENANT} SHA256:one="


def test_of_one_tenant_the_age_is_its_secrets_where_the_caller_may_read_that(gw: Gw) -> None:
    answer = gw("key", "status", TENANT)
    assert answer.code == 0, answer
    check_golden("key-status.one.txt", answer.out + answer.err)
    assert [line for line in SECRET_LINES if line in answer.out] == []
    gw.cluster.denied = {("get", "secrets")}
    gw.cluster.refusals["get", "secrets"] = AssertionError("a Secret was read")  # type: ignore[assignment]
    (key,) = json.loads(gw("key", "status", TENANT, "-o", "json").out)["items"]
    assert (key["since_from"], key["since"]) == ("reference", moment(86400))


def test_who_may_not_list_the_tenants_hears_that_the_sharing_is_unknown(gw: Gw) -> None:
    class OneNamespace(ClusterDouble):
        async def list(self, resource: Any, namespace: str | None = None, **how: Any) -> Any:
            if namespace is None:
                raise errors.Forbidden("actionsgateways is forbidden", status=403)
            return await super().list(resource, namespace, **how)

    gw.cluster = OneNamespace(*gw.cluster.objects.values())
    answer = gw("key", "status", "-n", TENANT)
    assert answer.code == 0, answer
    assert "Unproven: which other tenants use the same App" in answer.err
    assert gw("key", "status").code == 3


def test_an_unknown_tenant_is_refused(gw: Gw) -> None:
    answer = gw("key", "status", "team-z")
    assert answer.code == 2
    assert "there is no namespace team-z" in answer.err


# -- gw key verify


@pytest.fixture
def rotate(tmp_path: Path) -> Rotation:
    return Rotation(tmp_path)


def test_a_key_is_proven_beside_the_one_in_use_and_nothing_is_written(rotate: Rotation) -> None:
    command = ("key", "verify", TENANT, "--private-key-file", str(rotate.key_file))
    answer = rotate.gw(*command)
    assert answer.code == 0, answer
    words = answer.out.replace(fingerprint(KEY), "SHA256:OLD").replace(fingerprint(OTHER_KEY), "SHA256:NEW")
    check_golden("key-verify.table.txt", words)
    assert rotate.cluster.writes == 0
    document = json.loads(rotate.gw(*command, "-o", "json").out)
    assert (document["kind"], document["in_use"]) == ("VerifiedKey", False)
    rotate.key_file.write_text(KEY)
    assert json.loads(rotate.gw(*command, "-o", "json").out)["in_use"] is True


@pytest.mark.parametrize(
    ("problem", "code"),
    [(CredentialsRejected("no such key", "Name another."), 4), (Blind("no answer", "Try again."), 3)],
    ids=["refused", "no answer"],
)
def test_a_key_that_github_does_not_confirm_is_no_success(rotate: Rotation, problem: Exception, code: int) -> None:
    rotate.github.answer = problem
    answer = rotate.gw("key", "verify", TENANT, "--private-key-file", str(rotate.key_file))
    assert answer.code == code
    assert answer.out == ""


def test_a_file_without_a_key_is_refused_without_its_text(rotate: Rotation) -> None:
    rotate.key_file.write_text("hunter2")
    answer = rotate.gw("key", "verify", TENANT, "--private-key-file", str(rotate.key_file))
    assert answer.code == 4
    assert "hunter2" not in answer.out + answer.err
    assert str(rotate.key_file) in answer.err


def test_without_a_report_of_the_agent_the_app_has_to_be_named(rotate: Rotation) -> None:
    del rotate.cluster.objects["actionsgateways", TENANT, TENANT]["status"]["credential"]
    command = ("key", "verify", TENANT, "--private-key-file", str(rotate.key_file))
    refused = rotate.gw(*command)
    assert refused.code == 2
    assert "--app-id and --installation-id" in refused.err
    answer = rotate.gw(*command, "--app-id", "1", "--installation-id", "2")
    assert answer.code == 0, answer
    assert "unknown: no agent has reported on a key yet" in answer.out


def test_without_a_tenant_it_is_refused(rotate: Rotation) -> None:
    answer = rotate.gw("key", "verify", "--private-key-file", str(rotate.key_file))
    assert answer.code == 2
    assert "gw key verify NAME" in answer.err


# -- polls, as Prometheus tells


@pytest.mark.parametrize(
    ("age_seconds", "said"),
    [
        (4.0, "GitHub has answered a poll of every runner group"),
        (900.0, "Unproven: that GitHub answers polls of team-a-cpu: Prometheus has told of none yet"),
    ],
    ids=["answered since", "none since"],
)
def test_a_rotation_waits_for_a_poll_that_is_answered_with_the_new_key(
    rotate: Rotation, age_seconds: float, said: str
) -> None:
    rotate.cluster.put(service("prometheus", 9090))
    rotate.cluster.prometheus.values[s.POLL_AGE] = age_seconds
    answer = rotate()
    assert answer.code == 0, answer
    assert said in answer.err
