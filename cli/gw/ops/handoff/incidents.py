"""Open incidents as the hand-over's checklist tells them."""

from collections.abc import Iterator

from gw.checks.model import Finding, ok, problem, unknown
from gw.sources.facts import Fact, Missing
from gw.sources.incidents import Incident, IncidentsFact
from gw_alerts.thresholds import Severity


def open_incidents(known: Fact[IncidentsFact], namespace: str | None) -> Iterator[Finding]:
    """What is open about one tenant, or about anything; a record that cannot be read may be an open one."""
    if isinstance(known, Missing):
        yield unknown("", f"open incidents: {known.reason}", next_step=known.next_step)
        return
    there = [each for each in known.value.open if _concerns(each, namespace)]
    for incident in there:
        step = incident.next_step
        yield problem(
            incident.name,
            f"{incident.kind} of {incident.subject} is open, by {incident.opened_by}"
            + (f", at the step {step.id} ({step.state})" if step else ", and only to be closed"),
            since=incident.opened_at,
            next_step=incident.resume_command,
            severity=Severity.PAGE,
        )
    for line in known.value.unreadable:
        yield unknown("", f"whether an incident is open: the record {line}", next_step="gw incident list")
    if not there and not known.value.unreadable:
        yield ok("", "no incident is open")


def _concerns(incident: Incident, namespace: str | None) -> bool:
    """One without targets is about the platform, which concerns every tenant."""
    namespaces = {target.namespace for target in incident.targets}
    return namespace is None or not namespaces or namespace in namespaces
