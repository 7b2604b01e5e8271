"""Plain kubectl against pods and Deployments that really run."""

import asyncio
import os
from pathlib import Path

import pytest

from actions_gateway.kube import resources as r
from support.components import require_kubectl

from .test_workloads import OBEDIENT, deployment
from .world import World, play


@pytest.fixture(autouse=True)
def _kubectl_is_there() -> None:
    require_kubectl()


async def kubectl(world: World, *words: str) -> str:
    """Standard output; a failure shows the standard error."""
    process = await asyncio.create_subprocess_exec(
        require_kubectl(),
        *words,
        env={"PATH": os.environ["PATH"], "HOME": str(world.folder), "KUBECONFIG": str(world.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, problem = await process.communicate()
    assert process.returncode == 0, problem.decode()
    return output.decode()


def test_a_rollout_is_followed_restarted_and_logged(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create(r.DEPLOYMENTS, deployment(script=OBEDIENT, strategy={"type": "Recreate"}))
        await kubectl(world, "rollout", "status", "deploy/web", "--timeout=150s")
        await kubectl(world, "wait", "--for=condition=Available", "deploy/web", "--timeout=150s")
        before = await kubectl(world, "get", "pods", "-l", "app=web", "-o", "name")
        # Without a probe a container is ready before it has said a word.
        await world.until_logged(before.strip().removeprefix("pod/"), "up")
        assert await kubectl(world, "logs", "deploy/web", "--tail=100") == "up\n"
        await kubectl(world, "rollout", "restart", "deploy/web")
        await kubectl(world, "rollout", "status", "deploy/web", "--timeout=150s")
        after = await kubectl(world, "get", "pods", "-l", "app=web", "-o", "name")
        assert len(after.splitlines()) == 1
        assert before != after
        history = await kubectl(world, "rollout", "history", "deploy/web")
        assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]

    play(tmp_path, scenario)


def test_a_pod_is_described_with_its_events(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "echo out; exit 3")
        await world.until_phase("p", "Failed")
        await world.until_event("p", "Started")
        text = " ".join((await kubectl(world, "describe", "pod", "p")).split())
        assert "Status: Failed" in text
        assert "Reason: Error Exit Code: 3" in text
        assert "default-scheduler Successfully assigned team-a/p to sandbox-node" in text
        assert "kubelet Started container main" in text
        assert "sandbox-node Ready" in " ".join((await kubectl(world, "get", "nodes")).split())

    play(tmp_path, scenario)
