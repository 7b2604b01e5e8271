"""The installed wrapper: one executable file, cheap to start, and of the standard library only."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import actions_gateway.worker
from actions_gateway.worker import main
from actions_gateway.worker.packaging import build, install

SOURCES = sorted(Path(actions_gateway.worker.__file__).parent.glob("*.py"))


def test_install_writes_one_executable_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "opt" / "actions-gateway"
    assert main(["install", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == ["wrapper"]
    assert os.access(folder / "wrapper", os.X_OK)
    assert (folder / "wrapper").read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_installing_again_replaces_the_file_and_gives_the_same_bytes(tmp_path: Path) -> None:
    first = install(tmp_path).read_bytes()
    (tmp_path / "wrapper").write_text("damaged")
    assert install(tmp_path).read_bytes() == first


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["install", str(tmp_path / "file")]) == 1
    assert "cannot install the wrapper into" in capfd.readouterr().err


@pytest.mark.parametrize("argv", [[], ["help"], ["install"], ["run", "x"]])
def test_other_arguments_are_wrong_usage(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "usage: wrapper run" in capfd.readouterr().err


def test_the_installed_file_can_install_itself(tmp_path: Path) -> None:
    first = install(tmp_path)
    subprocess.run([sys.executable, str(first), "install", str(tmp_path / "again")], check=True, capture_output=True)
    assert (tmp_path / "again" / "wrapper").read_bytes() == first.read_bytes()


def test_each_module_is_there_as_source_and_compiled(tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(install(tmp_path)).namelist())
    expected = {"__main__.py", *(f"worker/{path.name}" for path in SOURCES)}
    assert names == expected | {f"{name}c" for name in expected}


def test_another_interpreter_falls_back_to_the_source(tmp_path: Path) -> None:
    """A compiled module of another version has another magic number; the source beside it is then used."""
    archive = tmp_path / "other"
    archive.write_bytes(build(SOURCES))
    with zipfile.ZipFile(archive) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(archive, "w") as changed:
        for name, content in members.items():
            changed.writestr(name, b"\0\0\0\0" + content[4:] if name.endswith(".pyc") else content)
    result = subprocess.run([sys.executable, str(archive), "help"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "usage" in result.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_wrapper_needs_nothing_but_python_310_and_its_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 10))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    absolute = [
        name.name if isinstance(node, ast.Import) else node.module or ""
        for node in imports
        for name in node.names
        if isinstance(node, ast.Import) or node.level == 0
    ]
    assert {name.partition(".")[0] for name in absolute} - set(sys.stdlib_module_names) == set()


def test_the_start_loads_no_slow_module(tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import worker.entry; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(install(tmp_path))], capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {"asyncio", "argparse", "dataclasses", "inspect", "json", "logging", "pathlib", "re", "subprocess", "typing"}
    assert slow & set(loaded) == set()
    assert [name for name in loaded if name.startswith("actions_gateway")] == []
