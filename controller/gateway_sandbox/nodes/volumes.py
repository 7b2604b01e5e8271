"""Volumes of a pod as folders: which files a volume holds, and putting them there.

Files appear and change like the kubelet's: a new generation is written aside and one rename of the `..data` link
switches all of them (kubernetes pkg/volume/util/atomic_writer.go). The pod's folder is closed to other users, and
files are never readable by them whatever mode the pod asks for.
"""

import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gateway_sandbox.nodes.downward import field_value
from gateway_sandbox.nodes.problems import MountProblem
from gateway_sandbox.nodes.sources import Sources

Volume = dict[str, Any]
_OWNER_ONLY = 0o700
_DATA = "..data"


@dataclass(frozen=True, slots=True)
class FileContent:
    """One file of a volume."""

    data: bytes
    mode: int = 0o600


Files = dict[str, FileContent]
"""By path inside the volume."""


async def gather_files(volume: Volume, pod: dict[str, Any], sources: Sources) -> Files | None:
    """The files of `volume`, or None for one that starts empty; raises MountProblem, KubeError."""
    if "emptyDir" in volume:
        return None
    if projected := volume.get("projected"):
        files: Files = {}
        for source in projected.get("sources") or []:
            files |= await _files_of(source, projected.get("defaultMode"), volume["name"], pod, sources)
        return files
    return await _files_of(volume, None, volume["name"], pod, sources)


def write_files(folder: Path, files: Files) -> bool:
    """Makes `folder` hold exactly `files`; whether anything changed. Raises MountProblem for a path that leaves it."""
    for path in files:
        if PurePosixPath(path).is_absolute() or not path or any(part.startswith("..") for part in path.split("/")):
            raise MountProblem(f"invalid path {path!r}: it has to stay inside the volume")
    folder.mkdir(parents=True, exist_ok=True)
    current = folder / _DATA
    if current.exists() and _read_back(current.resolve()) == files:
        return False
    generation = _write_generation(folder, files)
    before = current.resolve() if current.exists() else None
    _link(current, generation.name)
    tops = {path.split("/")[0] for path in files}
    for stale in [entry for entry in folder.iterdir() if entry.is_symlink() and entry.name not in tops | {_DATA}]:
        stale.unlink()
    for top in tops:
        if not (folder / top).is_symlink():
            _link(folder / top, f"{_DATA}/{top}")
    if before is not None:
        shutil.rmtree(before)
    return True


def link_nested_mounts(targets: Mapping[str, Path]) -> None:
    """Shows a mount below another mapped path (`/home/runner/_work` in `/home/runner`) inside that path's folder, too.

    A folder that is not empty is left alone: text that names the mount is rewritten in any case.
    """
    for inner, source in sorted(targets.items()):
        outer = max((path for path in targets if inner.startswith(path + "/")), key=len, default=None)
        if outer is None or not targets[outer].is_dir():
            continue
        place = targets[outer] / inner[len(outer) + 1 :]
        if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
            place.rmdir()
        if not place.exists() and not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(source)


async def _files_of(
    source: Mapping[str, Any], default_mode: int | None, volume: str, pod: dict[str, Any], sources: Sources
) -> Files:
    if secret := source.get("secret"):
        name = secret.get("secretName") or secret["name"]
        return await _keyed_files(secret, default_mode, volume, "secret", name, sources.secret)
    if config_map := source.get("configMap"):
        return await _keyed_files(config_map, default_mode, volume, "configmap", config_map["name"], sources.config_map)
    if downward := source.get("downwardAPI"):
        mode = downward.get("defaultMode") or default_mode
        return {
            item["path"]: FileContent(field_value(pod, item["fieldRef"]["fieldPath"]).encode(), _mode(item, mode))
            for item in downward.get("items") or []
        }
    token = source["serviceAccountToken"]
    return {token["path"]: FileContent(await sources.token(), _mode({}, default_mode))}


async def _keyed_files(
    source: Mapping[str, Any],
    default_mode: int | None,
    volume: str,
    kind: str,
    name: str,
    read: Callable[[str], Awaitable[dict[str, bytes] | None]],
) -> Files:
    mode = source.get("defaultMode") or default_mode
    content = await read(name)
    if content is None and not source.get("optional"):
        raise MountProblem(f'MountVolume.SetUp failed for volume "{volume}" : {kind} "{name}" not found')
    content = content or {}
    if not source.get("items"):
        return {key: FileContent(value, _mode({}, mode)) for key, value in content.items()}
    files: Files = {}
    for item in source["items"]:
        if item["key"] in content:
            files[item["path"]] = FileContent(content[item["key"]], _mode(item, mode))
        elif not source.get("optional"):
            raise MountProblem(
                f'MountVolume.SetUp failed for volume "{volume}" : '
                f"references non-existent {kind} key: {item['key']} in {name}"
            )
    return files


def _mode(item: Mapping[str, Any], default_mode: int | None) -> int:
    wanted = item.get("mode") or default_mode or 0o644
    return int(wanted) & _OWNER_ONLY | 0o400


def _write_generation(folder: Path, files: Files) -> Path:
    number = 1 + max((int(entry.name[2:]) for entry in folder.glob("..[0-9]*")), default=0)
    generation = folder / f"..{number}"
    generation.mkdir()
    for path, content in files.items():
        target = generation / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # The mode is there from the first byte: no moment in which others could read it.
        with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, content.mode), "wb") as stream:
            stream.write(content.data)
    return generation


def _read_back(generation: Path) -> Files:
    return {
        path.relative_to(generation).as_posix(): FileContent(path.read_bytes(), path.stat().st_mode & _OWNER_ONLY)
        for path in generation.rglob("*")
        if path.is_file()
    }


def _link(place: Path, target: str) -> None:
    temporary = place.with_name(f"..tmp-{place.name.lstrip('.')}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(place)
