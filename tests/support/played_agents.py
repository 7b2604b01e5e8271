"""Plays the kubelet for agents' pods: mounts, token and environment of the pod, the real agent in this process.

Proxies' pods are only shown as ready: the agents reach GitHub without them.
"""

import asyncio
import base64
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from actions_gateway.agent.run import run_agent
from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import CONFIGMAPS, PODS, SECRETS
from actions_gateway.settings import AgentSettings
from support.agent_rig import FAST

_HOST = "127.0.0.1"


class OpenAccount(Protocol):
    """A client of a ServiceAccount of a namespace."""

    def __call__(self, name: str, namespace: str) -> AbstractAsyncContextManager[KubeClient]: ...


class PlayedAgents:
    """Runs the agent of every agent's pod for as long as the pod exists; pods of earlier tests are not looked at."""

    def __init__(self, client: KubeClient, open_account: OpenAccount, folder: Path) -> None:
        self._client = client
        self._open_account = open_account
        self._folder = folder
        self._agents: dict[str, asyncio.Task[None]] = {}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Plays until cancelled; an agent that dies ends it with its reason."""
        async with asyncio.TaskGroup() as tasks:
            async for pod, exists in self._pods():
                uid = pod["metadata"]["uid"]
                if exists and uid not in self._agents:
                    self._agents[uid] = tasks.create_task(self._play(pod), name=f"agent {pod['metadata']['name']}")
                elif not exists and uid in self._agents:
                    await cancel_and_wait(self._agents.pop(uid))

    async def _pods(self) -> AsyncIterator[tuple[Manifest, bool]]:
        selector = f"{labels.APP} in ({AGENT},{PROXY})"
        changes = list_watch(self._client, PODS, clock=SystemClock(), rng=random.Random(2), label_selector=selector)
        async for change in changes:
            if change.type is ChangeType.SYNCED:
                self.synced.set()
            elif self.synced.is_set():
                yield change.object, change.type is not ChangeType.DELETED

    async def _play(self, pod: Manifest) -> None:
        if pod["metadata"]["labels"][labels.APP] == PROXY:
            await show_ready(self._client, pod)
            return
        namespace, spec = pod["metadata"]["namespace"], pod["spec"]
        folder = self._folder / pod["metadata"]["uid"]
        settings = await self._settings(pod, folder)
        rng = random.Random(settings.pod_name)
        async with self._open_account(spec["serviceAccountName"], namespace) as client:
            agent = asyncio.create_task(run_agent(settings, client=client, clock=SystemClock(), rng=rng, tunables=FAST))
            try:
                await show_ready(self._client, pod)
                await agent
            finally:
                await cancel_and_wait(agent)

    async def _settings(self, pod: Manifest, folder: Path) -> AgentSettings:
        """The pod's own environment, with its mounts in `folder` and ports that are free."""
        mounted = {volume["name"]: await self._mount(pod, volume, folder) for volume in pod["spec"]["volumes"]}
        (container,) = pod["spec"]["containers"]
        environment = {entry["name"]: _value(entry, pod) for entry in container["env"]}
        settings = AgentSettings.from_environment(environment)
        ca = mounted.get("ca-bundle")
        return replace(
            settings,
            github_app_path=mounted["github-app"],
            github_proxy=None,
            ca_bundle_path=ca and ca / "ca.crt",
            bind_address=_HOST,
            health_port=0,
            metrics_port=0,
        )

    async def _mount(self, pod: Manifest, volume: dict[str, Any], folder: Path) -> Path:
        place = folder / volume["name"]
        place.mkdir(parents=True)
        namespace = pod["metadata"]["namespace"]
        if "secret" in volume:
            # Optional: an agent starts without its Secret, and says so.
            with contextlib.suppress(NotFound):
                data = (await self._client.get(SECRETS, volume["secret"]["secretName"], namespace))["data"]
                for item in volume["secret"]["items"]:
                    if item["key"] in data:
                        (place / item["path"]).write_bytes(base64.b64decode(data[item["key"]]))
        if "configMap" in volume:
            data = (await self._client.get(CONFIGMAPS, volume["configMap"]["name"], namespace))["data"]
            for item in volume["configMap"]["items"]:
                (place / item["path"]).write_text(data[item["key"]])
        return place


async def show_proxies_ready(client: KubeClient) -> None:
    """Plays the kubelet for proxies' pods until cancelled: each is ready, and nothing runs."""
    changes = list_watch(
        client, PODS, clock=SystemClock(), rng=random.Random(4), label_selector=f"{labels.APP}={PROXY}"
    )
    async for change in changes:
        if change.type is ChangeType.ADDED:
            await show_ready(client, change.object)


async def show_ready(client: KubeClient, pod: Manifest) -> None:
    """The status of a pod that runs."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    with contextlib.suppress(NotFound):
        await client.patch(PODS, name, {"status": status}, namespace=namespace, subresource="status")


def _value(entry: dict[str, Any], pod: Manifest) -> str:
    """The value of one environment variable; a field of the pod where it refers to one."""
    if "value" in entry:
        return str(entry["value"])
    path = entry["valueFrom"]["fieldRef"]["fieldPath"]
    if path == "status.podIP":
        return _HOST
    value: Any = pod
    for part in path.split("."):
        value = value[part]
    return str(value)
