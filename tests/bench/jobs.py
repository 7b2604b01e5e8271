"""The main job at volume: a sandbox, a tenant, jobs on two groups, every pod a real process; on each cluster."""

import json
import os
import re
import tempfile
import time
from pathlib import Path

from gateway_sandbox.controlplane.assets import CONTROL_PLANE, ProgramsMissing, require_programs
from gateway_sandbox.launcher import ClusterKind
from support.commands import ROOT, Answer, processes_with, run_command

JOBS_PER_GROUP = 100
EXAMPLE = ROOT / "controller/gateway_sandbox/examples/many-small-jobs.yml"
# In the order of their start; those of the real control plane are found on that cluster only.
PROCESSES = (
    ("cluster", "gateway_sandbox cluster"),
    ("etcd", "/etcd "),
    ("apiserver", "/kube-apiserver "),
    ("controllers", "/kube-controller-manager "),
    ("scheduler", "/kube-scheduler "),
    ("manager", "actions_gateway manager"),
    ("agent", "actions_gateway agent"),
)


def measure() -> None:
    """The figures of both clusters; the real one is left out where its programs are missing."""
    _measure(ClusterKind.EMBEDDED)
    try:
        require_programs(*CONTROL_PLANE)
    except ProgramsMissing as problem:
        print(f"\n-- real: left out, {problem}")
    else:
        _measure(ClusterKind.REAL)


def _measure(kind: ClusterKind) -> None:
    """Seconds from nothing to a ready sandbox, a Ready tenant, 20 and 200 concluded jobs; CPU and memory."""
    print(f"\n-- {kind}")
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "cluster"
        variables = {"GW_SANDBOX_DIR": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}
        try:
            seconds, up = _timed("gw", "sandbox", "up", "--cluster", kind, "--output", "json", **variables)
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
            seconds, _ = _timed("gw", "sandbox", "run", str(EXAMPLE), **variables)
            print(f"the demo's 20 jobs         {seconds:6.2f} s")
            workflow = Path(base) / "burst.yml"
            workflow.write_text(json.dumps(_burst()))
            seconds, answer = _timed(
                "gw", "sandbox", "run", str(workflow), "--timeout", "600s", "--output", "json", **variables
            )
            jobs = json.loads(answer.out)["jobs"]
            done = sum(job["conclusion"] == "success" for job in jobs)
            print(f"{len(jobs)} jobs to concluded      {seconds:6.2f} s  {len(jobs) / seconds:.1f}/s  {done} green")
            for title, command in PROCESSES:
                _print_process(title, command, folder)
            seconds, _ = _timed("gw", "sandbox", "down", **variables)
            print(f"sandbox down               {seconds:6.2f} s")
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
        print(f"{title:11} CPU {cpu:6.2f} s   peak {int(peak.group(1)) / 1024 if peak else 0:.0f} MiB")
