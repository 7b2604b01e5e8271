"""gw key rotate: what it proves, writes and waits for, how it returns, and what an interrupted run leaves."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

from actions_gateway.api import labels
from actions_gateway.kube import errors
from gw.errors import Blind, CredentialsRejected

from .key_rotation import (
    NEW,
    OLD,
    TENANT,
    WRITES,
    InterruptedCluster,
    Rotation,
    fingerprint,
    interrupting,
    secret,
    working_tenant,
)
from .objects import agent_pod, gateway
from .onboarding import KEY, OTHER_KEY
from .rig import check_golden

ARGO = {"argocd.argoproj.io/tracking-id": "tenants:x"}


@pytest.fixture
def rotate(tmp_path: Path) -> Rotation:
    return Rotation(tmp_path)


def told(text: str) -> str:
    """With names in place of the fingerprints, which differ from run to run."""
    return text.replace(fingerprint(KEY), "SHA256:OLD").replace(fingerprint(OTHER_KEY), "SHA256:NEW")


def test_the_new_key_is_proven_written_followed_and_verified_and_the_old_secret_stays(rotate: Rotation) -> None:
    answer = rotate()
    assert answer.code == 0, answer
    assert rotate.reference == NEW
    assert rotate.secrets == [OLD, NEW]
    assert rotate.texts(NEW) == {"appId": "1234", "installationId": "5678", "privateKey": OTHER_KEY}
    stored = rotate.cluster.objects["secrets", TENANT, NEW]
    assert stored["immutable"] is True
    assert stored["metadata"]["annotations"] == {labels.REPLACES: OLD}
    assert (rotate.cluster.created, rotate.cluster.patched) == ([WRITES[0]], [WRITES[1]])
    (query,) = rotate.github.queries
    assert query.credentials.key_fingerprint == fingerprint(OTHER_KEY)
    check_golden("key-rotate.txt", told(answer.out + answer.err).replace(str(rotate.folder), "FOLDER"))


def test_github_and_the_server_agree_before_anything_is_written(rotate: Rotation) -> None:
    rotate.github.answer = CredentialsRejected("GitHub does not accept this private key", "Name another.")
    answer = rotate()
    assert answer.code == 4, answer
    assert rotate.cluster.writes == 0
    rotate.github.answer = Blind("could not ask GitHub", "Try again.")
    assert rotate().code == 3
    assert rotate.cluster.writes == 0


def test_a_dry_run_writes_nothing(rotate: Rotation) -> None:
    answer = rotate("--dry-run", "--delete-old", "--shred")
    assert answer.code == 0, answer
    assert rotate.cluster.writes == 0
    assert rotate.cluster.rehearsed == list(WRITES[:2])
    assert "~ spec.gitHubAppRef.name: github-app-v1 -> github-app-v2" in answer.err
    assert f"The Secret {OLD} is deleted once the new key works" in answer.err
    assert rotate.key_file.exists()


def test_the_document_tells_all_and_no_key(rotate: Rotation) -> None:
    document = json.loads(told(rotate("-o", "json").out))
    assert document.pop("unproven") != []
    assert document == {
        "version": "gw/v1",
        "kind": "RotatedKey",
        "dry_run": False,
        "changed": True,
        "objects": [
            {"kind": "Secret", "namespace": TENANT, "name": NEW, "action": "create", "changes": []},
            {
                "kind": "ActionsGateway",
                "namespace": TENANT,
                "name": TENANT,
                "action": "change",
                "changes": [{"field": "spec.gitHubAppRef.name", "before": OLD, "after": NEW}],
            },
        ],
        "kept_by": [],
        "for_git": [],
        "tenant": TENANT,
        "outcome": "rotated",
        "key": {"app_id": "1234", "installation_id": "5678", "key_fingerprint": "SHA256:NEW"},
        "secret": NEW,
        "replaced": OLD,
        "resumed": False,
        "old_deleted": False,
        "shredded": False,
        "tried": True,
        "seconds": document["seconds"],
        "cause": None,
        "tenants_with_old_key": [],
    }


# -- what goes


def test_the_old_secret_is_deleted_only_by_name_and_only_when_the_new_key_works(rotate: Rotation) -> None:
    refused = rotate("--delete-old", "--yes", yes=False)
    assert refused.code == 2
    assert f"--yes --confirm {TENANT}" in refused.err
    assert rotate.cluster.writes == 0
    assert rotate("--delete-old", yes=False, answer=f"{TENANT}\n").code == 0
    assert rotate.cluster.deleted == [WRITES[2]]
    assert rotate.secrets == [NEW]


def test_an_old_secret_that_was_kept_is_deleted_by_a_later_run(rotate: Rotation) -> None:
    assert rotate().code == 0
    assert rotate("--delete-old", yes=False, answer="no\n").code == 2
    assert rotate.secrets == [OLD, NEW]
    assert rotate("--delete-old").code == 0
    assert rotate.secrets == [NEW]


def test_the_file_is_shredded_last_and_gw_says_what_that_cannot_promise(rotate: Rotation) -> None:
    answer = rotate("--shred")
    assert answer.code == 0
    assert not rotate.key_file.exists()
    assert "SSDs, snapshots and backups may keep older blocks" in answer.err


def test_a_file_that_cannot_be_shredded_in_the_end_is_left_to_the_person_and_the_key_is_rotated(
    rotate: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)
    answer = rotate("--shred")
    assert answer.code == 2, answer
    assert f"Rotated in 0s: {TENANT} works with " in answer.out
    assert "could not be removed (Operation not permitted)" in answer.err
    assert f"shred -u {rotate.key_file}" in answer.err


def test_a_link_is_not_shredded_and_nothing_is_tried(rotate: Rotation) -> None:
    real = rotate.folder / "real.pem"
    rotate.key_file.rename(real)
    rotate.key_file.symlink_to(real)
    answer = rotate("--shred")
    assert answer.code == 2
    assert "is a link" in answer.err
    assert rotate.github.queries == []


def test_a_file_that_others_can_read_is_pointed_out(rotate: Rotation) -> None:
    rotate.key_file.chmod(0o644)
    answer = rotate()
    assert answer.code == 0
    assert f"chmod 600 {rotate.key_file}" in answer.err


# -- names and keys that are there


def test_the_key_in_use_is_refused_since_there_is_nothing_to_rotate(rotate: Rotation) -> None:
    rotate.key_file.write_text(KEY)
    answer = rotate()
    assert answer.code == 2
    assert f"is the one that {TENANT} uses already (Secret {OLD})" in answer.err
    assert rotate.cluster.writes == 0


def test_a_second_run_changes_nothing_and_verifies(rotate: Rotation) -> None:
    assert rotate().code == 0
    writes = rotate.cluster.writes
    answer = rotate()
    assert answer.code == 0, answer
    assert rotate.cluster.writes == writes
    assert "an earlier run has rotated it" in answer.out


def test_a_secret_of_that_name_with_another_key_is_left_alone(rotate: Rotation) -> None:
    rotate.cluster.put(secret(NEW, KEY, app_id="77"))
    before = rotate.texts(NEW)
    assert rotate().code == 0
    assert rotate.reference == "github-app-v3"
    assert rotate.texts(NEW) == before


def test_a_secret_with_this_very_key_is_taken_and_made_as_a_new_one_would_be(rotate: Rotation) -> None:
    by_hand = secret(NEW, OTHER_KEY)
    del by_hand["immutable"]
    rotate.cluster.put(by_hand)
    assert rotate().code == 0
    assert rotate.secrets == [OLD, NEW]
    stored = rotate.cluster.objects["secrets", TENANT, NEW]
    assert stored["immutable"] is True
    assert stored["metadata"]["annotations"][labels.REPLACES] == OLD


def test_another_app_is_named_by_its_ids(rotate: Rotation) -> None:
    answer = rotate("--app-id", "99", "--installation-id", "42", "--dry-run")
    assert answer.code == 0
    (query,) = rotate.github.queries
    assert (query.credentials.app_id, query.credentials.installation_id) == ("99", 42)
    assert rotate("--app-id", "no id").code == 2


def test_other_tenants_with_the_old_key_are_named(rotate: Rotation) -> None:
    other = gateway("team-b")
    other["status"]["credential"]["keyFingerprint"] = fingerprint(KEY)
    rotate.cluster.put(other)
    answer = rotate()
    assert "The same old key is used by team-b: rotate theirs, too." in answer.err
    assert json.loads(rotate("-o", "json").out)["tenants_with_old_key"] == ["team-b"]


# -- when the new key does not come to work


@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        ({"is_stuck": True}, 5, "the agent's new pod is not ready"),
        ({"refuses": frozenset({NEW})}, 1, "KeyRejected: GitHub does not accept the key"),
        ({"silent": frozenset({NEW})}, 5, "no session is open yet for team-a-cpu"),
    ],
    ids=["the pod never comes", "the agent's key is refused", "no session opens"],
)
def test_the_gateway_returns_to_the_old_key_that_github_still_accepts(
    rotate: Rotation, trouble: dict[str, object], code: int, said: str
) -> None:
    for name, value in trouble.items():
        setattr(rotate.agent, name, value)
    answer = rotate("--timeout", "10s", "--delete-old", "--shred")
    assert answer.code == code, answer
    assert said in answer.out
    assert f"{TENANT} works with the key of {OLD} again" in answer.out
    assert rotate.reference == OLD
    assert rotate.secrets == [OLD, NEW]
    assert rotate.key_file.exists()
    assert f"The file {rotate.key_file} stays" in answer.err
    assert rotate.github.queries[-1].credentials.key_fingerprint == fingerprint(KEY)
    # Once the cause is gone the same command takes the Secret that is there.
    rotate.agent.is_stuck, rotate.agent.refuses, rotate.agent.silent = False, frozenset(), frozenset()
    assert rotate("--delete-old").code == 0
    assert (rotate.reference, rotate.secrets) == (NEW, [NEW])


def test_it_never_returns_to_a_compromised_key(rotate: Rotation) -> None:
    rotate.agent.is_stuck = True
    answer = rotate("--compromised", "--timeout", "5s", "--delete-old")
    assert answer.code == 5, answer
    assert "it does not return to a compromised key" in answer.err
    assert rotate.reference == NEW
    assert rotate.secrets == [OLD, NEW]
    assert [query.credentials.key_fingerprint for query in rotate.github.queries] == [fingerprint(OTHER_KEY)]


def test_it_does_not_return_to_a_key_that_github_refuses(rotate: Rotation) -> None:
    rotate.agent.refuses = frozenset({NEW})
    rotate.github.refused[fingerprint(KEY)] = CredentialsRejected("GitHub does not accept this key", "Name another.")
    answer = rotate()
    assert answer.code == 4
    assert "it does not return, since the old key is not known to work: GitHub does not accept this key" in answer.err
    assert rotate.reference == NEW


def test_an_old_key_that_worked_is_returned_to_when_github_cannot_be_asked_and_gw_says_what_that_rests_on(
    rotate: Rotation,
) -> None:
    rotate.agent.is_stuck = True
    rotate.github.refused[fingerprint(KEY)] = Blind("no answer", "Try again.")
    answer = rotate("--timeout", "5s")
    assert answer.code == 5
    assert "GitHub could not be asked (no answer), and the agent worked with it when the rotation began" in answer.err
    assert rotate.reference == OLD


def test_a_group_that_was_silent_before_is_no_reason_to_return(rotate: Rotation) -> None:
    rotate.agent.silent = frozenset({OLD, NEW})
    rotate.agent.follow()
    answer = rotate("--timeout", "5s")
    assert answer.code == 0, answer
    assert rotate.reference == NEW
    assert "Unproven: that team-a-cpu has a session: it had none before either." in answer.err


def test_a_check_that_fails_for_another_reason_is_told_and_is_no_reason_to_return(rotate: Rotation) -> None:
    rotate.cluster.put(agent_pod(TENANT, is_ready=False))
    answer = rotate("--timeout", "5s", "--delete-old")
    assert answer.code == 5, answer
    assert "a check still finds a problem (agent.available: " in answer.err
    assert "the agent works with its key, and github-app-v1 stays" in answer.err
    assert (rotate.reference, rotate.secrets) == (NEW, [OLD, NEW])


def test_somebody_elses_reference_is_left_alone(rotate: Rotation) -> None:
    def meddle() -> None:
        rotate.cluster.objects["actionsgateways", TENANT, TENANT]["spec"]["gitHubAppRef"] = {"name": "other"}

    rotate.gw.clock.on_sleep = meddle
    answer = rotate()
    assert answer.code == 2
    assert "refers to the Secret other meanwhile" in answer.err
    assert rotate.reference == "other"


# -- interrupts


@pytest.mark.parametrize("after", [1, 2, 3], ids=["the Secret", "the reference", "the deletion"])
@pytest.mark.parametrize(
    "problem", [KeyboardInterrupt(), errors.Unreachable("the API server gives no answer")], ids=["Ctrl-C", "no answer"]
)
def test_interrupted_after_any_write_the_same_command_comes_to_the_same_end(
    rotate: Rotation, after: int, problem: BaseException
) -> None:
    rotate.cluster.after[after] = problem
    first = rotate("--delete-old", "--shred")
    assert first.code == (130 if isinstance(problem, KeyboardInterrupt) else 3), first
    assert rotate.key_file.exists()
    second = rotate("--delete-old", "--shred")
    assert second.code == 0, second
    assert (rotate.reference, rotate.secrets) == (NEW, [NEW])
    assert rotate.texts(NEW)["privateKey"] == OTHER_KEY
    assert not rotate.key_file.exists()


@pytest.mark.parametrize(
    ("last", "left"),
    [
        (1, f"the Secret {NEW} may be created or not, see `kubectl get secrets {NEW} -n {TENANT}`"),
        (
            2,
            (
                f"written so far: {WRITES[0]}; the {WRITES[1]} may be changed or not, see "
                f"`kubectl get actionsgateways.actions-gateway.github.com {TENANT} -n {TENANT} -o yaml`"
            ),
        ),
        (
            3,
            (
                f"written so far: {WRITES[0]}, {WRITES[1]}; the {WRITES[2]} may be deleted or not, see "
                f"`kubectl get secrets {OLD} -n {TENANT}`"
            ),
        ),
    ],
    ids=["the Secret", "the reference", "the deletion"],
)
def test_an_interrupt_inside_of_a_write_says_that_it_may_stand_and_how_to_look(
    rotate: Rotation, last: int, left: str
) -> None:
    rotate.cluster.after[last] = KeyboardInterrupt()
    answer = rotate("--delete-old")
    assert answer.code == 130, answer
    assert f"Interrupted; {left}.\n" in answer.err
    assert "Next:  Run the same command again" in answer.err


def test_an_interrupt_before_the_first_write_leaves_nothing_and_says_nothing(rotate: Rotation) -> None:
    async def interrupted(_: object) -> NoReturn:
        raise KeyboardInterrupt

    rotate.github.look_up = interrupted  # type: ignore[assignment]
    answer = rotate()
    assert answer.code == 130
    assert "may be" not in answer.err
    assert "written" not in answer.err


def test_interrupted_while_it_waits_it_goes_on_there(rotate: Rotation) -> None:
    rotate.gw.clock.on_sleep = interrupting()
    first = rotate("--delete-old")
    assert first.code == 130
    assert f"Interrupted; written so far: {WRITES[0]}, {WRITES[1]}." in first.err
    rotate.gw.clock.on_sleep = rotate.agent.follow
    assert rotate("--delete-old").code == 0
    assert (rotate.reference, rotate.secrets) == (NEW, [NEW])


def test_a_connection_that_breaks_while_it_waits_says_what_stands(rotate: Rotation) -> None:
    def lose() -> None:
        rotate.cluster.refusals["get", "deployments"] = errors.Unreachable("the API server gives no answer")

    rotate.gw.clock.on_sleep = lose
    answer = rotate()
    assert answer.code == 3
    assert f"The gateway was changed to the Secret {NEW}; what became of it is not known" in answer.err
    assert "same command" in answer.err


# -- who may, and what for


def test_a_caller_without_rights_to_secrets_is_told_before_anything_is_tried(rotate: Rotation) -> None:
    rotate.cluster.denied = {("get", "secrets"), ("create", "secrets")}
    answer = rotate()
    assert answer.code == 2
    assert f"you may not get secrets in {TENANT} and not create secrets in {TENANT}; nothing was tried" in answer.err
    assert "gw-tenant has it" in answer.err
    assert rotate.github.queries == []


def test_without_a_terminal_and_without_yes_nothing_is_written(rotate: Rotation) -> None:
    answer = rotate(yes=False)
    assert answer.code == 2
    assert "--yes" in answer.err
    assert rotate.cluster.writes == 0
    assert rotate(yes=False, answer="n\n").code == 2
    assert rotate.cluster.writes == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timeout", "5 apples"], "--timeout"),
        (["--private-key-file", "/nonexistent.pem"], "does not exist"),
        (["-n", "team-b"], "two tenants were named"),
    ],
    ids=["a wrong unit", "no file", "two tenants"],
)
def test_wrong_usage_is_refused_before_anything_is_asked(rotate: Rotation, arguments: list[str], said: str) -> None:
    answer = rotate(*arguments)
    assert answer.code == 2, answer
    assert said in answer.err
    assert rotate.github.queries == []


def test_a_namespace_without_a_gateway_is_refused(rotate: Rotation) -> None:
    answer = rotate.gw("key", "rotate", "team-b", "--private-key-file", str(rotate.key_file), "--yes")
    assert answer.code == 2
    assert "there is no namespace team-b" in answer.err


def test_of_a_gateway_that_argo_cd_keeps_the_secret_is_made_and_the_reference_is_for_git(rotate: Rotation) -> None:
    live = rotate.cluster.objects["actionsgateways", TENANT, TENANT]
    live["metadata"]["annotations"] = dict(ARGO)
    answer = rotate("--shred")
    assert answer.code == 2, answer
    assert rotate.secrets == [OLD, NEW]
    assert rotate.reference == OLD
    (patch,) = yaml.safe_load_all(answer.out)
    assert patch["spec"] == {"gitHubAppRef": {"name": NEW}}
    assert "run the same command again" in answer.err
    assert rotate.key_file.exists()
    live["spec"]["gitHubAppRef"]["name"] = NEW
    again = rotate("--shred")
    assert again.code == 0, again
    assert f"{TENANT} works with " in again.out
    assert not rotate.key_file.exists()


def test_of_a_contained_gateway_the_reference_is_changed_and_gw_says_that_nothing_has_tried_the_key(
    tmp_path: Path,
) -> None:
    objects = working_tenant()
    objects[1]["metadata"]["annotations"] = {labels.CONTAINED: "incident"}
    rotate = Rotation(tmp_path, InterruptedCluster(*objects))
    answer = rotate("--compromised", "--delete-old", "--shred")
    assert answer.code == 0, answer
    assert rotate.key_file.exists()
    assert rotate.reference == NEW
    assert "nothing has tried that key yet" in answer.out
    assert "the gateway is contained, and no agent runs" in answer.err
    assert rotate.secrets == [OLD, NEW]
    del rotate.cluster.objects["actionsgateways", TENANT, TENANT]["metadata"]["annotations"]
    assert rotate("--compromised", "--delete-old").code == 0
    assert rotate.secrets == [NEW]
