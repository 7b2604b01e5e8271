"""Deployments, ReplicaSets and the scheduler, with pods that really run."""

import asyncio
from pathlib import Path
from typing import Any

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import ObjectList
from gateway_sandbox.controllers.conditions import is_ready
from gateway_sandbox.nodes.registration import Room
from support.aio import until

from .world import NAMESPACE, Manifest, World, play

OBEDIENT = "trap 'exit 0' TERM; echo up; while :; do sleep 0.02; done"


def deployment(name: str = "web", *, replicas: int = 1, script: str = OBEDIENT, **spec: Any) -> Manifest:
    labels = {"app": name}
    container = {"name": "main", "image": "shell", "args": [script], **spec.pop("container", {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "automountServiceAccountToken": False},
            },
            **spec,
        },
    }


def is_complete(manifest: Manifest) -> bool:
    """What `kubectl rollout status` waits for."""
    status, wanted = manifest.get("status") or {}, manifest["spec"]["replicas"]
    counts = [status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas")]
    is_seen = bool(status.get("observedGeneration", 0) >= manifest["metadata"]["generation"])
    return is_seen and counts == [wanted] * 3


def conditions(manifest: Manifest) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in manifest["status"]["conditions"]}


async def pods_of(world: World, name: str = "web") -> list[Manifest]:
    return (await world.client.list(r.PODS, NAMESPACE, label_selector=f"app={name}")).items


async def restart(world: World, name: str = "web") -> None:
    annotation = {"kubectl.kubernetes.io/restartedAt": "2026-01-05T09:00:00Z"}
    patch = {"spec": {"template": {"metadata": {"annotations": annotation}}}}
    await world.client.patch(r.DEPLOYMENTS, name, patch, namespace=NAMESPACE)


async def watch_overlap(world: World, listed: ObjectList, seen: list[int]) -> None:
    """Records how many pods of the Deployment exist after each change since they were listed."""
    alive = {pod["metadata"]["uid"] for pod in listed.items}
    stream = world.client.watch(r.PODS, NAMESPACE, resource_version=listed.resource_version, label_selector="app=web")
    async for event in stream:
        uid = event.object["metadata"].get("uid")
        if event.type == "DELETED":
            alive.discard(uid)
        elif event.type != "BOOKMARK":
            alive.add(uid)
        seen.append(len(alive))


def test_a_deployment_becomes_available(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create(r.DEPLOYMENTS, deployment(replicas=2))
        ready = await world.until(r.DEPLOYMENTS, "web", is_complete)
        assert conditions(ready) == {
            "Available": ("True", "MinimumReplicasAvailable"),
            "Progressing": ("True", "NewReplicaSetAvailable"),
        }
        assert ready["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        names = [pod["metadata"]["name"] for pod in await pods_of(world)]
        (replica_set,) = (await world.client.list(r.REPLICASETS, NAMESPACE)).items
        assert len(names) == 2
        assert all(name.startswith(replica_set["metadata"]["name"] + "-") for name in names)
        assert (await world.until_event("web", "ScalingReplicaSet")).startswith("Scaled up replica set web-")
        assert (await world.until_event(replica_set["metadata"]["name"], "SuccessfulCreate")).startswith("Created pod")

    play(tmp_path, scenario)


def test_a_restart_with_recreate_never_has_two_pods(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create(r.DEPLOYMENTS, deployment(strategy={"type": "Recreate"}))
        await world.until(r.DEPLOYMENTS, "web", is_complete)
        listed = await world.client.list(r.PODS, NAMESPACE, label_selector="app=web")
        (before,) = listed.items
        seen: list[int] = []
        watching = asyncio.ensure_future(watch_overlap(world, listed, seen))
        await restart(world)
        await world.until(
            r.DEPLOYMENTS, "web", lambda d: is_complete(d) and d["metadata"]["annotations"].get(REVISION) == "2"
        )
        await until(lambda: 0 in seen and seen[-1] == 1)
        watching.cancel()
        (after,) = await pods_of(world)
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert max(seen) == 1

    play(tmp_path, scenario)


REVISION = "deployment.kubernetes.io/revision"


def test_a_rolling_restart_keeps_its_pods_serving(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        await world.create(r.DEPLOYMENTS, deployment(replicas=3, strategy=rolling))
        await world.until(r.DEPLOYMENTS, "web", is_complete)
        before = {pod["metadata"]["uid"] for pod in await pods_of(world)}
        available: list[int] = []

        def notes(manifest: Manifest) -> bool:
            available.append(manifest["status"].get("availableReplicas", 0))
            return is_complete(manifest) and manifest["metadata"]["annotations"][REVISION] == "2"

        await restart(world)
        await world.until(r.DEPLOYMENTS, "web", notes)
        assert min(available) >= 3
        assert not before & {pod["metadata"]["uid"] for pod in await pods_of(world) if is_staying(pod)}

    def is_staying(pod: Manifest) -> bool:
        return "deletionTimestamp" not in pod["metadata"]

    play(tmp_path, scenario)


def test_a_broken_template_stops_the_rollout_and_a_rollback_ends_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        created = await world.create(r.DEPLOYMENTS, deployment(replicas=2, strategy=rolling, progressDeadlineSeconds=1))
        await world.until(r.DEPLOYMENTS, "web", is_complete)
        good = created["spec"]["template"]["spec"]["containers"]
        bad = [{**good[0], "image": "nowhere:1"}]
        await patch_containers(world, bad)
        stuck = await world.until(
            r.DEPLOYMENTS, "web", lambda d: conditions(d).get("Progressing") == ("False", "ProgressDeadlineExceeded")
        )
        assert stuck["status"]["availableReplicas"] == 2
        await patch_containers(world, good)
        back = await world.until(r.DEPLOYMENTS, "web", is_complete)
        assert back["metadata"]["annotations"][REVISION] == "3"

    async def patch_containers(world: World, containers: list[Manifest]) -> None:
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        await world.client.patch(r.DEPLOYMENTS, "web", patch, namespace=NAMESPACE)

    play(tmp_path, scenario)


def test_scaling_down_keeps_what_serves(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create(r.DEPLOYMENTS, deployment(replicas=3))
        await world.until(r.DEPLOYMENTS, "web", is_complete)
        await world.client.patch(r.DEPLOYMENTS, "web", {"spec": {"replicas": 1}}, namespace=NAMESPACE)
        await world.until(r.DEPLOYMENTS, "web", lambda d: d["spec"]["replicas"] == 1 and is_complete(d))
        assert len([pod for pod in await pods_of(world) if "deletionTimestamp" not in pod["metadata"]]) == 1

    play(tmp_path, scenario)


def test_a_lost_pod_is_replaced(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create(r.DEPLOYMENTS, deployment())
        await world.until(r.DEPLOYMENTS, "web", is_complete)
        (lost,) = await pods_of(world)
        await world.client.delete(r.PODS, lost["metadata"]["name"], namespace=NAMESPACE)
        await world.until_gone(r.PODS, lost["metadata"]["name"])
        # Complete is what the Deployment says until its controller has seen the loss.
        await world.until_any(r.PODS, lambda pod: is_ready(pod) and pod["metadata"]["uid"] != lost["metadata"]["uid"])
        await world.until(r.DEPLOYMENTS, "web", is_complete)
        assert len(await pods_of(world)) == 1

    play(tmp_path, scenario)


def test_a_deleted_deployment_takes_its_pods_along(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create(r.DEPLOYMENTS, deployment(replicas=2))
        await world.until(r.DEPLOYMENTS, "web", is_complete)
        names = [pod["metadata"]["name"] for pod in await pods_of(world)]
        await world.client.delete(r.DEPLOYMENTS, "web", namespace=NAMESPACE, propagation="Background")
        for name in names:
            await world.until_gone(r.PODS, name)
        assert (await world.client.list(r.REPLICASETS, NAMESPACE)).items == []

    play(tmp_path, scenario)


def test_a_quota_that_refuses_pods_is_told_and_obeyed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
        await world.create(r.RESOURCEQUOTAS, quota)
        await world.until(r.RESOURCEQUOTAS, "q", lambda found: "hard" in (found.get("status") or {}))
        await world.create(r.DEPLOYMENTS, deployment(replicas=2))
        refused = await world.until(r.DEPLOYMENTS, "web", lambda d: "ReplicaFailure" in conditions_or_none(d))
        message = next(one["message"] for one in refused["status"]["conditions"] if one["type"] == "ReplicaFailure")
        assert "exceeded quota: q" in message
        await world.client.patch(r.RESOURCEQUOTAS, "q", {"spec": {"hard": {"pods": "5"}}}, namespace=NAMESPACE)
        healed = await world.until(r.DEPLOYMENTS, "web", is_complete)
        healed = await world.until(r.DEPLOYMENTS, "web", lambda d: "ReplicaFailure" not in conditions_or_none(d))
        assert healed["status"]["availableReplicas"] == 2

    def conditions_or_none(manifest: Manifest) -> set[str]:
        return {one["type"] for one in (manifest.get("status") or {}).get("conditions") or []}

    play(tmp_path, scenario)


def test_a_full_node_keeps_pods_pending_until_there_is_room(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("first", "echo up; exec sleep 600")
        await world.until_phase("first", "Running")
        await world.create_pod("second", "exit 0")
        waiting = await world.until(r.PODS, "second", lambda pod: pod["status"].get("conditions"))
        condition = waiting["status"]["conditions"][0]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "PodScheduled",
            "False",
            "Unschedulable",
        )
        assert condition["message"] == "0/1 nodes are available: 1 Too many pods."
        assert await world.until_event("second", "FailedScheduling") == condition["message"]
        await world.client.delete(r.PODS, "first", namespace=NAMESPACE, grace_period_seconds=0)
        await world.until_phase("second", "Succeeded")

    play(tmp_path, scenario, room=Room.of_this_machine(pods=1))


def test_a_pod_waits_for_a_node_that_matches_its_selector(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.create_pod("p", "exit 0", nodeSelector={"gpu": "yes"})
        await world.until_event("p", "FailedScheduling")
        await world.client.patch(r.NODES, "sandbox-node", {"metadata": {"labels": {"gpu": "yes"}}})
        await world.until_phase("p", "Succeeded")

    play(tmp_path, scenario)
