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
        self._listeners: list[Callable[[PodView], None]] = []
        self.synced = asyncio.Event()
        self.inherited: set[str] = set()
        """Uids of the pods that were there before this agent: no job task of ours stands behind them."""

    def listen(self, listener: Callable[[PodView], None]) -> None:
        """Calls `listener` with every new state of a pod, a deleted one's last state included."""
        self._listeners.append(listener)

    def get(self, name: str) -> PodView | None:
        """The state of a pod that exists."""
        return self._views.get(name)

    def names(self) -> list[str]:
        """All pods that exist."""
        return list(self._views)

    def of_group(self, group: str) -> list[PodView]:
        """The existing pods of a group."""
        return [view for view in self._views.values() if view.group == group]

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
            if not self.synced.is_set():
                self.inherited.add(view.uid)
            self._take(view)

    def _take(self, view: PodView) -> None:
        if view.is_gone:
            self._views.pop(view.name, None)
        else:
            self._views[view.name] = view
        for listener in self._listeners:
            listener(view)
        if view.is_gone:
            self.inherited.discard(view.uid)
