"""`kubectl rollout restart` of an agent with as many jobs running as its groups may have: it costs none of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api.names import AGENT
from actions_gateway.metrics.catalog import JOBS_ADOPTED
from e2e.components import agent_pods, total_of
from e2e.held_jobs import HELD, answered, concluded, start_jobs, until_started
from support.running_sandbox import until

pytestmark = pytest.mark.e2e

NAMESPACE = "team-a"
JOBS = {"linux": 30, "gpu": 20}


def uids(sandbox: Any) -> list[str]:
    return [pod["metadata"]["uid"] for pod in agent_pods(sandbox, NAMESPACE)]


def adopted(sandbox: Any) -> float:
    """How many jobs the present agent has taken over."""
    return sum(total_of(pod, JOBS_ADOPTED, outcome="resumed") for pod in agent_pods(sandbox, NAMESPACE))


def started_at(sandbox: Any) -> datetime:
    """When the present agent's container was started; of a resolution of a second."""
    (pod,) = agent_pods(sandbox, NAMESPACE)
    return datetime.fromisoformat(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])


def renewed(sandbox: Any, since: datetime) -> dict[str, datetime]:
    """The runners whose jobs' locks were renewed since then, and when first."""
    found: dict[str, datetime] = {}
    for at, runner in answered(sandbox, "run.renew"):
        if at >= since:
            found.setdefault(runner, at)
    return found


def opened_since(sandbox: Any, moment: datetime) -> datetime | None:
    """When the first session was opened since then."""
    return min((at for at, _ in answered(sandbox, "broker.create_session") if at >= moment), default=None)


def sessions(sandbox: Any) -> list[int]:
    return [group["status"].get("activeSessions", 0) for group in sandbox.objects("runnergroups", NAMESPACE)]


@pytest.mark.once("the agent is the same on both, and fifty jobs take a minute")
def test_a_rollout_restart_costs_no_job(sandbox: Any, tmp_path: Path) -> None:
    runs = {}
    for label, count in JOBS.items():
        folder = tmp_path / label
        folder.mkdir()
        runs[folder] = (start_jobs(sandbox, folder, count=count, script=HELD, label=label), count)
    for folder, (_, count) in runs.items():
        until_started(folder, count)
    (before,) = agent_pods(sandbox, NAMESPACE)
    asked = datetime.now(UTC)
    assert sandbox.kubectl("rollout", "restart", f"deployment/{AGENT}", "-n", NAMESPACE).code == 0
    until(lambda: uids(sandbox) not in ([], [before["metadata"]["uid"]]))
    until(lambda: adopted(sandbox) == sum(JOBS.values()))
    started = started_at(sandbox)
    # By the agent that ends, so that each lock has its full life, and at once by the one that takes over.
    until(lambda: len(renewed(sandbox, started)) == sum(JOBS.values()))
    ended = started + timedelta(seconds=1)
    assert sum(at < ended for at in renewed(sandbox, asked).values()) == sum(JOBS.values())
    # The groups' statuses may be those of the agent that has ended; GitHub knows who opened a session since.
    first_opened = until(lambda: opened_since(sandbox, started))
    until(lambda: min(sessions(sandbox)) > 0)
    taken = max(renewed(sandbox, started).values()) - started
    print(f"after the pod's start: first session {first_opened - started}, all locks renewed {taken}")
    for folder, (run_id, count) in runs.items():
        (folder / "go").touch()
        assert concluded(sandbox, run_id) == [("success", 1, 1)] * count
