"""gw incident agent-failure and manager-failure from the restart to the closed record, and interrupted on the way."""

import json
from typing import Any

import pytest

from actions_gateway.api import names
from actions_gateway.kube import resources as r

from .incidents import WHO, after_writes
from .objects import namespace
from .restarting import World
from .rig import AppDouble, check_golden

Manifest = dict[str, Any]

WRITES = {"agent-failure": 11, "manager-failure": 13}
"""Of one run, the restart's among them."""


@pytest.fixture
def world() -> World:
    made = World(namespace(names.MANAGER_NAMESPACE))
    made.cluster.answers[WHO] = {"status": {"userInfo": {"username": "olivia"}}}
    # No job runs, so that the new agent has none to take over.
    for pod in made.workers():
        del made.cluster.objects[r.PODS.plural, "team-a", pod["metadata"]["name"]]
    return made


def states(world: World) -> dict[str, str]:
    (incident,) = json.loads(world("incident", "list", "-o", "json").out)["incidents"]
    return {each["id"]: each["state"] for each in incident["steps"]}


def command(kind: str) -> tuple[str, ...]:
    return ("incident", kind, *(("team-a",) if kind == "agent-failure" else ()), "--yes")


@pytest.mark.parametrize("kind", WRITES)
def test_it_goes_from_the_diagnosis_to_the_closed_record(world: World, kind: str) -> None:
    answer = world(*command(kind))
    assert answer.code == 0, answer
    assert set(states(world).values()) == {"done"}
    check_golden(f"incident-{kind}.table.txt", answer.out)


@pytest.mark.parametrize(("kind", "last"), [(kind, last) for kind, count in WRITES.items() for last in range(1, count)])
def test_interrupted_after_any_write_and_run_again_it_comes_to_the_same_end(world: World, kind: str, last: int) -> None:
    def interrupt(number: int) -> None:
        if number == last:
            raise KeyboardInterrupt

    after_writes(world.cluster, AppDouble(), interrupt)
    assert world(*command(kind)).code == 130
    answer = world(*command(kind))
    assert answer.code == 0, answer
    assert set(states(world).values()) == {"done"}


def test_sessions_that_a_dead_agent_left_in_a_status_are_no_sessions(world: World) -> None:
    for pod in world.pods(names.AGENT):
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    world("incident", "manager-failure", "--yes")
    (incident,) = json.loads(world("incident", "list", "-o", "json").out)["incidents"]
    told = {each["id"]: each["result"] for each in incident["steps"]}
    assert told["tenants"].startswith("0 sessions of ")
    assert "without a ready agent or a session: team-a/team-a" in told["tenants"]
