"""The Kubernetes side of one job: the calls that make, inform, look up and remove its pod."""

from typing import Any

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.agent.jobs.pod import WorkerOrder, build_worker_pod, deadline_text
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.writing import delete_own
from actions_gateway.api import labels
from actions_gateway.api.names import worker_pod_name
from actions_gateway.kube.errors import AlreadyExists, Conflict, NotFound
from actions_gateway.kube.resources import PODS


class Worker:
    """The pod of one job. Every call raises KubeError when it is to be tried again."""

    def __init__(self, claimed: ClaimedJob, group: Group, services: JobServices) -> None:
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
            if not self._is_ours(pod):
                return False
        self.uid = str(pod["metadata"]["uid"])
        return True

    def _is_ours(self, pod: dict[str, Any]) -> bool:
        return (pod["metadata"].get("annotations") or {}).get(labels.SLOT_UID) == self._claimed.slot.uid

    async def withdraw(self) -> None:
        """Deletes a pod whose creation seemed to fail and succeeded all the same."""
        try:
            pod = await self._services.client.get(PODS, self.name, self._namespace)
        except NotFound:
            return
        if self._is_ours(pod):
            self.uid = str(pod["metadata"]["uid"])
            await self.delete()

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
        await delete_own(self._services.client, PODS, self.name, namespace=self._namespace, uid=self.uid)

    async def look(self) -> PodView:
        """The pod as the API server has it now."""
        try:
            view = view_of(await self._services.client.get(PODS, self.name, self._namespace))
        except NotFound:
            view = None
        is_ours = view is not None and view.uid == self.uid
        return view if view is not None and is_ours else PodView(self.name, self.uid, self._group.name, is_gone=True)
