"""Cases of alerts on agents, the manager, and what the manager says of gateways."""

from collections.abc import Mapping

from actions_gateway.api.names import AGENT_CONTAINER, AGENT_POD_POLICY
from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.plant import GATEWAY, PLATFORM, TENANT, agent_process, manager, manager_process
from gw_alerts.cases.samples import STALE, Samples, counting, mapped, steps, without
from gw_alerts.cases.shapes import BEGIN, Subject, any_event, events, expectation, gauge, of, rate
from gw_alerts.catalog import components as alerts
from gw_alerts.model import Alert


def _subject(alert: Alert, metric: m.Metric, by: Mapping[str, str], **labels: str) -> Subject:
    def build(samples: Samples) -> tuple[Series, ...]:
        return (of(metric, samples, **labels),)

    return Subject(alert, alert.arms[0], build, by)


def _ends(alert: Alert, reason: str) -> Subject:
    return _subject(alert, m.AGENT_TERMINATIONS, TENANT, reason=reason)


def _kube(series: foreign.ForeignSeries, samples: Samples, **labels: str) -> Series:
    return of(series, samples, **{"container": AGENT_CONTAINER, **labels})


def _out_of_memory() -> list[Case]:
    alert = alerts.AGENT_OOM_KILLED
    subject = _ends(alert, "OOMKilled")
    until = 30
    terminated = _kube(foreign.POD_TERMINATED, steps(until, (0, 0), (BEGIN, 1)), reason="OOMKilled")

    def restarts(samples: Samples, **labels: str) -> Subject:
        series = (terminated, _kube(foreign.POD_RESTARTS, samples, **labels))
        return Subject(alert, alert.arms[0], lambda _: series, TENANT)

    once = steps(until, (0, 3), (BEGIN, 4))
    crashes = alerts.AGENT_CRASH_LOOPING
    return [
        *any_event(subject, window=15, exporter=manager_process, also=((crashes, crashes.arms[0], 20),)),
        _ends(alert, "Error").case("another end", steps(until, (0, 0), (BEGIN, 1)), proofs=frozenset({Proof.IDLE})),
        restarts(once).case(
            "kube-state-metrics alone", once, subject.span(BEGIN, BEGIN + 15, 1), proofs=frozenset({Proof.ONE_SOURCE})
        ),
        restarts(steps(until, (0, 3))).case(
            "it happened long ago", once, proofs=frozenset({Proof.IDLE, Proof.ONE_SOURCE})
        ),
        restarts(once, container="sidecar").case("another container", once, proofs=frozenset({Proof.ONE_SOURCE})),
        subject.case(
            "both sources", steps(until, (0, 0), (BEGIN, 1)), subject.span(BEGIN, BEGIN + 15, 1),
            proofs=frozenset({Proof.REPLICAS}), series=restarts(once).build(once),
        ),
    ]  # fmt: skip


def _crashes() -> list[Case]:
    alert = alerts.AGENT_CRASH_LOOPING
    subject = _ends(alert, "Error")
    until = 40
    several = Subject(
        alert, alert.arms[0],
        lambda samples: tuple(of(m.AGENT_TERMINATIONS, samples, reason=each) for each in ("Error", "Other")), TENANT,
    )  # fmt: skip
    loops = _kube(foreign.POD_WAITING, steps(until, (0, 0), (BEGIN, 1), (12, 0)), reason="CrashLoopBackOff")
    pulls = _kube(foreign.POD_WAITING, steps(until, (0, 0), (BEGIN, 1), (12, 0)), reason="ImagePullBackOff")
    clean = _ends(alert, "Completed")
    alone = Subject(alert, alert.arms[0], lambda _: (loops,), TENANT)
    both = Subject(
        alert, alert.arms[0],
        lambda samples: (of(m.AGENT_TERMINATIONS, samples, reason="Error"), loops, pulls), TENANT,
    )  # fmt: skip
    pulling = Subject(alert, alert.arms[0], lambda _: (pulls,), TENANT)
    every_five = steps(until, (0, 0), (5, 1), (10, 2), (15, 3), (20, 4))
    return [
        *events(subject, window=20),
        several.case("two kinds", steps(until, (0, 0), (BEGIN, 2)), several.span(BEGIN, BEGIN + 20, 4),
                     proofs=frozenset({Proof.ABOVE})),
        subject.case("every five minutes", every_five, subject.span(15, 30, 3), proofs=frozenset({Proof.RARE})),
        clean.case("clean ends", counting(until, (0, 1)), proofs=frozenset({Proof.IDLE})),
        alone.case("kube-state-metrics alone", steps(until, (0, 0)), alone.span(BEGIN, 12 + 5, 1),
                   proofs=frozenset({Proof.ONE_SOURCE})),
        both.case("both sources of two pods", steps(until, (0, 0), (BEGIN, 3)), both.span(BEGIN, BEGIN + 20, 3),
                  proofs=frozenset({Proof.REPLICAS})),
        pulling.case("its image is pulled", steps(until, (0, 0)), proofs=frozenset({Proof.ONE_SOURCE})),
    ]  # fmt: skip


def _agent_down() -> list[Case]:
    alert = alerts.AGENT_DOWN
    subject = Subject(alert, alert.arms[0], lambda samples: (agent_process(samples),), TENANT)
    until = 20
    rolled = (agent_process(steps(until, (BEGIN + 1, 1)), pod="other"),)
    told = (of(m.EXPECTED_AGENTS, steps(until, (0, 1))), manager(steps(until, (0, 1))))
    elsewhere = of(m.EXPECTED_AGENTS, steps(until, (0, 1)), namespace=PLATFORM, exported_namespace="team-a")
    return [
        *expectation(subject, told=lambda samples: of(m.EXPECTED_AGENTS, samples), leads=manager),
        subject.case("labels are the scrape's", steps(until, (0, 1)), proofs=frozenset({Proof.IDLE}),
                     series=(elsewhere, manager(steps(until, (0, 1))))),
        subject.case("replaced", steps(until, (0, 1), (BEGIN, STALE)), proofs=frozenset({Proof.REPLICAS}),
                     series=(*told, *rolled)),
        subject.case("another version", steps(until, (0, 1)), proofs=frozenset({Proof.BELOW}), series=told),
    ]  # fmt: skip


def _manager_down() -> list[Case]:
    alert = alerts.MANAGER_DOWN
    subject = Subject(alert, alert.arms[0], lambda samples: (manager(samples),))
    until = 25
    leads = steps(until, (0, 3))
    gone = steps(until, (0, 3), (BEGIN, STALE))
    other = of(m.MANAGED_GATEWAYS, steps(until, (BEGIN + 2, 3)), namespace=PLATFORM, pod="other")
    standby = of(m.BUILD_INFO, leads, namespace=PLATFORM, component="manager", pod="other")

    def case(
        name: str, proof: Proof, samples: Samples, *fires: Span, told: bool = False, series: tuple[Series, ...] = ()
    ) -> Case:
        return subject.case(name, samples, *fires, proofs=frozenset({proof}), is_told=told, series=series)

    never = Case(
        alert, alert.arms[0], "never seen", frozenset({Proof.ABSENT}), (of(m.ACTIVE_SESSIONS, leads),), until,
        (Span(alert, alert.arms[0], alert.arms[0].for_minutes),), is_alone=True,
    )  # fmt: skip
    return [
        case("leads", Proof.AT, leads),
        case("leads nothing", Proof.BELOW, steps(until, (0, 0))),
        case("gone", Proof.ABOVE, gone, subject.span(BEGIN, None, 3), told=True),
        case("leaders change", Proof.BRIEF, gone, series=(other,)),
        case("a standby alone", Proof.REPLICAS, gone, subject.span(BEGIN, None, 3), series=(standby,)),
        case("short gap", Proof.SHORT_GAP, without(leads, BEGIN, BEGIN + 4)),
        case("long gap", Proof.LONG_GAP, without(leads, BEGIN, BEGIN + 6)),
        never,
    ]


def _condition(alert: Alert, type_: str, **labels: str) -> Subject:
    return _subject(alert, m.CONDITION, labels, kind="ActionsGateway", type=type_, status="True")


def _conditions() -> list[Case]:
    ready = alerts.GATEWAY_NOT_READY
    not_ready = Subject(
        ready, ready.arms[0],
        lambda samples: (of(m.CONDITION, mapped(samples, lambda value, _: 1 - value), kind="ActionsGateway",
                            type="Ready", status="True"),), GATEWAY,
    )  # fmt: skip
    until = 40
    group = _subject(alerts.GATEWAY_IMPAIRED, m.CONDITION, {}, kind="RunnerGroup", type="Degraded", status="True")
    false = _subject(alerts.GATEWAY_IMPAIRED, m.CONDITION, {}, kind="ActionsGateway", type="Degraded", status="False")
    return [
        *gauge(not_ready, calm=0, step=1, best_counts=True),
        *gauge(_condition(alerts.GATEWAY_IMPAIRED, "Degraded", **GATEWAY, type="Degraded"), calm=0, step=1),
        group.case("of a group", steps(until, (0, 1)), proofs=frozenset({Proof.IDLE})),
        false.case("another status", steps(until, (0, 1)), proofs=frozenset({Proof.IDLE})),
        *gauge(_condition(alerts.TENANT_PAUSED, "Paused", **TENANT), calm=0, step=1),
    ]


def _denials() -> list[Case]:
    alert = alerts.ADMISSION_DENIED
    ours = {"policy": AGENT_POD_POLICY, "enforcement_action": "deny", "namespace": "default"}

    def subject(**labels: str) -> Subject:
        return Subject(
            alert, alert.arms[0], lambda samples: (of(foreign.ADMISSION_CHECKS, samples, **{**ours, **labels}),),
            {"policy": ours["policy"]},
        )  # fmt: skip

    busy = counting(40, (0, 6000))
    return [
        *rate(subject(), window=10, unit=60),
        subject(policy="somebody-elses").case("another policy", busy, proofs=frozenset({Proof.IDLE})),
        subject(enforcement_action="allow").case("admitted", busy, proofs=frozenset({Proof.IDLE})),
    ]


def _all() -> list[Case]:
    errors = _subject(
        alerts.RECONCILE_ERRORS_ALERT, m.RECONCILE_ERRORS, {"namespace": PLATFORM}, namespace=PLATFORM,
        controller="gateway", resource="ActionsGateway",
    )  # fmt: skip
    stuck = {"namespace": PLATFORM, "controller": "gateway"}
    return [
        *_out_of_memory(),
        *_crashes(),
        *_agent_down(),
        *_manager_down(),
        *rate(errors, window=15, unit=1 / 5, rare=0.1),
        *gauge(_subject(alerts.RECONCILE_STUCK, m.RECONCILE_FAILING_OBJECTS, stuck, **stuck), calm=0, step=1),
        *_conditions(),
        *gauge(_subject(alerts.ROLLOUT_STOPPED, m.ROLLOUT_WAITING, {}, namespace=PLATFORM), calm=0, step=1),
        *events(_subject(alerts.GATEWAYS_JUMP, m.GATEWAYS_CREATED, {}, namespace=PLATFORM), window=10),
        *_denials(),
    ]


CASES: tuple[Case, ...] = tuple(_all())
