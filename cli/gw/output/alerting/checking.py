"""What differs between a cluster's monitoring and this release."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.alerting.checking import AlertsCheck
from gw.ops.alerting.comparison import Difference, RuleDifference, RulesComparison
from gw.ops.alerting.inhibitions import ForeignInhibition
from gw.ops.alerting.routing import RoutesComparison
from gw.ops.alerting.timing import TimingDifference
from gw.output.layout import one_line, stamp, styled
from gw.output.view import View
from gw.sources.facts import Fact, Known, Missing
from gw_alerts.model import TEAM

_STYLES = {Difference.FAILING: "bad"}
_WIDTH = max(len(each) for each in Difference)
_NAMED = 4
"""Alerts of one difference that are named."""
_MOST_TEXT = 400
"""Of an expression."""


def check_view(found: AlertsCheck) -> View:
    """Differences, and what could not be compared."""
    return View(
        kind="AlertsCheck",
        data={
            "at": stamp(found.at),
            "rules": _rules_data(found.rules),
            "routes": _routes_data(found.routes),
            "unknown": [each.reason for each in _missing(found)],
        },
        lines=lambda: list(_lines(found)),
        short=list(_short(found)),
    )


def check_advice(found: AlertsCheck) -> list[str]:
    """How what differs comes to be as it ships; nothing where everything is."""
    advice = []
    if isinstance(found.rules, Known):
        rules = found.rules.value
        if rules.is_too_old:
            advice.append("Next:  Upgrade Prometheus to 2.42 or newer; it then loads the rules of this release.")
        elif rules.differences:
            advice.append(
                "Next:  Load this release's rules: `gw install --monitoring with` with the operator, `gw alerts render "
                "rules` without; a rule of your own belongs into a group of another name."
            )
    if isinstance(found.routes, Known) and (found.routes.value.routes or found.routes.value.inhibitions):
        advice.append("Next:  `gw alerts render alertmanager --values FILE` has routes and inhibitions to take over.")
    return advice


def _missing(found: AlertsCheck) -> list[Missing]:
    return [each for each in (found.rules, found.routes, found.whose) if isinstance(each, Missing)]


# -- text


def _lines(found: AlertsCheck) -> Iterator[Text]:
    if isinstance(found.rules, Known):
        yield from _rules(found.rules.value)
    if isinstance(found.routes, Known):
        yield from _routes(found.routes.value)
    for each in _missing(found):
        yield Text.assemble(styled("unknown".ljust(_WIDTH), "warn"), f" {each.reason}.")
        if each.next_step:
            yield Text(f"{' ' * _WIDTH} next: {each.next_step}")


def _rules(compared: RulesComparison) -> Iterator[Text]:
    if compared.is_too_old:
        yield Text.assemble(
            styled("too old".ljust(_WIDTH), "bad"),
            f" {compared.source} is version {compared.version}: keep_firing_for came with 2.42, and an older one "
            "refuses the whole file.",
        )
    for each in compared.differences:
        yield from _difference(each)
    if not compared.differences:
        links = "" if compared.with_links else "; links to pages and boards are compared with --values"
        yield Text.assemble(
            styled("same".ljust(_WIDTH), "ok"),
            f" {compared.source} has the {compared.rule_count} rules of this release{links}.",
        )
    if compared.pending_count:
        rules = counted(compared.pending_count, "rule")
        yield Text.assemble(styled("unknown".ljust(_WIDTH), "warn"), f" not evaluated yet: {rules}; see again soon.")


def _difference(each: RuleDifference) -> Iterator[Text]:
    what = f"{each.group}: {each.rule}" if each.rule else f"group {each.group}"
    detail = f": {one_line(each.detail)}" if each.detail else ""
    yield Text.assemble(styled(each.kind.value.ljust(_WIDTH), _STYLES.get(each.kind, "warn")), f" {what}{detail}")
    for field in each.fields:
        yield Text(f"{' ' * _WIDTH}   {field.field}")
        yield Text(f"{' ' * _WIDTH}     ours:   {_cut(field.ours)}")
        yield Text(f"{' ' * _WIDTH}     theirs: {_cut(field.theirs)}")


def _cut(text: str) -> str:
    line = one_line(text)
    return f"{line[:_MOST_TEXT]}…" if len(line) > _MOST_TEXT else line or "-"


def _routes(compared: RoutesComparison) -> Iterator[Text]:
    for route in compared.routes:
        yield Text.assemble(
            styled("route".ljust(_WIDTH), "bad"),
            f" {route.detail}: {_some(route.alerts)} reach{'es' * (len(route.alerts) == 1)} {', '.join(route.found)}",
        )
    for timing in compared.timing:
        yield from _timing(timing)
    for each in compared.inhibitions:
        verb = "does not keep" if each.is_missing else "keeps"
        yield Text.assemble(
            styled("inhibit".ljust(_WIDTH), "warn" if each.is_missing else "bad"),
            f" {each.source} {verb} quiet: {_some(each.alerts)}",
        )
    for foreign in compared.foreign:
        yield from _foreign(foreign)
    if compared.is_same:
        yield Text.assemble(
            styled("same".ljust(_WIDTH), "ok"),
            f" {compared.source} sends each of {compared.alert_count} alerts where it should.",
        )


def _timing(each: TimingDifference) -> Iterator[Text]:
    if each.is_mute:
        what = f"{each.receiver} is told at some hours only, by {each.field} {each.theirs}"
        step = f"take {each.field} off that route: a page has no hours"
    else:
        what = f"{each.receiver} is told late: {each.field} is {each.theirs}, longer than {each.ours}"
        step = f"set {each.field} of that route to {each.ours}, as `gw alerts render alertmanager` has it"
    yield Text.assemble(styled("route".ljust(_WIDTH), "bad"), f" {one_line(what)}: {_some(each.alerts)}")
    yield _next(step)


def _foreign(each: ForeignInhibition) -> Iterator[Text]:
    yield Text.assemble(
        styled("inhibit".ljust(_WIDTH), "bad"),
        f" a rule of inhibit_rules that this release does not ship keeps pages quiet: {_some(each.alerts)}",
    )
    for field, found in (("source_matchers", each.source), ("target_matchers", each.target), ("equal", each.equal)):
        yield Text(f"{' ' * _WIDTH}   {field}: {_cut(', '.join(found))}")
    yield _next(f'take it out, or have it spare this project: add team!="{TEAM}" to its target_matchers')


def _next(step: str) -> Text:
    return Text(f"{' ' * _WIDTH} next: {step}.")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


# -- documents


def _rules_data(found: Fact[RulesComparison]) -> dict[str, Any] | None:
    if isinstance(found, Missing):
        return None
    compared = found.value
    return {
        "source": compared.source,
        "version": compared.version,
        "too_old": compared.is_too_old,
        "shipped": compared.rule_count,
        "not_evaluated": compared.pending_count,
        "links_compared": compared.with_links,
        "differences": [
            {
                "kind": each.kind.value,
                "group": each.group,
                "rule": each.rule or None,
                "detail": each.detail or None,
                "file": each.file or None,
                "fields": [{"field": one.field, "ours": one.ours, "theirs": one.theirs} for one in each.fields],
            }
            for each in compared.differences
        ],
    }


def _routes_data(found: Fact[RoutesComparison]) -> dict[str, Any] | None:
    if isinstance(found, Missing):
        return None
    compared = found.value
    return {
        "source": compared.source,
        "version": compared.version,
        "routes": [
            {"alerts": list(each.alerts), "wanted": list(each.wanted), "found": list(each.found), "why": each.detail}
            for each in compared.routes
        ],
        "timing": [
            {
                "receiver": each.receiver,
                "field": each.field,
                "ours": each.ours or None,
                "theirs": each.theirs,
                "alerts": list(each.alerts),
            }
            for each in compared.timing
        ],
        "inhibitions": [
            {"source": each.source, "alerts": list(each.alerts), "wanted": each.is_missing}
            for each in compared.inhibitions
        ],
        "foreign_inhibitions": [
            {
                "source_matchers": list(each.source),
                "target_matchers": list(each.target),
                "equal": list(each.equal),
                "alerts": list(each.alerts),
            }
            for each in compared.foreign
        ],
    }


def _short(found: AlertsCheck) -> Iterator[str]:
    if isinstance(found.rules, Known):
        for each in found.rules.value.differences:
            yield " ".join(filter(None, (each.kind.value, each.group, each.rule)))
    if isinstance(found.routes, Known):
        for route in found.routes.value.routes:
            yield from (f"route {name}" for name in route.alerts)
        for timing in found.routes.value.timing:
            yield f"route {timing.receiver} {timing.field}"
        for inhibition in found.routes.value.inhibitions:
            yield f"inhibit {inhibition.source}"
        for foreign in found.routes.value.foreign:
            yield f"inhibit {', '.join(foreign.source) or 'any'}"
    for missing in _missing(found):
        yield f"unknown {missing.reason}"
