"""The wheel brings the runbook's pages along, so that an installed gw shows them without a checkout or a cluster."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT / "runbooks").as_posix() for path in (ROOT / "runbooks").rglob("*.md")}


def built(folder: Path, version: str) -> zipfile.ZipFile:
    """A wheel of this tree: `standard`, or the `editable` one that points at it."""
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=[version])
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installation of the wheel adds to the library's folder."""
    folder = tmp_path_factory.mktemp("wheel")
    with built(folder, "standard") as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def gw(installed: Path, *arguments: str) -> str:
    """What the installed gw prints; the tree that it was built from is out of its reach."""
    program = f"import sys; sys.path.insert(0, {str(installed)!r}); import gw.__main__ as m; m.main()"
    command = [sys.executable, "-I", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=installed).stdout


def test_every_page_is_in_the_wheel_beside_gw(installed: Path) -> None:
    folder = installed / "gw" / "runbooks"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")} == PAGES
    assert not (installed / "runbooks").exists()


def test_the_installed_gw_lists_shows_and_finds_them(installed: Path) -> None:
    listed = json.loads(gw(installed, "runbook", "list", "--all", "-o", "json"))["items"]
    assert {page["path"].removeprefix("runbooks/") for page in listed} == {
        path for path in PAGES if path != "index.md" and not path.startswith("reference/")
    }
    assert gw(installed, "runbook", "show", "restart").startswith("# Restart an agent or the manager\n")
    assert "rotate-key" in gw(installed, "runbook", "search", "rotate", "key")


def test_an_editable_installation_leaves_the_pages_where_they_are(tmp_path: Path) -> None:
    with built(tmp_path, "editable") as wheel:
        assert [name for name in wheel.namelist() if name.endswith(".md")] == []
