"""Cases of alerts on egress."""

from collections.abc import Mapping

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts.cases.model import Case, Proof, Series
from gw_alerts.cases.plant import GATEWAY, TENANT, manager
from gw_alerts.cases.samples import STALE, Samples, counting, mapped, steps
from gw_alerts.cases.shapes import BEGIN, POD, Subject, events, expectation, gauge, of, rate
from gw_alerts.catalog import proxies as alerts
from gw_alerts.model import Alert

_PROXY = {**TENANT, "pod": POD}


def _subject(
    alert: Alert, series: m.Metric | foreign.ForeignSeries, by: Mapping[str, str] = TENANT, **labels: str
) -> Subject:
    def build(samples: Samples) -> tuple[Series, ...]:
        return (of(series, samples, **labels),)

    return Subject(alert, alert.arms[0], build, by)


def _down() -> list[Case]:
    alert = alerts.PROXY_DOWN
    subject = _subject(alert, foreign.PROXY_LIVE)
    by_manager = _subject(alert, m.PROXY_READY_REPLICAS)
    until = 20
    told = (of(m.EXPECTED_PROXIES, steps(until, (0, 2))), manager(steps(until, (0, 1))))
    first = (of(m.EXPECTED_PROXIES, steps(until, (0, 2), (3, STALE))), manager(steps(until, (0, 1), (3, STALE))))
    none_ready = of(m.PROXY_READY_REPLICAS, steps(until, (0, 2), (BEGIN, 0)))
    dead = steps(until, (0, 1), (BEGIN, 0))
    cases = expectation(subject, told=lambda samples: of(m.EXPECTED_PROXIES, samples), leads=manager)
    return [
        # Of proxies that were never seen the manager has to tell.
        *(case for case in cases if case.name != "never there"),
        subject.case("never there", steps(until, (0, 0)), subject.span(0, None, 1), proofs=frozenset({Proof.ABSENT}),
                     series=told),
        subject.case("two", steps(until, (0, 1)), proofs=frozenset({Proof.BELOW}),
                     series=(*told, of(foreign.PROXY_LIVE, steps(until, (0, 1)), pod="other"))),
        subject.case("does not serve", dead, subject.span(BEGIN, None, 1), proofs=frozenset({Proof.AT}), series=told),
        by_manager.case("the manager alone tells", steps(until, (0, 2), (BEGIN, 0)), subject.span(BEGIN, None, 1),
                        proofs=frozenset({Proof.ONE_SOURCE}), series=told),
        by_manager.case("never scraped and no manager", steps(until, (0, 2), (3, STALE)),
                        proofs=frozenset({Proof.ONE_SOURCE, Proof.MEMORY}), series=first),
        subject.case("one is not ready yet", steps(until, (0, 1)), proofs=frozenset({Proof.ONE_SOURCE}),
                     series=(*told, none_ready)),
        subject.case("one of two", dead, proofs=frozenset({Proof.REPLICAS}),
                     series=(*told, of(foreign.PROXY_LIVE, steps(until, (0, 1)), pod="other"))),
    ]  # fmt: skip


def _autoscaler() -> list[Case]:
    alert = alerts.AUTOSCALER_BLIND

    def build(samples: Samples) -> tuple[Series, ...]:
        return (of(m.PROXY_HPA_METRIC_AVAILABLE, mapped(samples, lambda blind, _: 1 - blind)),)

    return gauge(Subject(alert, alert.arms[0], build, GATEWAY), calm=0, step=1)


def _saturated() -> list[Case]:
    alert = alerts.SATURATED
    tunnels, breaker = _subject(alert, foreign.TUNNELS, _PROXY), _subject(alert, foreign.BREAKER_OPEN, _PROXY)
    until = 20
    two = (of(foreign.TUNNELS, steps(until, (0, 300)), pod="other"),)
    return [
        *gauge(tunnels, calm=10, step=1),
        breaker.case("breaker", steps(until, (0, 0), (BEGIN, 1)), breaker.span(BEGIN, None, 1),
                     proofs=frozenset({Proof.ONE_SOURCE})),
        tunnels.case("many in all", steps(until, (0, 300)), proofs=frozenset({Proof.BELOW}), series=two),
    ]  # fmt: skip


def _slowloris() -> list[Case]:
    alert = alerts.SLOWLORIS
    bytes_bound = alert.thresholds[1].value
    until = 50

    def received(per_minute: float) -> tuple[Series, ...]:
        return (of(foreign.RECEIVED_BYTES, counting(until, (0, per_minute))),)

    idle = Subject(
        alert, alert.arms[0], lambda samples: (of(foreign.TUNNELS, samples), *received(0)), _PROXY,
    )  # fmt: skip
    tunnels = alert.thresholds[0].value * 2

    def case(name: str, proof: Proof, share: float, *, is_one: bool) -> Case:
        per_minute = tunnels * bytes_bound * 60 * share
        subject = Subject(
            alert, alert.arms[0], lambda samples: (of(foreign.TUNNELS, samples), *received(per_minute)), _PROXY
        )
        fires = (subject.span(20, None, tunnels),) if is_one else ()
        # In the first minutes of a series its rate is told too low.
        unclear = frozenset(range(1, 36)) if is_one else frozenset[int]()
        return subject.case(name, steps(until, (0, tunnels)), *fires, proofs=frozenset({proof}), unclear=unclear)

    bound = gauge(idle, calm=10, step=1)
    return [
        *bound,
        case("bytes just too few", Proof.ABOVE, 0.98, is_one=True),
        case("bytes at the bound", Proof.AT, 1, is_one=False),
        case("bytes enough", Proof.BELOW, 1.02, is_one=False),
        case("busy", Proof.BUSY, 1e6, is_one=False),
        idle.seen_twice(steps(until, (0, alert.thresholds[0].value))),
        idle.case("rare", steps(until, (0, 1)), proofs=frozenset({Proof.RARE})),
        Subject(
            alert,
            alert.arms[0],
            lambda samples: (
                of(foreign.TUNNELS, samples),
                of(foreign.RECEIVED_BYTES, counting(until, (0, tunnels * bytes_bound * 70), resets=(30,))),
            ),
            _PROXY,
        ).case("reset", steps(until, (0, tunnels)), proofs=frozenset({Proof.RESET})),
    ]


def _long_lived() -> list[Case]:
    alert = alerts.LONG_LIVED
    until = 130
    bound = alert.thresholds[0].value

    def lengths(samples: Samples, spelling: str) -> tuple[Series, ...]:
        # A process that counts less than before has begun anew, and has closed no short tunnel yet.
        short = mapped(samples, lambda value, _: 100.0 if value >= 40 else 0.0)
        closed = mapped(samples, lambda value, _: 100 + value if value >= 40 else value)
        return (
            of(foreign.TUNNEL_LENGTH_BUCKET, short, le=spelling), of(foreign.TUNNEL_LENGTH_COUNT, closed),
            of(foreign.TUNNEL_LENGTH_BUCKET, closed, le="+Inf"),
        )  # fmt: skip

    def spelled(spelling: str) -> Subject:
        def build(samples: Samples) -> tuple[Series, ...]:
            return lengths(samples, spelling)

        return Subject(alert, alert.arms[0], build, TENANT)

    # Of Prometheus 3; what is told of its bound must not be taken for none at all.
    newer = spelled("1.8e+06")
    at, above = (steps(until, (0, 40), (BEGIN, 40 + value)) for value in (bound, bound + 1))
    fires = newer.span(BEGIN, BEGIN + 60, bound + 1)
    return [
        *events(spelled("1800000"), window=60),
        newer.case("spelling at", at, proofs=frozenset({Proof.SPELLING})),
        newer.case("spelling above", above, fires, proofs=frozenset({Proof.SPELLING})),
    ]


def _all() -> list[Case]:
    return [
        *_down(),
        *_autoscaler(),
        *gauge(_subject(alerts.PROXY_QUOTA_EXCEEDED, m.PROXY_QUOTA_EXCEEDED, GATEWAY), calm=0, step=1),
        *_saturated(),
        *_slowloris(),
        *_long_lived(),
        *events(_subject(alerts.LIFETIME_CAP, foreign.LIFETIME_REACHED), window=60),
        *rate(_subject(alerts.DIAL_ERRORS, foreign.CONNECT_FAILURES), window=5, unit=60),
        *rate(_subject(alerts.DENIED, foreign.DENIED), window=5, unit=60),
    ]


CASES: tuple[Case, ...] = tuple(_all())
