"""What a pod's spec gives to its processes: files, variables, ports, access to the API server."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import connect
from gateway_sandbox.nodes.images import Image
from gateway_sandbox.nodes.ports import ANNOTATION
from support.aio import until
from support.clock import ManualClock

from .world import NAMESPACE, World, container_status, play, state, waits_for


def volume(name: str, path: str, **source: Any) -> dict[str, Any]:
    """A pod spec with one volume mounted at `path`."""
    mounts = [{"name": name, "mountPath": path}]
    return {"container": {"volumeMounts": mounts}, "volumes": [{"name": name, **source}]}


def test_a_secret_is_a_file_and_its_path_is_rewritten_everywhere(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_secret("s", key_pem="top", other="no")
        spec = volume("s", "/run/secrets/app", secret={"secretName": "s", "items": [{"key": "key.pem", "path": "k"}]})
        spec["container"]["env"] = [{"name": "KEY", "value": "/run/secrets/app/k"}]
        await world.create_pod(
            "p", 'cat /run/secrets/app/k "$KEY"; ls /run/secrets/app; ls -ld /run/secrets/app/', **spec
        )
        await world.until_phase("p", "Succeeded")
        text = await world.logs("p")
        assert text.startswith("toptopk\n")
        assert str(world.folder) in text

    play(tmp_path, scenario)


def test_mounted_files_belong_to_the_owner_alone(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_secret("s", key="top")
        pod = await world.create_pod("p", "echo up; sleep 600", **volume("s", "/s", secret={"secretName": "s"}))
        await world.until_logged("p", "up")
        folder = world.folder / pod["metadata"]["uid"]
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "volumes" / "s" / "key").stat().st_mode & 0o077 == 0

    play(tmp_path, scenario)


def test_a_config_map_and_a_secret_are_variables(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_secret("s", password="hidden")
        await world.create(r.CONFIGMAPS, {"metadata": {"name": "c"}, "data": {"level": "debug"}})
        env = [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "level"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "LINE", "value": "$(WHO)@$(POD_IP)"},
        ]
        await world.create_pod("p", "echo $PASSWORD $LEVEL $LINE $(WHO)", container={"env": env})
        await world.until_phase("p", "Succeeded")
        assert await world.logs("p") == "hidden debug p@127.0.0.1 p\n"

    play(tmp_path, scenario)


def test_a_pod_waits_for_a_missing_secret_volume_and_starts_when_it_appears(tmp_path: Path) -> None:
    """The node's clock stands still: the Secret's own arrival starts the pod, not a retry."""

    async def scenario(world: World) -> None:
        await world.create_pod("p", "cat /s/key", **volume("s", "/s", secret={"secretName": "late"}))
        problem = await world.until_event("p", "FailedMount")
        assert problem == 'MountVolume.SetUp failed for volume "s" : secret "late" not found'
        await world.until(r.PODS, "p", waits_for("ContainerCreating"))
        await world.create_secret("late", key="now")
        await world.until_phase("p", "Succeeded")
        assert await world.logs("p") == "now"

    play(tmp_path, scenario, node_clock=ManualClock())


def test_a_pod_waits_for_a_missing_variable_and_starts_when_it_appears(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "late", "key": "key"}}}]
        await world.create_pod("p", "echo $X", container={"env": env})
        pod = await world.until(r.PODS, "p", waits_for("CreateContainerConfigError"))
        assert state(pod)["waiting"]["message"] == 'secret "late" not found'
        await world.create_secret("late", key="now")
        await world.until_phase("p", "Succeeded")
        assert await world.logs("p") == "now\n"

    play(tmp_path, scenario, node_clock=ManualClock())


def test_an_optional_secret_fills_the_volume_when_it_appears(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        spec = volume("s", "/s", secret={"secretName": "late", "optional": True})
        await world.create_pod("p", "ls /s; echo up; until [ -e /s/key ]; do sleep 0.02; done; cat /s/key", **spec)
        assert await world.until_logged("p", "up") == "up\n"
        await world.create_secret("late", key="now")
        await world.until_phase("p", "Succeeded")
        assert await world.logs("p") == "up\nnow"

    play(tmp_path, scenario)


def test_annotations_in_a_volume_follow_the_pod(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        items = [{"path": "cancel", "fieldRef": {"fieldPath": "metadata.annotations['cancel']"}}]
        await world.create_pod(
            "p",
            "echo up; until [ -s /info/cancel ]; do sleep 0.02; done; cat /info/cancel",
            annotations={"cancel": ""},
            **volume("info", "/info", downwardAPI={"items": items}),
        )
        await world.until_logged("p", "up")
        patch = {"metadata": {"annotations": {"cancel": "2026-01-05T09:00:00Z"}}}
        await world.client.patch(r.PODS, "p", patch, namespace=NAMESPACE)
        await world.until_phase("p", "Succeeded")
        assert await world.logs("p") == "up\n2026-01-05T09:00:00Z"

    play(tmp_path, scenario)


def admitted() -> dict[str, Any]:
    """What the ServiceAccount admission plugin of a real API server adds to a pod."""
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    return volume("kube-api-access-x", path, projected={"sources": sources})


@pytest.mark.parametrize("spec", [admitted(), {}], ids=["mounted by admission", "mounted by the node"])
def test_a_pod_reaches_the_api_server_as_its_service_account(tmp_path: Path, spec: dict[str, Any]) -> None:
    async def scenario(world: World) -> None:
        await world.create(r.SERVICEACCOUNTS, {"metadata": {"name": "agent"}})
        script = "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; echo $KUBECONFIG; sleep 600"
        await world.create_pod("p", script, serviceAccountName="agent", **spec)
        lines = (await world.until_logged("p", "kubeconfig\n")).splitlines()
        assert lines[0] == NAMESPACE
        assert (await asyncio.to_thread(os.stat, lines[1])).st_mode & 0o777 == 0o600
        async with connect(lines[1]) as client:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            who = await client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
            assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{NAMESPACE}:agent"

    play(tmp_path, scenario)


def test_a_pod_without_token_has_no_kubeconfig(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "echo [$KUBECONFIG]", automountServiceAccountToken=False)
        await world.until_phase("p", "Succeeded")
        assert await world.logs("p") == "[]\n"

    play(tmp_path, scenario)


def test_ports_are_free_ones_and_everything_follows_them(tmp_path: Path) -> None:
    server = "exec python3 -m http.server --bind 127.0.0.1 $HEALTH_PORT"

    async def scenario(world: World) -> None:
        for name in ("a", "b"):
            container = {
                "ports": [{"name": "health", "containerPort": 8081}],
                "env": [{"name": "HEALTH_PORT", "value": "8081"}],
                "readinessProbe": {"httpGet": {"path": "/", "port": "health"}, "periodSeconds": 1},
            }
            await world.create_pod(name, server, container=container)
        ready = [await world.until(r.PODS, name, lambda pod: container_status(pod).get("ready")) for name in ("a", "b")]
        published = [json.loads(pod["metadata"]["annotations"][ANNOTATION])["health"] for pod in ready]
        assert len(set(published)) == 2
        assert 8081 not in published

    play(tmp_path, scenario)


def test_an_images_root_appears_under_its_path(tmp_path: Path) -> None:
    calls: list[Path] = []

    def install(folder: Path) -> Path:
        root = folder / "runner"
        root.mkdir()
        (root / "run.sh").write_text("echo ran in $(pwd) with $WORK; ls $WORK")
        calls.append(folder)
        return root

    runner = Image(
        command=("/bin/sh",), env={"WORK": "/home/runner/_work"}, rootfs={"/home/runner": install},
        working_dir="/home/runner",
    )  # fmt: skip

    async def scenario(world: World) -> None:
        spec = volume("work", "/home/runner/_work", emptyDir={})
        spec["container"] |= {"image": "ghcr.example/runner:2", "args": ["-c", "touch _work/x; sh /home/runner/run.sh"]}
        pod = await world.create_pod("p", **spec)
        await world.until_phase("p", "Succeeded", "Failed")
        own = world.folder / pod["metadata"]["uid"]
        assert await world.logs("p") == (f"ran in {own}/containers/main/runner with {own}/volumes/work\nx\n")
        assert calls == [own / "containers" / "main"]

    play(tmp_path, scenario, images={"ghcr.example/runner": runner})


def test_a_deleted_pod_leaves_no_file(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_secret("s", key="top")
        pod = await world.create_pod("p", "echo up; exec sleep 600", **volume("s", "/s", secret={"secretName": "s"}))
        await world.until_logged("p", "up")
        await world.client.delete(r.PODS, "p", namespace=NAMESPACE)
        await until(lambda: not (world.folder / pod["metadata"]["uid"]).exists())

    play(tmp_path, scenario)
