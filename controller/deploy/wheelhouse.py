"""Collects the wheels of the controller's image: `python controller/deploy/wheelhouse.py FOLDER`.

The image needs the base dependencies of `pyproject.toml` and theirs, nothing of the extras. Which packages these are is
read from the metadata of the environment that runs this (`make .venv/.ready` makes it); versions and hashes are those
of `requirements.txt`. pip refuses a wheel with another hash. The chosen pins are `FOLDER/requirements.txt`: with them
the pip inside of the image's build refuses a dependency that they leave out.
"""

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PINS = "requirements.txt"
PYTHON = "3.11"
"""Of the image that the Containerfile names."""

_GLIBC_MINORS = range(17, 37)
"""Debian bookworm has glibc 2.36; a wheel for an older one runs there, too (PEP 600)."""
_OLDER_PLATFORMS = ("manylinux2014", "manylinux2010", "manylinux1")
_FAILED, _USAGE_ERROR = 1, 2


class Refused(Exception):
    """The wheelhouse cannot be made; the text says what is missing."""


def gather_requirements(name: str) -> list[str]:
    """What an installed distribution requires; raises Refused when it is not installed."""
    try:
        return requires(name) or []
    except PackageNotFoundError:
        raise Refused(f"{name} belongs into the image and is not installed here; run: make .venv/.ready") from None


def needed_names(
    dependencies: Iterable[str], target: Mapping[str, str], requirements_of: Callable[[str], list[str]]
) -> frozenset[str]:
    """The canonical names of `dependencies` and all of theirs; `target` overrides markers of this environment."""
    waiting = [(Requirement(text), frozenset[str]()) for text in dependencies]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement, asked_extras = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or not _applies(requirement, target, asked_extras):
            continue
        seen.add((name, extras))
        waiting += [(Requirement(text), extras) for text in requirements_of(name)]
    return frozenset(name for name, _ in seen)


def select_pins(text: str, names: frozenset[str]) -> str:
    """The entries of a requirements file for `names`, unchanged; raises Refused for a name without one."""
    entries = {str(canonicalize_name(entry.split("==")[0])): entry for entry in _entries(text)}
    if missing := sorted(names - entries.keys()):
        raise Refused(f"{PINS} does not pin {', '.join(missing)}; run: make requirements")
    return "".join(entries[name] for name in sorted(names))


def make_wheelhouse(folder: Path, *, python: str, machine: str) -> int:
    """Replaces `folder` by a complete wheelhouse, or leaves it as it is; returns the number of wheels.

    Raises Refused, and subprocess.CalledProcessError when pip failed, whose own words went to standard error.
    """
    if any(_foreign(folder)):
        raise Refused(f"{folder} holds other files than wheels; name a new folder")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = needed_names(project["dependencies"], _target(python, machine), gather_requirements)
    pins = select_pins((ROOT / PINS).read_text(encoding="utf-8"), names)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as draft_name:
        draft = Path(draft_name, "wheels")
        draft.mkdir()
        (draft / PINS).write_text(pins, encoding="utf-8")
        _download(draft, python=python, machine=machine)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    return len(names)


def main(arguments: list[str]) -> int:
    """Returns 0; 2 when the wheelhouse cannot be made from what is here, 1 when pip failed."""
    parser = argparse.ArgumentParser(description="Collect the wheels of the controller's image.")
    parser.add_argument("folder", type=Path, help="made or replaced; holds nothing but the wheels and their pins")
    parser.add_argument("--python", default=PYTHON, help="Python version of the image (default: %(default)s)")
    parser.add_argument("--machine", default=_machine(), help="x86_64 or aarch64 (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        count = make_wheelhouse(options.folder.absolute(), python=options.python, machine=options.machine)
    except Refused as problem:
        sys.stderr.write(f"{problem}\n")
        return _USAGE_ERROR
    except subprocess.CalledProcessError:
        sys.stderr.write("pip could not collect the wheels: its message is above; nothing was changed\n")
        return _FAILED
    sys.stderr.write(f"{count} wheels for Python {options.python} on {options.machine}: {options.folder}\n")
    return 0


def _applies(requirement: Requirement, target: Mapping[str, str], extras: frozenset[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**target, "extra": extra}) for extra in extras or {""})


def _entries(text: str) -> Iterator[str]:
    """The entries with their hash lines, which are indented."""
    entry = ""
    for line in text.splitlines(keepends=True):
        if entry and not line[0].isspace():
            yield entry
            entry = ""
        entry += line
    if entry:
        yield entry


def _foreign(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    return [path for path in folder.iterdir() if path.suffix != ".whl" and path.name != PINS]


def _target(python: str, machine: str) -> dict[str, str]:
    """The markers of the image, whatever machine this runs on (PEP 508)."""
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def _download(folder: Path, *, python: str, machine: str) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in reversed(_GLIBC_MINORS)]
    platforms += [f"{older}_{machine}" for older in _OLDER_PLATFORMS]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
    for name in platforms:
        command += ["--platform", name]
    subprocess.run([*command, "--requirement", str(folder / PINS), "--dest", str(folder)], check=True)


def _machine() -> str:
    """As wheels name it: macOS calls aarch64 arm64."""
    return {"arm64": "aarch64"}.get(platform.machine(), platform.machine())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
