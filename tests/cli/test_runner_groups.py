"""`gw runner-group show|scale`, and what the shell completes."""

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actions_gateway.kube import errors
from gw.commandline import run
from gw.surroundings import Surroundings

from .objects import gateway, moment
from .rig import check_golden
from .tenancy import CPU, GPU, TENANT, Tenancy

SCALE = ("runner-group", "scale", "cpu", "-n", TENANT)


@pytest.fixture
def tenancy() -> Tenancy:
    return Tenancy()


def quota(hard: dict[str, str], used: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tenant-quota", "namespace": TENANT},
        "spec": {"hard": hard},
        "status": {"hard": hard, "used": used or dict.fromkeys(hard, "0")},
    }


def test_bounds_are_patched_in_the_gateway_and_awaited_at_the_agent(tenancy: Tenancy) -> None:
    answer = tenancy(*SCALE, "--max-listeners", "9", "--max-workers", "40", answer="y\n")
    assert answer.code == 0, answer
    check_golden("runner-group-scale.table.txt", answer.out + answer.err)
    cpu, gpu = tenancy.gateway["spec"]["runnerGroups"]
    assert (cpu, gpu) == ({**CPU, "maxListeners": 9, "maxWorkers": 40}, GPU)
    assert tenancy.group("cpu")["spec"]["maxWorkers"] == 40
    assert tenancy.steps >= 2, "the manager's step, then the agent's"


def test_the_document_of_a_scaling_is_as_kept_and_a_second_time_changes_nothing(tenancy: Tenancy) -> None:
    line = ("runner-group", "scale", "team-a-gpu", "-n", TENANT, "--tier", "critical:4,low:16", "--yes", "-o", "json")
    answer = tenancy(*line)
    check_golden("runner-group-scale.json.txt", answer.out)
    again = json.loads(tenancy(*line).out)
    assert (again["changed"], again["stands"], again["worker_ceiling"]) == (False, True, 16)


def test_the_last_tier_moves_the_ceiling_that_is_written_beside_it(tenancy: Tenancy) -> None:
    tenancy.gateway["spec"]["runnerGroups"][1]["maxWorkers"] = 8
    assert tenancy("runner-group", "scale", "gpu", "-n", TENANT, "--tier", "low:12", "--yes").code == 0
    stored = tenancy.gateway["spec"]["runnerGroups"][1]
    assert (stored["maxWorkers"], stored["priorityTiers"]) == (12, [{"priorityClassName": "low", "threshold": 12}])


def test_a_quota_that_cannot_hold_it_is_warned_of_before_and_after(tenancy: Tenancy) -> None:
    tenancy.cluster.put(quota({"pods": "25"}))
    answer = tenancy(*SCALE, "--max-workers", "30", "--yes")
    assert answer.code == 0, answer
    words = "quota tenant-quota does not hold all ceilings: their workers take 38 of pods, and it has 25"
    assert words in answer.err
    assert f"Warning: {words}." in answer.out
    tenancy.cluster.refusals["list", "resourcequotas"] = errors.Forbidden("resourcequotas is forbidden", status=403)
    answer = tenancy(*SCALE, "--max-workers", "31", "--yes")
    assert "Unproven: whether the quotas hold the ceilings" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no new bound of cpu was named"),
        (["--max-listeners", "many"], "--max-listeners"),
        (["--max-listeners", "0"], "maxListeners"),
        (["--max-workers", "5000"], "maxWorkers"),
        (["--tier", "critical"], "is not CLASS:THRESHOLD"),
        (["--tier", "critical:x"], "no whole number"),
        (["--tier", "low:5", "--tier", "critical:2"], "strictly ascending"),
        (["--tier", "absent:5"], "no priority class absent"),
        (["--max-workers", "30", "--timeout", "1 day"], "--timeout"),
    ],
)
def test_a_bad_bound_is_refused_by_its_name(tenancy: Tenancy, arguments: list[str], words: str) -> None:
    answer = tenancy(*SCALE, *arguments, "--yes")
    assert answer.code == 2, answer
    assert words in answer.err
    assert tenancy.cluster.patched == []


def test_a_ceiling_beside_tiers_is_refused(tenancy: Tenancy) -> None:
    answer = tenancy("runner-group", "scale", "gpu", "-n", TENANT, "--max-workers", "12", "--yes")
    assert answer.code == 2, answer
    assert "has tiers (critical:2, low:8)" in answer.err
    assert "--tier CLASS:THRESHOLD" in answer.err


@pytest.mark.parametrize("verb", ["show", "scale"])
def test_an_unknown_group_is_refused_with_the_nearest(tenancy: Tenancy, verb: str) -> None:
    answer = tenancy("runner-group", verb, "cpus", "-n", TENANT, *(["--max-workers", "3"] if verb == "scale" else []))
    assert answer.code == 2, answer
    assert "team-a has no runner group cpus" in answer.err
    assert ("Did you mean cpu?" if verb == "scale" else "Its runner groups are: team-a-cpu, team-a-gpu.") in answer.err


def test_without_a_tenant_none_is_guessed(tenancy: Tenancy) -> None:
    answer = tenancy("runner-group", "show", "cpu")
    assert answer.code == 2
    assert "gw runner-group show GROUP -n NAME" in answer.err


@pytest.mark.parametrize("output", ["table", "json", "short"])
def test_one_group_is_shown_as_kept(tenancy: Tenancy, output: str) -> None:
    waiting = {"reason": "quota", "jobs": 2, "since": moment(300), "message": "quota tenant-quota, key pods: full"}
    tenancy.group("cpu")["status"] |= {"pendingJobs": 2, "waiting": [waiting]}
    answer = tenancy("runner-group", "show", "cpu", "-n", TENANT, "-o", output)
    assert answer.code == 0, answer
    check_golden(f"runner-group-show.{output}.txt", answer.out)


# -- completion


def complete(tenancy: Tenancy, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What bash gets for a line whose last word is to be completed (typer, completion of shells)."""
    words = line.split(" ")
    monkeypatch.setenv("_GW_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))

    @asynccontextmanager
    async def open_cluster(_: Any) -> AsyncIterator[Any]:
        yield tenancy.cluster

    with pytest.raises(SystemExit):
        run([], surroundings=Surroundings(open_cluster=open_cluster))
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("gw tenant show te", ["team-a", "team-b"]),
        ("gw tenant pause team-b", ["team-b"]),
        ("gw tenant update zz", []),
        ("gw health -n team-", ["team-a", "team-b"]),
        ("gw job list team-", ["team-a", "team-b"]),
        ("gw runner-group scale -n team-a c", ["cpu"]),
        ("gw runner-group show -n team-a ", ["cpu", "gpu"]),
        ("gw tenant pause team-a --runner-group g", ["gpu"]),
    ],
)
def test_the_shell_completes_tenants_and_groups(
    tenancy: Tenancy,
    line: str,
    names: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenancy.cluster.put(gateway("team-b"))
    assert complete(tenancy, line, capsys, monkeypatch) == names


def test_a_completion_is_silent_when_the_cluster_refuses(
    tenancy: Tenancy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenancy.cluster.refusals["*", "*"] = errors.Unreachable("no route to host")
    assert complete(tenancy, "gw tenant show te", capsys, monkeypatch) == []


def test_a_completion_gives_up_on_a_cluster_that_does_not_answer(
    tenancy: Tenancy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gw.completion._PATIENCE_SECONDS", 0.05)
    released = threading.Event()
    monkeypatch.setattr("gw.sources.gathering.gather_gateways", lambda *_: released.wait(10))
    try:
        assert complete(tenancy, "gw tenant show te", capsys, monkeypatch) == []
    finally:
        released.set()
