"""The targets that kubernetes_sd (role pod) would find, as a file: Debian's Prometheus is built without kubernetes_sd.

The meta labels are those of Prometheus' documentation, "Configuration" (kubernetes_sd_config, role pod), so that the
relabelings of production are the ones that run here.
"""

import asyncio
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from actions_gateway.engine.clock import Clock
from actions_gateway.installation.scraping import pod_annotation, pod_label
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.listwatch import ChangeType, key_of, list_watch
from actions_gateway.kube.resources import PODS

Manifest = dict[str, Any]
_SETTLE_SECONDS = 0.5
"""A burst of pod changes is one change of the file."""


async def write_targets(client: KubeClient, path: Path, *, clock: Clock, rng: random.Random) -> None:
    """Keeps the file current until cancelled."""
    pods: dict[object, Manifest] = {}
    changed = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_keep_written(path, pods, changed, clock), name="targets file")
        async for change in list_watch(client, PODS, clock=clock, rng=rng):
            match change.type:
                case ChangeType.SYNCED:
                    pass
                case ChangeType.DELETED:
                    pods.pop(key_of(change.object), None)
                case _:
                    pods[key_of(change.object)] = change.object
            changed.set()


async def _keep_written(path: Path, pods: dict[object, Manifest], changed: asyncio.Event, clock: Clock) -> None:
    draft = path.with_suffix(".draft")
    while True:
        await changed.wait()
        changed.clear()
        draft.write_text(json.dumps(list(target_groups(pods.values()))))
        draft.replace(path)
        await clock.sleep(_SETTLE_SECONDS)


def target_groups(pods: Iterable[Manifest]) -> Iterator[Manifest]:
    """One group of one target for every port that a container of a placed pod declares."""
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status") or {}
        if not (address := status.get("podIP")):
            continue
        shared = {
            "__meta_kubernetes_namespace": metadata["namespace"],
            "__meta_kubernetes_pod_name": metadata["name"],
            "__meta_kubernetes_pod_uid": metadata["uid"],
            "__meta_kubernetes_pod_ip": address,
            "__meta_kubernetes_pod_phase": status.get("phase") or "Unknown",
            "__meta_kubernetes_pod_node_name": pod["spec"].get("nodeName") or "",
            **{pod_label(key): value for key, value in (metadata.get("labels") or {}).items()},
            **{pod_annotation(key): value for key, value in (metadata.get("annotations") or {}).items()},
        }
        for container in pod["spec"]["containers"]:
            for port in container.get("ports") or []:
                yield {
                    "targets": [f"{address}:{port['containerPort']}"],
                    "labels": shared
                    | {
                        "__meta_kubernetes_pod_container_name": container["name"],
                        "__meta_kubernetes_pod_container_port_name": port.get("name") or "",
                        "__meta_kubernetes_pod_container_port_number": str(port["containerPort"]),
                    },
                }
