"""A sandbox and the demo leave nothing behind, whatever ends them."""

import json
import os
import select
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from support.commands import ROOT, environment, processes_with, run_command
from support.components import require_control_plane
from support.patience import HANG_SECONDS

pytestmark = pytest.mark.e2e

STEPS = ["cluster starting", "cluster ready", "objects installed", "sandbox ready"]
"""What a start logs: one that stands still shows where."""

DEMO = ROOT / "controller/gateway_sandbox/examples/demo.sh"


def ended(pid: int, *, within_seconds: float = HANG_SECONDS) -> bool:
    """Waits for the end of a process that is no child of ours."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_seconds)[0])
    finally:
        os.close(handle)


def guardian_of(folder: Path) -> int:
    return int(json.loads((folder / "sandbox.json").read_text())["pid"])


@pytest.fixture(params=["embedded", "real"])
def cluster(request: pytest.FixtureRequest) -> str:
    """Each kind of cluster in turn."""
    if request.param == "real":
        require_control_plane()
    return str(request.param)


def process_of(folder: Path, words: str) -> int:
    """The one process of the sandbox with these words in its command line."""
    (found,) = [line for line in processes_with(str(folder)) if words in line]
    return int(found.split()[0])


def test_the_demo_runs_to_its_end_and_leaves_nothing(tmp_path: Path, cluster: str) -> None:
    answer = run_command(str(DEMO), timeout_seconds=2 * HANG_SECONDS, TMPDIR=str(tmp_path), CLUSTER=cluster)
    assert answer.code == 0, answer
    assert "20 jobs in" in answer.out
    assert "19 success, 1 failure" in answer.out
    assert " checks on tenant team-a: " in answer.out
    assert processes_with(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [str(DEMO)],
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background without job control has this ignored, and a shell cannot undo that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert demo.stdout is not None
    shown = []
    for line in demo.stdout:
        shown.append(line)
        if "$ gw sandbox run" in line:
            break
    assert "$ gw sandbox run" in shown[-1], "".join(shown)
    # A terminal's Ctrl-C reaches every process of the foreground group.
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=HANG_SECONDS)
    assert demo.returncode == 130, "".join(shown) + rest
    assert processes_with(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_ends_with_the_process_that_asked_for_it(tmp_path: Path, cluster: str) -> None:
    folder = tmp_path / "cluster"
    owner = subprocess.Popen(["sleep", "1000"])
    try:
        up = run_command(
            "gw", "sandbox", "up", "--dir", str(folder), "--cluster", cluster, "--owner-pid", str(owner.pid)
        )
        assert up.code == 0, up
        guardian = guardian_of(folder)
    finally:
        owner.kill()
        owner.wait()
    assert ended(guardian)
    assert processes_with(str(folder)) == []
    assert not folder.exists()


@pytest.mark.parametrize(
    ("cluster", "killed"),
    [("embedded", " cluster --folder"), ("real", " cluster --folder"), ("real", "/kube-apiserver ")],
    indirect=["cluster"],
    ids=["the embedded cluster", "the process around the real one", "a program of the real one"],
)
def test_a_killed_cluster_takes_everything_with_it_and_leaves_its_log_alone(
    tmp_path: Path, cluster: str, killed: str
) -> None:
    folder = tmp_path / "cluster"
    up = run_command("gw", "sandbox", "up", "--dir", str(folder), "--cluster", cluster)
    assert up.code == 0, up
    guardian = guardian_of(folder)
    os.kill(process_of(folder, killed), signal.SIGKILL)
    assert ended(guardian)
    assert processes_with(str(folder)) == []
    assert sorted(path.name for path in folder.iterdir()) == ["sandbox.lock", "sandbox.log"]
    log = (folder / "sandbox.log").read_text().splitlines()
    events = [json.loads(line)["event"] for line in log if line.startswith("{")]
    assert [event for event in events if event in STEPS] == STEPS


def test_a_killed_guardian_leaves_nothing(tmp_path: Path, cluster: str) -> None:
    folder = tmp_path / "cluster"
    up = run_command("gw", "sandbox", "up", "--dir", str(folder), "--cluster", cluster)
    assert up.code == 0, up
    handles = [os.pidfd_open(int(line.split()[0])) for line in processes_with(str(folder))]
    try:
        os.kill(guardian_of(folder), signal.SIGKILL)
        for handle in handles:
            assert select.select([handle], [], [], HANG_SECONDS)[0]
    finally:
        for handle in handles:
            os.close(handle)
    assert processes_with(str(folder)) == []
    assert not folder.exists()


def test_two_sandboxes_run_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    try:
        for folder in folders:
            up = run_command("gw", "sandbox", "up", "--dir", str(folder))
            assert up.code == 0, up
        again = run_command("gw", "sandbox", "up", "--dir", str(folders[0]))
        assert again.code == 2
        assert "already runs" in again.err
        assert "Traceback" not in again.err
    finally:
        for folder in folders:
            run_command("gw", "sandbox", "down", "--dir", str(folder))
    assert processes_with(str(tmp_path)) == []
