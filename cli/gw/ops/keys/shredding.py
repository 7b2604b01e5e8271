"""Overwrites and removes a private key's file, as far as a program can."""

import os
import stat
from pathlib import Path

from gw.errors import Refused

LIMITS = (
    "gw overwrote the file once and removed it. It cannot promise that no copy is left: journaling and copy-on-write "
    "file systems, SSDs, snapshots and backups may keep older blocks"
)
"""What it did and what it cannot promise; a sentence without a full stop."""
_CHUNK = 64 * 1024


def refuse_unshreddable(path: Path) -> None:
    """Raises Refused for what could not be overwritten at the end, before anything else is done."""
    try:
        mode = path.lstat().st_mode
    except OSError as problem:
        raise Refused(f"the private key file {path} cannot be looked at", "Name the .pem file itself.") from problem
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "no plain file"
        raise Refused(
            f"--shred: {path} is {kind}, and what it leads to would stay",
            "Name the file itself, or leave --shred out.",
        )
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise Refused(f"--shred: you may not overwrite and remove {path}", "Copy it to a folder of yours first.")


def shred(path: Path) -> None:
    """Overwrites the file with random bytes, on the disk, and removes it; raises Refused with what is left to do."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            left = os.fstat(descriptor).st_size
            while left > 0:
                left -= os.write(descriptor, os.urandom(min(left, _CHUNK)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.unlink()
    except OSError as problem:
        raise Refused(
            f"the key is rotated, and the file {path} could not be removed ({problem.strerror})",
            f"Remove it by hand: `shred -u {path}` on Linux, `rm -P {path}` on macOS.",
        ) from problem


def is_open_to_others(path: Path) -> bool:
    """Whether the file's group or everybody may read it."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
