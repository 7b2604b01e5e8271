"""The Kubernetes side of one job: the calls that make, inform, look up and remove its pod."""

from typing import Any, Protocol

from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.agent.jobs.pod import SLOT_UID, WorkerOrder, build_worker_pod, deadline_text
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.api import labels
from actions_gateway.api.names import worker_pod_name
from actions_gateway.api.runnergroup import GroupSettings
from actions_gateway.kube.errors import AlreadyExists, Conflict, NotFound
from actions_gateway.kube.resources import PODS


class JobGroup(Protocol):
    """What a job needs to know of its RunnerGroup; the spec is read anew at every use, since it may change."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def settings(self) -> GroupSettings: ...
    @property
    def manifest(self) -> dict[str, Any]:
        """The object, for events."""


class Worker:
    """The pod of one job. Every call raises KubeError when it is to be tried again."""

    def __init__(self, claimed: ClaimedJob, group: JobGroup, services: JobServices) -> None:
        self._claimed = claimed
        self._group = group
        self._services = services
        self._namespace = services.basics.namespace
        self._is_filled = False
        self.name = worker_pod_name(group.name, claimed.plan_id)
        self.uid = ""

    @property
    def view(self) -> PodView | None:
        """The pod as the watch shows it; None while it shows none, or another one of the same name."""
        view = self._services.pods.get(self.name)
        return view if view is not None and view.uid == self.uid else None

    async def start(self) -> bool:
        """Completes the slot and creates the pod; False when the job runs in somebody else's pod already."""
        claimed, services = self._claimed, self._services
        if not self._is_filled:
            await services.slots.fill(claimed.slot, claimed.worker_keys)
            self._is_filled = True
        try:
            pod = await services.client.create(
                PODS, build_worker_pod(self._order(), self._group.settings, services.site)
            )
        except AlreadyExists:
            # Ours when the answer to an earlier try was lost; else another agent runs this job.
            pod = await services.client.get(PODS, self.name, self._namespace)
            if (pod["metadata"].get("annotations") or {}).get(SLOT_UID) != claimed.slot.uid:
                return False
        self.uid = str(pod["metadata"]["uid"])
        return True

    def _order(self) -> WorkerOrder:
        claimed = self._claimed
        return WorkerOrder(
            name=self.name,
            group=self._group.name,
            group_uid=self._group.uid,
            slot=claimed.slot.name,
            slot_uid=claimed.slot.uid,
            priority_class=claimed.reservation.priority_class,
            annotations={**claimed.annotations, labels.RUNNER_NAME: claimed.runner_name},
            cancel_deadline=claimed.line.cancel_deadline,
        )

    async def show_cancellation(self) -> None:
        """Writes the deadline where the wrapper reads it."""
        value = deadline_text(self._claimed.line.cancel_deadline)
        patch = {"metadata": {"uid": self.uid, "annotations": {labels.CANCELLATION: value}}}
        try:
            await self._services.client.patch(PODS, self.name, patch, namespace=self._namespace)
        except (NotFound, Conflict):
            pass  # it ends already

    async def delete(self) -> None:
        """Asks for the pod's end; its containers get their grace period."""
        try:
            await self._services.client.delete(PODS, self.name, namespace=self._namespace, uid=self.uid)
        except (NotFound, Conflict):
            pass

    async def look(self) -> PodView:
        """The pod as the API server has it now."""
        try:
            view = view_of(await self._services.client.get(PODS, self.name, self._namespace))
        except NotFound:
            view = None
        is_ours = view is not None and view.uid == self.uid
        return view if view is not None and is_ours else PodView(self.name, self.uid, self._group.name, is_gone=True)
