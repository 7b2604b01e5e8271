"""Makes the wrapper one executable file, so that it can be shared with a runner image that knows nothing of it.

The file is a zip archive that Python runs by itself (PEP 441), behind a few lines of shell that find the Python. It
holds each module as source and precompiled: the interpreter that built it loads the compiled form, any other one
compiles the source at start.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import zipfile

FILE_NAME = "wrapper"
INTERPRETER = Path("/opt/controller/interpreter")
"""Where the controller's image has the folder that `bundle` made (controller/deploy/Containerfile).

The wrapper's archive is in it, too: to compile it for each pod would take a tenth of a second of the installer's share.
"""
INTERPRETER_NAME = "python"
PACKAGE = "worker"
LAUNCHER = b"""#!/bin/sh
tell() {
  [ -z "$TERMINATION_MESSAGE_PATH" ] ||
    printf '{"exit_code": null, "result": null, "reason": "%s"}' "$1" >"$TERMINATION_MESSAGE_PATH"
}
own=${0%/*}/python
for loader in "$own"/lib/ld-*; do
  [ -x "$loader" ] || continue
  tell "the interpreter that came with the wrapper (loader ${loader##*/}) does not start here"
  if [ -n "$LD_PRELOAD" ]; then export WRAPPER_LD_PRELOAD="$LD_PRELOAD"; unset LD_PRELOAD; fi
  exec "$loader" --inhibit-cache --library-path "$own/lib" "$own/bin/python3" -I -S -X utf8 "$0" "$@"
done
if command -v python3 >/dev/null; then exec python3 -I -S "$0" "$@"; fi
text='this image has no python3, which the wrapper needs (3.10 or newer); use an image that has one'
echo "[WRAPPER] $text" >&2
tell "$text"
exit 1
"""
"""Runs the archive that follows it by the interpreter alone: what an image adds to Python's paths is none of ours.

The interpreter beside it comes first, the image's own is the other choice. The loader takes the folder of its libraries
as an argument, since a variable would reach the job; a library that the image wants in every process is for another C
library than ours, so it waits for the job. What is told before the start is taken back by the wrapper once it runs.
"""
MAIN = f"""import sys
if sys.version_info < (3, 10):
    sys.exit("[WRAPPER] the wrapper needs Python 3.10 or newer; this image has " + sys.version.split()[0])
from {PACKAGE} import main
sys.exit(main(sys.argv[1:] or ["run"]))
"""
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Equal sources give equal bytes."""

UNCHECKED_HASH_FLAGS = 0b01
"""A compiled module that is never compared with its source (PEP 552); the archive holds both from one moment."""


def install_command(folder: str, interpreter: Path = INTERPRETER) -> int:
    """Installs into `folder` and says so; returns the exit code."""
    try:
        path = install(Path(folder), interpreter)
    except WrongMachine as problem:
        log.error(str(problem))
        return 1
    except OSError as exc:
        log.error(f"cannot install the wrapper into {folder}: {exc.strerror}; it must be a writable folder")
        return 1
    log.info(f"installed {path}")
    return 0


class WrongMachine(Exception):
    """The interpreter to install is for another machine; the text names both."""


def install(folder: Path, interpreter: Path = INTERPRETER) -> Path:
    """Writes `folder`/wrapper, mode 0755, whole or not at all; returns its path; raises OSError and WrongMachine.

    Before it comes `folder`/python, a copy of `interpreter`, where that exists; else the image's own must do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if interpreter.is_dir():
        _copy_interpreter(interpreter, folder / INTERPRETER_NAME)
    target = folder / FILE_NAME
    partial = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        partial.write_bytes(_archive_bytes(interpreter / FILE_NAME))
        partial.chmod(0o755)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _copy_interpreter(source: Path, target: Path) -> None:
    """Replaces `target`. Modes are set, whatever the umask: the worker's user is another than the installer's."""
    for loader in source.glob("lib/ld-*"):
        if _machine(loader) != _machine(Path("/proc/self/exe")):
            raise WrongMachine(
                f"{loader} is for another machine than this one, {os.uname().machine}: rebuild the image"
            )
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _copy_tree(source, partial)
        _remove(target)
        partial.replace(target)
    finally:
        _remove(partial)


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir()
    target.chmod(0o755)
    for path in source.iterdir():
        copy = target / path.name
        if path.is_dir():
            _copy_tree(path, copy)
        elif path.name != FILE_NAME:
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _remove(folder: Path) -> None:
    if folder.exists():
        import shutil  # slow to import, and only a second installation needs it

        shutil.rmtree(folder)


def _machine(binary: Path) -> bytes:
    """The field e_machine of an ELF header, between its offsets 18 and 20 (elf(5))."""
    with binary.open("rb") as file:
        return file.read(20)[18:]


def _archive_bytes(made: Path) -> bytes:
    """This wrapper as an archive: the one that was made before, or the running one when it is installed already."""
    if made.is_file():
        return made.read_bytes()
    running_archive = getattr(__spec__.loader, "archive", None) if __spec__ else None
    if running_archive is not None:
        return Path(running_archive).read_bytes()
    return build(sources())


def sources() -> list[Path]:
    """The wrapper's modules."""
    return sorted(Path(__file__).parent.glob("*.py"))


def build(modules: list[Path]) -> bytes:
    """The executable archive of the given source files."""
    import io
    import zipfile

    buffer = io.BytesIO()
    buffer.write(LAUNCHER)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        _add_module(archive, "__main__.py", MAIN)
        for path in modules:
            _add_module(archive, f"{PACKAGE}/{path.name}", path.read_text(encoding="utf-8"))
    return buffer.getvalue()


def _add_module(archive: zipfile.ZipFile, name: str, source: str) -> None:
    import zipfile

    archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), source)
    archive.writestr(zipfile.ZipInfo(name + "c", ZIP_EPOCH), compiled(source, name))


def compiled(source: str, name: str) -> bytes:
    """The content of a .pyc file."""
    import marshal
    from importlib.util import MAGIC_NUMBER

    code = compile(source, name, "exec", dont_inherit=True, optimize=2)
    return MAGIC_NUMBER + UNCHECKED_HASH_FLAGS.to_bytes(4, "little") + bytes(8) + marshal.dumps(code)
