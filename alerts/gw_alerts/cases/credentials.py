"""Cases of alerts on credentials, limits and ages."""

from actions_gateway.metrics import catalog as m
from gw_alerts.cases.model import Case, Proof, Series
from gw_alerts.cases.plant import TENANT
from gw_alerts.cases.samples import STALE, Samples, counting, mapped, steps, without
from gw_alerts.cases.shapes import BEGIN, Subject, events, gauge, of
from gw_alerts.catalog import credentials as alerts
from gw_alerts.catalog import sessions


def _refresh() -> list[Case]:
    alert = alerts.TOKEN_REFRESH_ERRORS
    subject = Subject(alert, alert.arms[0], lambda samples: (of(m.TOKEN_REFRESH_ERRORS, samples),), TENANT)
    return events(subject, window=60)


def _expiring() -> list[Case]:
    alert = alerts.TOKEN_EXPIRING

    def build(samples: Samples) -> tuple[Series, ...]:
        return (of(m.TOKEN_EXPIRY_TIMESTAMP, mapped(samples, lambda left, second: second + left)),)

    subject = Subject(alert, alert.arms[0], build, TENANT)
    none_yet = (of(m.TOKEN_EXPIRY_TIMESTAMP, steps(20, (0, 0)), pod="other"),)
    return [
        *gauge(subject, calm=3000, step=1),
        subject.case("none yet", steps(20, (0, 3000)), proofs=frozenset({Proof.IDLE}), series=none_yet),
    ]


def _limited() -> list[Case]:
    alert = alerts.RATE_LIMITED
    arm = alert.arms[0]

    def condition(samples: Samples) -> tuple[Series, ...]:
        return (of(m.CONDITION, samples, type="RateLimited", kind="ActionsGateway", status="True"),)

    def since(samples: Samples) -> tuple[Series, ...]:
        return (of(m.RATE_LIMITED_SINCE, samples),)

    told, own = Subject(alert, arm, condition, TENANT), Subject(alert, arm, since, TENANT)
    until = 30
    limit = alerts.RATE_LIMITED.thresholds[0].value
    began = 120.0
    over = int((began + limit * 60) // 60) + 1
    manager_first = steps(until, (0, 0), (3, STALE))
    return [
        told.case("below", steps(until, (0, 0)), proofs=frozenset({Proof.BELOW})),
        told.case("told", steps(until, (0, 0), (BEGIN, 1), (20, 0)), told.span(BEGIN, 20, 1),
                  proofs=frozenset({Proof.ABOVE}), is_told=True),
        told.case("brief", steps(until, (0, 0), (BEGIN, 1), (BEGIN + 1, 0)), proofs=frozenset({Proof.BRIEF})),
        told.case("gone", steps(until, (0, 1), (10, STALE)), told.span(0, 10, 1), proofs=frozenset({Proof.ABSENT})),
        told.case("short gap", without(steps(until, (0, 0), (BEGIN, 1)), 8, 12), told.span(BEGIN, None, 1),
                  proofs=frozenset({Proof.SHORT_GAP})),
        told.case("long gap", without(steps(until, (0, 0), (BEGIN, 1)), 8, 14), told.span(BEGIN, 13, 1),
                  told.span(14, None, 1), proofs=frozenset({Proof.LONG_GAP})),
        own.case("own word", steps(until, (0, 0), (2, began), (20, 0)), own.span(over, 20, 1),
                 proofs=frozenset({Proof.AT, Proof.ONE_SOURCE, Proof.MEMORY}), series=condition(manager_first)),
        own.case("not so long", steps(until, (0, 0), (2, began), (over, 0)), proofs=frozenset({Proof.AT})),
        own.case("a long time", steps(until, (0, 0), (2, began)), own.span(over, None, 1),
                 proofs=frozenset({Proof.REPLICAS}), series=condition(steps(until, (0, 1)))[:0]),
    ]  # fmt: skip


def _budget() -> list[Case]:
    alert = alerts.BUDGET_LOW
    whole = 5000.0

    def build(samples: Samples) -> tuple[Series, ...]:
        limit = mapped(samples, lambda _, __: whole)
        return (
            of(m.GITHUB_RATE_LIMIT_REMAINING, mapped(samples, lambda share, _: round(share * whole))),
            of(m.GITHUB_RATE_LIMIT_LIMIT, limit),
        )

    subject = Subject(alert, alert.arms[0], build, TENANT)
    unknown = Subject(
        alert, alert.arms[0],
        lambda samples: (of(m.GITHUB_RATE_LIMIT_REMAINING, samples), of(m.GITHUB_RATE_LIMIT_LIMIT, samples)), TENANT,
    )  # fmt: skip
    return [
        *gauge(subject, calm=0.9, step=1 / whole),
        unknown.case("no answer yet", steps(20, (0, 0)), proofs=frozenset({Proof.IDLE})),
    ]


def _abuse() -> list[Case]:
    alert = alerts.TOKEN_REFRESH_ABUSE

    def requests(code_class: str, endpoint: str = "token") -> Subject:
        return Subject(
            alert, alert.arms[0],
            lambda samples: (of(m.GITHUB_REQUESTS, samples, code_class=code_class, endpoint=endpoint),), TENANT,
        )  # fmt: skip

    until = 30
    silence = counting(until, (0, 0), (BEGIN, 4))
    unreachable = requests("error")
    fires = Subject(sessions.GITHUB_UNREACHABLE, sessions.GITHUB_UNREACHABLE.arms[0], unreachable.build, TENANT)
    return [
        *events(requests("4xx"), window=10, again=5),
        unreachable.case("an outage", silence, fires.span(BEGIN + 1, None, 8), proofs=frozenset({Proof.IDLE})),
        requests("4xx", "poll").case("polls", silence, proofs=frozenset({Proof.IDLE})),
    ]


def _all() -> list[Case]:
    return [*_refresh(), *_expiring(), *_limited(), *_budget(), *_abuse()]


CASES: tuple[Case, ...] = tuple(_all())
