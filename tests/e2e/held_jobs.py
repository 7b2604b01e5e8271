"""Jobs that run until the test lets them go, started behind gw's back: gw would wait for their end."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from support.running_sandbox import until

HELD = "touch FOLDER/started-$GITHUB_JOB; until [ -e FOLDER/go ]; do sleep 0.5; done"
"""A step's script that says in a folder that it runs, and ends when the folder holds `go`."""


def start_jobs(sandbox: Any, folder: Path, *, count: int, script: str, label: str = "linux") -> int:
    """Starts a run of equal jobs; its id."""
    steps = [{"run": script.replace("FOLDER", str(folder))}]
    jobs = {f"job-{number}": {"runs-on": ["self-hosted", label], "steps": steps} for number in range(count)}
    workflow = json.dumps({"name": "held", "on": "workflow_dispatch", "jobs": jobs})
    return int(sandbox.github("POST", "/runs", {"repository": "octo/demo", "workflow": workflow})["id"])


def jobs_of(sandbox: Any, run_id: int) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = sandbox.github("GET", f"/runs/{run_id}")["jobs"]
    return jobs


def concluded(sandbox: Any, run_id: int) -> list[tuple[str, int, int]]:
    """(conclusion, claims, completions) of each job, once all are over."""
    until(lambda: all(job["status"] == "completed" for job in jobs_of(sandbox, run_id)))
    return [(str(job["conclusion"]), job["acquired"], job["completions"]) for job in jobs_of(sandbox, run_id)]


def requests_to(sandbox: Any, endpoint: str = "") -> int:
    """How many requests of any gateway GitHub has answered, whatever the answer was."""
    counts = sandbox.github("GET", "/state")["requests"]
    return sum(sum(found.values()) for name, found in counts.items() if endpoint in (name, ""))


def answered(sandbox: Any, endpoint: str) -> list[tuple[datetime, str]]:
    """When GitHub gave a good answer to which runner, the oldest first."""
    requests = sandbox.github("GET", f"/requests?endpoint={endpoint}")["requests"]
    return [(datetime.fromisoformat(one["at"]), str(one["runner"])) for one in requests if one["status"] == 200]


def until_started(folder: Path, count: int) -> None:
    until(lambda: len(list(folder.glob("started-*"))) == count)
