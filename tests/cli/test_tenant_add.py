"""gw tenant add: what it proves, plans, asks and writes, and what it says of what is there already."""

import base64
import json

import pytest
import yaml

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gateway_sandbox.certificates import SandboxCertificates

from .objects import gateway, namespace
from .onboarding import CPU, GPU, KEY, NAMES, OTHER_KEY, Onboarding
from .rig import check_golden


def test_a_tenant_without_a_runner_group_is_refused_since_it_could_run_nothing(add: Onboarding) -> None:
    answer = add(groups=())
    assert answer.code == 2
    assert "no runner group was named" in answer.err
    assert "--runner-group" in answer.err
    assert add.cluster.created == []


def test_a_tenant_is_written_in_order_and_ends_ready(add: Onboarding) -> None:
    answer = add()
    assert answer.code == 0, answer
    assert add.cluster.created == NAMES
    assert answer.out == "Tenant team-a is Ready: 1 session open for 1 runner group.\n"
    assert "gw health team-a" in answer.err


def test_everything_is_proven_and_rehearsed_before_anything_is_written(add: Onboarding) -> None:
    answer = add()
    told = answer.err.splitlines()
    proven = max(index for index, line in enumerate(told) if line.startswith("proven"))
    written = min(index for index, line in enumerate(told) if line.startswith("created"))
    assert proven < written
    assert add.cluster.rehearsed == NAMES
    (query,) = add.gw.github.queries
    assert query.github_url == "https://github.com/octo/demo"


def test_the_secret_is_immutable_and_holds_what_the_agent_reads(add: Onboarding) -> None:
    add()
    secret = add.cluster.objects["secrets", "team-a", "github-app-v1"]
    assert secret["immutable"] is True
    texts = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert texts == {"appId": "1234", "installationId": "5678", "privateKey": KEY}


def test_groups_and_tiers_arrive_in_the_spec(add: Onboarding) -> None:
    for name in ("critical", "standard"):
        add.cluster.put({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}})
    assert add(groups=(CPU, GPU)).code == 0
    assert add.cluster.objects["actionsgateways", "team-a", "team-a"]["spec"]["runnerGroups"] == [
        {"name": "cpu", "runnerLabels": ["self-hosted", "linux"], "maxWorkers": 30},
        {
            "name": "gpu",
            "runnerLabels": ["self-hosted", "gpu"],
            "priorityTiers": [
                {"priorityClassName": "critical", "threshold": 5},
                {"priorityClassName": "standard", "threshold": 20},
            ],
        },
    ]


def test_quota_and_ca_bundle_are_objects_of_their_own(add: Onboarding) -> None:
    ca_path = SandboxCertificates.create(add.folder / "certificates").ca_path
    answer = add("--quota", "pods=50,requests.cpu=100", "--ca-bundle-file", str(ca_path))
    assert answer.code == 0, answer
    hard = add.cluster.objects["resourcequotas", "team-a", "tenant-quota"]["spec"]["hard"]
    assert hard == {"pods": "50", "requests.cpu": "100"}
    spec = add.cluster.objects["actionsgateways", "team-a", "team-a"]["spec"]
    assert spec["caBundleRef"] == {"name": "github-ca", "key": "ca.crt"}
    assert add.cluster.objects["configmaps", "team-a", "github-ca"]["data"]["ca.crt"] == ca_path.read_text()
    assert add.gw.github.queries[0].ca_bundle == ca_path


def test_a_gateway_file_is_the_base_and_options_win(add: Onboarding) -> None:
    file = add.folder / "gateway.yaml"
    manifest = gateway(name="fromfile", spec={"logLevel": "debug", "paused": False})
    manifest.pop("status")
    file.write_text(yaml.safe_dump(manifest))
    answer = add("--file", str(file))
    assert answer.code == 0, answer
    spec = add.cluster.objects["actionsgateways", "team-a", "fromfile"]["spec"]
    assert spec["logLevel"] == "debug"
    assert [group["name"] for group in spec["runnerGroups"]] == ["cpu"]
    assert spec["gitHubURL"] == "https://github.com/octo/demo"


def test_the_document_names_every_object(add: Onboarding) -> None:
    document = json.loads(add("-o", "json").out)
    assert document["version"] == "gw/v1"
    assert [(entry["kind"], entry["action"]) for entry in document["objects"]] == [
        ("Namespace", "create"),
        ("Secret", "create"),
        ("ActionsGateway", "create"),
    ]
    assert (document["ready"], document["changed"], document["dry_run"]) == (True, True, False)


# -- doing it again


def test_the_second_time_changes_nothing_and_says_so(add: Onboarding) -> None:
    add()
    add.cluster.created.clear()
    answer = add("--no-yes")
    assert answer.code == 0, answer
    assert add.cluster.created == []
    assert "was there already and is Ready" in answer.out
    assert "there is nothing to write" in answer.err


def test_an_interrupted_run_is_continued(add: Onboarding) -> None:
    add.cluster.refusals["create", "actionsgateways"] = errors.Unreachable("the API server gives no answer")
    first = add()
    assert first.code == 3
    assert "written so far: nothing" not in first.err
    add.cluster.refusals.clear()
    add.cluster.created.clear()
    assert add().code == 0
    assert add.cluster.created[-1] == "ActionsGateway team-a"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runner-group", "arm labels=arm64"], "exists with other settings (runnerGroups)"),
        (["--gateway-name", "second"], "already has the gateway team-a"),
        (["--github-url", "https://github.com/other/demo"], "exists with other settings (gitHubURL)"),
    ],
    ids=["another group", "another gateway", "another URL"],
)
def test_a_tenant_with_other_settings_is_refused(add: Onboarding, arguments: list[str], said: str) -> None:
    add()
    add.cluster.created.clear()
    answer = add(*arguments)
    assert answer.code == 2, answer
    assert said in answer.err
    assert "Next:  " in answer.err
    assert add.cluster.created == []


def test_a_tenant_with_another_key_is_refused_with_the_way_to_rotate(add: Onboarding) -> None:
    add()
    add.cluster.created.clear()
    add.key_file.write_text(OTHER_KEY)
    answer = add()
    assert answer.code == 2
    assert "exists with another App credential (Secret github-app-v1)" in answer.err
    assert "`gw key rotate team-a --private-key-file FILE`" in answer.err
    assert add.cluster.created == []


def test_a_leftover_secret_with_another_key_is_left_alone(add: Onboarding) -> None:
    add()
    del add.cluster.objects["actionsgateways", "team-a", "team-a"]
    add.key_file.write_text(OTHER_KEY)
    assert add().code == 0
    assert add.cluster.names(r.SECRETS) == ["github-app-v1", "github-app-v2"]
    assert add.cluster.objects["actionsgateways", "team-a", "team-a"]["spec"]["gitHubAppRef"]["name"] == "github-app-v2"


# -- interrupts


def test_an_interrupt_while_waiting_says_what_was_written_and_what_goes_on_from_there(add: Onboarding) -> None:
    add.cluster.on_create = lambda _: None

    def interrupt() -> None:
        raise KeyboardInterrupt

    add.gw.clock.on_sleep = interrupt
    answer = add()
    assert answer.code == 130, answer
    assert f"Interrupted; written so far: {', '.join(NAMES)}.\n" in answer.err
    assert "Next:  Run the same command again" in answer.err


def test_the_end_of_input_at_the_question_is_a_no_on_a_line_of_its_own(add: Onboarding) -> None:
    answer = add(answer="")
    assert answer.code == 2
    assert "[y/N] \nError: the plan was not confirmed" in answer.err


# -- names that are taken


def test_a_namespace_of_somebody_else_is_refused_unless_it_is_meant(add: Onboarding) -> None:
    add.cluster.put(namespace())
    refused = add()
    assert refused.code == 2
    assert "exists and nothing says that it is meant for a tenant" in refused.err
    assert "--use-existing-namespace" in refused.err
    assert add.cluster.created == []
    assert add("--use-existing-namespace").code == 0
    assert "Namespace team-a" not in add.cluster.created


def test_a_namespace_that_is_marked_for_tenants_needs_no_option(add: Onboarding) -> None:
    add.cluster.put(namespace(labels={"actions-gateway.github.com/tenant": "true"}))
    assert add().code == 0


def test_a_namespace_on_its_way_out_is_refused(add: Onboarding) -> None:
    add.cluster.put(namespace(deletionTimestamp="2026-01-05T08:59:00Z"))
    answer = add()
    assert answer.code == 2
    assert "is being deleted" in answer.err


@pytest.mark.parametrize("name", ["kube-system", "default", "gmc-system", "kube-node-lease", "kube-anything"])
def test_a_reserved_namespace_is_refused(add: Onboarding, name: str) -> None:
    answer = add(name)
    assert answer.code == 2
    assert "reserved" in answer.err
    assert add.cluster.created == []


# -- asking


def test_a_person_says_no(add: Onboarding) -> None:
    answer = add(answer="n\n")
    assert answer.code == 2
    assert "Write these 3 objects? [y/N]" in answer.err
    assert add.cluster.created == []


def test_a_person_says_yes(add: Onboarding) -> None:
    assert add(answer="y\n").code == 0
    assert add.cluster.created == NAMES


def test_without_a_terminal_and_without_yes_nothing_is_written(add: Onboarding) -> None:
    answer = add("--no-yes")
    assert answer.code == 2
    assert "--yes" in answer.err
    assert add.cluster.created == []


def test_a_dry_run_shows_the_plan_and_writes_nothing(add: Onboarding) -> None:
    answer = add("--dry-run", "--quota", "pods=5")
    assert answer.code == 0
    assert add.cluster.created == []
    assert add.cluster.rehearsed == ["Namespace team-a"]
    assert "4 objects would be written" in answer.out
    assert "Unproven: the API server's checks of the objects inside of the namespace" in answer.err
    for name in (*NAMES, "ResourceQuota tenant-quota"):
        assert name.split()[1] in answer.err


def test_an_export_needs_no_cluster_and_holds_no_key(add: Onboarding) -> None:
    add.gw.opening = AssertionError("the cluster was asked")
    answer = add("--export", "--quota", "pods=5")
    assert answer.code == 0, answer
    documents = [document for document in yaml.safe_load_all(answer.out) if document]
    assert [document["kind"] for document in documents] == ["Namespace", "ResourceQuota", "ActionsGateway"]
    assert documents[2]["spec"]["gitHubAppRef"] == {"name": "github-app-v1"}
    assert "kubectl create secret generic github-app-v1 -n team-a" in answer.out
    assert add.gw.github.queries == []
    check_golden("tenant-add-export.txt", answer.out.replace(str(add.folder), "FOLDER"))
