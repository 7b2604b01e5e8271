"""The worker pods of the namespace, as one shared watch shows them."""

import asyncio
from collections.abc import Callable

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.api import labels
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import PODS

SELECTOR = f"{labels.MANAGED_BY}={labels.BY_AGENT},{labels.COMPONENT}={labels.WORKLOAD}"


class WorkerPods:
    """Projections of all worker pods, kept by `run`."""

    def __init__(self, client: KubeClient, basics: Basics) -> None:
        self._client = client
        self._basics = basics
        self._views: dict[str, PodView] = {}
        self._by_group: dict[str, dict[str, PodView]] = {}
        self._listeners: list[Callable[[PodView], None]] = []
        self.synced = asyncio.Event()

    def listen(self, listener: Callable[[PodView], None]) -> None:
        """Calls `listener` with every new state of a pod, a deleted one's last state included."""
        self._listeners.append(listener)

    def get(self, name: str) -> PodView | None:
        """The state of a pod that exists."""
        return self._views.get(name)

    def all(self) -> list[PodView]:
        """The states of all pods that exist."""
        return list(self._views.values())

    def of_group(self, group: str) -> list[PodView]:
        """The existing pods of a group."""
        return list(self._by_group.get(group, {}).values())

    async def run(self) -> None:
        """Keeps the projections until cancelled."""
        basics = self._basics
        changes = list_watch(
            self._client, PODS, basics.namespace, clock=basics.clock, rng=basics.rng, label_selector=SELECTOR
        )
        async for change in changes:
            if change.type is ChangeType.SYNCED:
                self.synced.set()
                continue
            view = view_of(change.object, is_gone=change.type is ChangeType.DELETED)
            self._take(view)

    def _take(self, view: PodView) -> None:
        if view.is_gone:
            self._views.pop(view.name, None)
            self._by_group.get(view.group, {}).pop(view.name, None)
        else:
            self._views[view.name] = view
            self._by_group.setdefault(view.group, {})[view.name] = view
        for listener in self._listeners:
            listener(view)
