"""Runs checks over facts. Every selected check appears in the result, in catalogue order, whatever happens to it."""

from collections.abc import Collection, Iterable, Sequence

from gw.checks.model import Check, CheckResult, Finding, Outcome, Scope, skipped, unknown
from gw.errors import Refused
from gw.sources.facts import Facts, Missing, Need, NotKnown
from gw_alerts.thresholds import Severity

NOTHING_TO_LOOK_AT = "nothing here to look at"


def select(catalog: Sequence[Check], ids: Sequence[str], categories: Sequence[str] = ()) -> tuple[Check, ...]:
    """The checks of those ids and of those categories in catalogue order, all for none of either.

    Raises Refused that lists what there is.
    """
    for wanted, one, all_of_them, known in (
        (ids, "check", "checks", [check.id for check in catalog]),
        (categories, "category", "categories", list(dict.fromkeys(check.category.value for check in catalog))),
    ):
        if strange := next((name for name in wanted if name not in known), None):
            raise Refused(f"there is no {one} {strange!r}", f"The {all_of_them} are: {', '.join(known)}.")
    is_all = not ids and not categories
    return tuple(check for check in catalog if is_all or check.id in ids or check.category in categories)


def needs_of(checks: Iterable[Check]) -> frozenset[Need]:
    """The sources that these checks read."""
    return frozenset[Need]().union(*(check.needs for check in checks))


def judge(checks: Iterable[Check], facts: Facts, *, named: Collection[str] = ()) -> tuple[CheckResult, ...]:
    """The results in the checks' order; `named` are the ids of those that the caller asked for one by one."""
    return tuple(CheckResult(check, _findings(check, facts, is_named=check.id in named)) for check in checks)


def has_problem(results: Iterable[CheckResult], fail_on: Severity) -> bool:
    """Whether any problem is at least as severe as `fail_on`."""
    return any(result.problems and result.severity.reaches(fail_on) for result in results)


def is_awaited(result: CheckResult, fail_on: Severity) -> bool:
    """Whether another look may better it: not where it takes a right, another address or a person to see a fact."""
    return has_problem([result], fail_on) or any(may_come(finding) for finding in result.findings)


def may_come(finding: Finding) -> bool:
    """Whether a later look may tell what this one could not."""
    return finding.outcome is Outcome.UNKNOWN and not finding.is_lasting


def is_blind(results: Iterable[CheckResult]) -> bool:
    """Whether any check could not tell about any subject."""
    return any(finding.outcome is Outcome.UNKNOWN for result in results for finding in result.findings)


def _findings(check: Check, facts: Facts, *, is_named: bool) -> tuple[Finding, ...]:
    try:
        return tuple(check.run(facts)) or (skipped("", NOTHING_TO_LOOK_AT),)
    except NotKnown as blind:
        return (_not_known(check, facts, blind.missing, is_named=is_named),)
    except Exception as oddity:  # One odd fact must not take the other checks along.
        return (unknown("", f"{check.id} cannot judge what it read ({type(oddity).__name__})"),)


def _not_known(check: Check, facts: Facts, missing: Missing, *, is_named: bool) -> Finding:
    """A tenant's people need no rights on the platform's own parts: what they may not see is skipped, not unknown.

    Who names a check wants its answer: to them, one that cannot be had must not look like a good one.
    """
    is_owners = missing.is_platforms or (missing.is_forbidden and check.scope is Scope.PLATFORM)
    if is_owners and facts.namespace is not None and not is_named:
        return skipped("", f"the platform's owners look at this; {missing.reason}")
    return unknown("", missing.reason, next_step=missing.next_step, is_lasting=missing.is_lasting)
