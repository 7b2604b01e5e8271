"""Makes a bundle a file: the same bytes for the same content, readable by its owner alone, and whole or not at all."""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from actions_gateway import __version__
from gw.errors import Refused
from gw.ops.bundle.collector import rendered
from gw.ops.bundle.model import Bundle, BundleFile
from gw.ops.redaction import REMOVES

MANIFEST = "MANIFEST.json"
_NEVER = [
    "Secrets and ConfigMaps are never read.",
    "Of objects' managedFields who wrote and when is kept, and which fields is not.",
    "A kind of object of which there is none, and a log that is empty, have no file.",
]


@dataclass(frozen=True, slots=True)
class Written:
    """The file that came of it."""

    path: Path
    size: int
    sha256: str


class Destination:
    """Where the bundle goes; use as a context manager, which leaves nothing behind unless `write` came to its end.

    Raises Refused when something is there already, or nothing can be written there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial: Path | None = None

    def __enter__(self) -> "Destination":
        if self._path.exists() or self._path.is_symlink():
            raise self._taken()
        try:
            descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".partial")
        except OSError as problem:
            raise Refused(
                f"the folder {self._path.parent} cannot be written to: {problem.strerror}",
                "Name another place with --output-file FILE.",
            ) from problem
        os.close(descriptor)
        self._partial = Path(name)
        return self

    def __exit__(self, *_: object) -> None:
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)

    def write(self, bundle: Bundle) -> Written:
        """The bundle as a file of that name; raises Refused when one came there meanwhile, or the disk is full."""
        assert self._partial is not None
        try:
            with self._partial.open("wb") as stream:
                write_archive(bundle, stream)
                stream.flush()
                os.fsync(stream.fileno())
            content = self._partial.read_bytes()
            # Reserves the name: a rename alone would replace what came there meanwhile.
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._partial.replace(self._path)
        except FileExistsError:
            raise self._taken() from None
        except OSError as problem:
            raise Refused(
                f"the bundle could not be written to {self._path}: {problem.strerror}",
                "Make room, or name another place with --output-file FILE.",
            ) from problem
        self._partial = None
        return Written(self._path, len(content), hashlib.sha256(content).hexdigest())

    def _taken(self) -> Refused:
        return Refused(f"{self._path} exists, and is not overwritten", "Name another file with --output-file FILE.")


def write_archive(bundle: Bundle, stream: BinaryIO) -> None:
    """A compressed tar archive of one folder, the manifest first; times and owners are the bundle's, not the disk's."""
    moment = int(bundle.at.timestamp())
    manifest = BundleFile(MANIFEST, rendered(manifest_of(bundle)))
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in (manifest, *bundle.files):
            entry = tarfile.TarInfo(f"{bundle.name}/{file.path}")
            entry.size, entry.mode, entry.mtime = len(file.content), 0o600, moment
            archive.addfile(entry, io.BytesIO(file.content))


def manifest_of(bundle: Bundle) -> dict[str, Any]:
    """What is in the bundle, what was taken out of it, and what is missing."""
    request = bundle.request
    return {
        "version": "gw/v1",
        "kind": "SupportBundleManifest",
        "gw": __version__,
        "at": bundle.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tenant": request.namespace,
        "since_seconds": request.since_seconds,
        "bounds": {"bytes": request.max_bytes, "seconds": request.timeout_seconds},
        "redaction": {
            "is_on": request.is_redacted,
            "rules": {rule.value: what for rule, what in REMOVES.items()},
            "removed": {rule.value: times for rule, times in bundle.removed.items()},
        },
        "never": _NEVER,
        "files": [_entry(file) for file in bundle.files],
        "not_read": [
            {"what": each.what, "reason": each.reason, "is_expected": each.is_expected} for each in bundle.not_read
        ],
    }


def _entry(file: BundleFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": len(file.content),
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "removed": [{"rule": each.rule.value, "where": each.where, "times": each.times} for each in file.removed],
        "cut": file.cut or None,
    }
