"""Kubernetes inside the agent's own process, for benches that measure the agent and no API server.

It answers at once, keeps what is written and tells it to the watches. A pod runs as soon as it is made and ends a
moment later. The runner groups are there from the start; SIGUSR1 raises their bounds, as a tenant would.
"""

import asyncio
import itertools
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.client.configuration import Configuration

from actions_gateway.api.names import RUNNER_CONTAINER
from actions_gateway.kube.client import KubeClient, Manifest, WatchEvent, WatchType
from actions_gateway.kube.errors import AlreadyExists, NotFound
from actions_gateway.kube.resources import PODS, RUNNERGROUPS, Resource
from gateway_sandbox.apiserver.patches import merge_patch

GROUP_COUNT, LISTENERS = 10, 100
RUN_SECONDS = 0.1


class PlayedKube(KubeClient):
    """Only what the agent asks for."""

    def __init__(self, namespace: str) -> None:
        super().__init__(Configuration())
        self._namespace = namespace
        self._objects: dict[str, dict[str, Manifest]] = defaultdict(dict)
        """By the path of their collection, then by name."""
        self._watches: dict[str, list[asyncio.Queue[WatchEvent]]] = defaultdict(list)
        self._versions = itertools.count(1)
        for name in (f"ci-{number}" for number in range(GROUP_COUNT)):
            spec = {"runnerLabels": [name], "maxListeners": 1, "maxWorkers": LISTENERS, "completedPodTTL": "1s"}
            self._keep(RUNNERGROUPS.path(namespace), {"metadata": {"name": name, "generation": 1}, "spec": spec})

    def raise_bounds(self) -> None:
        """Every group may have LISTENERS sessions."""
        groups = RUNNERGROUPS.path(self._namespace)
        for group in list(self._objects[groups].values()):
            metadata = group["metadata"] | {"generation": group["metadata"]["generation"] + 1}
            self._keep(groups, group | {"metadata": metadata, "spec": group["spec"] | {"maxListeners": LISTENERS}})

    def counts(self) -> dict[str, int]:
        """How many objects there are, by kind."""
        return {path.rpartition("/")[2]: len(kept) for path, kept in self._objects.items()}

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """Answers in place of an API server."""
        collection, name = _parse(path)
        kept = self._objects[collection]
        if method == "GET" and not name:
            return {"items": list(kept.values()), "metadata": {"resourceVersion": str(next(self._versions))}}
        if query and "dryRun" in query:
            return dict(body)
        if method == "POST":
            name = body["metadata"].get("name") or f"{body['metadata'].get('generateName')}{next(self._versions)}"
            if name in kept:
                raise AlreadyExists(f"{collection} {name} exists", status=409)
            return self._made(collection, name, body)
        if name not in kept:
            raise NotFound(f"{collection} {name} not found", status=404)
        if method == "PATCH":
            return self._keep(collection, merge_patch(kept[name], body))
        if method == "DELETE":
            gone = kept.pop(name)
            self._tell(collection, WatchType.DELETED, gone)
            return {}
        return kept[name]

    def _made(self, collection: str, name: str, manifest: Manifest) -> Manifest:
        if collection == PODS.path(self._namespace):
            asyncio.get_running_loop().call_later(RUN_SECONDS, self._end, name)
            manifest = manifest | {"status": _status("Running", {"running": {"startedAt": _now()}})}
        return self._keep(collection, manifest | {"metadata": manifest["metadata"] | {"name": name}})

    def _end(self, name: str) -> None:
        pods = PODS.path(self._namespace)
        if (pod := self._objects[pods].get(name)) is not None:
            ended = {"terminated": {"exitCode": 0, "startedAt": _now(), "finishedAt": _now()}}
            self._keep(pods, pod | {"status": _status("Succeeded", ended)})

    def _keep(self, collection: str, manifest: Manifest) -> Manifest:
        metadata = manifest["metadata"]
        before = self._objects[collection].get(metadata["name"])
        version = str(next(self._versions))
        own = {"namespace": self._namespace, "uid": metadata.get("uid") or f"uid-{version}", "resourceVersion": version}
        kept = self._objects[collection][metadata["name"]] = manifest | {"metadata": metadata | own}
        self._tell(collection, WatchType.ADDED if before is None else WatchType.MODIFIED, kept)
        return kept

    def _tell(self, collection: str, kind: WatchType, manifest: Manifest) -> None:
        for watch in self._watches[collection]:
            watch.put_nowait(WatchEvent(kind, manifest))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_seconds: float = 290.0,
    ) -> AsyncIterator[WatchEvent]:
        """Everything from now on, whatever the selectors: there is nothing but the agent's own."""
        events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._watches[resource.path(namespace)].append(events)
        while True:
            yield await events.get()


def _parse(path: str) -> tuple[str, str]:
    """The collection and the object's name, which is empty for the collection; subresources are the object's."""
    head, _, rest = path.partition("/namespaces/")
    namespace, plural, name, *_ = [*rest.split("/"), ""]
    return f"{head}/namespaces/{namespace}/{plural}", name


def _status(phase: str, state: Manifest) -> Manifest:
    return {
        "phase": phase,
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": RUNNER_CONTAINER, "state": state}],
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@asynccontextmanager
async def played_kube(namespace: str) -> AsyncIterator[KubeClient]:
    """A client of it; call it inside the running loop."""
    client = PlayedKube(namespace)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, client.raise_bounds)
    yield client
