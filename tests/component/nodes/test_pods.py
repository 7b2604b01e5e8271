"""Pods as processes: phases, exit codes, order of containers, termination."""

import asyncio
import os
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from actions_gateway.kube import resources as r
from gateway_sandbox.nodes.addresses import POD_NETWORK
from gateway_sandbox.nodes.processes import POD_UID
from support.aio import until
from support.clock import ManualClock

from .world import NAMESPACE, World, container_status, play, state, waits_for


def processes_of(uid: str) -> list[str]:
    """The command lines of all living processes that carry the pod's mark."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{POD_UID}={uid}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("script", "phase", "exit_code", "reason"),
    [
        ("exit 0", "Succeeded", 0, "Completed"),
        ("exit 3", "Failed", 3, "Error"),
        ("kill -9 $$$$", "Failed", 137, "Error"),
    ],
    ids=["success", "failure", "a signal"],
)
def test_a_pod_ends_with_its_container(tmp_path: Path, script: str, phase: str, exit_code: int, reason: str) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", f"echo out of > /dev/termination-log; {script}")
        pod = await world.until_phase("p", "Succeeded", "Failed")
        ended = state(pod)["terminated"]
        assert (pod["status"]["phase"], ended["exitCode"], ended["reason"]) == (phase, exit_code, reason)
        assert ended["message"] == "out of\n"
        assert ended["containerID"] == container_status(pod)["containerID"]
        conditions = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
        assert conditions == {
            "PodScheduled": "True",
            "Initialized": "True",
            "Ready": "False",
            "ContainersReady": "False",
        }

    play(tmp_path, scenario)


def test_a_running_pod_is_ready_and_has_addresses(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "sleep 600")
        pod = await world.until_phase("p", "Running")
        status = pod["status"]
        assert (status["hostIP"], status["qosClass"]) == ("127.0.0.1", "BestEffort")
        assert ip_address(status["podIP"]) in ip_network(POD_NETWORK)
        assert container_status(pod)["ready"] is True
        assert container_status(pod)["started"] is True
        assert {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == "True"
        await world.until_event("p", "Started")
        assert await world.until_event("p", "Scheduled") == "Successfully assigned team-a/p to sandbox-node"

    play(tmp_path, scenario)


def test_init_containers_run_one_after_the_other_before_the_main_ones(tmp_path: Path) -> None:
    def init(name: str, seen: str) -> dict[str, object]:
        script = f'[ "$(cat /exchange/log 2>/dev/null)" = "{seen}" ] && printf {name} >> /exchange/log'
        return {"name": name, "image": "shell", "args": [script], "volumeMounts": mounts}

    mounts = [{"name": "exchange", "mountPath": "/exchange"}]

    async def scenario(world: World) -> None:
        await world.create_pod(
            "p",
            "cat /exchange/log",
            container={"volumeMounts": mounts},
            volumes=[{"name": "exchange", "emptyDir": {}}],
            initContainers=[init("a", ""), init("b", "a")],
        )
        pod = await world.until_phase("p", "Succeeded", "Failed")
        assert pod["status"]["phase"] == "Succeeded"
        assert await world.logs("p") == "ab"
        assert [state(pod, name)["terminated"]["exitCode"] for name in ("a", "b")] == [0, 0]

    play(tmp_path, scenario)


def test_a_failed_init_container_ends_the_pod_before_it_began(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "true", initContainers=[{"name": "i", "image": "shell", "args": ["exit 9"]}])
        pod = await world.until_phase("p", "Failed")
        assert state(pod, "i")["terminated"]["exitCode"] == 9
        assert state(pod) == {"waiting": {"reason": "PodInitializing"}}

    play(tmp_path, scenario)


def test_a_pod_of_two_containers_waits_for_both(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        other = {"name": "other", "image": "shell", "args": ["exit 0"]}
        main = {"name": "main", "image": "shell", "args": ["exit 1"]}
        await world.create_pod("p", containers=[main, other])
        pod = await world.until_phase("p", "Failed", "Succeeded")
        assert pod["status"]["phase"] == "Failed"
        assert state(pod, "other")["terminated"]["exitCode"] == 0

    play(tmp_path, scenario)


def test_deletion_gives_the_grace_and_then_takes_everything(tmp_path: Path) -> None:
    """The main process ignores SIGTERM, and a daemon has left its session."""
    daemon = "setsid sh -c 'echo up; exec sleep 600' &"

    async def scenario(world: World) -> None:
        pod = await world.create_pod("p", f"trap 'echo asked' TERM; {daemon} while :; do sleep 0.05; done")
        uid = pod["metadata"]["uid"]
        await world.until_logged("p", "up")
        assert len(processes_of(uid)) >= 2
        # The pod is gone right after its last status: the watch for that has to stand before the deletion.
        async with asyncio.TaskGroup() as group:
            last = group.create_task(world.until(r.PODS, "p", lambda pod: "terminated" in state(pod)))
            asked = group.create_task(world.until_logged("p", "asked"))
            await world.until_event("p", "Started")
            await world.client.delete(r.PODS, "p", namespace=NAMESPACE, grace_period_seconds=2)
        assert "asked" in asked.result()
        assert state(last.result())["terminated"]["exitCode"] == 137
        await world.until_gone(r.PODS, "p")
        assert processes_of(uid) == []

    play(tmp_path, scenario)


def test_an_obedient_pod_is_gone_before_its_grace_is(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done")
        await world.until_logged("p", "up")
        await world.client.delete(r.PODS, "p", namespace=NAMESPACE, grace_period_seconds=600)
        await world.until_gone(r.PODS, "p")

    play(tmp_path, scenario)


def test_a_second_deletion_shortens_the_grace(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        pod = await world.create_pod("p", "trap '' TERM; echo up; while :; do sleep 0.05; done")
        await world.until_logged("p", "up")
        await world.client.delete(r.PODS, "p", namespace=NAMESPACE, grace_period_seconds=600)
        await world.until_event("p", "Killing")
        await world.client.delete(r.PODS, "p", namespace=NAMESPACE, grace_period_seconds=0)
        await world.until_gone(r.PODS, "p")
        await until(lambda: not processes_of(pod["metadata"]["uid"]))

    play(tmp_path, scenario)


def test_a_pod_that_waits_is_deleted_at_once(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", container={"image": "nowhere:1"})
        await world.until(r.PODS, "p", waits_for("ErrImagePull"))
        await world.client.delete(r.PODS, "p", namespace=NAMESPACE)
        await world.until_gone(r.PODS, "p")

    play(tmp_path, scenario)


def test_the_end_of_the_node_ends_every_process_and_removes_every_folder(tmp_path: Path) -> None:
    uids: list[str] = []

    async def scenario(world: World) -> None:
        for name in ("a", "b"):
            pod = await world.create_pod(name, "echo up; sleep 600 & sleep 600")
            uids.append(pod["metadata"]["uid"])
            await world.until_logged(name, "up")
        assert all(processes_of(uid) for uid in uids)

    play(tmp_path, scenario)
    assert [processes_of(uid) for uid in uids] == [[], []]
    assert not (tmp_path / "pods" / "sandbox-node").exists()


def test_a_node_takes_over_what_ran_in_an_earlier_life(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for name, policy in (("once", "Never"), ("always", "Always")):
            await world.create_pod(name, "exec sleep 600", restartPolicy=policy, nodeName="crashed")
            main = {"name": "main", "image": "shell", "imageID": "", "ready": True, "restartCount": 2}
            status = {"phase": "Running", "containerStatuses": [main]}
            await world.client.patch(r.PODS, name, {"status": status}, namespace=NAMESPACE, subresource="status")
        await world.add_node("crashed")
        lost = state(await world.until_phase("once", "Failed"))["terminated"]
        assert (lost["exitCode"], lost["reason"]) == (137, "ContainerStatusUnknown")
        again = await world.until(r.PODS, "always", lambda pod: "running" in state(pod))
        assert container_status(again)["restartCount"] == 3

    play(tmp_path, scenario)


def test_an_ended_pod_keeps_its_log_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_secret("s", key="hidden")
        volumes = [{"name": "s", "secret": {"secretName": "s"}}]
        mounts = [{"name": "s", "mountPath": "/s"}]
        pod = await world.create_pod("p", "cat /s/key", container={"volumeMounts": mounts}, volumes=volumes)
        await world.until_phase("p", "Succeeded")
        folder = world.folder / pod["metadata"]["uid"]
        assert await world.logs("p") == "hidden"
        await until(lambda: [entry.name for entry in folder.iterdir()] == ["logs"])
        await world.client.delete(r.PODS, "p", namespace=NAMESPACE)
        await until(lambda: not folder.exists())

    play(tmp_path, scenario)


def test_restarts_wait_longer_each_time_and_show_the_run_before(tmp_path: Path) -> None:
    clock = ManualClock()

    async def scenario(world: World) -> None:
        await world.create_pod("p", "echo run; exit 5", restartPolicy="OnFailure")
        crashed = await world.until(r.PODS, "p", waits_for("CrashLoopBackOff"))
        # The first restart is immediate, the second waits ten seconds.
        assert container_status(crashed)["restartCount"] == 1
        assert container_status(crashed)["lastState"]["terminated"]["exitCode"] == 5
        assert "back-off 10s restarting failed container=main pod=p_team-a" in state(crashed)["waiting"]["message"]
        await clock.advance(10)
        again = await world.until(
            r.PODS, "p", lambda pod: container_status(pod)["restartCount"] == 2 and waits_for("CrashLoopBackOff")(pod)
        )
        assert "back-off 20s" in state(again)["waiting"]["message"]
        assert again["status"]["phase"] == "Running"
        assert await world.logs("p", previous="true") == "run\n"

    play(tmp_path, scenario, node_clock=clock)


def test_a_container_that_always_restarts_comes_back_after_a_success(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "exit 0", restartPolicy="Always")
        pod = await world.until(r.PODS, "p", waits_for("CrashLoopBackOff"))
        assert container_status(pod)["lastState"]["terminated"]["reason"] == "Completed"

    play(tmp_path, scenario)


def test_the_active_deadline_fails_the_pod(tmp_path: Path) -> None:
    clock = ManualClock()

    async def scenario(world: World) -> None:
        pod = await world.create_pod("p", "echo up; exec sleep 600", activeDeadlineSeconds=30)
        await world.until_logged("p", "up")
        await clock.advance(29)
        assert (await world.client.get(r.PODS, "p", NAMESPACE))["status"]["phase"] == "Running"
        await clock.advance(2)
        failed = await world.until(
            r.PODS, "p", lambda pod: pod["status"]["phase"] == "Failed" and "terminated" in state(pod)
        )
        assert failed["status"]["reason"] == "DeadlineExceeded"
        assert state(failed)["terminated"]["exitCode"] == 143
        assert processes_of(pod["metadata"]["uid"]) == []

    play(tmp_path, scenario, node_clock=clock)


def test_an_unknown_image_is_told_like_a_failed_pull(tmp_path: Path) -> None:
    clock = ManualClock()

    async def scenario(world: World) -> None:
        await world.create_pod("p", container={"image": "nowhere:1"})
        pod = await world.until(r.PODS, "p", waits_for("ErrImagePull"))
        assert "nowhere:1" in state(pod)["waiting"]["message"]
        assert pod["status"]["phase"] == "Pending"
        await clock.advance(2)
        await world.until(r.PODS, "p", waits_for("ImagePullBackOff"))
        assert await world.until_event("p", "BackOff") == 'Back-off pulling image "nowhere:1"'

    play(tmp_path, scenario, node_clock=clock)


def test_a_command_that_does_not_exist_is_a_start_error(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", container={"command": ["no-such-program"]})
        pod = await world.until_phase("p", "Failed")
        ended = state(pod)["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
        assert "no-such-program" in ended["message"]

    play(tmp_path, scenario)


def test_a_refused_feature_is_said_in_the_status(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", volumes=[{"name": "h", "hostPath": {"path": "/"}}])
        pod = await world.until(r.PODS, "p", waits_for("UnsupportedBySandbox"))
        assert "hostPath" in state(pod)["waiting"]["message"]
        await world.client.delete(r.PODS, "p", namespace=NAMESPACE)
        await world.until_gone(r.PODS, "p")

    play(tmp_path, scenario)


def test_an_injected_oom_kill_looks_like_the_kernels(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "echo up; sleep 600")
        await world.until_logged("p", "up")
        world.node.kill_container(NAMESPACE, "p", "main")
        ended = state(await world.until_phase("p", "Failed"))["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")

    play(tmp_path, scenario)


def test_a_pod_sees_nothing_of_the_sandbox_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_SECRET", "x")
    assert "SANDBOX_SECRET" in os.environ

    async def scenario(world: World) -> None:
        await world.create_pod("p", "env; pwd; echo hi > /tmp/x && cat /tmp/x; ls $HOME", container={"workingDir": "/"})
        pod = await world.until_phase("p", "Succeeded")
        text = await world.logs("p")
        own = str(world.folder / pod["metadata"]["uid"])
        assert "SANDBOX_SECRET" not in text
        names = {line.partition("=")[0] for line in text.splitlines() if "=" in line}
        expected = {"PATH", "PWD", "HOME", "TMPDIR", "HOSTNAME", "KUBECONFIG"}
        assert names - {"OLDPWD", "SHLVL", "_"} == expected | {POD_UID, "GATEWAY_SANDBOX_CONTAINER"}
        assert f"PWD={own}" in text
        assert text.endswith("hi\n")

    play(tmp_path, scenario)


def test_many_short_pods_all_end_exactly_once(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for number in range(60):
            await world.create_pod(f"p-{number}", f"echo {number}", automountServiceAccountToken=False)
        for number in range(60):
            pod = await world.until_phase(f"p-{number}", "Succeeded", "Failed")
            assert pod["status"]["phase"] == "Succeeded"
            assert container_status(pod)["restartCount"] == 0
            assert await world.logs(f"p-{number}") == f"{number}\n"

    play(tmp_path, scenario)
