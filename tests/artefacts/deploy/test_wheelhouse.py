"""The wheels of the controller's image: the run-time packages, pinned as everywhere, and nothing else."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "controller" / "deploy" / "wheelhouse.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINUX = {"python_version": "3.11", "sys_platform": "linux"}


@pytest.fixture(scope="module")
def wheelhouse() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wheelhouse", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needed(wheelhouse: ModuleType) -> frozenset[str]:
    names: frozenset[str] = wheelhouse.needed_names(PROJECT["dependencies"], LINUX, wheelhouse.gather_requirements)
    return names


def test_the_base_dependencies_are_in_it_with_theirs(wheelhouse: ModuleType) -> None:
    assert {"aiohttp", "cryptography", "kubernetes", "pyjwt", "uvloop", "multidict", "cffi"} <= needed(wheelhouse)


@pytest.mark.parametrize("name", ["typer", "rich", "grafanalib", "jsonschema", "jsonpatch", "pytest", "hatchling"])
def test_packages_of_the_extras_are_not_in_it(name: str, wheelhouse: ModuleType) -> None:
    assert name not in needed(wheelhouse)


def test_dependencies_follow_markers_of_the_image_and_the_extras_that_are_asked_for(wheelhouse: ModuleType) -> None:
    requirements = {
        "client": [
            "Fast.Loop>=1; sys_platform == 'linux'",
            "winloop; sys_platform == 'win32'",
            "tests; extra == 'dev'",
        ],
        "fast-loop": ["client"],
        "token": ["crypto>=3; extra == 'crypto'", "typing; python_version < '3.11'"],
        "crypto": [],
    }
    names = wheelhouse.needed_names(["client>=2", "token[crypto]"], LINUX, requirements.__getitem__)
    assert names == {"client", "fast-loop", "token", "crypto"}


def test_pins_are_taken_over_unchanged_with_all_their_hashes(wheelhouse: ModuleType) -> None:
    pins = (ROOT / "requirements.txt").read_text()
    names = needed(wheelhouse)
    chosen = list(wheelhouse._entries(wheelhouse.select_pins(pins, names)))
    assert {re.sub(r"[-_.]+", "-", entry.split("==")[0]).lower() for entry in chosen} == names
    assert [entry for entry in chosen if f"\n{entry}" not in f"\n{pins}" or "--hash=sha256:" not in entry] == []


def test_a_package_without_a_pin_is_refused_by_name(wheelhouse: ModuleType) -> None:
    with pytest.raises(wheelhouse.Refused, match=r"does not pin other; run: make requirements"):
        wheelhouse.select_pins("one==1 \\\n    --hash=sha256:00\n", frozenset({"one", "other"}))


def test_a_package_that_is_not_installed_is_refused_by_name(wheelhouse: ModuleType) -> None:
    with pytest.raises(wheelhouse.Refused, match=r"no-such-package belongs into the image .*make \.venv/\.ready"):
        wheelhouse.gather_requirements("no-such-package")


def test_a_folder_with_other_files_is_refused_and_kept(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    result = subprocess.run([sys.executable, PROGRAM, tmp_path], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == f"{tmp_path} holds other files than wheels; name a new folder\n"
    assert precious.read_text() == "years of work"


def test_a_failed_download_leaves_the_earlier_wheels(
    wheelhouse: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path, **_: str) -> None:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(wheelhouse, "_download", fail)
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "old-1-py3-none-any.whl").touch()
    assert wheelhouse.main([str(folder)]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["wheels", "old-1-py3-none-any.whl"]


def test_a_new_wheelhouse_replaces_the_earlier_one_and_holds_its_pins(
    wheelhouse: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def download(folder: Path, **_: str) -> None:
        (folder / "new-1-py3-none-any.whl").touch()

    monkeypatch.setattr(wheelhouse, "_download", download)
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "old-1-py3-none-any.whl").touch()
    assert wheelhouse.main([str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["new-1-py3-none-any.whl", "requirements.txt"]
    assert "aiohttp==" in (folder / "requirements.txt").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]
