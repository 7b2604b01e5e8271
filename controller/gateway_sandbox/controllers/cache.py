"""Objects of one resource type as last seen, shared by the controllers; reads never wait for the API server."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.listwatch import ChangeType, Key, key_of, list_watch
from actions_gateway.kube.resources import Resource

Manifest = dict[str, Any]


class ObjectCache:
    """A mirror of all objects of `resource`; every change is told to the listeners after it is visible here."""

    def __init__(self, client: KubeClient, resource: Resource, *, clock: Clock, rng: random.Random) -> None:
        self._client = client
        self._resource = resource
        self._clock = clock
        self._rng = rng
        self._listeners: list[Callable[[Manifest], None]] = []
        self.objects: dict[Key, Manifest] = {}
        self.synced = asyncio.Event()

    def listen(self, listener: Callable[[Manifest], None]) -> None:
        """`listener` gets each object that was added, changed or deleted."""
        self._listeners.append(listener)

    def owned_by(self, owner: Manifest) -> list[Manifest]:
        """The objects whose controller is `owner`, oldest first."""
        uid = owner["metadata"]["uid"]
        found = [item for item in self.objects.values() if (controller_of(item) or {}).get("uid") == uid]
        return sorted(found, key=age_order)

    async def run(self) -> None:
        """Follows the resource until cancelled."""
        async for change in list_watch(self._client, self._resource, clock=self._clock, rng=self._rng):
            if change.type is ChangeType.SYNCED:
                self.synced.set()
                continue
            if change.type is ChangeType.DELETED:
                self.objects.pop(key_of(change.object), None)
            else:
                self.objects[key_of(change.object)] = change.object
            for listener in self._listeners:
                listener(change.object)


def age_order(manifest: Manifest) -> tuple[str, str]:
    """A sort key: oldest first, by name within a second."""
    return manifest["metadata"].get("creationTimestamp") or "", manifest["metadata"]["name"]


def controller_of(manifest: Manifest) -> dict[str, Any] | None:
    """The owner reference that controls the object."""
    references = manifest["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def controller_reference(owner: Manifest, api_version: str, kind: str) -> dict[str, Any]:
    """The owner reference that makes `owner` the controller of an object."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
