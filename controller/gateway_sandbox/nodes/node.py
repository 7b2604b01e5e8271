"""The node: its registration, its kubelet API, and one worker per pod that is bound to it."""

import asyncio
import random
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever, uninterrupted
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import Resource
from gateway_sandbox.nodes.addresses import PodAddresses
from gateway_sandbox.nodes.drills import NodeDrills
from gateway_sandbox.nodes.host import Host, PodEvents
from gateway_sandbox.nodes.images import ImageTable
from gateway_sandbox.nodes.kubelet_api import KubeletApi
from gateway_sandbox.nodes.pods import PodWorker
from gateway_sandbox.nodes.ports import PortAllocator
from gateway_sandbox.nodes.registration import Registration, Room
from gateway_sandbox.nodes.services import Services
from gateway_sandbox.nodes.sources import ApiAccess

log = structlog.get_logger(__name__)


class Node:
    """Runs pods as local processes until `run` is cancelled."""

    def __init__(
        self,
        client: KubeClient,
        *,
        name: str = "sandbox-node",
        folder: Path,
        images: ImageTable,
        clock: Clock,
        ssl_context: ssl.SSLContext | None,
        kubelet_client: str | None = None,
        api_url: str,
        api_ca_path: Path,
        host: str = "127.0.0.1",
        rng: random.Random | None = None,
        room: Room | None = None,
        labels: dict[str, str] | None = None,
        stop_grace_seconds: float = 5.0,
    ) -> None:
        """`ssl_context` is the kubelet API's; with `kubelet_client` it asks for certificates and takes that name only.

        `room` is what the node offers to the scheduler, by default what the machine has.
        """
        self._client = client
        self._name = name
        self._kubelet_client = kubelet_client
        self._clock = clock
        self._ssl_context = ssl_context
        self._rng = rng or random.Random()  # noqa: S311 - ports and jitter, no secrets
        self._events = PodEvents(EventRecorder(client, clock, component="kubelet", instance=name))
        self._host = Host(
            client=client,
            clock=clock,
            images=images,
            folder=folder,
            address=host,
            pod_addresses=PodAddresses(),
            api=ApiAccess(api_url, api_ca_path),
            ports=PortAllocator(host, self._rng),
            services=Services(host, lambda: self.pods),
            events=self._events,
            stop_grace_seconds=stop_grace_seconds,
        )
        self._registration = Registration(
            client, clock, name=name, address=host, room=room or Room.of_this_machine(), labels=labels or {}
        )
        self._workers: dict[str, PodWorker] = {}
        self._annotations: Mapping[str, str] = {}
        self.ready = asyncio.Event()
        """Set when the node is registered and takes pods."""

    async def run(self) -> None:
        """Registers the node and runs its pods; on cancellation every pod's processes and folders go."""
        self._host.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            async with self._serve_kubelet_api() as port, asyncio.TaskGroup() as tasks:
                run_forever(tasks, self._events.write_until_cancelled(), name="pod events")
                run_forever(tasks, self._registration.keep(port, self.ready), name="node heartbeat")
                run_forever(tasks, self._watch_sources(r.SECRETS), name="secret watch")
                run_forever(tasks, self._watch_sources(r.CONFIGMAPS), name="configmap watch")
                run_forever(tasks, self._watch_services(), name="service watch")
                run_forever(tasks, self._watch_itself(), name="node watch")
                drills = NodeDrills(lambda: self._annotations, lambda: self.pods, self._clock)
                run_forever(tasks, drills.run(), name="node drills")
                run_forever(tasks, self._host.services.run(), name="service relays")
                run_forever(tasks, self._watch_pods(tasks), name="pod watch")
        finally:
            await asyncio.to_thread(shutil.rmtree, self._host.folder, ignore_errors=True)

    @property
    def name(self) -> str:
        """The node's name."""
        return self._name

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return self._registration.labels

    @property
    def pods(self) -> tuple[PodWorker, ...]:
        """Every pod that is bound to this node."""
        return tuple(self._workers.values())

    def find_pod(self, namespace: str, name: str) -> PodWorker | None:
        """The newest pod of that name on this node."""
        return next((worker for worker in reversed(self._workers.values()) if worker.key == (namespace, name)), None)

    def kill_container(self, namespace: str, pod: str, container: str, *, reason: str = "OOMKilled") -> None:
        """SIGKILLs a container as the kernel's OOM killer would; raises KeyError when there is no such container."""
        worker = self.find_pod(namespace, pod)
        for known in worker.containers if worker else []:
            if known.record.name == container:
                known.kill(reason)
                return
        raise KeyError(f"{namespace}/{pod}/{container}")

    # -- pods ----------------------------------------------------------------------------------------------------

    async def _watch_pods(self, tasks: asyncio.TaskGroup) -> None:
        selector = f"spec.nodeName={self._name}"
        async for change in list_watch(self._client, r.PODS, clock=self._clock, rng=self._rng, field_selector=selector):
            if change.type is ChangeType.SYNCED:
                continue
            uid = change.object["metadata"]["uid"]
            worker = self._workers.get(uid)
            if change.type is ChangeType.DELETED:
                if worker is not None:
                    worker.vanish()
                continue
            self._let_go_of_namesakes(change.object)
            if worker is not None:
                worker.observe(change.object)
            else:
                self._workers[uid] = PodWorker(self._host, change.object)
                tasks.create_task(self._run_pod(self._workers[uid]), name=f"pod {uid}")

    def _let_go_of_namesakes(self, pod: dict[str, Any]) -> None:
        """A relist shows a pod that was deleted and created anew as one change: the older one is gone."""
        metadata = pod["metadata"]
        for worker in self._workers.values():
            if worker.key == (metadata["namespace"], metadata["name"]) and worker.uid != metadata["uid"]:
                worker.vanish()

    async def _run_pod(self, worker: PodWorker) -> None:
        try:
            await worker.run()
        except Exception:
            # One pod's failure is a bug of the node, and must not take the other pods with it.
            log.exception("pod worker failed", pod=worker.key)
        finally:
            del self._workers[worker.uid]

    async def _watch_sources(self, resource: Resource) -> None:
        async for change in list_watch(self._client, resource, clock=self._clock, rng=self._rng):
            if change.type is ChangeType.SYNCED:
                continue
            metadata = change.object["metadata"]
            for worker in self._workers.values():
                if worker.key[0] == metadata["namespace"] and (resource.kind, metadata["name"]) in worker.references:
                    worker.look_at_sources()

    async def _watch_services(self) -> None:
        async for change in list_watch(self._client, r.SERVICES, clock=self._clock, rng=self._rng):
            if change.type is not ChangeType.SYNCED:
                self._host.services.observe(change.object, is_deleted=change.type is ChangeType.DELETED)

    async def _watch_itself(self) -> None:
        selector = f"metadata.name={self._name}"
        async for change in list_watch(
            self._client, r.NODES, clock=self._clock, rng=self._rng, field_selector=selector
        ):
            if change.type is not ChangeType.SYNCED:
                self._annotations = change.object["metadata"].get("annotations") or {}

    @asynccontextmanager
    async def _serve_kubelet_api(self) -> AsyncIterator[int]:
        app = KubeletApi(self.find_pod, self._clock, client=self._kubelet_client).application()
        # A reader that leaves cancels its handler: nobody follows a log for nobody.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host.address, 0, ssl_context=self._ssl_context)
            await uninterrupted(site.start())
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()
