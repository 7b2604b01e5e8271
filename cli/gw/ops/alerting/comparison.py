"""What a Prometheus has loaded beside what is shipped, rule for rule; pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gw.ops.alerting.expressions import duration_seconds, is_same_expression
from gw.sources.loadedrules import LoadedGroup, LoadedRule
from gw_alerts.catalog import BY_NAME
from gw_alerts.catalog.watching import GROUP_PREFIX
from gw_alerts.model import TEAM, Links
from gw_alerts.rules import rule_groups

Rule = Mapping[str, Any]
Key = tuple[bool, str, str]
"""Whether it is an alert, its name, and what tells it from others of that name: an alert's arm, a record's labels."""

NEEDED_VERSION = (2, 42)
"""The first Prometheus that knows `keep_firing_for` (its change log); an older one refuses the whole file."""
_LINKS = frozenset({"runbook_url", "dashboard_url"})
"""Annotations that an installation's values say."""


class Difference(StrEnum):
    """In what way something is not as shipped."""

    MISSING = "missing"
    CHANGED = "changed"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field of a rule; empty where it is not there."""

    field: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """One rule, or a whole group."""

    kind: Difference
    group: str
    rule: str
    """Its name, with its arm; empty for the group itself."""
    detail: str = ""
    fields: tuple[FieldDifference, ...] = ()
    file: str = ""
    """Where Prometheus read it."""


@dataclass(frozen=True, slots=True)
class RulesComparison:
    """One Prometheus against this release."""

    source: str
    version: str
    rule_count: int
    """That are shipped."""
    differences: tuple[RuleDifference, ...]
    pending_count: int
    """Rules that were not evaluated yet."""
    is_too_old: bool
    with_links: bool
    """Whether links were compared, too."""


def compare_rules(
    groups: Sequence[LoadedGroup], version: str, source: str, links: Links | None = None
) -> RulesComparison:
    """With `links` the annotations that lead to pages and boards are compared, too."""
    wanted = {group["name"]: group for group in rule_groups(links or Links())}
    differences = [
        *(each for name, group in wanted.items() for each in _group(group, _copies(groups, name), links is not None)),
        *_strangers(groups, wanted),
    ]
    ours = [rule for group in groups if group.name in wanted for rule in group.rules]
    return RulesComparison(
        source,
        version,
        sum(len(group["rules"]) for group in wanted.values()),
        tuple(differences),
        sum(rule.health == "unknown" for rule in ours),
        is_too_old(version),
        links is not None,
    )


def is_too_old(version: str) -> bool:
    """Whether a Prometheus of that version refuses our rules; one that says nothing of the kind is believed in."""
    parts = version.lstrip("v").split(".")
    try:
        return (int(parts[0]), int(parts[1])) < NEEDED_VERSION
    except (IndexError, ValueError):
        return False


def _copies(groups: Sequence[LoadedGroup], name: str) -> list[LoadedGroup]:
    return [group for group in groups if group.name == name]


def _group(wanted: Mapping[str, Any], copies: Sequence[LoadedGroup], with_links: bool) -> Iterator[RuleDifference]:
    name = str(wanted["name"])
    if not copies:
        yield RuleDifference(Difference.MISSING, name, "", f"none of its {len(wanted['rules'])} rules is loaded")
        return
    if len(copies) > 1:
        files = ", ".join(group.file for group in copies)
        yield RuleDifference(Difference.DUPLICATE, name, "", f"it is loaded {len(copies)} times, from {files}")
    for group in copies:
        yield from _copy(wanted, group, with_links)


def _copy(wanted: Mapping[str, Any], group: LoadedGroup, with_links: bool) -> Iterator[RuleDifference]:
    if group.interval_seconds != duration_seconds(wanted["interval"]):
        field = FieldDifference("interval", str(wanted["interval"]), f"{group.interval_seconds:g}s")
        yield RuleDifference(Difference.CHANGED, group.name, "", fields=(field,), file=group.file)
    loaded: dict[Key, list[LoadedRule]] = {}
    for rule in group.rules:
        loaded.setdefault(_key(rule.is_alert, rule.name, rule.labels), []).append(rule)
    for entry in wanted["rules"]:
        key = _key_of(entry)
        found = loaded.pop(key, [])
        if not found:
            yield RuleDifference(Difference.MISSING, group.name, _named(key), file=group.file)
        for rule in found[:1]:
            fields = tuple(_fields(entry, rule, with_links))
            if fields:
                yield _of(Difference.CHANGED, rule, fields=fields)
        for rule in found[1:]:
            yield _of(Difference.DUPLICATE, rule, "the group has it more than once")
    for rules in loaded.values():
        yield from (_of(Difference.EXTRA, rule, "this release has no such rule") for rule in rules)
    yield from (_of(Difference.FAILING, rule, rule.error) for rule in group.rules if rule.health == "err")


def _strangers(groups: Iterable[LoadedGroup], wanted: Mapping[str, Any]) -> Iterator[RuleDifference]:
    """Groups that carry our prefix, and rules of ours that stand in somebody else's group."""
    for group in groups:
        if group.name in wanted:
            continue
        if group.name.startswith(GROUP_PREFIX):
            detail = f"this release has no such group, and {len(group.rules)} rules of it are counted as ours"
            yield RuleDifference(Difference.EXTRA, group.name, "", detail, file=group.file)
            continue
        # Another project may have a dead-man's switch of the same name: it is told apart by its labels.
        copied = [rule for rule in group.rules if rule.name in BY_NAME and rule.labels.get("team") == TEAM]
        for name, count in Counter(rule.name for rule in copied).items():
            detail = f"{count} of its rules stand outside of our groups, too"
            yield RuleDifference(Difference.DUPLICATE, group.name, name, detail, file=group.file)


def _fields(entry: Rule, rule: LoadedRule, with_links: bool) -> Iterator[FieldDifference]:
    if not is_same_expression(entry["expr"], rule.expression):
        yield FieldDifference("expr", entry["expr"], rule.expression)
    for field, theirs in (("for", rule.for_seconds), ("keep_firing_for", rule.keep_firing_seconds)):
        ours = duration_seconds(entry.get(field, "0"))
        if ours != theirs:
            yield FieldDifference(field, f"{ours:g}s", f"{theirs:g}s")
    yield from _mapping("labels", entry.get("labels") or {}, rule.labels)
    ignored = frozenset() if with_links else _LINKS
    yield from _mapping("annotations", entry.get("annotations") or {}, rule.annotations, ignored)


def _mapping(
    field: str, ours: Mapping[str, str], theirs: Mapping[str, str], ignored: frozenset[str] = frozenset()
) -> Iterator[FieldDifference]:
    for name in sorted({*ours, *theirs} - ignored):
        if ours.get(name) != theirs.get(name):
            yield FieldDifference(f"{field}.{name}", ours.get(name, ""), theirs.get(name, ""))


def _of(
    kind: Difference, rule: LoadedRule, detail: str = "", fields: tuple[FieldDifference, ...] = ()
) -> RuleDifference:
    return RuleDifference(
        kind, rule.group, _named(_key(rule.is_alert, rule.name, rule.labels)), detail, fields, rule.file
    )


def _key_of(entry: Rule) -> Key:
    is_alert = "alert" in entry
    return _key(is_alert, str(entry["alert" if is_alert else "record"]), entry.get("labels") or {})


def _key(is_alert: bool, name: str, labels: Mapping[str, str]) -> Key:
    if is_alert:
        return True, name, labels.get("arm", "")
    return False, name, ", ".join(f"{label}={value}" for label, value in sorted(labels.items()))


def _named(key: Key) -> str:
    _, name, which = key
    return f"{name} ({which})" if which else name
