"""gw tenant add: what it refuses, and that a refusal leaves nothing behind."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import CredentialsRejected

from .objects import namespace
from .onboarding import CPU, GPU, Onboarding, pem


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
