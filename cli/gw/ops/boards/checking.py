"""Finds the boards of a folder or of a cluster, and compares them with those that ship."""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import Blind, Refused
from gw.ops.boards.comparison import BoardCheck, PlacedBoard, compare_boards, is_ours
from gw.sources.cluster import Cluster, asking

Manifest = Mapping[str, Any]

_PREFIX = "actions-gateway"
"""Of the names of what is ours, also where it cannot be read any more."""


def check_folder(folder: Path) -> BoardCheck:
    """The JSON files of a folder; raises Refused, or Blind."""
    if not folder.is_dir():
        raise Refused(f"{folder} is no folder", "Name the one that Grafana's provisioning reads with --folder DIR.")
    found = [each for path in sorted(folder.glob("*.json")) if (each := _read(path))]
    if not found:
        raise Blind(
            f"{folder} has no dashboard of ours",
            "Name the folder that Grafana's provisioning reads, or fill it: "
            f"`gw dashboards render --output-dir {shlex.quote(str(folder))}`.",
        )
    return compare_boards(str(folder), found)


async def check_cluster(cluster: Cluster, namespace: str | None, label: Mapping[str, str]) -> BoardCheck:
    """GrafanaDashboards and the sidecar's ConfigMaps, in one namespace or all; raises Blind."""
    found = [*await _dashboards(cluster, namespace), *await _config_maps(cluster, namespace, label)]
    if not found:
        labels = ",".join(f"{name}={value}" for name, value in label.items())
        raise Blind(
            f"the cluster has no dashboard of ours, neither as GrafanaDashboard nor as ConfigMap with {labels}",
            "Name the sidecar's label with --label, a folder of files with --folder, or install them: "
            "`gw dashboards render --configmaps`.",
        )
    return compare_boards(cluster.host, found)


def _read(path: Path) -> PlacedBoard | None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        return _unreadable(str(path), path.name, f"it is no JSON: {problem}")
    except OSError as problem:
        raise Blind(f"{path} cannot be read: {problem}", "See to its permissions.") from problem
    return _parse(text, str(path), path.name)


def _parse(text: str, place: str, name: str) -> PlacedBoard | None:
    """None for what is not ours."""
    try:
        model = json.loads(text)
    except RecursionError:
        return _unreadable(place, name, "it is nested too deeply")
    except ValueError as problem:
        # Also of a number with thousands of digits.
        return _unreadable(place, name, f"it is no JSON: {problem}")
    return PlacedBoard(place, model) if isinstance(model, dict) and is_ours(model) else None


def _unreadable(place: str, name: str, problem: str) -> PlacedBoard | None:
    """None where the name does not say that it is ours: a stranger's board is not to be counted."""
    return PlacedBoard(place, None, problem) if name.startswith(_PREFIX) else None


async def _dashboards(cluster: Cluster, namespace: str | None) -> list[PlacedBoard]:
    with asking("list GrafanaDashboards"):
        try:
            listed = await cluster.list(r.GRAFANADASHBOARDS, namespace)
        except errors.NotFound:
            # No operator, so there are none.
            return []
    return [each for manifest in listed.items if (each := _of_operator(manifest))]


def _of_operator(manifest: Manifest) -> PlacedBoard | None:
    place, name = _place("GrafanaDashboard", manifest)
    text = (manifest.get("spec") or {}).get("json")
    if text is None:
        return _unreadable(place, name, "it names a board that lies elsewhere")
    return _parse(text, place, name)


async def _config_maps(cluster: Cluster, namespace: str | None, label: Mapping[str, str]) -> list[PlacedBoard]:
    selector = ",".join(f"{name}={value}" for name, value in label.items())
    with asking("list the ConfigMaps of dashboards; --namespace NS asks for those of one"):
        listed = await cluster.list(r.CONFIGMAPS, namespace, label_selector=selector)
    return [each for manifest in listed.items for each in _of_sidecar(manifest)]


def _of_sidecar(manifest: Manifest) -> Iterator[PlacedBoard]:
    place, _ = _place("ConfigMap", manifest)
    for key, text in (manifest.get("data") or {}).items():
        if key.endswith(".json") and (found := _parse(text, f"{place} {key}", key)):
            yield found


def _place(kind: str, manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return f"{kind} {metadata['namespace']}/{metadata['name']}", str(metadata["name"])
