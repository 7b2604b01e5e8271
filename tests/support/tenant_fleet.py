"""Many tenants as stored objects, as manager and agents would have left them: nothing runs, and gw has much to read.

Made of the healthy tenant of `cli.objects`; a few of them are broken in ways that everybody would notice.
"""

import asyncio
import copy
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from actions_gateway.api import names
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.resources import LEASES, NAMESPACES, resource_of
from cli.objects import (
    agent_pod,
    condition,
    container,
    gateway,
    healthy_conditions,
    manager,
    moment,
    namespace,
    proxy_pod,
    ready,
    runner_group,
    worker_pod,
)
from gateway_sandbox.controlplane.server import ControlPlane, Options
from support.clock import START
from support.definitions import install_definitions
from support.patience import HANG_SECONDS

Manifest = dict[str, Any]
_AT_ONCE = 24


def tenant(name: str) -> list[Manifest]:
    """One tenant that is well: two groups, an agent, two proxies and a worker that runs."""
    groups = [{"name": "cpu", "runnerLabels": ["linux"]}, {"name": "gpu", "runnerLabels": ["gpu"]}]
    return [
        gateway(name, spec={"runnerGroups": groups}),
        runner_group(name, "cpu", jobs=1),
        runner_group(name, "gpu", runner_labels=("self-hosted", "gpu")),
        agent_pod(name),
        *(proxy_pod(name, number=number) for number in (1, 2)),
        worker_pod(name),
    ]


def _keyless(name: str) -> list[Manifest]:
    broken = {each["type"]: each for each in healthy_conditions()}
    for each in (
        ready("False", Reason.KEY_REJECTED, "GitHub does not accept the key"),
        condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED, "GitHub does not accept the key"),
    ):
        broken[each["type"]] = each
    return [gateway(name, conditions=list(broken.values())), *tenant(name)[1:]]


def _agentless(name: str) -> list[Manifest]:
    return [each for each in tenant(name) if each["metadata"]["name"] != agent_pod(name)["metadata"]["name"]]


def _deaf(name: str) -> list[Manifest]:
    group = runner_group(name, "cpu", sessions=0, conditions=[ready("False", Reason.NO_ACTIVE_SESSIONS, "none")])
    return [each if each["metadata"]["name"] != group["metadata"]["name"] else group for each in tenant(name)]


def _imageless(name: str) -> list[Manifest]:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    pod = worker_pod(name, phase="Pending", seconds_old=1200, containers=[container(state=waiting)])
    return [*tenant(name)[:-1], pod]


def _killed(name: str) -> list[Manifest]:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": moment(90)}}
    return [*tenant(name)[:-1], worker_pod(name, phase="Failed", containers=[container(state=last)])]


BROKEN: dict[str, tuple[Callable[[str], list[Manifest]], str]] = {
    "team-007": (_keyless, "credential.available"),
    "team-042": (_agentless, "agent.available"),
    "team-077": (_deaf, "session.open"),
    "team-133": (_imageless, "worker.image"),
    "team-199": (_killed, "worker.stable"),
}
"""Tenant to how it is broken, and the check that names it."""


def fleet(count: int) -> Iterator[Manifest]:
    """The manager and `count` tenants; those of BROKEN are broken."""
    yield from manager()
    for number in range(count):
        name = f"team-{number:03d}"
        build, _ = BROKEN.get(name, (tenant, ""))
        yield from build(name)


STILL = Options(
    with_controllers=False,
    with_scheduler=False,
    # Without controllers no namespace gets the service account that pods are held to.
    extra_flags=("--disable-admission-plugins=ServiceAccount",),
)
"""A control plane on which nothing touches what is stored."""


async def start_with_fleet(plane: ControlPlane, count: int, *, renewed_for: timedelta) -> None:
    """Starts the plane with the definitions and `fleet(count)` on it; the lease holds for so long without a renewal."""
    await plane.start(timeout_seconds=HANG_SECONDS)
    async with connect(plane.kubeconfig) as client:
        await install_definitions(client, crd_manifests())
        await store(client, fleet(count))
        renewed = (datetime.now(UTC) + renewed_for).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        lease = {"spec": {"renewTime": renewed}}
        await client.patch(LEASES, names.MANAGER_LEASE, lease, namespace=names.MANAGER_NAMESPACE)


async def store(client: KubeClient, manifests: Iterable[Manifest]) -> None:
    """Stores objects with their namespaces and statuses, their times moved to the present."""
    by = datetime.now(UTC) - START
    stored = [_complete(_moved(copy.deepcopy(each), by)) for each in manifests]
    places = {each["metadata"].get("namespace") for each in stored} - {None}
    await _all(client.create(NAMESPACES, namespace(place)) for place in sorted(places))
    await _all(_store(client, each) for each in stored)


async def _store(client: KubeClient, manifest: Manifest) -> None:
    resource = resource_of(manifest["apiVersion"], manifest["kind"])
    assert resource is not None, manifest["kind"]
    metadata, status = manifest["metadata"], manifest.pop("status", None)
    await client.create(resource, manifest)
    if status:
        await client.patch(
            resource, metadata["name"], {"status": status}, namespace=metadata["namespace"], subresource="status"
        )


async def _all(works: Iterable[Any]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Any) -> None:
        async with gate:
            await work

    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(one(work))


def _moved(value: Any, by: timedelta) -> Any:
    if isinstance(value, dict):
        return {key: _moved(each, by) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, by) for each in value]
    if isinstance(value, str) and len(value) == 20 and value.endswith("Z"):
        return (datetime.fromisoformat(value) + by).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def _complete(manifest: Manifest) -> Manifest:
    """What an API server wants beside what gw reads."""
    metadata, spec = manifest["metadata"], manifest.setdefault("spec", {})
    for key in ("uid", "generation", "creationTimestamp"):
        metadata.pop(key, None)
    if manifest["kind"] == "Pod":
        spec.setdefault("containers", [{"name": "main", "image": "none"}])
    if manifest["kind"] == "Deployment":
        ready_count = manifest["status"]["readyReplicas"]
        manifest["status"] |= {"replicas": ready_count, "availableReplicas": ready_count}
        spec.setdefault("selector", {"matchLabels": {"app": names.MANAGER}})
        spec.setdefault(
            "template",
            {
                "metadata": {"labels": {"app": names.MANAGER}},
                "spec": {"containers": [{"name": "manager", "image": "none"}]},
            },
        )
    if manifest["kind"] == "Lease":
        spec["renewTime"] = spec["renewTime"].replace("Z", ".000000Z")
    return manifest
