"""Cases of alerts on the watching itself."""

from collections.abc import Collection

from actions_gateway.metrics import catalog as m
from actions_gateway.metrics.catalog import Component, Kind
from gw_alerts import foreign
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.plant import PLATFORM, agent_process, manager, manager_process
from gw_alerts.cases.samples import STALE, Samples, counting, steps, without
from gw_alerts.cases.shapes import BEGIN, Subject, of
from gw_alerts.catalog import AWAITED, BY_NAME, GROUP_SIZES, SERIES_MISSING, watching
from gw_alerts.foreign import ForeignSeries
from gw_alerts.model import Alert

_OURS = "/etc/prometheus/rules/actions-gateway.rules.yaml;actions-gateway"
_BY_OPERATOR = (
    "/etc/prometheus/rules/prometheus-main-rulefiles-0/gmc-system-actions-gateway-1f3e.yaml;actions-gateway-slo"
)
_STRANGER = "/etc/prometheus/rules/actions-gateway-of-others.yaml;somebody-elses"


def _failures(alert: Alert, series: ForeignSeries) -> list[Case]:
    """Evaluations that fail, or do not happen, for as long as the alert waits."""
    (arm,) = alert.arms

    def subject(group: str) -> Subject:
        return Subject(alert, arm, lambda samples: (of(series, samples, rule_group=group),), {"rule_group": group})

    ours = subject(_OURS)
    until = 40
    each_minute = counting(until, (BEGIN, 1), start=7)
    gone = without(each_minute, 26, until + 1, STALE)
    fires = ours.span(BEGIN + 1, None, 5)
    named = subject(_BY_OPERATOR)

    def case(name: str, proof: Proof, samples: Samples, *spans: Span, told: bool = False) -> Case:
        unclear = frozenset({30}) if proof is Proof.ABSENT else frozenset[int]()
        return ours.case(name, samples, *spans, proofs=frozenset({proof}), is_told=told, unclear=unclear)

    return [
        case("none", Proof.AT, steps(until, (0, 7))),
        case("once", Proof.BELOW, steps(until, (0, 7), (BEGIN, 8))),
        case("once in ten minutes", Proof.RARE, steps(until, (0, 7), (5, 8), (15, 9), (25, 10), (35, 11))),
        case("for ten minutes", Proof.BRIEF, counting(until, (BEGIN, 1), (BEGIN + 10, 0), start=7)),
        case("each minute", Proof.ABOVE, each_minute, fires, told=True),
        case("reset", Proof.RESET, steps(until, (0, 7), (BEGIN, 0))),
        case("busy", Proof.BUSY, counting(until, (BEGIN, 6000)), fires),
        case("gone", Proof.ABSENT, gone, ours.span(BEGIN + 1, 31, 5)),
        case("short gap", Proof.SHORT_GAP, without(steps(until, (0, 7)), 10, 14)),
        case("long gap", Proof.LONG_GAP, without(steps(until, (0, 7)), 10, 16)),
        named.case(
            "of the operator's file", each_minute, named.span(BEGIN + 1, None, 5), proofs=frozenset({Proof.SPELLING})
        ),
        subject(_STRANGER).case("a stranger's", each_minute, proofs=frozenset({Proof.IDLE})),
    ]


def _notifications() -> list[Case]:
    alert = watching.NOTIFICATIONS_FAILING
    share = alert.thresholds[0].value
    until = 40

    def case(name: str, proof: Proof, failed: Samples, *, is_one: bool, told: bool = False, all_: Samples | None = None,
             end: int | None = None) -> Case:  # fmt: skip
        attempted = all_ or counting(until, (0, 6000))
        subject = Subject(
            alert, alert.arms[0],
            lambda samples: (
                of(foreign.NOTIFICATIONS_FAILED, samples, integration="webhook", reason="other"),
                of(foreign.NOTIFICATIONS, attempted, integration="webhook"),
            ),
            {"integration": "webhook"},
        )  # fmt: skip
        fires = (subject.span(1, end, share * 1.02),) if is_one else ()
        unclear = frozenset({29}) if end else frozenset[int]()
        return subject.case(name, failed, *fires, proofs=frozenset({proof}), is_told=told, unclear=unclear)

    few = steps(until, (0, 0), (10, 1))
    return [
        case("below", Proof.BELOW, counting(until, (0, 6000 * share * 0.98)), is_one=False),
        case("at", Proof.AT, counting(until, (0, 6000 * share)), is_one=False),
        case("above", Proof.ABOVE, counting(until, (0, 6000 * share * 1.02)), is_one=True, told=True),
        case("busy", Proof.BUSY, counting(until, (0, 3000)), is_one=True),
        case("one in ten minutes", Proof.RARE, steps(until, (0, 0)), is_one=False, all_=counting(until, (0, 0.1))),
        case("brief", Proof.BRIEF, few, is_one=False, all_=few),
        case("none sent", Proof.IDLE, steps(until, (0, 0)), is_one=False, all_=steps(until, (0, 0))),
        case("reset", Proof.RESET, counting(until, (0, 6000 * share), resets=(20,)), is_one=False,
             all_=counting(until, (0, 6000), resets=(20,))),
        case("gone", Proof.ABSENT, without(counting(until, (0, 6000)), 20, until + 1, STALE), is_one=True, end=30),
        case("short gap", Proof.SHORT_GAP, without(counting(until, (0, 6000 * share)), 20, 24), is_one=False,
             all_=without(counting(until, (0, 6000)), 20, 24)),
        case("long gap", Proof.LONG_GAP, without(counting(until, (0, 6000 * share)), 20, 26), is_one=False,
             all_=without(counting(until, (0, 6000)), 20, 26)),
    ]  # fmt: skip


def _families(until: int, metrics: Collection[m.Metric]) -> tuple[Series, ...]:
    return tuple(
        of(metric, steps(until, (0, 1)), "_count" if metric.kind is Kind.HISTOGRAM else "") for metric in metrics
    )


def _series_missing() -> list[Case]:
    alert = SERIES_MISSING
    (arm,) = alert.arms
    until = 25
    on = steps(until, (0, 1))
    world = (manager_process(on), manager(on), agent_process(on))
    groups = [metric for metric in AWAITED if "runner_group" in metric.labels]
    platform = [
        metric for metric in AWAITED if metric.components[0] is Component.MANAGER and "namespace" not in metric.labels
    ]
    lost = m.ACTIVE_SESSIONS
    subject = Subject(alert, arm, lambda _: (), {"family": lost.name})

    def case(name: str, proof: Proof, series: tuple[Series, ...], *missing: m.Metric, told: bool = False,
             start: int = 0) -> Case:  # fmt: skip
        fires = tuple(Span(alert, arm, start + arm.for_minutes, None, {"family": metric.name}) for metric in missing)
        return subject.case(name, on, *fires, proofs=frozenset({proof}), series=series, is_told=told)

    others = [metric for metric in AWAITED if metric is not lost and metric is not m.EXPECTED_SESSIONS]
    told = of(m.EXPECTED_SESSIONS, on)
    goes = of(lost, steps(until, (0, 1), (BEGIN, STALE)))
    alone = [metric for metric in groups if metric is not m.EXPECTED_SESSIONS]
    return [
        case("all there", Proof.AT, (*world, *_families(until, AWAITED))),
        case("one missing", Proof.ABOVE, (*world, told, *_families(until, others)), lost, told=True),
        case("one ends", Proof.ABSENT, (*world, told, goes, *_families(until, others)), lost, start=BEGIN),
        case("one ends and comes back", Proof.BRIEF,
             (*world, told, of(lost, without(on, BEGIN, BEGIN + 14, STALE)), *_families(until, others))),
        case("a short gap", Proof.SHORT_GAP,
             (*world, told, of(lost, without(on, BEGIN, BEGIN + 4)), *_families(until, others))),
        case("a long gap", Proof.LONG_GAP,
             (*world, told, of(lost, without(on, BEGIN, BEGIN + 6)), *_families(until, others))),
        case("labels are the scrape's", Proof.ONE_SOURCE,
             (*world, of(m.EXPECTED_SESSIONS, on, namespace=PLATFORM, exported_namespace="team-a"),
              *_families(until, [*others, lost])), m.EXPECTED_SESSIONS),
        case("another agent has it", Proof.REPLICAS,
             (*world, agent_process(on, namespace="team-b"), *_families(until, AWAITED))),
        case("no component", Proof.IDLE, ()),
        case("no tenant yet", Proof.IDLE,
             (manager_process(on), manager(steps(until, (0, 0))), *_families(until, platform))),
        case("a gateway without groups", Proof.IDLE,
             (*world, *_families(until, [metric for metric in AWAITED if metric not in groups]))),
        case("expectations missing", Proof.ONE_SOURCE,
             (*world, *_families(until, [*others, lost])), m.EXPECTED_SESSIONS),
        case("all groups' missing", Proof.ONE_SOURCE,
             (*world, told, *_families(until, [metric for metric in AWAITED if metric not in groups])), *alone),
    ]  # fmt: skip


def _rules_not_loaded() -> list[Case]:
    alert = BY_NAME["ActionsGatewayRulesNotLoaded"]
    arm, unknown = alert.arms
    until = 25
    total = sum(GROUP_SIZES.values())

    def groups(last: int, instance: str = "prometheus-0", prefix: str = "/rules/a.yaml;", end: int = until + 1,
               lost: tuple[int, int] = (until, until)) -> tuple[Series, ...]:  # fmt: skip
        """`last` rules in all until `end`, every one from then on, and no samples while they are lost."""
        sizes = dict(GROUP_SIZES)
        less = {"actions-gateway": total - last}
        return tuple(
            of(
                foreign.RULES_LOADED,
                without(steps(until, (0, size - less.get(name, 0)), (end, size)), *lost),
                rule_group=prefix + name, instance=instance,
            )
            for name, size in sizes.items()
        )  # fmt: skip

    def of_replica(name: str, last: int) -> tuple[Series, ...]:
        """A pair that scrapes itself by the same address."""
        return tuple(each.within(prometheus_replica=name) for each in groups(last))

    labels = {"instance": "prometheus-0"}
    start = arm.for_minutes

    def case(name: str, proof: Proof, series: tuple[Series, ...], *fires: Span, told: bool = False) -> Case:
        return Case(alert, arm, name, frozenset({proof}), series, until, fires, told)

    span = Span(alert, arm, start, None, labels, total - 1)
    absent = Case(
        alert, unknown, "no Prometheus scrapes itself", frozenset({Proof.ABOVE, Proof.ABSENT}),
        (agent_process(steps(until, (0, 1))),), until, (Span(alert, unknown, unknown.for_minutes),), is_alone=True,
    )  # fmt: skip

    def alone(name: str, proof: Proof, series: tuple[Series, ...]) -> Case:
        return Case(alert, unknown, name, frozenset({proof}), series, until, is_alone=True)

    by_operator = "/etc/prometheus/rules/prometheus-main-rulefiles-0/gmc-system-actions-gateway-1f3e.yaml;"
    return [
        case("at", Proof.AT, groups(total)),
        case("more", Proof.BELOW, groups(total + 1)),
        case("one short", Proof.ABOVE, groups(total - 1), span, told=True),
        case("one short for a while", Proof.BRIEF, groups(total - 1, end=arm.for_minutes)),
        case("short gap", Proof.SHORT_GAP, groups(total - 1, lost=(5, 9)), span),
        case("long gap", Proof.LONG_GAP, groups(total - 1, lost=(2, 8)), Span(alert, arm, 8 + start, None, labels)),
        case("one short of two", Proof.REPLICAS, (*groups(total - 1), *groups(total, "prometheus-1")), span),
        case("two in one store", Proof.REPLICAS, (*of_replica("a", total), *of_replica("b", total))),
        case("one short in one store", Proof.REPLICAS, (*of_replica("a", total - 1), *of_replica("b", total)), span),
        case("of the operator's file", Proof.SPELLING, groups(total, prefix=by_operator)),
        case("gone", Proof.ABSENT, groups(total - 1, lost=(18, until + 1)), Span(alert, arm, start, 18 + 5, labels)),
        absent,
        alone("Prometheus scrapes itself", Proof.AT, groups(total)),
        alone("two of them", Proof.BELOW, (*groups(total), *groups(total, "prometheus-1"))),
        alone("first scrape", Proof.BRIEF, groups(total, lost=(0, unknown.for_minutes - 1))),
        alone("unknown for four minutes", Proof.SHORT_GAP, groups(total, lost=(5, 9))),
        alone("unknown for six minutes", Proof.LONG_GAP, groups(total, lost=(5, 11))),
    ]


def _all() -> list[Case]:
    watchdog = watching.WATCHDOG
    always = Case(
        watchdog, watchdog.arms[0], "always", frozenset({Proof.ABOVE, Proof.ABSENT}),
        (of(m.ACTIVE_SESSIONS, steps(5, (0, 1)), namespace=PLATFORM),), 5, (Span(watchdog, watchdog.arms[0], 0),),
        is_alone=True,
    )  # fmt: skip
    return [
        always,
        *_failures(watching.RULE_FAILURES, foreign.RULE_FAILURES),
        *_failures(watching.EVALUATIONS_MISSED, foreign.ITERATIONS_MISSED),
        *_notifications(),
        *_series_missing(),
        *_rules_not_loaded(),
    ]


CASES: tuple[Case, ...] = tuple(_all())
