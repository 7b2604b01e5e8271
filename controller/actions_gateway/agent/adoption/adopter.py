"""Adoption: every job slot that is taken and is no job's of this process is looked at, and its job carried on.

Secrets cannot be listed by the agent, so the slots are asked for by name: as many as there can be jobs, and those that
the pods name. One that is found taken later is looked at then. A slot of another agent that lives is left alone.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any, Protocol

import structlog

from actions_gateway.agent.adoption.claims import CutClaims, request_of
from actions_gateway.agent.adoption.fates import Fate, FoundSlot, decide_fate, decoded
from actions_gateway.agent.basics import Basics, Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.agent.jobs.packing import unpacked
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.slots import ResumeState, Slot
from actions_gateway.agent.recovery.rerunning import loss_of
from actions_gateway.agent.registrations.registrar import Registrar
from actions_gateway.agent.sessions.claiming import ClassicJobService, worker_keys
from actions_gateway.agent.signals import first_of
from actions_gateway.agent.writing import until_written
from actions_gateway.api.ledger import Cause
from actions_gateway.api.names import JOB_SLOTS, job_slot_name, job_slot_number, worker_pod_name
from actions_gateway.github.errors import MalformedAnswer, RegistrationUnusable
from actions_gateway.github.jit import JitConfig, parse_jit_config
from actions_gateway.github.restmodels import Registration
from actions_gateway.github.runservice import AcquiredJob, RunService, parse_job
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import PODS
from actions_gateway.metrics.catalog import JOBS_ADOPTED

log = structlog.get_logger(__name__)

_SPARE_SLOTS = 8
"""Looked at beyond the ceilings, which may have been higher."""
_READS_AT_ONCE = 32


class AdoptingGroup(Group, Protocol):
    """A group that carries on jobs it did not claim."""

    @property
    def admission(self) -> Admission: ...
    def adopt(self, claimed: ClaimedJob, found: PodView | None) -> None:
        """Carries a job on; `found` is its pod, None when it has yet to be made."""


GroupOf = Callable[[str], AdoptingGroup | None]
"""The group with a uid, None when there is none."""


class Adopter:
    """Looks at slots; `tasks` holds what takes longer."""

    def __init__(
        self,
        services: JobServices,
        claims: CutClaims,
        run_service: RunService,
        registrar: Registrar,
        *,
        group_of: GroupOf,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._services = services
        self._claims = claims
        self._run_service = run_service
        self._registrar = registrar
        self._group_of = group_of
        self._tasks = tasks
        basics: Basics = services.basics
        self._basics = basics
        self._gate = asyncio.Semaphore(_READS_AT_ONCE)
        self._looked_at: set[int] = set()
        """Slots that a task is at."""
        self._first_looks: dict[str, float] = {}
        """When Secrets of unfinished claims were looked at first (monotonic clock); by their uid."""
        self._unread: set[int] = set()
        """Slots of which it is not known yet whether an earlier agent's job has them."""
        self._bound = 0
        """The highest slot that may be taken."""
        self._followed: set[str] = set()
        """Other agents whose end is waited for."""
        self._is_done = False
        services.slots.on_taken = self._found_taken
        services.pods.listen(self._pod_changed)

    async def adopt_all(self, ceilings: Iterable[int]) -> None:
        """Looks at every slot that may be taken; jobs are under way, and their places taken, when this returns.

        What cannot be read within `adoption_seconds` is left to its task, so that no slot keeps every group waiting.
        """
        slots = (job_slot_number(view.slot) for view in self._services.pods.all())
        named = {number for number in slots if number is not None}
        self._bound = min(JOB_SLOTS, sum(ceilings) + _SPARE_SLOTS)
        self._unread = {*range(1, self._bound + 1), *named}
        self._looked_at |= self._unread
        looks = [
            self._tasks.create_task(self._look(number), name=f"look at {job_slot_name(number)}")
            for number in sorted(self._unread)
        ]
        await first_of(asyncio.wait(looks), self._basics.clock.sleep(self._basics.tunables.adoption_seconds))
        if self._unread:
            log.warning("slots not read yet", slots=[job_slot_name(number) for number in sorted(self._unread)])
        self._is_done = True

    def has_read(self, slot: str) -> bool:
        """Whether the slot of an earlier agent's worker was looked at, so that the worker is not needed for that."""
        return self._is_done and job_slot_number(slot) not in self._unread

    def _found_taken(self, number: int) -> None:
        if self._is_done and number not in self._looked_at:
            self._look_later(number, 0.0)

    def _pod_changed(self, view: PodView) -> None:
        """A worker of another agent that lives beside this one: whether that one goes on living is looked at."""
        number = job_slot_number(view.slot) if self._is_done and not view.is_gone else None
        if (
            number is not None
            and number not in self._looked_at
            and not self._services.slots.holds(view.slot, view.slot_uid)
            and not self._services.slots.has_freed(view.slot_uid)
        ):
            self._look_later(number, self._basics.tunables.foreign_slot_look_seconds)

    def _look_later(self, number: int, seconds: float) -> None:
        self._looked_at.add(number)
        self._tasks.create_task(self._look_after(number, seconds), name=f"look at {job_slot_name(number)}")

    async def _look_after(self, number: int, seconds: float) -> None:
        await self._basics.clock.sleep(seconds)
        await self._look(number)

    def _follow(self, agent: str) -> None:
        """Another agent may leave slots that no pod shows: when it has ended, all are looked at."""
        if agent != self._basics.agent and agent not in self._followed:
            self._followed.add(agent)
            self._tasks.create_task(self._look_after_end(agent), name=f"await the end of {agent}")

    async def _look_after_end(self, agent: str) -> None:
        async def wait() -> None:
            while seconds := await self._life_left_seconds(agent):
                await self._basics.clock.sleep(seconds)

        await until_written(wait, self._basics, what=f"look at {agent}")
        self._followed.discard(agent)
        for number in range(1, self._bound + 1):
            if number not in self._looked_at:
                self._look_later(number, 0.0)

    async def _look(self, number: int) -> None:
        async def look() -> None:
            async with self._gate:
                secret = await self._services.slots.read(number)
                found = decoded(number, secret) if secret is not None else None
                self._looked_at.discard(number)
                if found is not None:
                    await self._take(found)
                self._unread.discard(number)

        await until_written(look, self._basics, what=f"look at {job_slot_name(number)}")

    async def _take(self, found: FoundSlot) -> None:
        pod = await self._pod_of(found)
        state, fate = found.state, decide_fate(found, pod)
        if state is None:
            await self._leave_unreadable(found, pod)
            return
        group = self._group_of(state.group_uid)
        if group is None:
            return  # it goes with its group
        if wait := self._claim_left_seconds(found, fate) or await self._life_left_seconds(state.agent):
            self._look_later(found.slot.number, wait)
            self._follow(state.agent)
            return
        if self._services.slots.holds(found.slot.name, found.slot.uid):
            return  # another look took it meanwhile
        jit, job = self._registration(state), self._job(found, state)
        if jit is None or (job is None and found.payload):
            await self._leave_unreadable(found, pod)
            return
        self._services.slots.adopt(found.slot)
        if job is None and fate is Fate.DUPLICATE:
            self._start_task(self._services.slots.release(found.slot), state)
        elif job is not None and (fate is Fate.DUPLICATE or not self._services.plans.claim(job.plan_id)):
            self._join(found, state, job, group)
        else:
            self._registrar.inherit(state.runner_name, group.name, group.uid)
            if job is None:
                self._start_task(self._finish_claim(found, state, jit, group), state)
            else:
                self._carry_on(found, state, jit, job, group, self._view(fate, found, pod, group))

    def _join(self, found: FoundSlot, state: ResumeState, job: AcquiredJob, group: AdoptingGroup) -> None:
        log.info("duplicate delivery adopted", slot=found.slot.name, plan_id=job.plan_id)
        service, claimed = ClassicJobService(self._run_service, job), self._delivered(state)
        self._services.plans.join(job.plan_id, group.name, service, found.slot, claimed=claimed)

    def _delivered(self, state: ResumeState) -> float:
        """When the job was delivered, on this process's monotonic clock."""
        clock = self._basics.clock
        return clock.monotonic() - max(0.0, (clock.now() - state.delivered_at).total_seconds())

    def _view(self, fate: Fate, found: FoundSlot, pod: PodView | None, group: AdoptingGroup) -> PodView | None:
        match fate:
            case Fate.START:
                self._count(group, "resumed")
                return None
            case Fate.VANISHED:
                self._count(group, "vanished")
                name = worker_pod_name(group.name, found.plan_id)
                return PodView(name, "unknown", group.name, has_started=True, is_gone=True)
            case _:
                self._count(group, "completed" if pod is not None and pod.has_ended else "resumed")
                return pod

    def _carry_on(
        self,
        found: FoundSlot,
        state: ResumeState,
        jit: JitConfig,
        job: AcquiredJob,
        group: AdoptingGroup,
        pod: PodView | None,
        *,
        is_stored: bool = True,
    ) -> None:
        delivered = self._delivered(state)
        claimed = ClaimedJob(
            plan_id=job.plan_id,
            job_id=job.job_id,
            request_id=job.request_id,
            runner_name=state.runner_name,
            identity=job.identity,
            worker_keys=worker_keys(job, jit),
            slot=found.slot,
            reservation=group.admission.adopt(),
            service=ClassicJobService(self._run_service, job),
            claimed=delivered,
            first_delivered=delivered,
            held_seconds=0.0,
            is_adopted=is_stored,
            refusal=job.unsupported,
        )
        log.info("job adopted", runner_group=group.name, slot=found.slot.name, pod=pod.name if pod else "")
        if pod is not None and pod.cancel_deadline is not None:
            claimed.line.cancel(pod.cancel_deadline)
        group.adopt(claimed, pod)

    # -- claims that were cut off --------------------------------------------------------------------------------

    async def _finish_claim(self, found: FoundSlot, state: ResumeState, jit: JitConfig, group: AdoptingGroup) -> None:
        job = await self._claims.repeat(state, jit)
        if job is not None and self._services.plans.claim(job.plan_id):
            self._count(group, "claimed")
            self._carry_on(found, state, jit, job, group, None, is_stored=False)
            return
        if job is not None:
            self._registrar.ended(state.runner_name)
            await self._services.slots.keep_duplicate(found.slot, worker_keys(job, jit))
            self._join(found, state, job, group)
            return
        await self._look_for(state.runner_name, group)
        await self._registrar.remove(Registration(state.runner_id, state.runner_name, jit))
        await self._services.slots.release(found.slot)

    async def _look_for(self, runner: str, group: Group) -> None:
        identity = await self._claims.find(runner, await self._repositories())
        self._count(group, "unidentified" if identity is None else "found")
        if identity is None:
            text = f"a claim of runner {runner} was cut off and its job, if it got one, is not to be found"
            await self._services.events.record(group.manifest, "JobUnidentified", text, action="Adopt", warning=True)
            return
        loss = loss_of(group, identity, runner, Cause.ABANDONED, is_unstarted=True)
        await self._services.reruns.lost(loss)
        await self._services.reruns.end_unstarted(identity, runner)

    async def _repositories(self) -> list[str]:
        """Where the tenant's jobs come from: those of the workers at hand first, then the latest seen."""
        at_hand = {view.identity.repository for view in self._services.pods.all() if view.identity.repository}
        known = dict.fromkeys([*await self._services.repositories.newest(), *sorted(at_hand)])
        return sorted(known, key=lambda repository: repository not in at_hand)

    # -- what a slot refers to -----------------------------------------------------------------------------------

    async def _pod_of(self, found: FoundSlot) -> PodView | None:
        """The slot's pod, or another slot's that runs the same job or has run it to its end; its absence is never taken
        from what the watch has shown."""
        for view in self._services.pods.all():
            if (view.slot, view.slot_uid) == (found.slot.name, found.slot.uid):
                return view
        if found.state is None or not found.plan_id:
            return None
        name = worker_pod_name(found.state.group, found.plan_id)
        try:
            view = view_of(await self._services.client.get(PODS, name, self._basics.namespace))
        except NotFound:
            return None
        return view if view.slot_uid == found.slot.uid or not view.has_ended or view.has_reported else None

    def _claim_left_seconds(self, found: FoundSlot, fate: Fate) -> float:
        """For how long a claim that was begun may still go on to its pod: an agent may outlive its own pod's object."""
        if fate not in (Fate.CLAIM, Fate.VANISHED):
            return 0.0
        clock, seconds = self._basics.clock, self._basics.tunables.claim_seconds
        # A clock that lags behind the API server's makes no slot young for ever.
        seen = self._first_looks.setdefault(found.slot.uid, clock.monotonic())
        age = max((clock.now() - found.made_at).total_seconds(), clock.monotonic() - seen)
        return min(seconds, max(0.0, seconds - age))

    async def _life_left_seconds(self, agent: str) -> float:
        """When to look again, since an agent of that name runs beside this one; one that is being deleted does not."""
        if agent == self._basics.agent:
            return 0.0
        try:
            pod = await self._services.client.get(PODS, agent, self._basics.namespace)
        except NotFound:
            return 0.0
        is_leaving = bool(pod["metadata"].get("deletionTimestamp"))
        is_running = not is_leaving and (pod.get("status") or {}).get("phase") == "Running"
        return self._basics.tunables.foreign_slot_look_seconds if is_running else 0.0

    def _registration(self, state: ResumeState) -> JitConfig | None:
        try:
            return parse_jit_config(state.jit_config.reveal())
        except RegistrationUnusable:
            return None

    def _job(self, found: FoundSlot, state: ResumeState) -> AcquiredJob | None:
        """The stored job; None when none was stored, or it cannot be read."""
        if not found.payload:
            return None
        try:
            return parse_job(unpacked(found.payload), request_of(state), plan_id=found.plan_id)
        except (MalformedAnswer, ValueError):
            return None

    async def _leave_unreadable(self, found: FoundSlot, pod: PodView | None) -> None:
        """Nothing can be done for its job; the Secret goes when it serves nobody any more."""
        log.warning("slot cannot be read", slot=found.slot.name)
        keep = timedelta(seconds=self._basics.tunables.orphan_seconds)
        if (pod is None or pod.has_ended) and self._basics.clock.now() - found.made_at > keep:
            await self._services.slots.release_inherited(found.slot.name, found.slot.uid)
        else:
            self._look_later(found.slot.number, self._basics.tunables.orphan_seconds)

    # -- common --------------------------------------------------------------------------------------------------

    def look_for(self, group: Group, runner: str, slot: Slot) -> None:
        """A claim of this agent was not answered: its job is looked for, and the slot freed."""

        async def look() -> None:
            await self._look_for(runner, group)
            await self._services.slots.release(slot)

        self._tasks.create_task(look(), name=f"look for the job of {runner}")

    def _start_task(self, work: Coroutine[Any, Any, None], state: ResumeState) -> None:
        self._tasks.create_task(work, name=f"adopt {state.runner_name}")

    def _count(self, group: Group, outcome: str) -> None:
        self._basics.metrics.inc(JOBS_ADOPTED, 1, **self._basics.labels_of(group.name), outcome=outcome)
