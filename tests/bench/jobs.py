"""The main job at volume: a sandbox, a tenant, 200 queued jobs on two groups, every pod a real process."""

import json
import os
import re
import tempfile
import time
from pathlib import Path

from support.commands import Answer, processes_with, run_command

JOBS_PER_GROUP = 100


def measure() -> None:
    """Seconds from nothing to a ready sandbox, a Ready tenant and 200 concluded jobs; the agent's CPU and memory."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "cluster"
        variables = {"GW_SANDBOX_DIR": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}
        try:
            seconds, up = _timed("gw", "sandbox", "up", "--output", "json", **variables)
            print(f"sandbox up                 {seconds:6.2f} s")
            info = json.loads(up.out)
            seconds, _ = _timed(
                *("gw", "tenant", "add", "team-a", "--yes", "--github-url", f"{info['github_url']}/octo/demo"),
                *("--app-id", "1", "--installation-id", "1", "--private-key-file", info["app_key_path"]),
                *("--ca-bundle-file", info["ca_path"], "--runner-group", "gpu labels=self-hosted,gpu maxWorkers=20"),
                *("--runner-group", "cpu labels=self-hosted,linux maxWorkers=30"),
                **variables,
            )
            print(f"tenant add to Ready        {seconds:6.2f} s")
            workflow = Path(base) / "burst.yml"
            workflow.write_text(json.dumps(_burst()))
            seconds, answer = _timed(
                "gw", "sandbox", "run", str(workflow), "--timeout", "600s", "--output", "json", **variables
            )
            jobs = json.loads(answer.out)["jobs"]
            done = sum(job["conclusion"] == "success" for job in jobs)
            print(f"{len(jobs)} jobs to concluded      {seconds:6.2f} s  {len(jobs) / seconds:.1f}/s  {done} green")
            _print_process("agent", "actions_gateway agent", folder)
            _print_process("manager", "actions_gateway manager", folder)
            _print_process("cluster", "gateway_sandbox cluster", folder)
        finally:
            run_command("gw", "sandbox", "down", **variables)


def _burst() -> dict[str, object]:
    jobs = {
        f"{label}-{number}": {"runs-on": ["self-hosted", label], "steps": [{"run": "true"}]}
        for label in ("gpu", "linux")
        for number in range(JOBS_PER_GROUP)
    }
    return {"name": "burst", "on": "workflow_dispatch", "jobs": jobs}


def _timed(*command: str, **variables: str) -> tuple[float, Answer]:
    started = time.perf_counter()
    answer = run_command(*command, timeout_seconds=660, **variables)
    if answer.code != 0:
        raise SystemExit(f"{' '.join(command)}: {answer}")
    return time.perf_counter() - started, answer


def _print_process(title: str, command: str, folder: Path) -> None:
    for line in processes_with(str(folder)):
        if command not in line:
            continue
        stat = Path(f"/proc/{line.split()[0]}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{line.split()[0]}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+)", status)
        print(f"{title:10} CPU {cpu:6.2f} s   peak {int(peak.group(1)) / 1024 if peak else 0:.0f} MiB")
