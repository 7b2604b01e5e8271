"""`gw incident key-compromise --drill`: the whole procedure in a sandbox of its own, of which nothing is left."""

import json
from pathlib import Path

import pytest

from gw.ops.incidents.containment import TARGET_SECONDS
from support.commands import run_command

pytestmark = pytest.mark.e2e


def test_a_drill_contains_in_time_changes_the_key_and_leaves_nothing(tmp_path: Path) -> None:
    # A folder of its own: a drill that somebody else runs meanwhile is none of its leftovers.
    command = ("gw", "incident", "key-compromise", "--drill", "-o", "json")
    answer = run_command(*command, timeout_seconds=300.0, TMPDIR=str(tmp_path))
    assert answer.code == 0, answer
    incident = json.loads(answer.out)
    assert not incident["open"]
    assert {each["state"] for each in incident["steps"]} == {"done"}
    assert {each["tenant"] for each in incident["targets"]} == {"team-a", "team-b"}
    assert incident["contained_after_seconds"] < TARGET_SECONDS
    told = {each["what"].partition(":")[0]: each for each in incident["timeline"]}
    assert f"{told['contain']['what']}".startswith("contain: done: contained")
    results = {each["id"]: each["result"] for each in incident["steps"]}
    assert "GitHub no longer accepts the key" in results["revoke"]
    assert results["verify"].startswith("sessions are open again at 2 gateways, with the key")
    assert incident["facts"]["keyFingerprint"] in results["verify"]
    assert "PRIVATE KEY" not in answer.out + answer.err
    assert list(tmp_path.iterdir()) == []
    print(f"contained after {incident['contained_after_seconds']:.1f} s")
