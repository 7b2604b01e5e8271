"""Service level objectives over 30 days, what counts for and against them, and how fast a budget may burn.

An objective is missed by events: jobs that start late, claims that fail, minutes of a group without a session. Errors
are always the total less what was good, so they exist whenever there is traffic. Ratios over a long window divide what
was recorded every hour, which weighs hours by their traffic and costs a fraction of reading a month of samples.

Windows and factors: the SRE workbook, "Alerting on SLOs" (multiwindow, multi-burn-rate alerts).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.expressions import TENANT, counted, within
from gw_alerts.model import Recording
from gw_alerts.recordings import SESSIONS_AVAILABLE

DAYS = 30
"""What an objective's budget is spent over."""

EVENTS = "actions_gateway:slo_events:rate5m"
ERRORS = "actions_gateway:slo_errors:rate5m"
_HOURLY_EVENTS = "actions_gateway:slo_events:avg1h"
_HOURLY_ERRORS = "actions_gateway:slo_errors:avg1h"
OBJECTIVE = "actions_gateway:slo_objective:ratio"
BUDGET_LEFT = "actions_gateway:slo_budget_left:ratio"


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective, for every tenant by itself."""

    name: str
    title: str
    share: float
    """Of the events that have to be good."""
    events: str
    errors: str
    source: str
    """The runbook's words that it rests on, or `OURS` and the reason."""
    page: str
    """How its breach is answered."""
    fewest_events: bool = True
    """Whether a few events say nothing yet; minutes are always enough."""

    def matcher(self, window: str) -> str:
        """The recorded share of bad events over a window."""
        return f'{ratio(window)}{{slo="{self.name}"}}'


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows that must agree: the long one for weight, the short one so that the alert ends with the
    cause."""

    long: str
    short: str
    factor: float
    """How many times faster than evenly over DAYS."""


FAST = (Burn("1h", "5m", 14.4), Burn("6h", "30m", 6))
SLOW = (Burn("1d", "2h", 3), Burn("3d", "6h", 1))
SPENT = t.Threshold(
    subject="share of an objective's budget that is left",
    comparison="<=",
    value=0,
    unit="of 1",
    severity=t.Severity.TICKET,
    source=t.OURS + "the promise of the month is broken; what burns the budget has tickets of its own before",
)
"""No alert's: boards show it."""
FEWEST_IN_AN_HOUR = 10
FEWEST_IN_A_DAY = 30
"""Below these one bad event would be a burn."""

_RECENT = ("30m", "2h", "6h")
_LONG = ("1d", "3d", f"{DAYS}d")


def ratio(window: str) -> str:
    """The name of the recorded share of bad events."""
    return f"actions_gateway:slo_errors:ratio{window}"


def _pods(bound: t.Threshold) -> tuple[str, str]:
    total = counted("rate", m.POD_CREATION_LATENCY, "5m", TENANT, part="_count")
    return total, f"{total} - {within('rate', m.POD_CREATION_LATENCY, bound.value, '5m')}"


_CLAIMED = counted("rate", m.JOBS_ACQUIRED, "5m", TENANT)
_UNCLAIMED = counted("rate", m.JOB_ACQUISITION_ERRORS, "5m", TENANT, 'reason!="already_claimed"')
_AVAILABLE = f"avg by ({TENANT}) ({SESSIONS_AVAILABLE.name})"

OBJECTIVES: tuple[Objective, ...] = (
    Objective(
        "pod-creation-15s",
        "Jobs whose pod is scheduled within 15 s",
        0.95,
        *_pods(t.POD_CREATION_P95_SECONDS),
        source=t.POD_CREATION_P95_SECONDS.source,
        page="runbooks/procedures/slo-pod-creation-latency.md",
    ),
    Objective(
        "pod-creation-60s",
        "Jobs whose pod is scheduled within 60 s",
        0.99,
        *_pods(t.POD_CREATION_P99_SECONDS),
        source=t.POD_CREATION_P99_SECONDS.source,
        page="runbooks/procedures/slo-pod-creation-latency.md",
    ),
    Objective(
        "job-acquisition",
        "Deliveries of jobs that are claimed",
        0.99,
        f"{_CLAIMED} + ({_UNCLAIMED} or 0 * {_CLAIMED}) or {_UNCLAIMED}",
        f"{_UNCLAIMED} or 0 * {_CLAIMED}",
        source=t.OURS + "the runbook answers its breach without a number; a job that another runner took first counts "
        "for neither side",
        page="runbooks/procedures/slo-jobs-acquired.md",
    ),
    Objective(
        "session-availability",
        "Minutes of runner groups with an open session",
        0.995,
        f"{_AVAILABLE} * 0 + 1",
        f"1 - {_AVAILABLE}",
        source=t.OURS + "the runbook answers its breach without a number; a dead agent counts as no session, not as no "
        "data",
        page="runbooks/procedures/slo-active-sessions.md",
        fewest_events=False,
    ),
)


def _share(errors: str, events: str) -> str:
    """To a millionth, so that exactly at a bound is not above it."""
    return f"round({errors} / ({events} > 0), 0.000001)"


def recent_recordings() -> Iterator[Recording]:
    """What is recorded every minute, in the order in which it is read."""
    for each in OBJECTIVES:
        about = {"slo": each.name}
        yield Recording(EVENTS, each.events, f"{each.title}: events a second.", about)
        yield Recording(ERRORS, each.errors, f"{each.title}: bad events a second.", about)
        yield Recording(OBJECTIVE, f"vector({each.share:g})", f"{each.title}: the share that is promised.", about)
    yield Recording(ratio("5m"), _share(ERRORS, EVENTS), "Share of bad events in 5 minutes.")
    yield Recording(_HOURLY_EVENTS, f"avg_over_time({EVENTS}[1h])", "Events a second, over an hour.")
    yield Recording(_HOURLY_ERRORS, f"avg_over_time({ERRORS}[1h])", "Bad events a second, over an hour.")
    yield Recording(ratio("1h"), _share(_HOURLY_ERRORS, _HOURLY_EVENTS), "Share of bad events in an hour.")
    for window in _RECENT:
        errors, events = f"avg_over_time({ERRORS}[{window}])", f"avg_over_time({EVENTS}[{window}])"
        yield Recording(ratio(window), _share(errors, events), f"Share of bad events in {window}.")


def long_recordings() -> Iterator[Recording]:
    """What is recorded more rarely, in the order in which it is read."""
    for window in _LONG:
        errors, events = (f"avg_over_time({name}[{window}:1h])" for name in (_HOURLY_ERRORS, _HOURLY_EVENTS))
        yield Recording(ratio(window), _share(errors, events), f"Share of bad events in {window}.")
    spent = f"{ratio(_LONG[-1])} / on (slo) group_left () (1 - {OBJECTIVE})"
    yield Recording(BUDGET_LEFT, f"1 - {spent}", f"Share of the budget of {DAYS} days that is left.")


def burns(objective: Objective, pairs: tuple[Burn, ...]) -> str:
    """Whether both windows of one of the pairs burn faster than the pair's factor, with events enough to say so."""
    parts = [
        f"({objective.matcher(pair.long)} > {bound(objective, pair):g}"
        f" and {objective.matcher(pair.short)} > {bound(objective, pair):g})"
        for pair in pairs
    ]
    either = " or ".join(parts)
    if not objective.fewest_events:
        # Of a tenant that is new there are few minutes, and the first ones had no session yet.
        age = "1h" if pairs is FAST else "1d"
        return f'({either}) and last_over_time({EVENTS}{{slo="{objective.name}"}}[{age}] offset {age})'
    hourly = f'{_HOURLY_EVENTS}{{slo="{objective.name}"}}'
    if pairs is FAST:
        enough = f"{hourly} * 3600 >= {FEWEST_IN_AN_HOUR}"
    else:
        enough = f"avg_over_time({hourly}[1d:1h]) * 86400 >= {FEWEST_IN_A_DAY}"
    return f"({either}) and {enough}"


def bound(objective: Objective, pair: Burn) -> float:
    """The share of bad events at which a pair burns."""
    return round(pair.factor * (1 - objective.share), 6)
