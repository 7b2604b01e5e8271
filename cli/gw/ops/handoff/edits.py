"""Edits of a shift: of credentials, quotas and gateways by managedFields, deletions by what a manager told of."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from actions_gateway.api import labels
from actions_gateway.metrics.catalog import Component
from gw.checks.wording import counted
from gw.ops.handoff.coverage import without
from gw.ops.handoff.model import Entry, Gap
from gw.sources.changes import EditFact, ObjectFact
from gw.sources.facts import Fact, Facts, Known, Missing
from gw.sources.shift import ShiftFacts

Told = tuple[tuple[Entry, ...], tuple[Gap, ...]]
"""What happened, and what could not be found out."""

_REFERENCE = "spec.gitHubAppRef"
_CONTAINED = f"metadata.annotations[{labels.CONTAINED}]"
_SHOWN = 8
_AUDIT_LOG = "The API server's audit log knows, if there is one."
_REMOVED_QUOTAS = Gap("which quotas, or keys of them, were deleted: the API server notes no deletion", "", False)
_EDITED_SECRETS = Gap("which Secrets were edited in place: gw reads no Secret", "", False)
_REMOVED_FIELDS = Gap("which fields were taken away: managedFields note no removal", "", False)


def of_objects(objects: Fact[tuple[ObjectFact, ...]], told: Callable[[ObjectFact], Iterable[Entry]]) -> Told:
    """What is told of each object."""
    if isinstance(objects, Missing):
        return (), (Gap(objects.reason, objects.next_step),)
    return in_order(entry for each in objects.value for entry in told(each)), ()


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Oldest first."""
    return tuple(sorted(entries, key=lambda each: (each.at.timestamp() if each.at else 0.0, each.subject, each.what)))


def rotations(shift: ShiftFacts) -> Told:
    """New references to a Secret."""
    entries, gaps = _edited(shift.gateways, lambda each: _rotations(each, shift))
    return entries, (*gaps, _EDITED_SECRETS)


def _rotations(each: ObjectFact, shift: ShiftFacts) -> Iterator[Entry]:
    for edit, _ in _edits(each, shift.since, _REFERENCE):
        others = [name for name in edit.below("spec") if not name.startswith(_REFERENCE)]
        words = f"its writer owns {_REFERENCE} and changed "
        words += f"that or {counted(len(others), 'other field')} of the spec" if others else "it"
        yield Entry(edit.at, _subject(each), words, edit.manager)


def quotas(facts: Facts, shift: ShiftFacts) -> Told:
    """Of tenants' namespaces alone; of all when it is not known which those are."""
    tenants = {each.namespace for each in facts.gateways.value} if isinstance(facts.gateways, Known) else None

    def told(each: ObjectFact) -> Iterator[Entry]:
        if _is_new(each, shift.since):
            yield Entry(each.created_at, _subject(each), "made", _maker(each))
        for edit, fields in _edits(each, shift.since, "spec"):
            yield Entry(edit.at, _subject(each), _changed(fields), edit.manager)

    mine = shift.quotas
    if tenants is not None and isinstance(mine, Known):
        mine = Known(tuple(each for each in mine.value if each.namespace in tenants))
    entries, gaps = _edited(mine, told)
    return entries, (*gaps, _REMOVED_QUOTAS)


def gateways(facts: Facts, shift: ShiftFacts) -> Told:
    """Those that are, by their managedFields; those that are no more, as a manager told of them."""
    entries, gaps = _edited(shift.gateways, lambda each: _specs(each, shift))
    deleted, unknown = _deleted(facts, shift)
    return in_order((*entries, *deleted)), (*gaps, *unknown, _REMOVED_FIELDS)


def _deleted(facts: Facts, shift: ShiftFacts) -> Told:
    if isinstance(shift.series, Missing):
        return (), (Gap(f"which gateways were deleted: {shift.series.reason}", shift.series.next_step),)
    if isinstance(facts.gateways, Missing):
        return (), (Gap(f"which gateways were deleted: {facts.gateways.reason}", facts.gateways.next_step),)
    uids = {each.uid for each in facts.gateways.value}
    gone = [each for each in shift.series.value.gateways if each.uid not in uids and each.last_at >= shift.since]
    return tuple(
        Entry(each.last_at, each.subject, "deleted; the manager told of it until then")
        for each in gone
        if not each.is_told
    ), (
        *(
            Gap(f"whether {each.subject} was deleted: {shift.series.value.source} still has it, and this cluster not")
            for each in gone
            if each.is_told
        ),
        *(Gap(f"which other gateways were deleted: {words}") for words in without(facts, shift, Component.MANAGER)),
    )


def _specs(each: ObjectFact, shift: ShiftFacts) -> Iterator[Entry]:
    if _is_new(each, shift.since):
        yield Entry(each.created_at, _subject(each), "made", _maker(each))
    for edit in each.edits:
        fields = (*edit.below("spec"), *edit.below(_CONTAINED))
        if fields and edit.at >= shift.since and not _is_making(edit, each):
            yield Entry(edit.at, _subject(each), _changed(fields), edit.manager)
    if each.deleted_at is not None:
        yield Entry(each.deleted_at, _subject(each), "is being deleted since then")


def _edited(objects: Fact[tuple[ObjectFact, ...]], told: Callable[[ObjectFact], Iterable[Entry]]) -> Told:
    """The same, where it takes managedFields to tell."""
    entries, gaps = of_objects(objects, told)
    silent = [_subject(each) for each in objects.value if not each.is_told] if isinstance(objects, Known) else []
    if silent:
        rest = len(silent) - _SHOWN
        names = ", ".join(silent[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        gaps = (*gaps, Gap(f"edits of {names}: what managedFields say of them is gone or unreadable", _AUDIT_LOG))
    return entries, gaps


def _edits(each: ObjectFact, since: datetime, prefix: str) -> Iterator[tuple[EditFact, tuple[str, ...]]]:
    """Without the object's own making."""
    return (pair for pair in each.edits_since(since, prefix) if not _is_making(pair[0], each))


def _is_making(edit: EditFact, each: ObjectFact) -> bool:
    """Both times are cut to the second."""
    return each.created_at is not None and edit.at <= each.created_at


def _is_new(each: ObjectFact, since: datetime) -> bool:
    return each.created_at is not None and each.created_at >= since


def _maker(each: ObjectFact) -> str:
    makers = (edit.manager for edit in each.edits if _is_making(edit, each) and edit.below("spec"))
    return ", ".join(dict.fromkeys(makers))


def _changed(fields: tuple[str, ...]) -> str:
    rest = len(fields) - _SHOWN
    shown = ", ".join(fields[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
    return f"changed {shown}" if len(fields) == 1 else f"changed at least one of {shown}"


def _subject(each: ObjectFact) -> str:
    return f"{each.namespace}/{each.name}"
