"""Parts of the fake worker without processes: proxies, shells, the channel, knobs, reports, and a cancelled set-up."""

import json
import os
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway_sandbox.runner.channel import Channel, TooLate
from gateway_sandbox.runner.checkout import CheckoutError, copy_tree
from gateway_sandbox.runner.diagnostics import Trace
from gateway_sandbox.runner.errors import WorkerError
from gateway_sandbox.runner.job import JobRun
from gateway_sandbox.runner.joblog import JobLog
from gateway_sandbox.runner.jobmessage import JobMessage
from gateway_sandbox.runner.knobs import Knobs, read_knobs
from gateway_sandbox.runner.masking import Masker
from gateway_sandbox.runner.proxies import proxies_for_steps
from gateway_sandbox.runner.reporting import MAXIMUM_WAITING_CHARACTERS, Reporter
from gateway_sandbox.runner.root import install_runner_root
from gateway_sandbox.runner.service import proxy_for
from gateway_sandbox.runner.shells import ShellError, script_command
from gateway_sandbox.runner.workspace import read_runner_settings

PROXIED = {"https_proxy": "http://user:pass@proxy:3128", "HTTPS_PROXY": "http://other", "HTTP_PROXY": "plain:80"}


@pytest.mark.parametrize(
    ("url", "extra", "proxy"),
    [
        ("https://github.com/x", {}, "http://user:pass@proxy:3128"),
        ("http://github.com/x", {}, "http://plain:80"),
        ("https://localhost:1/", {}, None),
        ("https://127.0.0.1:1/", {}, None),
        ("https://github.com/", {"NO_PROXY": "*"}, None),
        ("https://api.github.com/", {"no_proxy": "example.org, github.com"}, None),
        ("https://api.github.com/", {"no_proxy": ".github.com"}, None),
        ("https://mygithub.com/", {"no_proxy": "github.com"}, "http://user:pass@proxy:3128"),
        ("https://github.com:444/", {"no_proxy": "github.com:443"}, "http://user:pass@proxy:3128"),
        ("https://github.com:443/", {"no_proxy": "github.com:443"}, None),
        ("https://10.0.0.1/", {"no_proxy": "10.0.0.1"}, "http://user:pass@proxy:3128"),
    ],
)
def test_the_proxy_of_a_request(url: str, extra: dict[str, str], proxy: str | None) -> None:
    found = proxy_for(urlsplit(url), PROXIED | extra)
    assert (found.geturl() if found else None) == proxy


def test_steps_get_both_cases_of_what_the_runner_uses() -> None:
    found = proxies_for_steps({**PROXIED, "no_proxy": "localhost", "NO_PROXY": "other"})
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://user:pass@proxy:3128"
    assert found["http_proxy"] == found["HTTP_PROXY"] == "http://plain:80"
    assert found["no_proxy"] == found["NO_PROXY"] == "localhost"
    assert proxies_for_steps({"no_proxy": "localhost"}) == {}


def test_the_sandboxs_github_stands_behind_the_proxy_and_loopback_does_not() -> None:
    environ = {"https_proxy": "http://proxy:1", "no_proxy": "localhost,127.0.0.1,::1"}
    assert proxy_for(urlsplit("https://127.0.0.2:8443/"), environ) is not None
    for own in ("localhost", "127.0.0.1", "[::1]"):
        assert proxy_for(urlsplit(f"https://{own}:8443/"), environ) is None


def test_without_a_proxy_requests_go_straight() -> None:
    assert proxy_for(urlsplit("https://github.com/"), {"no_proxy": "x"}) is None


def program(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("shell", "arguments"),
    [
        ("", ["-e", "/t/s p"]),
        ("bash", ["--noprofile", "--norc", "-e", "-o", "pipefail", "/t/s p"]),
        ("python", ["/t/s p"]),
        ("pwsh", ["-command", ". '/t/s p'"]),
        ("perl -w {0} 'a b'", ["-w", "/t/s p", "a b"]),
    ],
)
def test_shells_become_command_lines(tmp_path: Path, shell: str, arguments: list[str]) -> None:
    name = shell.split(" ")[0] or "bash"
    path = program(tmp_path, name)
    assert script_command(shell, "/t/s p", {"PATH": f"/nowhere:{tmp_path}"}) == [path, *arguments]


def test_where_there_is_no_bash_sh_is_the_default(tmp_path: Path) -> None:
    path = program(tmp_path, "sh")
    assert script_command("", "/s", {"PATH": str(tmp_path)}) == [path, "-e", "/s"]


@pytest.mark.parametrize("shell", ["fish", "cmd", "perl {0} 'open", "absent {0}"])
def test_a_shell_that_cannot_run_is_refused(tmp_path: Path, shell: str) -> None:
    program(tmp_path, "perl")
    with pytest.raises(ShellError):
        script_command(shell, "/s", {"PATH": str(tmp_path)})


@pytest.fixture
def pipe() -> Any:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)
    with suppress(OSError):  # a test may have closed it
        os.close(write_end)


def test_a_channel_needs_pipes(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(WorkerError, match="neither a pipe nor a socket"):
        Channel(file.fileno(), file.fileno())
    with pytest.raises(WorkerError, match="is not open"):
        Channel(9999, 9999)


def test_a_message_may_come_in_pieces_and_after_an_end_of_file(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    whole = bytes.fromhex("0100000004000000") + "ok".encode("utf-16-le")
    pieces = [whole[:3], b"", whole[3:9], whole[9:]]

    def feed() -> None:
        for piece in pieces:
            os.write(write_end, piece)

    thread = threading.Thread(target=feed)
    thread.start()
    assert Channel(read_end, write_end).receive() == (1, "ok")
    thread.join()


def test_an_end_of_file_is_retried_and_never_an_error(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    channel = Channel(read_end, write_end)
    os.close(write_end)
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        channel.receive(sleep=nap)
    assert naps == [0.1, 0.1, 0.1]


@pytest.mark.parametrize("size", [-1, 50_000_001])
def test_a_length_out_of_bounds_is_refused(pipe: tuple[int, int], size: int) -> None:
    os.write(pipe[1], (1).to_bytes(4, "little") + size.to_bytes(4, "little", signed=True))
    with pytest.raises(WorkerError, match="invalid message length"):
        Channel(*pipe).receive()


def test_a_deadline_ends_the_wait(pipe: tuple[int, int]) -> None:
    with pytest.raises(TooLate):
        Channel(*pipe).receive(deadline=time.monotonic() - 1)


def test_knobs_are_those_of_the_real_worker_unless_a_file_turns_them(tmp_path: Path) -> None:
    assert vars(read_knobs({}, str(tmp_path))) == vars(Knobs())
    (tmp_path / "worker-knobs.json").write_text('{"result": "failed"}')
    assert read_knobs({}, str(tmp_path)).result == "failed"
    named = tmp_path / "named.json"
    named.write_text('{"exit_code": 3}')
    assert read_knobs({"GATEWAY_SANDBOX_WORKER_KNOBS": str(named)}, str(tmp_path)).exit_code == 3


@pytest.mark.parametrize("content", ['{"no_such_knob": 1}', "[1]", "{broken"])
def test_a_bad_knob_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "worker-knobs.json").write_text(content)
    with pytest.raises(WorkerError):
        read_knobs({}, str(tmp_path))


@pytest.mark.parametrize("content", [None, "{}", '{"workFolder": ""}', "[]", "no json"])
def test_a_runner_without_work_folder_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".runner").write_text(content)
    with pytest.raises(WorkerError):
        read_runner_settings(str(tmp_path))


def test_runner_settings_have_no_case_and_may_start_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / ".runner").write_text('\ufeff{"WorkFolder": "_work", "AgentName": "r"}')
    assert read_runner_settings(str(tmp_path)) == {"workfolder": "_work", "agentname": "r"}


def test_a_huge_tree_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_sandbox.runner.checkout.MAXIMUM_FILES", 2)
    source = tmp_path / "source"
    source.mkdir()
    for name in "abc":
        (source / name).write_text(name)
    with pytest.raises(CheckoutError, match="over 2 files"):
        copy_tree(str(source), str(tmp_path / "target"))


def test_a_workspace_inside_the_tree_is_not_copied_into_itself(tmp_path: Path) -> None:
    source = tmp_path / "source"
    target = source / "work" / "target"
    target.mkdir(parents=True)
    (source / "a").write_text("a")
    copy_tree(str(source), str(target))
    assert sorted(path.name for path in target.rglob("*")) == ["a"]


def test_the_runners_root_starts_with_the_given_interpreter_even_at_an_odd_path(tmp_path: Path) -> None:
    root = tmp_path / "home of $runner's"
    python = tmp_path / "a b" / "python'3"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$1" "$2" "$3"; shift 4; echo "$0" "$@"\n')
    python.chmod(0o755)
    install_runner_root(root, python=python)
    worker = root / "bin" / "Runner.Worker"
    output = subprocess.run([str(worker), "spawnclient", "3", "4"], capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == ["-I -S -c", f"{python} {worker} spawnclient 3 4"]
    assert sorted(path.name for path in root.rglob("*")) == ["Runner.Worker", "bin"]


class Recorder:
    """A results service that takes everything, or nothing until it is released."""

    def __init__(self, *, is_blocked: bool = False) -> None:
        self.text = ""
        self.steps: list[Any] = []
        self.entered, self.released = threading.Event(), threading.Event()
        if not is_blocked:
            self.released.set()

    def post_text(self, _base: str, _path: str, text: str) -> None:
        self.entered.set()
        assert self.released.wait(10)
        self.text += text

    def post_json(self, _base: str, path: str, body: Any) -> None:
        assert path == "jobs/plan/steps"
        self.steps.append(body["steps"])


def reporter_to(recorder: Recorder, errors: list[str]) -> Reporter:
    return Reporter(
        lambda: recorder,  # type: ignore[arg-type, return-value]
        "http://results",
        "plan",
        interval_seconds=0.01,
        on_error=errors.append,
    )


def test_a_reporter_sends_everything_before_it_closes() -> None:
    recorder, errors = Recorder(), list[str]()
    reporter = reporter_to(recorder, errors)
    for number in range(500):
        reporter.log(f"line {number}")
    reporter.steps([{"number": 1}])
    reporter.steps([{"number": 1}, {"number": 2}])
    reporter.close()
    assert recorder.text == "".join(f"line {number}\n" for number in range(500))
    assert recorder.steps[-1] == [{"number": 1}, {"number": 2}]
    assert errors == []


def test_a_service_that_takes_nothing_costs_lines_and_no_memory() -> None:
    recorder, errors = Recorder(is_blocked=True), list[str]()
    reporter = reporter_to(recorder, errors)
    reporter.log("first")
    assert recorder.entered.wait(10)
    for _ in range(20):
        reporter.log("x" * (MAXIMUM_WAITING_CHARACTERS // 10))
    recorder.released.set()
    reporter.close()
    assert "[11 lines dropped: the results service does not take them]" in recorder.text
    assert len(recorder.text) < MAXIMUM_WAITING_CHARACTERS * 1.1


def test_an_error_of_the_service_is_traced_and_the_rest_goes_on() -> None:
    recorder, errors = Recorder(), list[str]()
    reporter = reporter_to(recorder, errors)
    reporter.steps([{"no": "number"}] * 0)
    recorder.post_json = None  # type: ignore[method-assign, assignment]
    reporter.steps([{"number": 1}])
    reporter.log("still sent")
    reporter.close()
    assert len(errors) <= 2
    assert all("cannot report to the results service" in error for error in errors)


@pytest.mark.parametrize("kind", [2, 3, 4])
def test_a_job_that_is_ended_during_its_set_up_is_cancelled_and_runs_no_hook(tmp_path: Path, kind: int) -> None:
    """actions/runner src/Runner.Worker/JobExtension.cs: a cancellation before the first step ends as Canceled."""
    body = {
        "messageType": "RunnerJobRequest", "plan": {"planId": "p"}, "jobId": "j", "steps": [],
        "resources": {"endpoints": [{"name": "SystemVssConnection", "url": "http://x/",
                                     "authorization": {"parameters": {"AccessToken": "t"}}}]},
        "contextData": {"github": {"t": 2, "d": [{"k": "repository", "v": "o/r"}]}},
    }  # fmt: skip
    log = JobLog(Masker(), lambda _line: None)
    run = JobRun(
        JobMessage(json.dumps(body)),
        {"workfolder": "_work"},
        runner_root=str(tmp_path),
        environ={"ACTIONS_RUNNER_HOOK_JOB_STARTED": "/no/such.sh", "ACTIONS_RUNNER_HOOK_JOB_COMPLETED": "/no/such.sh"},
        log=log,
        reporter=None,
        trace=Trace(str(tmp_path / "_diag"), to_stdout=False),
        cancellation=SimpleNamespace(kind=kind, is_shutdown=kind != 2),  # type: ignore[arg-type]
        knobs=Knobs(),
    )
    run.run()
    assert run.result == "canceled"
    assert [(record.name, record.conclusion) for record in run.records] == [
        ("Set up job", "cancelled"),
        ("Set up runner", "skipped"),
        ("Complete runner", "skipped"),
        ("Complete job", "success"),
    ]
