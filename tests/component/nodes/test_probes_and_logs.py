"""Probes decide about readiness and restarts; logs are read as `kubectl logs` asks for them."""

from pathlib import Path

import pytest

from actions_gateway.kube import resources as r
from actions_gateway.kube.errors import Invalid, KubeError, NotFound
from support.clock import ManualClock

from .world import CORE_EVENTS, NAMESPACE, World, advance_until, container_status, play, state, waits_for


def test_readiness_follows_the_probe(tmp_path: Path) -> None:
    clock = ManualClock()

    async def scenario(world: World) -> None:
        probe = {
            "exec": {"command": ["test", "-e", "/tmp/ready"]},
            "periodSeconds": 5,
            "timeoutSeconds": 20,
            "failureThreshold": 1,
        }
        await world.create_pod("p", "echo up; exec sleep 600", container={"readinessProbe": probe})
        pod = await world.until_phase("p", "Running")
        assert container_status(pod)["ready"] is False
        await world.until_event("p", "Unhealthy")
        marker = world.folder / pod["metadata"]["uid"] / "containers" / "main" / "tmp" / "ready"
        marker.touch()
        await clock.advance(5)
        await world.until(r.PODS, "p", lambda pod: container_status(pod)["ready"])
        marker.unlink()
        await clock.advance(5)
        await world.until(r.PODS, "p", lambda pod: not container_status(pod)["ready"])

    play(tmp_path, scenario, node_clock=clock)


def test_a_failing_liveness_probe_restarts_the_container(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        command = ["sh", "-c", "echo broken; exit 1"]
        probe = {"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 20}
        await world.create_pod("p", "exec sleep 600", container={"livenessProbe": probe}, restartPolicy="Always")
        pod = await world.until(r.PODS, "p", lambda pod: container_status(pod).get("restartCount", 0) >= 1)
        assert container_status(pod)["lastState"]["terminated"]["exitCode"] == 143
        assert await world.until_event("p", "Unhealthy") == "Liveness probe failed: broken"
        assert await world.until_event("p", "Killing") == "Container main failed liveness probe, will be restarted"

    play(tmp_path, scenario)


def test_liveness_waits_for_the_startup_probe(tmp_path: Path) -> None:
    clock = ManualClock()

    async def scenario(world: World) -> None:
        container = {
            "startupProbe": {
                "exec": {"command": ["test", "-e", "/tmp/up"]},
                "periodSeconds": 5,
                "failureThreshold": 30,
            },
            "livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 5, "failureThreshold": 1},
        }
        pod = await world.create_pod("p", "exec sleep 600", container=container)
        running = await world.until_phase("p", "Running")
        assert container_status(running)["started"] is False
        await world.until_event("p", "Unhealthy")
        await clock.advance(10)
        assert (await world.client.get(r.PODS, "p", NAMESPACE))["status"]["phase"] == "Running"
        (world.folder / pod["metadata"]["uid"] / "containers" / "main" / "tmp" / "up").touch()
        await advance_until(clock, 5, world.until_phase("p", "Failed"))

    play(tmp_path, scenario, node_clock=clock)


def test_a_tcp_probe_and_an_http_probe_see_a_server(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        container = {
            "ports": [{"name": "web", "containerPort": 80}],
            "env": [{"name": "WEB_PORT", "value": "80"}],
            "startupProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 30},
            "readinessProbe": {"httpGet": {"path": "/missing", "port": "web"}, "periodSeconds": 1},
        }
        await world.create_pod("p", "exec python3 -m http.server --bind 127.0.0.1 $WEB_PORT", container=container)
        await world.until(r.PODS, "p", lambda pod: container_status(pod).get("started"))
        event = await world.until_any(CORE_EVENTS, lambda event: "statuscode" in event.get("message", ""))
        assert event["message"] == "Readiness probe failed: HTTP probe failed with statuscode: 404"

    play(tmp_path, scenario)


def test_logs_can_be_cut_timed_and_limited(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "echo one; echo two >&2; echo three")
        await world.until_phase("p", "Succeeded")
        assert await world.logs("p") == "one\ntwo\nthree\n"
        assert await world.logs("p", tailLines="1") == "three\n"
        assert await world.logs("p", limitBytes="6") == "one\ntw"
        assert await world.logs("p", sinceSeconds="3600") == "one\ntwo\nthree\n"
        stamped = await world.logs("p", tailLines="1", timestamps="true")
        assert stamped[4] == "-"
        assert stamped.endswith("000Z three\n")

    play(tmp_path, scenario)


def test_a_followed_log_ends_with_the_container(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "echo first; until [ -e /tmp/go ]; do sleep 0.02; done; echo last")
        pod = await world.until_phase("p", "Running")
        text = ""
        async for chunk in world.followed("p"):
            text += chunk
            (world.folder / pod["metadata"]["uid"] / "containers" / "main" / "tmp" / "go").touch()
        assert text == "first\nlast\n"

    play(tmp_path, scenario)


def test_a_log_that_does_not_exist_is_refused_in_the_kubelets_words(tmp_path: Path) -> None:
    async def refusal(world: World, name: str, **query: str) -> str:
        with pytest.raises(KubeError) as problem:
            await world.logs(name, **query)
        assert isinstance(problem.value, Invalid | NotFound)
        return problem.value.message

    async def scenario(world: World) -> None:
        await world.create_pod("waits", container={"image": "nowhere:1"})
        await world.until(r.PODS, "waits", waits_for("ErrImagePull"))
        text = await refusal(world, "waits")
        assert text == 'container "main" in pod "waits" is waiting to start: ErrImagePull'
        await world.create_pod("ends", "echo out")
        ended = await world.until_phase("ends", "Succeeded")
        assert "terminated" in state(ended)
        text = await refusal(world, "ends", previous="true")
        assert text == 'previous terminated container "main" in pod "ends" not found'
        assert "container other is not valid for pod ends" in await refusal(world, "ends", container="other")

    play(tmp_path, scenario)
