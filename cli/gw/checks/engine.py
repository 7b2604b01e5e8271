"""Runs checks over facts. Every selected check appears in the result, in catalogue order, whatever happens to it."""

from collections.abc import Iterable, Sequence

from gw.checks.model import Check, CheckResult, Finding, Outcome, Scope, skipped, unknown
from gw.errors import Refused
from gw.sources.facts import Facts, Missing, Need, NotKnown
from gw_alerts.thresholds import Severity

NOTHING_TO_LOOK_AT = "nothing here to look at"


def select(catalog: Sequence[Check], ids: Sequence[str]) -> tuple[Check, ...]:
    """The checks of those ids in catalogue order, all for none; raises Refused that lists what there is."""
    known = {check.id for check in catalog}
    for wanted in ids:
        if wanted not in known:
            raise Refused(
                f"there is no check {wanted!r}", f"The checks are: {', '.join(check.id for check in catalog)}."
            )
    return tuple(check for check in catalog if not ids or check.id in ids)


def needs_of(checks: Iterable[Check]) -> frozenset[Need]:
    """The sources that these checks read."""
    return frozenset[Need]().union(*(check.needs for check in checks))


def judge(checks: Iterable[Check], facts: Facts) -> tuple[CheckResult, ...]:
    """The results in the checks' order."""
    return tuple(CheckResult(check, _findings(check, facts)) for check in checks)


def has_problem(results: Iterable[CheckResult], fail_on: Severity) -> bool:
    """Whether a check at least as severe as `fail_on` found a problem."""
    return any(result.problems and result.check.severity.reaches(fail_on) for result in results)


def is_blind(results: Iterable[CheckResult]) -> bool:
    """Whether any check could not tell about any subject."""
    return any(finding.outcome is Outcome.UNKNOWN for result in results for finding in result.findings)


def _findings(check: Check, facts: Facts) -> tuple[Finding, ...]:
    try:
        return tuple(check.run(facts)) or (skipped("", NOTHING_TO_LOOK_AT),)
    except NotKnown as blind:
        return (_not_known(check, facts, blind.missing),)


def _not_known(check: Check, facts: Facts, missing: Missing) -> Finding:
    """A tenant's people need no rights on the platform's own parts: what they may not see is skipped, not unknown."""
    if missing.is_forbidden and check.scope is Scope.PLATFORM and facts.namespace is not None:
        return skipped("", f"the platform's owners look at this; {missing.reason}")
    return unknown("", missing.reason, next_step=missing.next_step)
