"""`uses: actions/checkout` in the sandbox: a copy of the local tree, with the files that git tracks."""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH103, PTH112, PTH114, PTH118, PTH120
from __future__ import annotations

import os
import shutil
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAXIMUM_FILES = 50_000
GIT_TIMEOUT_SECONDS = 60
SKIPPED_FOLDERS = (".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", "venv")
"""What a plain copy of a folder without git leaves out: histories, caches and installed packages."""


class CheckoutError(Exception):
    """The tree cannot be copied; the text says why and what to do."""


def copy_tree(source: str, target: str) -> tuple[int, str]:
    """Copies into `target`; returns the number of files and what they are. Raises CheckoutError."""
    if not os.path.isdir(source):
        raise CheckoutError(f"the local tree {source} is not a folder that this worker can read")
    tracked = _tracked_files(source)
    if tracked is not None and not tracked:
        raise CheckoutError(f"git tracks no file in {source}; add the files that the job needs with `git add`")
    names = _all_files(source, target) if tracked is None else tracked
    count = 0
    for name in names:
        count += _copy_file(os.path.join(source, name), os.path.join(target, name))
        if count > MAXIMUM_FILES:
            raise CheckoutError(f"{source} holds over {MAXIMUM_FILES} files; run the workflow from a git checkout")
    return count, "files" if tracked is None else "tracked files"


def _tracked_files(source: str) -> list[str] | None:
    """What git tracks under `source`, None when it is no git checkout or there is no git."""
    # The workers of a cluster may run as another user than the owner of the tree.
    command = ["git", "-c", "safe.directory=*", "-C", source, "ls-files", "-z"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        found = subprocess.run(command, capture_output=True, env=environ, timeout=GIT_TIMEOUT_SECONDS, check=False)
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired as exc:
        raise CheckoutError(f"git did not list the files of {source} within {GIT_TIMEOUT_SECONDS} s") from exc
    if found.returncode != 0:
        message = found.stderr.decode("utf-8", "replace").strip()
        if "not a git repository" in message:
            return None
        raise CheckoutError(f"git cannot list the files of {source}: {message}")
    return [os.fsdecode(name) for name in found.stdout.split(b"\0") if name]


def _all_files(source: str, target: str) -> Iterable[str]:
    inside = os.path.realpath(target)
    for folder, folders, files in os.walk(source):
        folders[:] = [
            name
            for name in folders
            if name not in SKIPPED_FOLDERS and not _holds(os.path.realpath(os.path.join(folder, name)), inside)
        ]
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), source)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _copy_file(source: str, target: str) -> int:
    """1 when something was copied: a file deleted from the tree, or a submodule, is no file."""
    if os.path.isdir(source) and not os.path.islink(source):
        return 0
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        shutil.copy2(source, target, follow_symlinks=False)
    except FileNotFoundError:
        return 0
    except OSError as exc:
        raise CheckoutError(f"cannot copy {source}: {exc.strerror or exc}") from exc
    return 1
