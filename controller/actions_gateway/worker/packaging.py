"""Makes the wrapper one executable file, so that it can be shared with a runner image that knows nothing of it.

The file is a zip archive that Python runs by itself (PEP 441). It holds each module as source and precompiled: the
interpreter that built it loads the compiled form, any other one compiles the source at start.
"""

from __future__ import annotations

import io
import os
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

from . import log

FILE_NAME = "wrapper"
PACKAGE = "worker"
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = f"import sys\nfrom {PACKAGE} import main\nsys.exit(main(sys.argv[1:] or ['run']))\n"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Equal sources give equal bytes."""

UNCHECKED_HASH_FLAGS = 0b01
"""A compiled module that is never compared with its source (PEP 552); the archive holds both from one moment."""


def install_command(folder: str) -> int:
    """Installs into `folder` and says so; returns the exit code."""
    try:
        path = install(Path(folder))
    except OSError as exc:
        log.error(f"cannot install the wrapper into {folder}: {exc.strerror}; it must be a writable folder")
        return 1
    log.info(f"installed {path}")
    return 0


def install(folder: Path) -> Path:
    """Writes `folder`/wrapper, mode 0755, whole or not at all; returns its path; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / FILE_NAME
    partial = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        partial.write_bytes(_archive_bytes())
        partial.chmod(0o755)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _archive_bytes() -> bytes:
    """This wrapper as an archive: the running one when it is installed already."""
    running_archive = getattr(__spec__.loader, "archive", None) if __spec__ else None
    if running_archive is not None:
        return Path(running_archive).read_bytes()
    return build(sorted(Path(__file__).parent.glob("*.py")))


def build(modules: list[Path]) -> bytes:
    """The executable archive of the given source files."""
    buffer = io.BytesIO()
    buffer.write(SHEBANG)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        _add_module(archive, "__main__.py", MAIN)
        for path in modules:
            _add_module(archive, f"{PACKAGE}/{path.name}", path.read_text(encoding="utf-8"))
    return buffer.getvalue()


def _add_module(archive: zipfile.ZipFile, name: str, source: str) -> None:
    import marshal

    code = compile(source, name, "exec", dont_inherit=True, optimize=2)
    compiled = MAGIC_NUMBER + UNCHECKED_HASH_FLAGS.to_bytes(4, "little") + bytes(8) + marshal.dumps(code)
    archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), source)
    archive.writestr(zipfile.ZipInfo(name + "c", ZIP_EPOCH), compiled)
