"""`gw tenant update|pause|resume`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.api import labels
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gateway_sandbox.certificates import SandboxCertificates

from .rig import check_golden
from .tenancy import GPU, TENANT, Tenancy


@pytest.fixture
def tenancy() -> Tenancy:
    return Tenancy()


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SandboxCertificates.create(tmp_path_factory.mktemp("certificates")).ca_path


# -- update


def test_options_change_their_fields_and_nothing_else(tenancy: Tenancy) -> None:
    before = json.loads(json.dumps(tenancy.gateway["spec"]))
    answer = tenancy(
        *("tenant", "update", TENANT, "--runner-group", "cpu maxListeners=9"),
        *(
            "--runner-group",
            "arm labels=arm64 maxWorkers=3",
            "--allowed-host",
            "*.example.org",
            "--access-log",
            "--yes",
        ),
    )
    assert answer.code == 0, answer
    check_golden("tenant-update.table.txt", answer.out + answer.err)
    after = tenancy.gateway["spec"]
    cpu, gpu, arm = after["runnerGroups"]
    assert cpu == {**before["runnerGroups"][0], "maxListeners": 9}
    assert gpu == GPU
    assert arm == {"name": "arm", "runnerLabels": ["arm64"], "maxWorkers": 3}
    assert after["proxy"] == {"allowedHosts": ["*.example.org"], "accessLog": True}
    assert after["gitHubAppRef"] == before["gitHubAppRef"]


def test_a_second_time_changes_nothing(tenancy: Tenancy) -> None:
    line = ("tenant", "update", TENANT, "--allowed-host", "example.org", "--log-level", "debug", "--yes", "-o", "json")
    first, second = json.loads(tenancy(*line).out), json.loads(tenancy(*line).out)
    assert (first["changed"], first["fields"]) == (True, ["proxy", "logLevel"])
    assert (second["changed"], second["fields"], second["stands"]) == (False, [], True)
    assert tenancy.cluster.patched == [f"ActionsGateway {TENANT}"]


def test_the_document_of_an_update_is_as_kept(tenancy: Tenancy) -> None:
    answer = tenancy("tenant", "update", TENANT, "--no-access-log", "--min-proxies", "3", "--yes", "-o", "json")
    check_golden("tenant-update.json.txt", answer.out)


def test_a_file_is_wanted_as_it_stands(tenancy: Tenancy, tmp_path: Path) -> None:
    tenancy.gateway["spec"] |= {"logLevel": "debug", "proxy": {"allowedHosts": ["example.org"], "maxReplicas": 4}}
    wanted = {
        "gitHubURL": "https://github.com/octo/demo",
        "proxy": {"maxReplicas": 5},
        "runnerGroups": [{"name": "gpu", "runnerLabels": ["gpu", "big"]}],
    }
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump({"kind": "ActionsGateway", "metadata": {"name": TENANT}, "spec": wanted}))
    unnamed = tenancy("tenant", "update", TENANT, "--file", str(path), "--yes")
    assert unnamed.code == 2, "a running job is cut off, so the tenant is to be named"
    answer = tenancy("tenant", "update", TENANT, "--file", str(path), "--yes", "--confirm", TENANT)
    assert answer.code == 0, answer
    assert tenancy.gateway["spec"] == {**wanted, "gitHubAppRef": {"name": "github-app-v1"}}
    assert f"Runner group {TENANT}-cpu goes" in answer.err
    assert "1 running job of it is cut off" in answer.err


def test_a_file_that_does_not_speak_of_a_pause_ends_none(tenancy: Tenancy, tmp_path: Path) -> None:
    spec = tenancy.gateway["spec"]
    spec["paused"] = True
    spec["runnerGroups"][0]["suspended"] = True
    told = {key: value for key, value in spec.items() if key not in ("paused", "gitHubAppRef")} | {"logLevel": "debug"}
    told["runnerGroups"] = [{k: v for k, v in each.items() if k != "suspended"} for each in spec["runnerGroups"]]
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump({"kind": "ActionsGateway", "metadata": {"name": TENANT}, "spec": told}))
    answer = tenancy("tenant", "update", TENANT, "--file", str(path), "--yes", "--timeout", "2s")
    assert "+ spec.logLevel: debug" in answer.err, answer
    assert tenancy.gateway["spec"]["paused"] is True
    assert tenancy.gateway["spec"]["runnerGroups"][0]["suspended"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to change was named"),
        (["--runner-group", "cpu maxListeners=many"], "maxListeners is 'many', which is no whole number"),
        (["--runner-group", "cpu listeners=3"], "there is no field 'listeners'"),
        (["--runner-group", "cpu quotaRetryDelay=5"], "quotaRetryDelay"),
        (["--runner-group", "arm maxWorkers=3"], "runner group arm has no labels"),
        (["--runner-group", "gpu tiers=absent:8"], "no priority class absent"),
        (["--remove-runner-group", "cpx"], "team-a has no runner group cpx"),
        (["--remove-runner-group", "cpu", "--remove-runner-group", "gpu"], "no runner group would be left"),
        (["--runner-group", "cpu maxListeners=3", "--remove-runner-group", "cpu"], "to be changed and to be removed"),
        (["--allowed-host", "https://example.org"], "allowedHosts"),
        (["--remove-allowed-host", "example.org"], "example.org is no allowed host"),
        (["--min-proxies", "20"], "minReplicas must not exceed maxReplicas"),
        (["--security-profile", "lax"], "securityProfile"),
        (["--github-url", "github.com/octo"], "--github-url"),
        (["--access-log", "--timeout", "soon"], "--timeout"),
        (["--access-log", "--file", "gateway.yaml"], "a file and other options were given"),
        (["--file", "absent.yaml"], "absent.yaml cannot be read"),
    ],
)
def test_a_bad_wish_is_refused_by_its_name_before_anything_is_written(
    tenancy: Tenancy, arguments: list[str], words: str
) -> None:
    answer = tenancy("tenant", "update", TENANT, *arguments, "--yes")
    assert answer.code == 2, answer
    assert words in answer.err
    assert "Next:" in answer.err
    assert tenancy.cluster.patched == []


@pytest.mark.parametrize(
    ("spec", "metadata", "words"),
    [
        ({"gitHubAppRef": {"name": "another"}}, {}, f"gw key rotate {TENANT}"),
        ({"runnerGroup": []}, {}, "there is no field spec.runnerGroup"),
        ({}, {"name": "other"}, "the file is about the gateway other"),
        ({}, {"namespace": "team-b"}, "meant for the namespace team-b"),
    ],
)
def test_a_file_that_is_about_something_else_is_refused(
    tenancy: Tenancy, tmp_path: Path, spec: dict[str, Any], metadata: dict[str, str], words: str
) -> None:
    path = tmp_path / "gateway.yaml"
    whole = {**tenancy.gateway["spec"], **spec}
    path.write_text(yaml.safe_dump({"kind": "ActionsGateway", "metadata": metadata, "spec": whole}))
    answer = tenancy("tenant", "update", TENANT, "-f", str(path), "--yes")
    assert answer.code == 2, answer
    assert words in answer.err
    assert tenancy.cluster.patched == []


def test_an_export_holds_the_fields_that_change_and_writes_nothing(tenancy: Tenancy) -> None:
    answer = tenancy("tenant", "update", TENANT, "--runner-group", "cpu maxListeners=9", "--export")
    assert answer.code == 0, answer
    exported = yaml.safe_load(answer.out)
    assert exported["metadata"] == {"name": TENANT, "namespace": TENANT}
    assert list(exported["spec"]) == ["runnerGroups"]
    assert [entry.get("maxListeners") for entry in exported["spec"]["runnerGroups"]] == [9, None]
    assert tenancy.cluster.rehearsed == []


def test_certificate_authorities_come_with_their_reference(tenancy: Tenancy, ca_file: Path) -> None:
    answer = tenancy("tenant", "update", TENANT, "--ca-bundle-file", str(ca_file), "--yes")
    assert answer.code == 0, answer
    assert tenancy.gateway["spec"]["caBundleRef"] == {"name": "github-ca", "key": "ca.crt"}
    stored = tenancy.cluster.objects[r.CONFIGMAPS.plural, TENANT, "github-ca"]
    assert stored["data"] == {"ca.crt": ca_file.read_text()}
    assert "The agent starts anew once" in answer.err
    stored["data"]["ca.crt"] = "older"
    again = tenancy("tenant", "update", TENANT, "--ca-bundle-file", str(ca_file), "--yes")
    assert again.code == 0, again
    assert "gw restart agent team-a" in again.err


def test_without_a_manager_the_change_stands_and_is_awaited_in_vain(tenancy: Tenancy) -> None:
    tenancy.has_manager = False
    line = ("tenant", "update", TENANT, "--access-log", "--yes")
    answer = tenancy(*line, "--timeout", "5s")
    assert answer.code == 5, answer
    assert "it is written, and after 5 s the manager has not taken the change up" in answer.err
    assert "gw health --check manager.running" in answer.err
    tenancy.has_manager = True
    assert tenancy(*line).code == 0
    assert tenancy.cluster.patched == [f"ActionsGateway {TENANT}"]


# -- pause and resume


def test_a_pause_waits_until_no_session_is_open_and_a_resume_until_all_are(tenancy: Tenancy) -> None:
    tenancy.ends_jobs = False
    answer = tenancy("tenant", "pause", TENANT, answer="y\n")
    assert answer.code == 0, answer
    check_golden("tenant-pause.table.txt", answer.out + answer.err)
    assert tenancy.gateway["spec"]["paused"] is True
    assert tenancy.steps >= 2, "the manager's step, then the agent's"
    found = json.loads(tenancy("tenant", "show", TENANT, "-o", "json").out)
    assert (found["paused"], found["suspended_groups"]) == (True, [f"{TENANT}-cpu", f"{TENANT}-gpu"])

    answer = tenancy("tenant", "resume", TENANT, "--yes", "-o", "json")
    assert answer.code == 0, answer
    check_golden("tenant-resume.json.txt", answer.out)
    assert json.loads(answer.out)["active_sessions"] == 2


def test_one_group_is_suspended_alone(tenancy: Tenancy) -> None:
    answer = tenancy("tenant", "pause", TENANT, "--runner-group", "gpu", "--yes")
    assert answer.code == 0, answer
    cpu, gpu = tenancy.gateway["spec"]["runnerGroups"]
    assert ("suspended" in cpu, gpu["suspended"]) == (False, True)
    assert tenancy.group("cpu")["status"]["activeSessions"] == 1
    assert "suspended: team-a-gpu" in tenancy("tenant", "show", TENANT).out
    again = tenancy("tenant", "resume", TENANT, "--yes")
    assert "Still: gpu stay suspended" in again.out
    assert tenancy("tenant", "resume", TENANT, "--runner-group", "team-a-gpu", "--yes").code == 0
    assert tenancy.gateway["spec"]["runnerGroups"][1]["suspended"] is False


def test_a_pause_twice_writes_once(tenancy: Tenancy) -> None:
    assert tenancy("tenant", "pause", TENANT, "--yes").code == 0
    again = tenancy("tenant", "pause", TENANT, "--yes")
    assert again.code == 0
    assert "was already paused" in again.out
    assert tenancy.cluster.patched == [f"ActionsGateway {TENANT}"]


def test_a_resume_that_was_never_paused_writes_nothing(tenancy: Tenancy) -> None:
    assert tenancy("tenant", "resume", TENANT, "--yes").code == 0
    assert tenancy.cluster.patched == []


def test_without_an_agent_a_pause_is_awaited_in_vain_and_goes_on_later(tenancy: Tenancy) -> None:
    tenancy.has_agent = False
    for key in [key for key in tenancy.cluster.objects if key[0] == "pods" and "controller" in key[2]]:
        del tenancy.cluster.objects[key]
    answer = tenancy("tenant", "pause", TENANT, "--yes", "--timeout", "5s")
    assert answer.code == 5, answer
    assert "the agent has not taken the change of team-a-cpu" in answer.err
    assert "gw health team-a --check agent.available" in answer.err
    assert tenancy.gateway["spec"]["paused"] is True


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_dry_run_writes_nothing(tenancy: Tenancy, verb: str) -> None:
    tenancy.gateway["spec"]["paused"] = verb == "resume"
    answer = tenancy("tenant", verb, TENANT, "--dry-run")
    assert answer.code == 0, answer
    assert "Dry run: 1 object would be written" in answer.out
    assert tenancy.cluster.patched == []


def test_a_resume_while_contained_says_what_holds_it(tenancy: Tenancy) -> None:
    tenancy.gateway["metadata"]["annotations"] = {labels.CONTAINED: "INC-1"}
    tenancy.gateway["spec"]["paused"] = True
    answer = tenancy("tenant", "resume", TENANT, "--yes")
    assert answer.code == 0, answer
    assert "Still: It is contained" in answer.out
    assert "Unproven:" in answer.err


# -- refusals that all of them share

LINES = [
    ["tenant", "update", TENANT, "--access-log"],
    ["tenant", "pause", TENANT],
    ["runner-group", "scale", "cpu", "-n", TENANT, "--max-listeners", "9"],
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[1])
class TestEveryChange:
    def test_of_an_unknown_tenant_is_refused_with_the_nearest(self, tenancy: Tenancy, line: list[str]) -> None:
        answer = tenancy(*["team-q" if word == TENANT else word for word in line], "--yes")
        assert answer.code == 2, answer
        assert "there is no namespace team-q" in answer.err
        assert "Did you mean team-a?" in answer.err

    def test_without_a_terminal_is_refused(self, tenancy: Tenancy, line: list[str]) -> None:
        answer = tenancy(*line)
        assert answer.code == 2, answer
        assert "there is no terminal to ask on" in answer.err
        assert tenancy.cluster.patched == []

    def test_that_is_not_confirmed_writes_nothing(self, tenancy: Tenancy, line: list[str]) -> None:
        answer = tenancy(*line, answer="n\n")
        assert answer.code == 2, answer
        assert "was not confirmed" in answer.err
        assert tenancy.cluster.patched == []

    def test_without_the_right_is_refused_before_it_is_tried(self, tenancy: Tenancy, line: list[str]) -> None:
        tenancy.cluster.denied.add(("patch", "actionsgateways"))
        answer = tenancy(*line, "--yes")
        assert answer.code == 2, answer
        assert "you may not patch actionsgateways" in answer.err
        assert "gw-oncall" in answer.err
        assert tenancy.cluster.rehearsed == []

    def test_of_a_gateway_that_goes_is_refused(self, tenancy: Tenancy, line: list[str]) -> None:
        tenancy.gateway["metadata"]["deletionTimestamp"] = "2026-01-05T08:59:00Z"
        answer = tenancy(*line, "--yes")
        assert answer.code == 2, answer
        assert "is being deleted" in answer.err

    def test_of_what_gitops_keeps_is_left_to_git(self, tenancy: Tenancy, line: list[str]) -> None:
        tenancy.gateway["metadata"]["labels"] = {"argocd.argoproj.io/instance": "teams"}
        answer = tenancy(*line, "--yes")
        assert answer.code == 2, answer
        assert "Argo CD (application teams) keeps this" in answer.err
        assert yaml.safe_load(answer.out)["kind"] == "ActionsGateway"
        assert tenancy.cluster.patched == []

    def test_beside_somebody_elses_same_edit_is_refused(self, tenancy: Tenancy, line: list[str]) -> None:
        def edit(question: str) -> bool:
            spec = tenancy.gateway["spec"]
            tenancy.gateway["spec"] = {
                **spec,
                "paused": False,
                "proxy": {"accessLog": None},
                "runnerGroups": spec["runnerGroups"][1:],
            }
            tenancy.gateway["metadata"]["resourceVersion"] = "2"
            return True

        tenancy.gateway["metadata"]["resourceVersion"] = "1"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("gw.output.changes.PrintedChanges.confirm", lambda _, question: edit(question))
            answer = tenancy(*line, answer="y\n")
        assert answer.code == 2, answer
        assert "was changed meanwhile" in answer.err

    def test_that_meets_a_status_is_rehearsed_anew(
        self, tenancy: Tenancy, line: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The manager writes between plan and rehearsal, as it does whenever a job begins or ends."""
        send, versions = tenancy.cluster.patch, ["2"]

        async def patch(resource: r.Resource, name: str, patch: dict[str, Any], **options: Any) -> dict[str, Any]:
            if versions:
                tenancy.gateway["metadata"]["resourceVersion"] = versions.pop()
                tenancy.gateway["status"] = {**(tenancy.gateway.get("status") or {}), "observedGeneration": 7}
            return await send(resource, name, patch, **options)

        tenancy.gateway["metadata"]["resourceVersion"] = "1"
        monkeypatch.setattr(tenancy.cluster, "patch", patch)
        answer = tenancy(*line, "--yes", "--dry-run")
        assert answer.code == 0, answer
        assert not versions

    def test_whose_connection_breaks_says_what_may_stand_and_goes_on(self, tenancy: Tenancy, line: list[str]) -> None:
        write = tenancy.cluster.patch

        async def lost(*arguments: Any, **how: Any) -> Any:
            result = await write(*arguments, **how)
            if not how.get("dry_run"):
                raise errors.Unreachable("the connection broke before the answer came")
            return result

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(tenancy.cluster, "patch", lost)
            answer = tenancy(*line, "--yes")
        assert answer.code == 3, answer
        assert "it may have been written all the same" in answer.err
        assert tenancy(*line, "--yes").code == 0
        assert tenancy.cluster.patched == [f"ActionsGateway {TENANT}"]
