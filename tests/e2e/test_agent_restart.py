"""`kubectl rollout restart` of an agent with as many jobs running as its groups may have: it costs none of them."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from actions_gateway.api.names import AGENT
from e2e.held_jobs import HELD, concluded, start_jobs, until_started
from gateway_sandbox.nodes.ports import ANNOTATION
from support.running_sandbox import until

pytestmark = pytest.mark.e2e

NAMESPACE = "team-a"
JOBS = {"linux": 30, "gpu": 20}


def agent_pods(sandbox: Any) -> list[dict[str, Any]]:
    return [
        pod
        for pod in sandbox.objects("pods", NAMESPACE)
        if pod["metadata"]["labels"].get("app") == AGENT and not pod["metadata"].get("deletionTimestamp")
    ]


def adopted(sandbox: Any) -> float:
    """How many jobs the present agent has taken over."""
    try:
        (pod,) = agent_pods(sandbox)
        port = json.loads(pod["metadata"]["annotations"][ANNOTATION])["metrics"]
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    except (KeyError, ValueError, OSError):
        return 0.0
    pattern = r'^\w+_jobs_adopted_total\{[^}]*outcome="resumed"[^}]*\} ([0-9.e+]+)$'
    return sum(float(value) for value in re.findall(pattern, text, re.MULTILINE))


def started_at(sandbox: Any) -> datetime:
    """When the present agent's container was started; of a resolution of a second."""
    (pod,) = agent_pods(sandbox)
    return datetime.fromisoformat(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])


def answered(sandbox: Any, endpoint: str) -> list[tuple[datetime, str]]:
    """When GitHub gave a good answer to which runner."""
    requests = sandbox.github("GET", f"/requests?endpoint={endpoint}")["requests"]
    return [(datetime.fromisoformat(one["at"]), str(one["runner"])) for one in requests if one["status"] == 200]


def renewed(sandbox: Any, since: datetime) -> dict[str, datetime]:
    """The runners whose jobs' locks were renewed since then, and when first."""
    found: dict[str, datetime] = {}
    for at, runner in answered(sandbox, "run.renew"):
        if at >= since:
            found.setdefault(runner, at)
    return found


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
    (before,) = agent_pods(sandbox)
    asked = datetime.now(UTC)
    assert sandbox.kubectl("rollout", "restart", f"deployment/{AGENT}", "-n", NAMESPACE).code == 0
    until(lambda: [pod["metadata"]["uid"] for pod in agent_pods(sandbox)] not in ([], [before["metadata"]["uid"]]))
    until(lambda: adopted(sandbox) == sum(JOBS.values()), within_seconds=120)
    started = started_at(sandbox)
    # By the agent that ends, so that each lock has its full life, and at once by the one that takes over.
    until(lambda: len(renewed(sandbox, started)) == sum(JOBS.values()), within_seconds=30)
    ended = started + timedelta(seconds=1)
    assert sum(at < ended for at in renewed(sandbox, asked).values()) == sum(JOBS.values())
    until(lambda: min(sessions(sandbox)) > 0)
    taken = max(renewed(sandbox, started).values()) - started
    opened = [at for at, _ in answered(sandbox, "broker.create_session") if at >= started]
    print(f"after the pod's start: first session {opened[0] - started}, all locks renewed {taken}")
    for folder, (run_id, count) in runs.items():
        (folder / "go").touch()
        assert concluded(sandbox, run_id) == [("success", 1, 1)] * count
