"""The Kubernetes side of one job: the calls that make, inform, look up and remove its pod."""

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.agent.jobs.pod import WorkerOrder, build_worker_pod, deadline_text
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.writing import delete_own
from actions_gateway.api import labels
from actions_gateway.api.names import worker_pod_name
from actions_gateway.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, ServerError, Unreachable
from actions_gateway.kube.resources import PODS

_OPEN = (Unreachable, ServerError)
"""Failures after which the pod may exist all the same."""


class Worker:
    """The pod of one job. Every call raises KubeError when it is to be tried again."""

    def __init__(self, claimed: ClaimedJob, group: Group, services: JobServices, *, found: PodView | None) -> None:
        self._claimed = claimed
        self._group = group
        self._services = services
        self._namespace = services.basics.namespace
        self._is_filled = claimed.is_adopted
        self._is_refused = claimed.is_adopted and found is None
        """The API server refused it the last time, and the slot says so: it does not exist."""
        self._may_exist = False
        """The answer to a try was lost."""
        self._gone: PodView | None = None
        """A pod of this name that the watch has shown and that is no more: another one would run the job again."""
        self.name = found.name if found is not None else worker_pod_name(group.name, claimed.plan_id)
        self.uid = found.uid if found is not None else ""

    @property
    def view(self) -> PodView | None:
        """The pod as the watch shows it; None while it shows none, or another one of the same name."""
        shown = (self._services.pods.get(self.name), self._gone)
        return next((view for view in shown if view is not None and view.uid == self.uid), None)

    def saw(self, view: PodView) -> None:
        """The watch has something new about a pod of this name, whosever it is."""
        if view.is_gone:
            self._gone = view

    async def start(self) -> PodView | None:
        """Completes the slot and creates the pod; the pod of that name that is another slot's, when there is one.

        Once a pod of that name has come and gone none is made: it was made by a try whose answer was lost, or by
        another agent, and its job has begun.
        """
        if self._gone is not None and self._is_own(self._gone):
            self.uid = self._gone.uid
            return None
        other = self._gone or await self._create()
        # One may have come and gone while the call was under way.
        if (gone := self._gone) is not None and not self._is_own(gone):
            await self.withdraw()
            return gone
        return other

    async def _create(self) -> PodView | None:
        claimed, services = self._claimed, self._services
        manifest = build_worker_pod(self._order(), self._group.settings, services.site)
        if not self._is_filled:
            await services.slots.fill(claimed.slot, claimed.worker_keys)
            self._is_filled = True
        try:
            if self._is_refused:
                # Asked without effect first: what the slot says of the pod is true at every moment.
                await services.client.create(PODS, manifest, dry_run=True)
                await services.slots.mark(claimed.slot, labels.WORKER_REQUESTED)
                self._is_refused = False
            pod = await services.client.create(PODS, manifest)
        except AlreadyExists:
            # Ours when the answer to an earlier try was lost; else another agent runs this job.
            pod = await services.client.get(PODS, self.name, self._namespace)
            if not self._is_own(view_of(pod)):
                return view_of(pod)
        except _OPEN:
            self._may_exist = True
            raise
        except KubeError:
            # A refusal says nothing of an earlier try whose answer was lost.
            if not (self._is_refused or self._may_exist):
                await self._note_refusal()
            raise
        self.uid = str(pod["metadata"]["uid"])
        return None

    async def _note_refusal(self) -> None:
        try:
            await self._services.slots.mark(self._claimed.slot, labels.WORKER_REFUSED)
            self._is_refused = True
        except KubeError:
            pass  # the slot goes on saying that the pod may exist, which is the careful reading

    def _is_own(self, view: PodView) -> bool:
        return view.slot_uid == self._claimed.slot.uid

    async def withdraw(self) -> None:
        """Deletes a pod whose creation seemed to fail and succeeded all the same."""
        if self._is_refused:
            return
        try:
            pod = await self._services.client.get(PODS, self.name, self._namespace)
        except NotFound:
            return
        if self._is_own(view := view_of(pod)):
            self.uid = view.uid
            await self.delete("withdrawn")

    def _order(self) -> WorkerOrder:
        claimed, identity = self._claimed, self._claimed.identity
        return WorkerOrder(
            name=self.name,
            group=self._group.name,
            group_uid=self._group.uid,
            slot=claimed.slot.name,
            slot_uid=claimed.slot.uid,
            plan_id=claimed.plan_id,
            priority_class=claimed.reservation.priority_class,
            annotations={
                labels.REPOSITORY: identity.repository,
                labels.RUN_ID: _text(identity.run_id),
                labels.RUN_ATTEMPT: _text(identity.run_attempt),
                labels.JOB_NAME: identity.job_name,
                labels.RUNNER_NAME: claimed.runner_name,
            },
            cancel_deadline=claimed.line.cancel_deadline,
            refusal=claimed.refusal,
        )

    async def show_cancellation(self) -> None:
        """Writes the deadline where the wrapper reads it."""
        await self._annotate({labels.CANCELLATION: deadline_text(self._claimed.line.cancel_deadline)})

    async def _annotate(self, annotations: dict[str, str]) -> None:
        patch = {"metadata": {"uid": self.uid, "annotations": annotations}}
        try:
            await self._services.client.patch(PODS, self.name, patch, namespace=self._namespace)
        except (NotFound, Conflict):
            pass  # it ends already

    async def delete(self, reason: str) -> None:
        """Asks for the pod's end; its containers get their grace period. The pod says why, for whoever finds it."""
        await self._annotate({labels.DELETION_REASON: reason})
        await delete_own(self._services.client, PODS, self.name, namespace=self._namespace, uid=self.uid)

    async def look(self) -> PodView:
        """The pod as the API server has it now."""
        try:
            view = view_of(await self._services.client.get(PODS, self.name, self._namespace))
        except NotFound:
            view = None
        is_ours = view is not None and view.uid == self.uid
        return view if view is not None and is_ours else PodView(self.name, self.uid, self._group.name, is_gone=True)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
