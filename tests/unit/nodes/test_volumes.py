"""Volumes hold the right files, closed to others, and switch to new content at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from gateway_sandbox.nodes.problems import MountProblem
from gateway_sandbox.nodes.sources import Sources, references_of
from gateway_sandbox.nodes.volumes import FileContent, Files, gather_files, link_nested_mounts, write_files
from support.aio import run

POD: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "team-a",
        "uid": "u-1",
        "labels": {"b": "2", "a": "1"},
        "annotations": {"note": 'say "hi"'},
    },
    "spec": {"containers": []},
}


class FixedSources:
    """Secrets and ConfigMaps of a test."""

    def __init__(self, secrets: Mapping[str, dict[str, bytes]], maps: Mapping[str, dict[str, bytes]]) -> None:
        self._secrets, self._maps = secrets, maps

    async def secret(self, name: str) -> dict[str, bytes] | None:
        return self._secrets.get(name)

    async def config_map(self, name: str) -> dict[str, bytes] | None:
        return self._maps.get(name)

    async def token(self) -> bytes:
        return b"the-token"


SOURCES = FixedSources({"s": {"user": b"u", "key": b"k"}}, {"c": {"file": b"text"}})


def gathered(volume: dict[str, Any]) -> Files | None:
    return run(gather_files({"name": "v", **volume}, POD, cast("Sources", SOURCES)))


def contents(volume: dict[str, Any]) -> dict[str, bytes]:
    return {path: content.data for path, content in (gathered(volume) or {}).items()}


def test_a_secret_volume_holds_every_key() -> None:
    assert contents({"secret": {"secretName": "s"}}) == {"user": b"u", "key": b"k"}


def test_items_choose_keys_paths_and_modes() -> None:
    files = gathered({"secret": {"secretName": "s", "items": [{"key": "key", "path": "d/k.pem", "mode": 0o444}]}})
    assert files == {"d/k.pem": FileContent(b"k", 0o400)}


def test_a_missing_secret_is_a_mount_problem_in_the_kubelets_words() -> None:
    with pytest.raises(MountProblem, match=r'MountVolume.SetUp failed for volume "v" : secret "nope" not found'):
        gathered({"secret": {"secretName": "nope"}})


def test_a_missing_key_is_a_mount_problem() -> None:
    with pytest.raises(MountProblem, match="references non-existent secret key: other"):
        gathered({"secret": {"secretName": "s", "items": [{"key": "other", "path": "x"}]}})


def test_an_optional_source_may_be_missing() -> None:
    assert contents({"secret": {"secretName": "nope", "optional": True}}) == {}
    assert contents({"configMap": {"name": "nope", "optional": True}}) == {}


def test_the_downward_api_shows_metadata() -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}},
        {"path": "all", "fieldRef": {"fieldPath": "metadata.annotations"}},
        {"path": "absent", "fieldRef": {"fieldPath": "metadata.annotations['nope']"}},
    ]
    assert contents({"downwardAPI": {"items": items}}) == {
        "labels": b'a="1"\nb="2"',
        "note": b'say "hi"',
        "all": b'note="say \\"hi\\""',
        "absent": b"",
    }


def test_a_projected_volume_joins_its_sources() -> None:
    sources = [
        {"serviceAccountToken": {"path": "token"}},
        {"configMap": {"name": "c", "items": [{"key": "file", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    expected = {"token": b"the-token", "ca.crt": b"text", "namespace": b"team-a"}
    assert contents({"projected": {"sources": sources}}) == expected


def test_an_empty_dir_has_no_files_of_its_own() -> None:
    assert gathered({"emptyDir": {}}) is None


def test_files_are_written_for_the_owner_only(tmp_path: Path) -> None:
    assert write_files(tmp_path / "v", {"a": FileContent(b"1", 0o600), "d/b": FileContent(b"2", 0o400)})
    assert (tmp_path / "v" / "a").read_bytes() == b"1"
    assert (tmp_path / "v" / "d" / "b").read_bytes() == b"2"
    assert (tmp_path / "v" / "a").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "v" / "d" / "b").stat().st_mode & 0o777 == 0o400


def test_a_new_generation_replaces_changed_and_removes_old_files(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    write_files(folder, {"keep": FileContent(b"1"), "gone": FileContent(b"2")})
    assert write_files(folder, {"keep": FileContent(b"3"), "fresh": FileContent(b"4")})
    assert {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()} == {
        "keep": b"3",
        "fresh": b"4",
    }
    assert len([entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]) == 1


def test_equal_content_is_left_alone(tmp_path: Path) -> None:
    files = {"a": FileContent(b"1")}
    assert write_files(tmp_path, files)
    before = (tmp_path / "..data").resolve()
    assert not write_files(tmp_path, files)
    assert (tmp_path / "..data").resolve() == before


def test_an_empty_volume_is_a_folder(tmp_path: Path) -> None:
    write_files(tmp_path / "v", {})
    assert (tmp_path / "v").is_dir()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "..data", ""])
def test_a_path_cannot_leave_its_volume(tmp_path: Path, path: str) -> None:
    with pytest.raises(MountProblem):
        write_files(tmp_path / "v", {path: FileContent(b"1")})
    assert not (tmp_path / "v").exists()


def test_a_nested_mount_shows_inside_the_outer_folder(tmp_path: Path) -> None:
    outer, inner = tmp_path / "root", tmp_path / "work"
    (outer / "_work").mkdir(parents=True)
    inner.mkdir()
    link_nested_mounts({"/home/runner": outer, "/home/runner/_work": inner})
    (inner / "file").write_text("x")
    assert (outer / "_work" / "file").read_text() == "x"


def test_a_folder_with_content_is_not_covered_by_a_link(tmp_path: Path) -> None:
    outer, inner = tmp_path / "root", tmp_path / "work"
    (outer / "_work").mkdir(parents=True)
    (outer / "_work" / "precious").write_text("x")
    inner.mkdir()
    link_nested_mounts({"/home/runner": outer, "/home/runner/_work": inner})
    assert (outer / "_work" / "precious").read_text() == "x"


def test_references_are_found_in_volumes_and_environments() -> None:
    pod = {
        "spec": {
            "volumes": [
                {"name": "a", "secret": {"secretName": "s1"}},
                {"name": "b", "projected": {"sources": [{"secret": {"name": "s2"}}, {"configMap": {"name": "c1"}}]}},
                {"name": "c", "emptyDir": {}},
            ],
            "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "c2"}}]}],
            "containers": [
                {"name": "m", "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "k"}}}]}
            ],
        }
    }
    assert references_of(pod) == {
        ("Secret", "s1"),
        ("Secret", "s2"),
        ("Secret", "s3"),
        ("ConfigMap", "c1"),
        ("ConfigMap", "c2"),
    }
