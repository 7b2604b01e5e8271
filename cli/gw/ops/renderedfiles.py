"""Rendered files in a folder of the caller's: compared with what stands there, and written whole.

All are written beside their places before the first takes its place, so that a full disk or a missing right changes
nothing. What fails after that is told with the names of the files that are new already.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gw.errors import NotConfirmed, Refused


class FileState(StrEnum):
    """What there is at a file's place."""

    NEW = "new"
    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One file, and what stands there now."""

    what: str
    """Its name on the command line."""
    path: Path
    text: str
    state: FileState
    added_lines: int = 0
    removed_lines: int = 0


def write_files(
    folder: Path,
    files: Sequence[RenderedFile],
    *,
    force: bool,
    agree: Callable[[Sequence[RenderedFile]], bool],
) -> None:
    """Each file whole, none before somebody agrees to what is overwritten; raises Refused.

    Its details name the files that are replaced all the same.
    """
    different = [each for each in files if each.state is FileState.DIFFERENT]
    if different and not force and not agree(different):
        raise NotConfirmed("nothing was written", "Name another --output-dir, or add --force.")
    partial: dict[Path, Path] = {}
    replaced: list[Path] = []
    try:
        for each in files:
            if each.state is not FileState.SAME:
                each.path.parent.mkdir(parents=True, exist_ok=True)
                _write_beside(each, partial)
        for path, written in partial.items():
            written.replace(path)
            replaced.append(path)
    except OSError as problem:
        raise _unwritten(folder, problem, replaced, [path for path in partial if path not in replaced]) from problem
    finally:
        for written in partial.values():
            with contextlib.suppress(OSError):
                written.unlink()


def _unwritten(folder: Path, problem: OSError, replaced: Sequence[Path], left: Sequence[Path]) -> Refused:
    if not replaced:
        return Refused(f"{folder} cannot be written to: {problem.strerror}", "Name another folder with --output-dir.")
    return Refused(
        f"{folder} is a mix of new and old files: {problem.strerror}",
        "Mend that and render again with --force, or name another folder with --output-dir.",
        details=(*(f"written: {path}" for path in replaced), *(f"as before: {path}" for path in left)),
    )


def beside(what: str, path: Path, text: str) -> RenderedFile:
    """The file, with what stands at its place now; raises Refused."""
    if not path.exists() and not path.is_symlink():
        return RenderedFile(what, path, text, FileState.NEW)
    if path.is_symlink() or not path.is_file():
        raise Refused(f"{path} is no plain file, and is not replaced", "Name another folder with --output-dir.")
    try:
        before = path.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise Refused(
            f"{path} cannot be read: {problem.strerror}", "Name another folder with --output-dir."
        ) from problem
    if before == text:
        return RenderedFile(what, path, text, FileState.SAME)
    added, removed = _changed_lines(before, text)
    return RenderedFile(what, path, text, FileState.DIFFERENT, added, removed)


def _changed_lines(before: str, after: str) -> tuple[int, int]:
    """How many; the lines themselves may hold what somebody else keeps secret."""
    import difflib

    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)


def _write_beside(file: RenderedFile, partial: dict[Path, Path]) -> None:
    """Notes the place before the first byte, for whoever cleans up."""
    descriptor, name = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.", suffix=".partial")
    partial[file.path] = Path(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(file.text)
        stream.flush()
        os.fchmod(descriptor, _mode(file.path))
        os.fsync(descriptor)


def _mode(path: Path) -> int:
    """As what stands there has it: somebody may have closed it to others."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o644
