"""Makes the folder that `install` lays beside the wrapper: this interpreter with all that the wrapper needs of it.

Such a folder runs wherever there is a kernel for its machine: it brings the dynamic loader and the C library along, so
neither an image's Python nor its C library matters. The layout is one in which Python finds its library by itself,
from the path of its own executable (the CPython manual, "Configuration of sys.path"):

    wrapper, bin/python3, lib/ld-*, lib/lib*.so.*, lib/python3.N/*.pyc, lib/python3.N/lib-dynload/*.so
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from . import log
from .packaging import FILE_NAME, build, compiled, sources

CODECS = ("ascii", "latin_1", "utf_8", "utf_8_sig", "utf_16", "utf_16_le")
"""What the wrapper and Python's own start decode and encode; a codec is looked up by name, so no import tells."""

_PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps([m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))
"""
_LDD_LINE = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)


class CannotBundle(Exception):
    """The folder cannot be made; the text says why."""


def bundle_command(folder: str) -> int:
    """Makes `folder` and says so; returns the exit code."""
    try:
        size = bundle(Path(folder))
    except (CannotBundle, OSError, subprocess.CalledProcessError) as problem:
        log.error(f"cannot make an interpreter in {folder}: {problem}")
        return 1
    log.info(f"made an interpreter of {size / 1e6:.1f} MB in {folder}")
    return 0


def bundle(folder: Path) -> int:
    """Fills `folder`, which must not exist, and starts what it made; returns its size in bytes.

    Raises CannotBundle, OSError, and CalledProcessError when ldd or an interpreter failed, whose own words went to
    standard error.
    """
    python = Path(sys.executable).resolve()
    standard_library = Path(sysconfig.get_path("stdlib")).resolve()
    target = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    extensions = target / "lib-dynload"
    extensions.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / FILE_NAME).write_bytes(build(sources()))
    binaries = {folder / "bin" / "python3": python}
    modules = needed_modules(sources())
    for path in _files_of(python, modules):
        if path.suffix == ".py":
            name = path.relative_to(standard_library)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).with_suffix(".pyc").write_bytes(compiled(path.read_text(encoding="utf-8"), name.as_posix()))
        else:
            binaries[extensions / path.name] = path
    for path in list(binaries.values()):
        binaries |= {folder / "lib" / name: library for name, library in libraries_of(path).items()}
    for copy, original in binaries.items():
        shutil.copyfile(original, copy)
    for path in folder.rglob("*"):
        is_run = path.is_dir() or path.name.startswith("ld-") or path.parent.name == "bin"
        path.chmod(0o755 if is_run else 0o644)
    _prove(folder, modules)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def needed_modules(paths: list[Path]) -> list[str]:
    """What the wrapper's modules import anywhere of the standard library, functions included, and its codecs."""
    names = {f"encodings.{codec}" for codec in CODECS}
    for path in paths:
        if path.name == Path(__file__).name:
            continue  # it runs where the image is built
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module or "")
    return sorted(names)


def libraries_of(binary: Path) -> dict[str, Path]:
    """The shared libraries that a binary loads, its loader among them, by the names that they are asked for."""
    listing = subprocess.run(["ldd", str(binary)], stdout=subprocess.PIPE, text=True, check=True).stdout
    if missing := re.findall(r"(\S+) => not found", listing):
        raise CannotBundle(f"{binary} needs {', '.join(missing)}, which this machine lacks")
    return {name or Path(path).name: Path(path) for name, path in _LDD_LINE.findall(listing)}


def _files_of(python: Path, modules: list[str]) -> list[Path]:
    """The files behind these modules and all that they import, as a fresh interpreter has them."""
    found = subprocess.run(
        [str(python), "-I", "-S", "-c", _PROBE, *modules], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return [Path(name).resolve() for name in json.loads(found)]


def _prove(folder: Path, modules: list[str]) -> None:
    """Imports everything with the folder's own interpreter, which must load nothing from elsewhere."""
    loaders = list((folder / "lib").glob("ld-*"))
    if len(loaders) != 1:
        raise CannotBundle(f"{sys.executable} names no dynamic loader of a known kind")
    command = [str(loaders[0]), "--inhibit-cache", "--library-path", str(folder / "lib"), str(folder / "bin/python3")]
    code = _PROBE + "print(json.dumps([line.split()[-1] for line in open('/proc/self/maps') if ' /' in line]))"
    started = subprocess.run(
        [*command, "-I", "-S", "-X", "utf8", "-c", code, *modules],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={},
    )
    loaded = {Path(path).resolve() for line in started.stdout.splitlines() for path in json.loads(line)}
    binaries = (path for path in loaded if path.suffix == ".py" or ".so" in path.suffixes)
    foreign = sorted(str(path) for path in binaries if not path.is_relative_to(folder.resolve()))
    if foreign:
        raise CannotBundle(f"its interpreter loads {', '.join(foreign)}")
