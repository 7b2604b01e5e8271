"""gw incident: the procedures, their record, and what goes wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels, names
from actions_gateway.api.ledger import RerunState
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gateway_sandbox.certificates import SandboxCertificates

from .incidents import APP, NEW, NEW_KEY, OLD, OLD_KEY, Compromise, secret
from .objects import agent_pod, entry, healthy_cluster, ledger, lost, manager, namespace
from .rig import Gw, check_golden

pytestmark = pytest.mark.usefixtures("keys_are_read_once")

ID = "incident-20260105-090000-key-compromise-3b77"


@pytest.fixture
def compromise(tmp_path: Path) -> Compromise:
    return Compromise(tmp_path)


def without_keys(text: str) -> str:
    return text.replace(OLD, "SHA256:old=").replace(NEW, "SHA256:new=")


def test_a_compromised_key_is_answered_from_containment_to_the_closed_record(compromise: Compromise) -> None:
    first = compromise("key-compromise", "team-a", "--yes")
    assert first.code == 2
    assert compromise.contained() == ["team-a", "team-b"], "every tenant of the App, and none of another"
    assert "https://github.com/organizations/octo/settings/installations/5678" in first.err
    assert f"`gw incident key-compromise --resume {ID} --done suspend`" in first.err

    second = compromise.answer_it()
    assert second.code == 2
    assert compromise.gw.app.calls == ["suspend 5678"]
    assert f"It is the one with the fingerprint {OLD}" in second.err
    refused = compromise.answer_it("--done", "revoke")
    assert (refused.code, compromise.states["revoke"]) == (2, "waiting-for-person")
    assert f"the step revoke is not done: GitHub still accepts the key {OLD}" in refused.err

    compromise.revoke()
    third = compromise.answer_it()
    assert third.code == 2
    assert compromise.gw.app.calls == ["suspend 5678", "unsuspend 5678"]
    assert "actor:octo-runners[bot] created:2025-12-29T09:00:00Z..2026-01-05T10:00:00Z" in third.err
    assert "actions:write, administration:write" in third.err

    last = compromise.answer_it("--done", "scope")
    assert last.code == 0, last
    end = compromise.end_state()
    assert (end["contained"], end["suspended"]) == ([], [])
    assert end["references"] == {"team-a": "github-app-v2", "team-b": "github-app-v2", "team-c": "github-app-v1"}
    assert sorted(end["secrets"]) == ["team-a/github-app-v2", "team-b/github-app-v2", "team-c/github-app-v1"]
    assert set(end["steps"].values()) == {"done"}
    shown = compromise("show", ID)
    check_golden("incident-show.md", without_keys(shown.out))
    document = json.loads(compromise("show", ID, "-o", "json").out)
    assert document["contained_after_seconds"] < 300
    assert [each["by"] for each in document["timeline"]] == ["olivia"] * len(document["timeline"])


def test_the_list_has_open_incidents_first(compromise: Compromise) -> None:
    compromise("key-compromise", "team-a", "--yes")
    compromise("close", ID, "--abandon", "it was a test key")
    compromise.gw.clock.slept_seconds += 3600
    compromise("key-compromise", "--app-id", "99", "--yes")
    compromise.gw.clock.slept_seconds += 3600
    answer = compromise("list")
    assert answer.code == 0
    check_golden("incident-list.table.txt", answer.out)
    found: Any = json.loads(compromise("list", "-o", "json").out)
    assert [(each["subject"], each["open"]) for each in found["incidents"]] == [
        ("App 99 at github.com", True),
        ("App 1234 at github.com", False),
    ]


def test_the_plan_is_shown_and_checked_and_nothing_written_in_a_dry_run(compromise: Compromise) -> None:
    answer = compromise("key-compromise", "team-a", "--dry-run")
    assert answer.code == 0, answer
    assert compromise.incidents == []
    assert compromise.cluster.patched == []
    assert compromise.cluster.rehearsed == ["ActionsGateway team-a", "ActionsGateway team-b"]
    check_golden("incident-dry-run.err.txt", answer.err)


def test_a_person_at_a_terminal_is_asked_and_may_say_no(compromise: Compromise) -> None:
    assert compromise("key-compromise", "team-a", answer="n\n").code == 2
    assert (compromise.incidents, compromise.contained()) == ([], [])
    answer = compromise("key-compromise", "team-a", answer="y\ny\nn\n")
    assert (answer.code, compromise.states["suspend"]) == (2, "waiting-for-person")
    answer = compromise("key-compromise", "team-a", answer="y\ny\n")
    assert (answer.code, compromise.states["suspend"]) == (2, "done")
    assert "the step new-key waits for a person" in answer.err
    (incident,) = compromise.incidents
    assert "suspend: done: confirmed by olivia, not verified" in " ".join(row[2] for row in incident["timeline"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("team-a",), "there is no terminal"),
        (("team-x", "--yes"), "there is no namespace team-x"),
        (("--app-id", "77", "--yes"), "no gateway's status names the App 77"),
        (("team-a", "--app-id", "1234", "--yes"), "was not said, or said twice"),
        (("--resume", "incident-x", "--yes"), "there is no incident incident-x"),
        (("team-a", "--yes", "--done", "revok"), "has no step 'revok'"),
        (("team-a", "--yes", "--done", "revoke", "--skip", "revoke"), "both --done and --skip"),
        (("team-a", "--yes", "--timeout", "5x"), "--timeout"),
        (("team-a", "--yes", "--exposed-since", "yesterday"), "is no time"),
        (("team-a", "--yes", "--note", "x" * 1000), "too long for the record"),
        (("team-a", "--yes", "--private-key-file", "nowhere.pem"), "does not exist"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    compromise: Compromise, arguments: tuple[str, ...], words: str
) -> None:
    answer = compromise("key-compromise", *arguments)
    assert answer.code == 2, answer
    assert words in answer.err
    assert (compromise.incidents, compromise.contained(), compromise.gw.app.calls) == ([], [], [])


def test_the_compromised_key_is_never_taken_for_the_new_one(compromise: Compromise) -> None:
    old = str(compromise.folder / "old.pem")
    answer = compromise("key-compromise", "team-a", "--yes", "--private-key-file", old)
    assert answer.code == 2
    assert f"holds the compromised key {OLD}" in answer.err
    assert (compromise.incidents, compromise.contained()) == ([], [])


def test_without_the_right_to_keep_a_record_nothing_is_begun(compromise: Compromise) -> None:
    refusal = errors.Forbidden('User "olivia" cannot create resource "configmaps"', status=403, reason="Forbidden")
    compromise.cluster.refusals["create", "configmaps"] = refusal
    answer = compromise("key-compromise", "team-a", "--yes")
    assert (answer.code, compromise.contained()) == (2, [])
    assert "--role=gw-oncall --user=olivia" in answer.err


def test_without_the_right_to_contain_the_incident_says_so_and_stays_open(compromise: Compromise) -> None:
    compromise.cluster.denied = {("patch", "actionsgateways")}
    answer = compromise("key-compromise", "team-a", "--yes")
    assert (answer.code, compromise.states["contain"]) == (2, "failed")
    assert "you may not patch" in answer.err
    assert f"Then go on: `gw incident key-compromise --resume {ID}`" in answer.err
    compromise.cluster.denied = set()
    compromise("key-compromise", "--resume", ID, "--yes")
    assert compromise.states["contain"] == "done"


def test_a_containment_that_no_manager_carries_out_is_told_and_can_be_left_behind(compromise: Compromise) -> None:
    compromise.gw.clock.on_sleep = lambda: None
    answer = compromise("key-compromise", "team-a", "--yes", "--timeout", "3s")
    assert (answer.code, compromise.states["contain"]) == (5, "failed")
    assert "the agent of team-a/actions-gateway-controller is to run" in answer.err
    compromise("key-compromise", "team-a", "--yes", "--skip", "contain")
    assert (compromise.states["contain"], compromise.states["suspend"]) == ("skipped", "waiting-for-person")


def test_gitops_does_not_hold_the_containment_up_and_keeps_the_reference(compromise: Compromise) -> None:
    compromise.gateway("team-a")["metadata"]["labels"] = {"argocd.argoproj.io/instance": "tenants"}
    compromise.answer_it()
    assert compromise.contained() == ["team-a", "team-b"]
    compromise.revoke()
    answer = compromise.answer_it()
    assert (answer.code, compromise.states["rotate"]) == (2, "waiting-for-person")
    assert "team-a: set spec.gitHubAppRef.name to github-app-v2, in the repository of Argo CD" in answer.err
    assert "team-a/team-a still refers to the old Secret" in compromise.answer_it("--done", "rotate").err
    compromise.gateway("team-a")["spec"]["gitHubAppRef"]["name"] = "github-app-v2"
    compromise.answer_it("--done", "rotate")
    assert compromise.states["verify"] == "done"


def test_what_another_incident_contains_stays_contained(compromise: Compromise) -> None:
    compromise.gateway("team-b")["metadata"]["annotations"] = {labels.CONTAINED: "incident-earlier"}
    compromise.answer_it()
    compromise.revoke()
    answer = compromise.answer_it()
    assert compromise.contained() == ["team-b"]
    assert (answer.code, compromise.states["release"]) == (2, "waiting-for-person")
    assert "team-b/team-b is contained by 'incident-earlier' as well: kubectl annotate" in answer.err
    assert "team-b/team-b is still contained" in compromise.answer_it("--done", "release").err
    compromise.gateway("team-b")["metadata"]["annotations"] = {}
    assert compromise.answer_it("--done", "release", "--done", "scope").code == 0
    assert compromise.states["verify"] == "done"


def test_a_secret_that_gitops_keeps_is_deleted_in_git_and_not_called_deleted(compromise: Compromise) -> None:
    compromise.answer_it()
    compromise.revoke()
    kept = compromise.cluster.objects[r.SECRETS.plural, "team-a", "github-app-v1"]
    kept["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "tenants"}
    answer = compromise.answer_it()
    assert (answer.code, compromise.states["delete-old"]) == (2, "waiting-for-person")
    assert "team-a/github-app-v1: delete it in the repository of Flux (Kustomization tenants)" in answer.err
    assert (r.SECRETS.plural, "team-b", "github-app-v1") not in compromise.cluster.objects
    assert "team-a/github-app-v1 is still there" in compromise.answer_it("--done", "delete-old").err
    del compromise.cluster.objects[r.SECRETS.plural, "team-a", "github-app-v1"]
    assert compromise.answer_it("--done", "delete-old", "--done", "scope").code == 0


def test_one_gateway_that_cannot_be_contained_keeps_no_other_one_open(compromise: Compromise) -> None:
    cluster, patch = compromise.cluster, compromise.cluster.patch

    async def pickier(resource: Any, name: str, *arguments: Any, **how: Any) -> Any:
        if resource == r.ACTIONSGATEWAYS and name == "team-a":
            raise errors.Invalid("spec.agent: no longer allowed", status=422)
        return await patch(resource, name, *arguments, **how)

    cluster.patch = pickier  # type: ignore[method-assign]
    answer = compromise.answer_it()
    assert (answer.code, compromise.states["contain"]) == (2, "failed")
    assert compromise.contained() == ["team-b"]
    assert "1 gateway cannot be contained, team-a/team-a first" in answer.err


def test_a_tenant_that_is_gone_meanwhile_keeps_no_other_one_on_the_old_key(compromise: Compromise) -> None:
    compromise.answer_it()
    compromise.revoke()
    for key in [key for key in compromise.cluster.objects if key[1] == "team-a" or key[2] == "team-a"]:
        del compromise.cluster.objects[key]
    (incident,) = compromise.incidents
    answer = compromise(
        *("key-compromise", "--resume", incident["name"], "--private-key-file", str(compromise.folder / "new.pem")),
        *("--yes", "--confirm", APP, "--done", "scope"),
    )
    assert answer.code == 0, answer
    assert compromise.gateway("team-b")["spec"]["gitHubAppRef"]["name"] == "github-app-v2"


def test_a_tenant_that_has_the_new_key_already_is_contained_and_its_key_is_not_called_compromised(
    compromise: Compromise,
) -> None:
    compromise.cluster.put(secret("team-b", "github-app-v2", NEW_KEY))
    compromise.gateway("team-b")["spec"]["gitHubAppRef"]["name"] = "github-app-v2"
    compromise.gateway("team-b")["status"]["credential"]["keyFingerprint"] = NEW
    compromise.answer_it()
    assert compromise.contained() == ["team-a", "team-b"]
    compromise.revoke()
    assert compromise.answer_it("--done", "scope").code == 0
    assert (r.SECRETS.plural, "team-b", "github-app-v2") in compromise.cluster.objects


def test_a_policy_of_somebody_else_that_lets_traffic_pass_is_told(compromise: Compromise) -> None:
    metadata = {"name": "allow-all", "namespace": "team-a"}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata}
    compromise.cluster.put({**policy, "spec": {"egress": [{}]}})
    told = "not closed: the NetworkPolicy team-a/allow-all is somebody else's, and has rules"
    assert told in compromise.answer_it().err


def test_of_two_incidents_about_the_same_the_later_one_gives_way(compromise: Compromise) -> None:
    compromise("key-compromise", "team-a", "--yes")
    (first,) = compromise.incidents
    earlier = compromise.cluster.objects.pop(("configmaps", "gmc-system", first["name"]))

    def create_beside() -> None:
        earlier["metadata"]["name"] = "incident-20260105-085959-key-compromise-3b77"
        record = json.loads(earlier["data"]["incident.json"]) | {"openedAt": "2026-01-05T08:59:59+00:00"}
        earlier["data"]["incident.json"] = json.dumps(record)
        compromise.cluster.put(earlier)

    compromise.cluster.on_create = lambda _: create_beside()
    answer = compromise("key-compromise", "team-a", "--yes")
    assert answer.code == 2
    assert "has opened incident-20260105-085959-key-compromise-3b77 about the same meanwhile" in answer.err


def test_a_secret_that_holds_another_key_by_now_is_not_deleted(compromise: Compromise) -> None:
    compromise.answer_it()
    compromise.revoke()
    compromise.cluster.refusals["delete", "secrets"] = errors.Unreachable("connection lost")
    assert compromise.answer_it().code == 3
    compromise.cluster.refusals.clear()
    secret = compromise.cluster.objects[r.SECRETS.plural, "team-a", "github-app-v1"]
    secret["data"] = compromise.cluster.objects[r.SECRETS.plural, "team-a", "github-app-v2"]["data"]
    compromise.answer_it()
    assert (r.SECRETS.plural, "team-a", "github-app-v1") in compromise.cluster.objects
    assert (r.SECRETS.plural, "team-b", "github-app-v1") not in compromise.cluster.objects


def test_two_people_do_not_do_the_same_step_and_one_may_take_over(compromise: Compromise) -> None:
    compromise("key-compromise", "team-a", "--yes")
    record = compromise.cluster.objects[r.CONFIGMAPS.plural, names.MANAGER_NAMESPACE, ID]
    body = json.loads(record["data"]["incident.json"])
    body["steps"][2][2] = "running"
    record["data"]["incident.json"] = json.dumps(body)
    compromise.signed_in("victor")
    answer = compromise("key-compromise", "team-a", "--yes")
    assert answer.code == 2
    assert "olivia is at the step suspend" in answer.err
    compromise("key-compromise", "team-a", "--yes", "--take-over", "--done", "suspend")
    (incident,) = compromise.incidents
    assert [row[5] for row in incident["steps"]][:3] == ["olivia", "olivia", "victor"]


def test_what_somebody_else_notes_meanwhile_is_kept(compromise: Compromise) -> None:
    compromise("key-compromise", "team-a", "--yes")
    record = (r.CONFIGMAPS.plural, names.MANAGER_NAMESPACE, ID)
    compromise.cluster.objects[record]["metadata"]["resourceVersion"] = "7"
    before = compromise.cluster.patch
    notes = iter(["victor was here"])

    async def patch(resource: Any, *arguments: Any, **options: Any) -> Any:
        if resource == r.CONFIGMAPS and (words := next(notes, None)):
            stored = compromise.cluster.objects[record]
            body = json.loads(stored["data"]["incident.json"])
            body["timeline"].append(["2026-01-05T09:00:00+00:00", "victor", words, []])
            stored["data"]["incident.json"] = json.dumps(body)
            stored["metadata"]["resourceVersion"] = "8"
        return await before(resource, *arguments, **options)

    compromise.cluster.patch = patch  # type: ignore[method-assign]
    assert compromise("note", ID, "olivia looks at the audit log").code == 0
    (incident,) = compromise.incidents
    assert [row[2] for row in incident["timeline"]][-2:] == ["victor was here", "note: olivia looks at the audit log"]


def test_an_incident_is_closed_when_all_is_settled_or_for_a_reason(compromise: Compromise) -> None:
    compromise("key-compromise", "team-a", "--yes")
    refused = compromise("close", ID)
    assert refused.code == 2
    assert "are not settled: suspend, new-key" in refused.err
    assert compromise("close", ID, "--abandon", "it was a test key", "--note", "false alarm").code == 0
    assert compromise("close", ID).code == 0, "once more changes nothing"
    (incident,) = compromise.incidents
    assert incident["closedBy"] == "olivia"
    answer = compromise("key-compromise", "--resume", ID, "--yes")
    assert (answer.code, f"{ID} is closed, by olivia" in answer.err) == (2, True)


def test_a_record_that_somebody_edited_is_named_and_hides_no_other(compromise: Compromise) -> None:
    compromise("key-compromise", "team-a", "--yes")
    broken = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "incident-x",
            "namespace": names.MANAGER_NAMESPACE,
            "labels": {labels.RECORD: labels.RECORD_INCIDENT},
        },
        "data": {"incident.json": "{}"},
    }
    compromise.cluster.put(broken)
    answer = compromise("list")
    assert answer.code == 3
    assert ID in answer.out
    assert "incident-x: its version is 'None'" in answer.out
    assert compromise("show", "incident-x").code == 2


@pytest.fixture
def ops() -> Gw:
    """A healthy cluster with an agent and a manager that can be restarted, and somebody who may."""
    gw = Gw()
    for each in [*healthy_cluster(), namespace(names.MANAGER_NAMESPACE)]:
        gw.cluster.put(each)
    gw.cluster.answers["/apis/authentication.k8s.io/v1/selfsubjectreviews"] = {
        "status": {"userInfo": {"username": "olivia"}}
    }
    return gw


def test_lost_jobs_wait_for_a_person_who_may_leave_them(ops: Gw) -> None:
    """The restart itself is `gw restart`'s; here it was done by other means."""
    ops.cluster.put(ledger({17000000001: entry(lost("r1", RerunState.EXHAUSTED))}))
    answer = ops("incident", "agent-failure", "team-a", "--yes", "--skip", "restart", "--note", "node lost")
    assert answer.code == 2, answer
    assert "gw job rerun --lost -n team-a" in answer.err
    answer = ops("incident", "agent-failure", "team-a", "--yes", "--done", "lost-jobs", "-o", "json")
    assert answer.code == 0, answer
    found: Any = json.loads(answer.out)
    states = {each["id"]: each["state"] for each in found["steps"]}
    assert states == {"diagnose": "done", "restart": "skipped", "sessions": "done", "lost-jobs": "done"}
    assert "1 lost job still in the ledger, by their decision" in found["steps"][-1]["result"]
    assert "note: node lost" in [each["what"] for each in found["timeline"]]


def test_an_agent_that_does_not_come_back_leaves_the_incident_open(ops: Gw) -> None:
    ops.cluster.put(agent_pod(is_ready=False))
    answer = ops("incident", "agent-failure", "team-a", "--yes", "--skip", "restart", "--timeout", "3s")
    assert answer.code == 5, answer
    assert "stays open, at the step sessions" in answer.err
    found: Any = json.loads(ops("incident", "list", "-o", "json").out)
    assert "agent.available: the agent is not ready" in found["incidents"][0]["steps"][0]["result"]


def test_a_manager_that_is_gone_cost_no_tenant_its_sessions(ops: Gw) -> None:
    answer = ops("incident", "manager-failure", "--yes", "--skip", "restart", "-o", "json")
    assert answer.code == 0, answer
    found: Any = json.loads(answer.out)
    results = {each["id"]: each["result"] for each in found["steps"]}
    assert results["tenants"] == "2 sessions of 1 tenant were open without the manager"
    assert results["reconciled"] == "the manager has taken up 1 gateway"
    assert results["sessions"] == "no tenant lost its sessions: 2 before, 2 now"


def test_a_manager_that_is_still_gone_is_told(ops: Gw) -> None:
    for each in manager(ready_pods=0, renewed_seconds_ago=300):
        ops.cluster.put(each)
    answer = ops("incident", "manager-failure", "--yes", "--skip", "restart", "--timeout", "2s")
    assert answer.code == 5, answer
    assert "manager.running" in answer.err


def test_no_key_leaves_the_caller(compromise: Compromise) -> None:
    compromise.answer_it()
    compromise.revoke()
    told = "".join(str(compromise.answer_it(*more)) for more in ((), ("--done", "scope")))
    told += json.dumps(compromise.incidents)
    lines = [line for line in OLD_KEY.splitlines() if not line.startswith("-----")]
    assert [line for line in lines if line in told] == []
    assert APP in told


@pytest.mark.parametrize("is_readable", [True, False], ids=["readable", "not readable"])
def test_github_is_asked_by_the_authorities_of_the_gateway_and_containment_waits_for_none(
    compromise: Compromise, tmp_path: Path, is_readable: bool
) -> None:
    bundle = SandboxCertificates.create(tmp_path / "authority").ca_path.read_text()
    metadata = {"name": "github-ca", "namespace": "team-a"}
    compromise.cluster.objects["actionsgateways", "team-a", "team-a"]["spec"]["caBundleRef"] = {"name": "github-ca"}
    compromise.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": bundle}})
    if not is_readable:
        del compromise.cluster.objects["configmaps", "team-a", "github-ca"]
    compromise.answer_it()
    assert compromise.contained() == ["team-a", "team-b"]
    assert set(compromise.gw.app.trusted) == {bundle if is_readable else None}
