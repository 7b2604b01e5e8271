"""gw tenant add: what it proves, plans, asks, writes, takes back, and what it refuses."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actions_gateway.api.conditions import Reason
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gateway_sandbox.certificates import SandboxCertificates
from gw.errors import CredentialsRejected

from .double import ClusterDouble
from .objects import agent_available, credential_missing, gateway, namespace, ready, runner_group
from .rig import Answer, Gw, check_golden

Manifest = dict[str, Any]

CPU = "cpu labels=self-hosted,linux maxWorkers=30"
GPU = "gpu labels=self-hosted,gpu tiers=critical:5,standard:20"
NAMES = ["Namespace team-a", "Secret github-app-v1", "ActionsGateway team-a"]


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY, OTHER_KEY = (pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)) for _ in range(2))
SECRET_LINES = [line for line in (KEY + OTHER_KEY).splitlines() if not line.startswith("-----")]
SECRET_LINES += [base64.b64encode(key.encode()).decode()[40:120] for key in (KEY, OTHER_KEY)]


@dataclass
class Onboarding:
    """gw, a key file, and a manager that makes every new gateway Ready."""

    gw: Gw
    folder: Path

    @property
    def key_file(self) -> Path:
        return self.folder / "app.pem"

    def __call__(self, *arguments: str, groups: tuple[str, ...] = (CPU,), **how: Any) -> Answer:
        """`gw tenant add team-a` with what it needs; `--yes` unless the test answers for itself."""
        options = ["--app-id", "1234", "--installation-id", "5678", "--private-key-file", str(self.key_file)]
        if "--file" not in arguments:
            options += ["--github-url", "https://github.com/octo/demo"]
        for group in groups:
            options += ["--runner-group", group]
        if "answer" not in how and "--no-yes" not in arguments:
            options.append("--yes")
        given = [argument for argument in arguments if argument != "--no-yes"]
        name = "team-a" if not given or given[0].startswith("-") else given.pop(0)
        answer = self.gw("tenant", "add", name, *options, *given, **how)
        assert [line for line in SECRET_LINES if line in answer.out + answer.err] == []
        assert "Traceback" not in answer.err
        return answer

    @property
    def cluster(self) -> ClusterDouble:
        return self.gw.cluster


def manager_makes_ready(cluster: ClusterDouble) -> Callable[[Manifest], None]:
    """What manager and agent do with a new gateway: a RunnerGroup with an open session for each entry, and Ready."""

    def on_create(manifest: Manifest) -> None:
        if manifest["kind"] != "ActionsGateway":
            return
        metadata = manifest["metadata"]
        made = gateway(metadata["namespace"], metadata["name"], spec=manifest["spec"])
        cluster.put({**manifest, "status": made["status"]})
        for entry in manifest["spec"].get("runnerGroups", []):
            cluster.put(
                runner_group(
                    metadata["namespace"],
                    entry["name"],
                    runner_labels=tuple(entry["runnerLabels"]),
                    gateway_name=metadata["name"],
                )
            )

    return on_create


@pytest.fixture
def add(tmp_path: Path) -> Onboarding:
    onboarding = Onboarding(Gw(), tmp_path)
    onboarding.key_file.write_text(KEY)
    onboarding.cluster.on_create = manager_makes_ready(onboarding.cluster)
    return onboarding


# -- the good path


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
    assert add.cluster.rehearsed == ["Namespace team-a", *NAMES]
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
    assert "spec.gitHubAppRef.name" in answer.err
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


# -- GitHub


def test_a_key_that_github_rejects_exits_with_4_and_writes_nothing(add: Onboarding) -> None:
    add.gw.github.answer = CredentialsRejected(
        "github.com does not accept this private key for the App 1234", "Name one."
    )
    answer = add()
    assert answer.code == 4
    assert add.cluster.created == []
    assert add.gw.targets == []


def test_skipping_the_check_says_what_is_unproven(add: Onboarding) -> None:
    answer = add("--skip-github-check")
    assert answer.code == 0
    assert add.gw.github.queries == []
    assert "Unproven: that GitHub accepts the key" in answer.err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("hello\n", 4, "no PEM file"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nbm90IGEga2V5\n-----END RSA PRIVATE KEY-----\n",
            4,
            "is damaged",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1())), 4, "not an RSA key"),
        (None, 2, "does not exist"),
    ],
    ids=["no PEM", "damaged", "an elliptic curve", "no file"],
)
def test_a_file_that_is_no_key_is_refused_without_showing_it(
    add: Onboarding, text: str | None, code: int, said: str
) -> None:
    add.key_file.unlink()
    if text is not None:
        add.key_file.write_text(text)
    answer = add()
    assert answer.code == code, answer
    assert said in answer.err
    assert str(add.key_file) in answer.err
    assert "bm90IGEga2V5" not in answer.err
    assert add.cluster.created == []
    assert add.gw.github.queries == []


# -- wrong wishes


@pytest.mark.parametrize(
    ("arguments", "groups", "said"),
    [
        (["Team_A"], (CPU,), "cannot be a namespace's name"),
        (["--app-id", "a b"], (CPU,), "--app-id must hold"),
        (["--installation-id", "x"], (CPU,), "--installation-id must hold"),
        (["--github-url", "http://github.com/octo"], (CPU,), "must start with https://"),
        (["--github-url", "https://github.com"], (CPU,), "must name an organization"),
        (["--quota", "pods"], (CPU,), "'pods' is not RESOURCE=QUANTITY"),
        (["--quota", "pods=many"], (CPU,), "'many' is no Kubernetes quantity"),
        (["--timeout", "soon"], (CPU,), "--timeout: 'soon' is no duration"),
        (["--gateway-name", "g" * 60], (CPU,), "at most 62 characters"),
        (["--file", "/nonexistent.yaml"], (CPU,), "/nonexistent.yaml cannot be read"),
        ([], ("cpu",), "has no labels"),
        ([], ("labels=a",), "does not begin with a name"),
        ([], ("cpu labels",), "'labels' is not KEY=VALUE"),
        ([], ("cpu labels=a sizes=3",), "there is no field 'sizes'"),
        ([], ("cpu labels=a maxWorkers=lots",), "'lots', which is no whole number"),
        ([], ("cpu labels=a maxWorkers=0",), "maxWorkers"),
        ([], ("cpu labels=a tiers=critical",), "is not CLASS:THRESHOLD"),
        ([], ("cpu labels=a tiers=c:5,d:2",), "strictly ascending"),
        ([], ("CPU labels=a",), "name"),
        ([], (CPU, CPU), "unique names"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list | tuple) else "",
)
def test_a_wish_that_cannot_be_is_refused_before_anybody_is_asked(
    add: Onboarding, arguments: list[str], groups: tuple[str, ...], said: str
) -> None:
    answer = add(*arguments, groups=groups)
    assert answer.code == 2, answer
    assert said in answer.err
    assert add.gw.github.queries == []
    assert add.gw.targets == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spec: [", "line 1 is no YAML"),
        ("kind: Deployment\n", "not an ActionsGateway"),
        ("a: 1\n---\nb: 2\n", "2 documents"),
        ("kind: ActionsGateway\nspec:\n  runerGroups: []\n", "there is no field spec.runerGroups"),
        (
            "kind: ActionsGateway\nspec:\n  runnerGroups:\n  - {name: a, runnerLabels: [b], maxWorkrs: 3}\n",
            "there is no field spec.runnerGroups[0].maxWorkrs",
        ),
        ("kind: ActionsGateway\nmetadata: {namespace: team-z}\nspec: {}\n", "meant for the namespace team-z"),
        ("kind: ActionsGateway\nspec: {}\n", "nobody said whose jobs to run"),
    ],
    ids=["no YAML", "another kind", "two documents", "unknown field", "unknown nested field", "other tenant", "no URL"],
)
def test_a_gateway_file_that_is_wrong_is_refused_by_field(add: Onboarding, text: str, said: str) -> None:
    file = add.folder / "gateway.yaml"
    file.write_text(text)
    answer = add("--file", str(file))
    assert answer.code == 2, answer
    assert said in answer.err


def test_a_ca_bundle_without_certificates_is_refused(add: Onboarding) -> None:
    file = add.folder / "ca.crt"
    file.write_text("hello")
    answer = add("--ca-bundle-file", str(file))
    assert answer.code == 2
    assert "holds no certificate" in answer.err


def test_a_priority_class_that_the_cluster_lacks_is_refused_with_those_it_has(add: Onboarding) -> None:
    add.cluster.put({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "standard"}})
    answer = add(groups=(GPU,))
    assert answer.code == 2
    assert "no priority class critical, which a tier names (it has: standard)" in answer.err
    assert add.cluster.created == []


def test_priority_classes_that_one_may_not_read_are_told_as_unproven(add: Onboarding) -> None:
    add.cluster.refusals["list", "priorityclasses"] = errors.Forbidden("cannot list priorityclasses", status=403)
    answer = add(groups=(GPU,))
    assert answer.code == 0
    assert "Unproven: whether the priority classes critical, standard exist" in answer.err


# -- writing that fails


def test_what_the_server_refuses_inside_the_namespace_takes_the_namespace_back(add: Onboarding) -> None:
    message = 'admission webhook "policy" denied the request: no gateways on Fridays.'
    add.cluster.refusals["create", "actionsgateways"] = errors.Forbidden(message, status=403)
    answer = add()
    assert answer.code == 2
    assert "no gateways on Fridays" in answer.err
    assert add.cluster.created == ["Namespace team-a"]
    assert add.cluster.deleted == ["Namespace team-a"]
    assert add.cluster.names(r.NAMESPACES) == []


def test_a_refusal_in_the_rehearsal_writes_nothing_at_all(add: Onboarding) -> None:
    add.cluster.refusals["create", "namespaces"] = errors.Forbidden(
        'User "eve" cannot create resource "namespaces"', status=403
    )
    answer = add()
    assert answer.code == 2
    assert 'User "eve" cannot create resource "namespaces"' in answer.err
    assert (add.cluster.created, add.cluster.deleted) == ([], [])


def test_somebody_else_who_is_faster_is_left_alone(add: Onboarding) -> None:
    taken = errors.AlreadyExists('actionsgateways "team-a" already exists', status=409)
    add.cluster.refusals["create", "actionsgateways"] = taken
    answer = add()
    assert answer.code == 2
    assert "the ActionsGateway team-a has appeared meanwhile" in answer.err
    assert add.cluster.names(r.NAMESPACES) == []


def test_what_cannot_be_taken_back_is_named(add: Onboarding) -> None:
    add.cluster.refusals["create", "actionsgateways"] = errors.Forbidden("no", status=403)
    add.cluster.refusals["delete", "namespaces"] = errors.Forbidden("not yours", status=403)
    answer = add()
    assert answer.code == 2
    assert "Namespace team-a could not be taken back: not yours" in answer.err


def test_a_secret_that_one_may_not_read_leaves_gw_blind(add: Onboarding) -> None:
    add.cluster.put(namespace(labels={"actions-gateway.github.com/tenant": "true"}))
    add.cluster.refusals["get", "secrets"] = errors.Forbidden('User "eve" cannot get resource "secrets"', status=403)
    answer = add()
    assert answer.code == 3
    assert 'User "eve" cannot get resource "secrets"' in answer.err
    assert add.cluster.created == []


def test_an_unreachable_cluster_writes_nothing_and_exits_with_3(add: Onboarding) -> None:
    add.cluster.refusals["*", "*"] = errors.Unreachable(
        "the Kubernetes API server at https://x gives no answer: refused"
    )
    answer = add()
    assert answer.code == 3
    assert "gives no answer" in answer.err
    assert add.cluster.created == []


def test_a_cluster_without_the_types_writes_nothing(add: Onboarding) -> None:
    add.cluster.served = ()
    answer = add()
    assert answer.code == 3
    assert "does not serve actions-gateway.github.com" in answer.err
    assert add.cluster.created == []


# -- waiting


def status_of(add: Onboarding, conditions: list[Manifest]) -> None:
    """The manager reports these conditions instead of Ready."""

    def on_create(manifest: Manifest) -> None:
        if manifest["kind"] == "ActionsGateway":
            add.cluster.put({**manifest, "status": {"observedGeneration": 1, "conditions": conditions}})

    add.cluster.on_create = on_create


def test_a_tenant_that_does_not_become_ready_exits_with_5_and_the_reason(add: Onboarding) -> None:
    status_of(add, [ready("False", Reason.AGC_NOT_READY, "the agent has no ready pod: quota exceeded")])
    answer = add("--timeout", "20s")
    assert answer.code == 5
    assert "team-a is not Ready after 20 s (AGCNotReady: the agent has no ready pod: quota exceeded)" in answer.err
    assert "gw health team-a" in answer.err
    assert add.cluster.created == NAMES


def test_without_a_manager_the_next_step_is_the_manager(add: Onboarding) -> None:
    add.cluster.on_create = lambda _: None
    answer = add("--timeout", "5s")
    assert answer.code == 5
    assert "no manager has reported on the gateway yet" in answer.err
    assert "--check manager.running" in answer.err


def test_a_key_that_the_agent_finds_rejected_ends_the_wait_at_once_with_4(add: Onboarding) -> None:
    status_of(
        add,
        [
            ready("False", Reason.KEY_REJECTED, "x"),
            agent_available(),
            credential_missing("True", Reason.KEY_REJECTED, "GitHub does not accept the key"),
        ],
    )
    answer = add("--skip-github-check")
    assert answer.code == 4
    assert "KeyRejected: GitHub does not accept the key" in answer.err
    assert add.gw.clock.slept_seconds < 5


def test_a_gateway_that_the_manager_does_not_serve_ends_the_wait_at_once(add: Onboarding) -> None:
    status_of(add, [ready("False", Reason.ANOTHER_GATEWAY, "older serves this namespace")])
    answer = add()
    assert answer.code == 2
    assert "older serves this namespace" in answer.err


def test_progress_is_told_once_each_as_it_becomes_true(add: Onboarding) -> None:
    status_of(add, [ready("False", Reason.AGC_NOT_READY, "starting")])
    play = manager_makes_ready(add.cluster)

    def world() -> None:
        if add.gw.clock.slept_seconds >= 1:
            play(add.cluster.objects["actionsgateways", "team-a", "team-a"])

    add.gw.clock.on_sleep = world
    answer = add()
    assert answer.code == 0
    reached = [line.split(maxsplit=1)[1] for line in answer.err.splitlines() if line.startswith("ready ")]
    assert reached == [
        "the agent is available",
        "GitHub accepts the App credential",
        "runner group team-a-cpu has an open session",
        "gateway team-a is Ready",
    ]
    assert answer.err.count("AGCNotReady: starting") == 1
