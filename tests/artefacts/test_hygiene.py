"""What must never be committed, and what must stay in step with the code."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRIVATE_KEY = re.compile(rb"-----BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY-----\s*[A-Za-z0-9+/=]{20}")
REGISTRY_SETTING = re.compile(rb"--(extra-)?index-url|GOPROXY=|\"resolved\": *\"http")


def tracked_files() -> list[Path]:
    """Every file that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    return [ROOT / name.decode() for name in listing.split(b"\0") if name and (ROOT / name.decode()).is_file()]


def test_no_file_holds_a_private_key() -> None:
    assert [path for path in tracked_files() if PRIVATE_KEY.search(path.read_bytes())] == []


def test_no_file_names_a_package_registry() -> None:
    own = Path(__file__).resolve()
    assert [p for p in tracked_files() if p.resolve() != own and REGISTRY_SETTING.search(p.read_bytes())] == []


def test_requirements_are_exact_hashed_and_name_no_host() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    assert [line for line in pins if not re.match(r"^[A-Za-z0-9._-]+==[^ ]+( ;.*)? \\$", line)] == []
    assert text.count("--hash=sha256:") >= len(pins)


def test_every_declared_dependency_is_pinned_and_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[<>=\[;, ]", entry)[0] for group in groups for entry in group} - {"actions-gateway"}
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line
    }
    explained = (ROOT / "CONTRIBUTING.md").read_text()
    assert {name for name in declared if name.lower() not in pinned} == set()
    assert {name for name in declared if name not in explained} == set()


def test_import_layers_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_readmes_first_screen_shows_the_two_commands(name: str) -> None:
    assert f"make {name}" in "\n".join((ROOT / "README.md").read_text().splitlines()[:25])
