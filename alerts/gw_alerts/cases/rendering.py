"""Cases as promtool's test files: many cases share one evaluation, each in a cluster of its own.

promtool evaluates every rule of the file each minute of each test, so the tests are few and the cases many.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from gw_alerts.cases.model import Case, Series, Span, braces
from gw_alerts.cases.samples import PER_MINUTE, spelled
from gw_alerts.cases.scenarios import Scenario
from gw_alerts.cases.templates import rendered
from gw_alerts.catalog import GROUP, LONG_BUDGETS, RECENT_BUDGETS, SERIES_MISSING
from gw_alerts.catalog.components import MANAGER_DOWN
from gw_alerts.model import Alert, Links

Entry = dict[str, Any]

RULES = "../generated/actions-gateway.rules.yaml"
_HORIZONS = (20, 40, 80, 160, 100_000)
"""A case shares an evaluation with those that last about as long."""
_PREFIX = "ActionsGateway"
_WORLD = (MANAGER_DOWN, SERIES_MISSING)
"""They speak of everything that a case leaves out, so only their own cases look at them."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How long the unit is that cases count in: an evaluation each, and two scrapes."""

    seconds: int = 60

    @property
    def scrape(self) -> str:
        """The time between two samples."""
        return f"{self.seconds // PER_MINUTE}s"

    def at(self, moment: int) -> str:
        """A moment, as promtool takes it."""
        seconds = moment * self.seconds
        return f"{seconds // 3600}h" if self.seconds % 3600 == 0 else f"{seconds // 60}m"


MINUTES = Clock()
DAYS = Clock(24 * 3600)


class _Line(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes things anew instead of referring to them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Line, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)
)


def file_text(head: str, tests: Sequence[Entry], clock: Clock = MINUTES) -> str:
    """One test file."""
    document = {
        "rule_files": [RULES],
        "evaluation_interval": clock.at(1),
        # Without it promtool evaluates groups in any order.
        "group_eval_order": [RECENT_BUDGETS, LONG_BUDGETS, GROUP],
        "tests": list(tests),
    }
    return head + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def render_tests(cases: Iterable[Case], clock: Clock) -> list[Entry]:
    """The cases as promtool's tests.

    What people are told is looked at among few cases, so that not every instance has to be spelled out. Where a clock
    is coarse a test lasts so long that one has to do for both.
    """
    every = list(cases)
    shared = [_in_cluster(case) for case in every if not case.is_alone]
    tests = []
    for lower, upper in zip((0, *_HORIZONS), _HORIZONS, strict=False):
        some = [case for case in shared if lower < case.until <= upper]
        told = [case for case in some if case.is_told]
        if clock is not MINUTES and some:
            tests.append({**_shared(some, clock), **_notifications(some, clock)})
        elif some:
            tests.append(_shared(some, clock))
            tests += [_told(told, clock)] if told else []
    return tests + [_alone(case, clock) for case in every if case.is_alone]


def firing(instances: Iterable[Mapping[str, str]]) -> list[Entry]:
    """What a query for alerts returns, each counted."""
    counted: dict[str, int] = {}
    for labels in instances:
        text = braces({name: value for name, value in labels.items() if value})
        counted[text] = counted.get(text, 0) + 1
    return [_Line(labels=text, value=value) for text, value in sorted(counted.items())]


def inputs(series: Iterable[Series]) -> list[Entry]:
    """The series of a test."""
    return [_Line(series=each.selector, values=spelled(each.samples)) for each in series]


def notification(alert: Alert, spans: Iterable[Span], moment: str) -> Entry:
    """All instances of an alert in a moment, with every label and annotation."""
    return {"alertname": alert.name, "eval_time": moment, "exp_alerts": [_instance(span) for span in spans]}


def _cluster(case: Case) -> str:
    return f"{case.alert.name.removeprefix(_PREFIX)}/{case.name}"


def _in_cluster(case: Case) -> Case:
    cluster = _cluster(case)
    return replace(
        case,
        series=tuple(series.within(cluster=cluster) for series in case.series),
        fires=tuple(replace(span, labels={"cluster": cluster, **span.labels}) for span in case.fires),
    )


def _shared(cases: Sequence[Case], clock: Clock) -> Entry:
    """Looks at everything that fires in the clusters of an alert's cases."""
    looks = []
    for alert in dict.fromkeys(case.alert for case in cases):
        its = [case for case in cases if case.alert is alert]
        for minute in sorted({minute for case in its for minute in case.minutes}):
            aside = [case for case in its if not _says(case, minute)]
            active = [span for case in its if case not in aside for span in case.fires if span.is_active(minute)]
            looks.append(
                {
                    "expr": _query(alert, aside),
                    "eval_time": clock.at(minute),
                    "exp_samples": firing({**_name(span), "cluster": span.labels["cluster"]} for span in active),
                }
            )
    return {
        "name": f"cases that last until {clock.at(max(case.until for case in cases))}",
        "interval": clock.scrape,
        "input_series": inputs(series for case in cases for series in case.series),
        "promql_expr_test": looks,
    }


def _says(case: Case, minute: int) -> bool:
    """Whether a minute is worth a look at the case: what still fires when it ends says nothing once its series end."""
    is_over = case.until < minute and any(span.end is None for span in case.fires)
    return not is_over and minute not in case.unclear


def _query(alert: Alert, aside: Sequence[Case]) -> str:
    """For what fires in the clusters of an alert's cases but some."""
    its = f'cluster=~"{alert.name.removeprefix(_PREFIX)}/.+"'
    world = "|".join(other.name for other in _WORLD)
    about = f'alertname="{alert.name}"' if alert in _WORLD else f'alertname!~"{world}"'
    if alert.slo:
        # What misses an objective is a problem by itself, too.
        about = f'slo="{alert.slo}"'
    without = f',cluster!~"{"|".join(map(_cluster, aside))}"' if aside else ""
    return f'count by (alertname, arm, cluster) (ALERTS{{alertstate="firing",{its},{about}{without}}})'


def _told(cases: Sequence[Case], clock: Clock) -> Entry:
    return {
        "name": f"what people are told until {clock.at(max(case.until for case in cases))}",
        "interval": clock.scrape,
        "input_series": inputs(series for case in cases for series in case.series),
        **_notifications(cases, clock),
    }


def _notifications(cases: Sequence[Case], clock: Clock) -> Entry:
    """Looks at each instance of an alert when one begins to fire of which the whole notification counts."""
    looks = []
    spans = [span for case in cases for span in case.fires]
    for alert in dict.fromkeys(case.alert for case in cases):
        its = [case for case in cases if case.alert is alert and case.is_told]
        for moment in sorted({span.start for case in its for span in case.fires if span.alert is alert}):
            active = [span for span in spans if span.alert is alert and span.is_active(moment)]
            looks.append(notification(alert, active, clock.at(moment)))
    return {"alert_rule_test": looks}


def _alone(case: Case, clock: Clock) -> Entry:
    """Looks at every notification of an alert that knows no clusters."""
    looks = [
        notification(case.alert, [span for span in case.fires if span.is_active(minute)], clock.at(minute))
        for minute in sorted(case.minutes - case.unclear)
    ]
    return {
        "name": f"{case.alert.name}: {case.name}",
        "interval": clock.scrape,
        "input_series": inputs(case.series),
        "alert_rule_test": looks,
    }


def _name(span: Span) -> dict[str, str]:
    return {"alertname": span.alert.name, "arm": span.arm.name}


def _instance(span: Span) -> Entry:
    (rule,) = [each for each in span.alert.rules(Links()) if each["labels"].get("arm", "") == span.arm.name]
    labels = {**rule["labels"], **{name: value for name, value in span.labels.items() if value}}
    seen = {**labels, "alertname": span.alert.name}
    return {
        "exp_labels": _Line(labels),
        "exp_annotations": {name: rendered(text, seen, span.value) for name, text in rule["annotations"].items()},
    }


def render_scenarios(scenarios: Sequence[Scenario], until: int) -> Entry:
    """Looks at everything that fires in each scenario's cluster, at each minute in which anything changes anywhere."""
    looks = []
    for scenario in scenarios:
        edges = {
            minute for fired in scenario.fires for minute in (fired.start - 1, fired.start, fired.end - 1, fired.end)
        }
        for minute in sorted(minute for minute in {*edges, until} if minute <= until):
            looks.append(
                {
                    "expr": "count by (alertname, arm, namespace) "
                    f'(ALERTS{{alertstate="firing",cluster="{scenario.name}"}})',
                    "eval_time": MINUTES.at(minute),
                    "exp_samples": firing(fired.labels for fired in scenario.fires if fired.is_active(minute)),
                }
            )
    return {
        "name": "scenarios",
        "interval": MINUTES.scrape,
        "input_series": inputs(
            series.within(cluster=scenario.name) for scenario in scenarios for series in scenario.series
        ),
        "promql_expr_test": looks,
    }
