"""The installed wrapper: one executable file, cheap to start, and of the standard library only."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import actions_gateway.worker
from actions_gateway.worker import main
from actions_gateway.worker.bundling import needed_modules
from actions_gateway.worker.packaging import build, install, install_command

SOURCES = sorted(Path(actions_gateway.worker.__file__).parent.glob("*.py"))


def test_install_writes_one_executable_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "opt" / "actions-gateway"
    assert main(["install", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == ["wrapper"]
    assert os.access(folder / "wrapper", os.X_OK)
    assert (folder / "wrapper").read_bytes().startswith(b"#!/bin/sh\n")


def start(wrapper: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(wrapper), *arguments], env=environ, capture_output=True, text=True, check=False)


def test_an_image_without_python_is_told_what_it_lacks(tmp_path: Path) -> None:
    message = tmp_path / "termination-log"
    ended = start(install(tmp_path), PATH=str(tmp_path / "empty"), TERMINATION_MESSAGE_PATH=str(message))
    assert ended.returncode == 1
    assert "this image has no python3" in ended.stderr
    found = json.loads(message.read_text())
    assert (found["exit_code"], found["result"]) == (None, None)
    assert "this image has no python3" in found["reason"]
    assert start(install(tmp_path), PATH=str(tmp_path / "empty")).returncode == 1


def test_what_an_image_puts_on_pythons_path_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "os.py").write_text("raise SystemExit('shadowed')")
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    ended = start(install(tmp_path / "wrapper"), "help", PATH=path, PYTHONPATH=str(tmp_path))
    assert ended.returncode == 2
    assert "usage: wrapper run" in ended.stderr


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """The shape of one: a loader of this machine, which says how it was called, and a library."""
    made = tmp_path / "made"
    (made / "lib" / "empty").mkdir(parents=True)
    loader = made / "lib" / "ld-linux-test.so.2"
    loader.write_bytes(Path("/bin/echo").read_bytes())
    loader.chmod(0o700)
    (made / "lib" / "libc.so.6").write_text("library")
    (made / "lib" / "libc.so.6").chmod(0o600)
    return made


def test_the_interpreter_comes_along_for_all_to_read_whatever_the_umask(tmp_path: Path, interpreter: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = install(tmp_path / "gateway", interpreter).parent
    finally:
        os.umask(before)
    found = {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert found == {
        "wrapper": 0o755,
        "python": 0o755,
        "python/lib": 0o755,
        "python/lib/empty": 0o755,
        "python/lib/ld-linux-test.so.2": 0o755,
        "python/lib/libc.so.6": 0o644,
    }


def test_the_launcher_prefers_it_to_the_image_s_own(tmp_path: Path, interpreter: Path) -> None:
    wrapper = install(tmp_path / "gateway", interpreter)
    ended = start(wrapper, "a b", PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    own = wrapper.parent / "python"
    words = f"--inhibit-cache --library-path {own}/lib {own}/bin/python3 -I -S -X utf8 {wrapper} a b"
    assert ended.stdout == f"{words}\n"


def test_an_archive_that_was_made_with_it_is_taken_as_it_is(tmp_path: Path, interpreter: Path) -> None:
    (interpreter / "wrapper").write_bytes(b"made before")
    folder = install(tmp_path / "gateway", interpreter).parent
    assert (folder / "wrapper").read_bytes() == b"made before"
    assert not (folder / "python" / "wrapper").exists()


def test_a_copy_that_fails_leaves_neither_a_part_nor_a_wrapper(
    tmp_path: Path, interpreter: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (interpreter / "lib" / "gone").symlink_to("nowhere")
    assert install_command(str(tmp_path / "gateway"), interpreter) == 1
    assert "cannot install the wrapper" in capfd.readouterr().err
    assert list((tmp_path / "gateway").iterdir()) == []


def test_installing_again_replaces_the_interpreter_whole(tmp_path: Path, interpreter: Path) -> None:
    folder = install(tmp_path / "gateway", interpreter).parent
    (folder / "python" / "lib" / "left").write_text("from before")
    install(folder, interpreter)
    assert sorted(path.name for path in folder.iterdir()) == ["python", "wrapper"]
    assert not (folder / "python" / "lib" / "left").exists()


def test_an_interpreter_for_another_machine_is_named_and_nothing_is_installed(
    tmp_path: Path, interpreter: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loader = interpreter / "lib" / "ld-linux-test.so.2"
    content = bytearray(loader.read_bytes())
    content[18:20] = b"\xf3\x00"  # EM_RISCV
    loader.write_bytes(content)
    assert install_command(str(tmp_path / "gateway"), interpreter) == 1
    error = capfd.readouterr().err
    assert str(loader) in error
    assert os.uname().machine in error
    assert list((tmp_path / "gateway").iterdir()) == []


def test_what_functions_import_belongs_to_the_interpreter_too() -> None:
    found = needed_modules(SOURCES)
    assert {"shutil", "zlib", "json", "encodings.utf_16_le"} <= set(found)
    assert {"", "ast", "subprocess"} & set(found) == set()


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
