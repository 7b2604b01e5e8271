"""What a condition of a page comes to, by how its command ends: kubectl's own words tell a no from no answer."""

from pathlib import Path

import pytest

from gw.ops.runbook.judging import Judgement, judge
from gw.ops.runbook.shell import Bash, Probe, ShellTarget
from support.components import require_kubectl
from support.kubectl import kubectl_folder

KUBECTL = "kubectl get actionsgateway a -n a -o name"
NOT_FOUND = 'Error from server (NotFound): actionsgateways.actions-gateway.github.com "a" not found\n'


@pytest.mark.parametrize(
    ("code", "judgement"),
    [
        (0, Judgement.HOLDS),
        (1, Judgement.FAILS),
        (2, Judgement.FAILS),
        (3, Judgement.UNASKED),
        (4, Judgement.REJECTED),
        (5, Judgement.LATE),
        (127, Judgement.UNASKED),
        (-9, Judgement.UNASKED),
    ],
)
def test_gw_says_it_by_its_exit_code(code: int, judgement: Judgement) -> None:
    assert judge("gw health team-a", Probe(code, "")) is judgement
    assert judge('open=$(gw incident list -o short); echo "$open" | grep a', Probe(code, "")) is judgement


@pytest.mark.parametrize(
    ("errors", "judgement"),
    [
        ("", Judgement.FAILS),
        (NOT_FOUND, Judgement.FAILS),
        ("No resources found in a namespace.\n", Judgement.FAILS),
        ("Warning: v1 Endpoints is deprecated\n", Judgement.FAILS),
        ("error: no matching resources found\n", Judgement.FAILS),
        ("error: timed out waiting for the condition on runnergroups/a-b\n", Judgement.LATE),
        (f"E1129 17:00:00.000000 1 memcache.go:287] couldn't get resource list\n{NOT_FOUND}", Judgement.FAILS),
        ('Error from server (Forbidden): actionsgateways "a" is forbidden: User "b" cannot get\n', Judgement.UNASKED),
        ("Error from server (InternalError): an error on the server\n", Judgement.UNASKED),
        ("Error from server (NotFound): the server could not find the requested resource\n", Judgement.UNASKED),
        ('error: the server doesn\'t have a resource type "actionsgateway"\n', Judgement.UNASKED),
        ("The connection to the server 127.0.0.1:1 was refused - did you specify the right host?\n", Judgement.UNASKED),
        ("Unable to connect to the server: dial tcp: lookup no.example\n", Judgement.UNASKED),
        (f"{NOT_FOUND}Unable to connect to the server: EOF\n", Judgement.UNASKED),
        ("error: You must be logged in to the server (Unauthorized)\n", Judgement.REJECTED),
    ],
)
def test_kubectl_says_it_by_its_words(errors: str, judgement: Judgement) -> None:
    assert judge(KUBECTL, Probe(1, errors, errors)) is judgement
    assert judge(f'found=$({KUBECTL}); test -z "$found"', Probe(1, errors, errors)) is judgement
    assert judge(KUBECTL, Probe(0, errors, errors)) is Judgement.HOLDS


@pytest.mark.parametrize(
    ("command", "code", "judgement"),
    [
        ("test -s file", 1, Judgement.FAILS),
        ("ls *.whl", 2, Judgement.FAILS),
        ("buildah inspect image", 125, Judgement.FAILS),
        ("buildah inspect image", 127, Judgement.UNASKED),
        (KUBECTL, 127, Judgement.UNASKED),
    ],
)
def test_of_other_programs_it_matters_whether_they_were_run(command: str, code: int, judgement: Judgement) -> None:
    assert judge(command, Probe(code, "it says no\n", "")) is judgement


def test_a_server_that_is_not_there_leaves_it_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_kubectl()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{kubectl_folder(tmp_path)}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for command in (
        "kubectl --server=http://127.0.0.1:1 get pod a",
        "kubectl --server=http://127.0.0.1:1 get pods -o name | grep -x true",
        'left=$(kubectl --server=http://127.0.0.1:1 get pod a --ignore-not-found -o name); test -z "$left"',
    ):
        assert judge(command, Bash(ShellTarget()).probe(command)) is Judgement.UNASKED
