"""Looks at the health of one tenant or of all, once or until it is good."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from actions_gateway.engine.clock import Clock
from gw.checks.comparison import Turn, turns
from gw.checks.engine import has_problem, is_awaited, is_blind, judge, needs_of
from gw.checks.model import Check, CheckResult
from gw.exits import ExitCode
from gw.ops.tenants import not_a_tenant
from gw.sources.cluster import Cluster
from gw.sources.facts import Known, Need
from gw.sources.gathering import DISCOVERED, gather_facts
from gw.sources.places import Sources
from gw_alerts.thresholds import Severity

_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What was asked, when, and all that was found."""

    namespace: str | None
    at: datetime
    fail_on: Severity
    results: tuple[CheckResult, ...]
    waited_out: bool = False
    """Whether a wait ended without a good report."""

    @property
    def awaited(self) -> tuple[CheckResult, ...]:
        """What keeps a wait from ending."""
        return tuple(result for result in self.results if is_awaited(result, self.fail_on))

    @property
    def exit_code(self) -> ExitCode:
        """A problem beats blindness, and a wait that ended in vain is told apart from a single look."""
        if has_problem(self.results, self.fail_on):
            return ExitCode.TIMED_OUT if self.waited_out else ExitCode.PROBLEM
        if is_blind(self.results):
            return ExitCode.TIMED_OUT if self.waited_out else ExitCode.UNKNOWN
        return ExitCode.OK


async def look(
    cluster: Cluster,
    checks: tuple[Check, ...],
    *,
    namespace: str | None,
    fail_on: Severity,
    clock: Clock,
    sources: Sources = DISCOVERED,
    named: Collection[str] = (),
    wait_seconds: float = 0.0,
    on_wait: Callable[[HealthReport], None] = lambda _: None,
) -> HealthReport:
    """The report; with `wait_seconds` it looks again until the report is good or the time is over.

    `named` are the ids of the checks that the caller asked for one by one.

    Raises Refused for a namespace that is no tenant, since no finding at all must never pass for health.
    """
    deadline = clock.monotonic() + wait_seconds
    needs = needs_of(checks) | ({Need.GATEWAYS} if namespace else set())
    while True:
        facts = await gather_facts(cluster, namespace, needs, clock, sources)
        if namespace and facts.gateways == Known(()):
            raise await not_a_tenant(cluster, namespace)
        report = HealthReport(namespace, facts.now, fail_on, judge(checks, facts, named=named))
        if wait_seconds <= 0 or not report.awaited:
            return report
        if clock.monotonic() >= deadline:
            return HealthReport(namespace, report.at, fail_on, report.results, waited_out=True)
        on_wait(report)
        await clock.sleep(_LOOK_AGAIN_SECONDS)


async def watch(
    cluster: Cluster,
    checks: tuple[Check, ...],
    *,
    namespace: str | None,
    fail_on: Severity,
    clock: Clock,
    sources: Sources = DISCOVERED,
    named: Collection[str] = (),
    every_seconds: float,
    on_report: Callable[[HealthReport, tuple[Turn, ...]], None],
) -> NoReturn:
    """Looks until cancelled; `on_report` hears of the first report and of each one in which something turned.

    Raises GwError as `look` does.
    """
    before: HealthReport | None = None
    while True:
        report = await look(
            cluster, checks, namespace=namespace, fail_on=fail_on, clock=clock, sources=sources, named=named
        )
        turned = turns(before.results, report.results) if before is not None else ()
        if before is None or turned:
            on_report(report, turned)
        before = report
        await clock.sleep(every_seconds)
