"""Opens an incident, or finds the one that is open about the same, and goes through its procedure."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from actions_gateway.engine.clock import Clock
from actions_gateway.github.secrets import Secret
from actions_gateway.kube.resources import ACTIONSGATEWAYS
from gw.checks.wording import counted
from gw.errors import GwError, Refused
from gw.ops.incidents.containment import containment_plan, write_marks
from gw.ops.incidents.engine import IncidentConversation, Marks, Step, carry_on
from gw.ops.incidents.failures import agent_steps, manager_steps, new_agent_failure, new_manager_failure
from gw.ops.incidents.journal import Journal, open_incident
from gw.ops.incidents.key_compromise import new_incident, refuse_old_key, steps_of
from gw.ops.incidents.site import Site
from gw.ops.incidents.targets import find_app
from gw.ops.keys.authorities import trusted_authorities
from gw.ops.recordkeeping import ask_author
from gw.sources.cluster import Cluster, asking
from gw.sources.incidents import Incident, IncidentKind, gather_incidents

_UNTOLD = "no incident is opened or changed"

_STEPS: dict[IncidentKind, Callable[[Site], Sequence[Step]]] = {
    IncidentKind.KEY_COMPROMISE: steps_of,
    IncidentKind.AGENT_FAILURE: agent_steps,
    IncidentKind.MANAGER_FAILURE: manager_steps,
}


@dataclass(frozen=True, slots=True)
class IncidentOrder:
    """What was asked for."""

    kind: IncidentKind
    namespace: str | None = None
    app_id: str | None = None
    keys: tuple[str, ...] = ()
    """Fingerprints of what is in wrong hands, where the App has several keys."""
    resume: str | None = None
    """The incident to go on with; None takes the open one about the same, or opens one."""
    exposed_since: datetime | None = None
    note: str = ""
    marks: Marks = field(default_factory=Marks)
    take_over: bool = False
    new_key: Secret | None = field(default=None, repr=False)
    dry_run: bool = False


MakeSite = Callable[[Cluster, Journal], Site]


async def handle(
    cluster: Cluster, order: IncidentOrder, make_site: MakeSite, *, clock: Clock, conversation: IncidentConversation
) -> Incident:
    """The closed incident, or after a dry run the one that would be opened; raises GwError.

    Nothing is written before the procedure was shown and somebody agreed.
    """
    actor = await ask_author(cluster, _UNTOLD)
    existing, proposed = await _find(cluster, order, clock, actor)
    incident = existing or proposed
    assert incident is not None
    async with _authorities(cluster, incident, make_site) as make_site:
        site = make_site(cluster, Journal(cluster, clock, actor, incident))
        order.marks.refuse_unknown(incident)
        _refuse_wrong_key(site)
        steps = _STEPS[incident.kind](site)
        conversation.outline(incident, steps, is_new=existing is None)
        if order.dry_run:
            await _rehearse(site)
            return incident
        question = (
            f"Open the incident about {incident.subject}?" if existing is None else f"Go on with {incident.name}?"
        )
        if not site.agrees(question):
            raise Refused("nothing was confirmed, and nothing was written", "Run it again once it is right.")
        if existing is None:
            journal = await open_incident(cluster, clock, actor, incident)
            await _refuse_second(cluster, journal)
            site = make_site(cluster, journal)
            steps = _STEPS[incident.kind](site)
        if order.take_over:
            await site.journal.take_over()
        if order.note:
            await site.journal.note(f"note: {order.note}")
        return await carry_on(site.journal, steps, conversation, order.marks)


@asynccontextmanager
async def _authorities(cluster: Cluster, incident: Incident, make_site: MakeSite) -> AsyncIterator[MakeSite]:
    """Sites that trust what the first gateway trusts whose bundle can be read; an option's file wins.

    To contain needs no GitHub, so it waits for no bundle: what cannot be read is missed by the step that asks GitHub.
    """
    async with AsyncExitStack() as stack:
        bundle: Path | None = None
        for target in incident.targets if incident.kind is IncidentKind.KEY_COMPROMISE else ():
            with suppress(GwError):
                with asking(f"read the gateway {target}"):
                    live = await cluster.get(ACTIONSGATEWAYS, target.gateway, target.namespace)
                bundle = await stack.enter_async_context(trusted_authorities(cluster, live, None))
            if bundle is not None:
                break

        def trusting(cluster: Cluster, journal: Journal) -> Site:
            site = make_site(cluster, journal)
            return site if site.ca_bundle is not None else replace(site, ca_bundle=bundle)

        yield trusting


async def close_incident(cluster: Cluster, name: str, *, clock: Clock, note: str, abandon: str) -> Incident:
    """The closed incident; raises Refused while a step is not settled, unless `abandon` says why that does not matter.

    Closing one that is closed changes nothing.
    """
    actor = await ask_author(cluster, _UNTOLD)
    journal = Journal(cluster, clock, actor, await read_incident(cluster, name))
    if not journal.incident.is_open:
        return journal.incident
    left = [step for step in journal.incident.steps if not step.state.is_settled]
    if left and not abandon:
        raise Refused(
            f"{name} has {counted(len(left), 'step')} that {'is' if len(left) == 1 else 'are'} not settled: "
            f"{', '.join(step.id for step in left)}",
            f"Go on with `{journal.incident.resume_command}`, or say with --abandon REASON why it ends here.",
        )
    if note:
        await journal.note(f"note: {note}")
    words = f"closed with {counted(len(left), 'step')} left: {abandon}" if left else "closed: every step is settled"
    await journal.close(words)
    return journal.incident


async def note_incident(cluster: Cluster, name: str, *, clock: Clock, note: str) -> Incident:
    """The incident with one more entry in its timeline; raises GwError."""
    journal = Journal(cluster, clock, await ask_author(cluster, _UNTOLD), await read_incident(cluster, name))
    await journal.note(f"note: {note}")
    return journal.incident


async def read_incident(cluster: Cluster, name: str) -> Incident:
    """One incident by its name; raises Refused when there is none, or it cannot be read."""
    with asking("read the incidents"):
        found = await gather_incidents(cluster)
    for incident in found.incidents:
        if incident.name == name:
            return incident
    for line in found.unreadable:
        if line.startswith(f"{name}: "):
            raise Refused(f"the record {line}", "Look who edited it, and mend it by hand.")
    raise Refused(f"there is no incident {name}", "See them with `gw incident list`.")


async def _find(
    cluster: Cluster, order: IncidentOrder, clock: Clock, actor: str
) -> tuple[Incident | None, Incident | None]:
    """The open incident that is meant, or the one to open."""
    if order.resume is not None:
        incident = await read_incident(cluster, order.resume)
        if incident.kind is not order.kind:
            raise Refused(f"{incident.name} is no {order.kind}", f"Go on with `{incident.resume_command}`.")
        if not incident.is_open:
            raise Refused(
                f"{incident.name} is closed, by {incident.closed_by}",
                f"Look at it: `gw incident show {incident.name}`.",
            )
        return incident, None
    proposed = await _propose(cluster, order, clock.now(), actor)
    with asking("read the incidents"):
        known = await gather_incidents(cluster)
    for incident in known.open:
        if (incident.kind, incident.subject) == (proposed.kind, proposed.subject):
            return incident, None
    return None, proposed


async def _propose(cluster: Cluster, order: IncidentOrder, now: datetime, actor: str) -> Incident:
    match order.kind:
        case IncidentKind.KEY_COMPROMISE:
            app = await find_app(cluster, app_id=order.app_id, namespace=order.namespace, keys=order.keys)
            return new_incident(app, opened_at=now, opened_by=actor, exposed_since=order.exposed_since or now)
        case IncidentKind.AGENT_FAILURE:
            assert order.namespace is not None
            return await new_agent_failure(cluster, order.namespace, opened_at=now, opened_by=actor)
        case IncidentKind.MANAGER_FAILURE:
            return await new_manager_failure(cluster, opened_at=now, opened_by=actor)


async def _refuse_second(cluster: Cluster, journal: Journal) -> None:
    """Two people may say yes at the same time: the earlier incident is the one, and raises Refused for the other."""
    own = journal.incident
    with asking("read the incidents"):
        known = await gather_incidents(cluster)
    for other in known.open:
        same = (other.kind, other.subject) == (own.kind, own.subject)
        if same and other.name != own.name and (other.opened_at, other.name) < (own.opened_at, own.name):
            await journal.close(f"closed: {other.opened_by} had opened {other.name} about the same")
            raise Refused(
                f"{other.opened_by} has opened {other.name} about the same meanwhile",
                f"Go on with that one: `{other.resume_command}`.",
            )


def _refuse_wrong_key(site: Site) -> None:
    if site.incident.kind is IncidentKind.KEY_COMPROMISE and site.new_key is not None:
        for target in site.incident.targets:
            refuse_old_key(site.incident, site.needed_query(target))


async def _rehearse(site: Site) -> None:
    """What the first writing step would do, checked by the server; later ones depend on what people do before."""
    if site.incident.kind is IncidentKind.KEY_COMPROMISE:
        plan = await containment_plan(site, site.incident.targets, site.incident.name)
        await write_marks(site, plan, "")
