"""A container's environment and command line in this machine's terms."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from gateway_sandbox.nodes.environment import DEFAULT_PATH, Setting, build_argv, gather_environment
from gateway_sandbox.nodes.images import Image
from gateway_sandbox.nodes.ports import PodPorts
from gateway_sandbox.nodes.problems import ConfigProblem
from gateway_sandbox.nodes.rewriting import PathMap
from gateway_sandbox.nodes.sources import Sources
from support.aio import run

POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "team-a", "uid": "u-1", "annotations": {"note": "hi"}},
    "spec": {"nodeName": "n1", "serviceAccountName": "sa", "containers": []},
    "status": {"podIP": "127.0.0.1", "hostIP": "127.0.0.1"},
}
SETTING = Setting(
    image=Image(command=("/usr/bin/app", "/tmp/host"), env={"WORK": "/tmp/work"}, host_env={"LIBS": "/tmp/host-libs"}),
    rewrite=PathMap({"/etc/app": "/pod/app", "/tmp": "/pod/tmp"}).rewrite,
    ports=PodPorts({8081: 20001}, {}),
    given={"HOME": "/pod/home"},
    markers={"MARK": "m"},
)


class FixedSources:
    async def secret(self, name: str) -> dict[str, bytes] | None:
        return {"password": b"/tmp/stays"} if name == "s" else None

    async def config_map(self, name: str) -> dict[str, bytes] | None:
        return {"path": b"/etc/app/x", "level": b"debug"} if name == "c" else None


def environment(env: list[dict[str, Any]], **container: Any) -> dict[str, str]:
    spec: Mapping[str, Any] = {"name": "main", "env": env, **container}
    return run(gather_environment(spec, POD, SETTING, cast("Sources", FixedSources())))


def test_only_the_image_the_node_and_the_pod_make_the_environment() -> None:
    assert environment([{"name": "A", "value": "1"}]) == {
        "PATH": DEFAULT_PATH,
        "LIBS": "/tmp/host-libs",
        "HOME": "/pod/home",
        "WORK": "/pod/tmp/work",
        "A": "1",
        "MARK": "m",
    }


def test_nothing_overrides_a_marker() -> None:
    assert environment([{"name": "MARK", "value": "other"}])["MARK"] == "m"


def test_values_are_rewritten_and_expanded_in_order() -> None:
    env = environment(
        [
            {"name": "ROOT", "value": "/etc/app"},
            {"name": "HEALTH_PORT", "value": "8081"},
            {"name": "URL", "value": "http://127.0.0.1:$(HEALTH_PORT)$(ROOT)/x$(LATER)"},
            {"name": "LATER", "value": "no"},
            {"name": "EMPTY"},
        ]
    )
    assert env["URL"] == "http://127.0.0.1:20001/pod/app/x$(LATER)"
    assert env["EMPTY"] == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "team-a"),
        ("metadata.uid", "u-1"),
        ("metadata.annotations['note']", "hi"),
        ("metadata.labels['none']", ""),
        ("spec.nodeName", "n1"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.0.0.1"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_fields_of_the_pod_are_values(path: str, value: str) -> None:
    env = environment([{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}])
    assert env["X"] == value


def test_an_unknown_field_is_a_config_problem() -> None:
    with pytest.raises(ConfigProblem, match=r"unsupported fieldPath: spec\.priority"):
        environment([{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.priority"}}}])


def test_keys_of_secrets_and_config_maps_are_values() -> None:
    env = environment(
        [
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "path"}}},
            {"name": "NO", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "x", "optional": True}}},
        ]
    )
    assert (env["P"], env["C"]) == ("/tmp/stays", "/pod/app/x")
    assert "NO" not in env


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"secretKeyRef": {"name": "nope", "key": "x"}}, 'secret "nope" not found'),
        ({"secretKeyRef": {"name": "s", "key": "x"}}, "couldn't find key x in Secret team-a/s"),
        ({"configMapKeyRef": {"name": "nope", "key": "x"}}, 'configmap "nope" not found'),
        ({"configMapKeyRef": {"name": "c", "key": "x"}}, "couldn't find key x in ConfigMap team-a/c"),
    ],
    ids=["no secret", "no secret key", "no config map", "no config map key"],
)
def test_a_missing_reference_is_told_in_the_kubelets_words(origin: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigProblem) as problem:
        environment([{"name": "X", "valueFrom": origin}])
    assert str(problem.value) == message


def test_whole_maps_come_in_below_single_variables() -> None:
    env = environment(
        [{"name": "APP_level", "value": "info"}], envFrom=[{"prefix": "APP_", "configMapRef": {"name": "c"}}]
    )
    assert (env["APP_path"], env["APP_level"]) == ("/pod/app/x", "info")


def test_the_images_command_is_this_machines_already() -> None:
    argv = build_argv({"args": ["--dir", "/tmp/a", "$(A)"]}, SETTING, {"A": "/tmp/from-env"})
    assert argv == ["/usr/bin/app", "/tmp/host", "--dir", "/pod/tmp/a", "/tmp/from-env"]


def test_a_pods_command_replaces_the_images() -> None:
    assert build_argv({"command": ["/etc/app/run"]}, SETTING, {}) == ["/pod/app/run"]


def test_no_command_at_all_is_a_config_problem() -> None:
    empty = Setting(Image(), str, PodPorts())
    with pytest.raises(ConfigProblem, match="no command specified"):
        build_argv({}, empty, {})
