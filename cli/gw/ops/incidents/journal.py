"""Keeps an incident's record while its procedure goes on.

Every write holds for the state that was read last. When somebody else wrote meanwhile, the change is made anew on what
is there by then, unless that person is at the same step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube.resources import CONFIGMAPS
from gw.errors import GwError, Refused
from gw.ops.recordkeeping import role_step
from gw.sources.cluster import Cluster, asking, explain
from gw.sources.incidents import (
    Incident,
    StepRecord,
    StepState,
    TimelineEntry,
    parse_incident,
    render_incident,
)

_WRITES = 5
_DOING = "write the incident's record"


class Journal:
    """The record of one incident, written by one person."""

    def __init__(self, cluster: Cluster, clock: Clock, actor: str, incident: Incident) -> None:
        self._cluster = cluster
        self._clock = clock
        self._incident = incident
        self.actor = actor

    @property
    def incident(self) -> Incident:
        """As it was read or written last."""
        return self._incident

    async def note(self, what: str, evidence: Sequence[str] = ()) -> None:
        """One more entry of the timeline; raises GwError."""
        await self._write(lambda incident: incident.with_entry(self._entry(what, evidence)))

    async def begin(self, step_id: str) -> None:
        """This person is at the step now; raises Refused when somebody else is, or has settled it."""

        def change(incident: Incident) -> Incident:
            step = incident.step(step_id)
            if step.state is StepState.RUNNING and step.by != self.actor:
                raise Refused(
                    f"{step.by} is at the step {step_id} of {incident.name}, since {step.at:%Y-%m-%d %H:%M:%S} UTC",
                    f"Ask them. If they have stopped: `{incident.resume_command} --take-over`.",
                )
            if step.state.is_settled:
                raise Refused(
                    f"{step.by} has settled the step {step_id} of {incident.name} meanwhile",
                    f"Go on with `{incident.resume_command}`.",
                )
            return incident.with_step(self._step(step, StepState.RUNNING, step.result))

        await self._write(change)

    async def take_over(self) -> None:
        """Whoever is at a step is so no more; raises GwError."""

        def change(incident: Incident) -> Incident:
            for step in incident.steps:
                if step.state is StepState.RUNNING and step.by != self.actor:
                    incident = incident.with_step(self._step(step, StepState.PENDING, step.result))
                    incident = incident.with_entry(self._entry(f"{step.id}: taken over from {step.by}"))
            return incident

        await self._write(change)

    async def settle(
        self,
        step_id: str,
        state: StepState,
        words: str,
        evidence: Sequence[str] = (),
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """What came of the step, or what it waits for; `facts` are for later steps. Raises GwError."""

        def change(incident: Incident) -> Incident:
            incident = incident.with_step(self._step(incident.step(step_id), state, words))
            incident = replace(incident, facts={**incident.facts, **(facts or {})})
            return incident.with_entry(self._entry(f"{step_id}: {state}: {words}", evidence))

        await self._write(change)

    async def close(self, what: str) -> None:
        """The incident is over; raises GwError. Doing it twice changes nothing."""

        def change(incident: Incident) -> Incident:
            if not incident.is_open:
                return incident
            closed = replace(incident, closed_at=self._clock.now(), closed_by=self.actor)
            return closed.with_entry(self._entry(what))

        await self._write(change)

    def _entry(self, what: str, evidence: Sequence[str] = ()) -> TimelineEntry:
        return TimelineEntry(self._clock.now(), self.actor, what, tuple(evidence))

    def _step(self, step: StepRecord, state: StepState, result: str) -> StepRecord:
        return replace(step, state=state, result=result, at=self._clock.now(), by=self.actor)

    async def _write(self, change: Callable[[Incident], Incident]) -> None:
        with asking(_DOING, writes=True):
            for attempt in range(_WRITES):
                wanted = change(self._incident)
                if wanted == self._incident:
                    return
                try:
                    stored = await self._cluster.patch(
                        CONFIGMAPS, wanted.name, render_incident(wanted), namespace=MANAGER_NAMESPACE
                    )
                except errors.Conflict:
                    if attempt == _WRITES - 1:
                        raise
                    self._incident = _parsed(await self._cluster.get(CONFIGMAPS, wanted.name, MANAGER_NAMESPACE))
                else:
                    self._incident = _parsed(stored)
                    return


async def open_incident(cluster: Cluster, clock: Clock, actor: str, incident: Incident) -> Journal:
    """The journal of a new incident; raises GwError when its record cannot be kept."""
    first = TimelineEntry(clock.now(), actor, f"opened about {incident.subject}", tuple(map(str, incident.targets)))
    try:
        stored = await cluster.create(CONFIGMAPS, render_incident(incident.with_entry(first)))
    except errors.KubeError as problem:
        raise _unkept(problem, incident, actor) from problem
    return Journal(cluster, clock, actor, _parsed(stored))


def _unkept(problem: errors.KubeError, incident: Incident, actor: str) -> GwError:
    if isinstance(problem, errors.AlreadyExists):
        return Refused(
            f"{incident.name} has just been opened by somebody else", f"Go on with `{incident.resume_command}`."
        )
    error = explain(problem, "keep a record of the incident", writes=True)
    if isinstance(problem, errors.Forbidden):
        error.next_step = role_step(actor)
    return error


def _parsed(manifest: Mapping[str, object]) -> Incident:
    try:
        return parse_incident(manifest)
    except ValueError as problem:
        raise Refused(
            f"the incident's record cannot be read any more: {problem}", "Look who edited it, and mend it by hand."
        ) from None
