"""The wrapper with the interpreter that comes along: in an image that has none, and without a trace in the job."""

import subprocess
import sys
from pathlib import Path

import pytest

from actions_gateway.worker.bundling import bundle
from actions_gateway.worker.packaging import install
from actions_gateway.worker.settings import OWN_VARIABLES
from support.aio import run

from .harness import Pod, job_message, step

SHELLS = {"PWD", "OLDPWD", "SHLVL", "_"}
"""What an image's /bin/sh may add."""
SPY = """#!/bin/sh
cat /proc/$$/environ >{folder}/environ
cat /proc/$PPID/maps >{folder}/maps
exit 100
"""
"""A Runner.Worker that keeps what it was given, before any shell changes it."""


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interpreter") / "made"
    bundle(folder)
    return folder


@pytest.fixture
def bare(pod: Pod, interpreter: Path, tmp_path: Path) -> Pod:
    """A pod whose image has a shell and no Python."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "bash", "cat", "env"):
        (programs / name).symlink_to(Path("/bin", name))
    pod.environ["PATH"] = str(programs)
    pod.wrapper = install(tmp_path / "gateway", interpreter)
    pod.set_knobs(reports=False)
    return pod


def spy(pod: Pod) -> tuple[dict[str, str], list[str]]:
    """Runs a job with the spy as its Worker; returns the Worker's environment and the files that the wrapper loaded."""
    (pod.home / "bin" / "Runner.Worker").write_text(SPY.format(folder=pod.folder))
    pod.set_job(job_message([]))
    assert run(pod.run()) == 0, pod.output
    pairs = (pod.folder / "environ").read_text().split("\0")
    environ = dict(pair.partition("=")[::2] for pair in pairs if pair)
    lines = (pod.folder / "maps").read_text().splitlines()
    return environ, [line.split(maxsplit=5)[5] for line in lines if " /" in line]


def test_a_job_runs_in_an_image_without_python(bare: Pod) -> None:
    bare.set_job(job_message([step("command -v python3 || echo none here")]))
    assert run(bare.run()) == 0
    assert "\nnone here" in bare.output
    assert bare.message == {"exit_code": 100, "result": "succeeded", "reason": None}


def test_without_it_the_same_image_cannot(bare: Pod) -> None:
    bare.wrapper = install(bare.folder / "plain", bare.folder / "none")
    assert not (bare.folder / "plain" / "python").exists()
    assert run(bare.run()) == 1
    assert "this image has no python3" in bare.message["reason"]


def test_nothing_of_the_images_own_libraries_is_loaded(bare: Pod) -> None:
    _, loaded = spy(bare)
    own = str(bare.wrapper.parent / "python")
    assert any(path.startswith(own) and "libc.so" in path for path in loaded)
    assert [path for path in loaded if ".so" in path and not path.startswith(own)] == []


@pytest.mark.parametrize("locale", [{"LANG": "C.UTF-8"}, {"LANG": "C"}, {}], ids=str)
def test_the_job_s_environment_is_the_image_s(bare: Pod, locale: dict[str, str]) -> None:
    del bare.environ["LANG"]
    bare.environ |= {
        **locale,
        "LD_LIBRARY_PATH": "/opt/image/lib",
        "PYTHONHOME": "/opt/image",
        "PYTHONPATH": "/opt/image",
        "UMLAUT": "grün",
    }
    environ_of_image = {name: value for name, value in bare.environ.items() if name not in OWN_VARIABLES}
    found, _ = spy(bare)
    assert {name: value for name, value in found.items() if name not in SHELLS} == environ_of_image


def test_a_library_that_the_image_preloads_is_the_job_s_and_not_the_wrapper_s(bare: Pod) -> None:
    library = next((bare.wrapper.parent / "python" / "lib").glob("libz.so*"))
    preloaded = bare.folder / "preloaded.so"
    preloaded.write_bytes(library.read_bytes())
    bare.environ["LD_PRELOAD"] = str(preloaded)
    environ, loaded = spy(bare)
    assert environ["LD_PRELOAD"] == str(preloaded)
    assert "WRAPPER_LD_PRELOAD" not in environ
    assert str(preloaded) not in loaded


@pytest.mark.parametrize("part", ["lib/libc.so.6", "bin/python3"])
def test_a_damaged_interpreter_is_told(bare: Pod, part: str) -> None:
    (bare.wrapper.parent / "python" / part).write_bytes(b"\x7fELF")
    assert run(bare.run()) != 0
    assert bare.message["result"] is None
    assert "does not start here" in bare.message["reason"]
    assert "ld-" in bare.message["reason"]


def test_what_is_told_before_the_start_is_gone_once_the_wrapper_runs(bare: Pod) -> None:
    (bare.home / "bin" / "Runner.Worker").write_text(f"#!/bin/sh\ncat {bare.termination} >{bare.record}\nexit 100\n")
    bare.set_job(job_message([]))
    assert run(bare.run()) == 0
    assert bare.record.read_text() == ""


def test_the_command_of_the_image_s_build_makes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-m", "actions_gateway", "worker", "bundle", str(tmp_path / "made")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "made" / "bin" / "python3").is_file()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "cannot make an interpreter" in again.stderr
