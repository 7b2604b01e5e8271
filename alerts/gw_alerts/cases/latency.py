"""Cases of the alerts on how late worker pods are scheduled."""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.plant import GROUP, TENANT
from gw_alerts.cases.samples import STALE, Samples, counting, mapped, steps, without
from gw_alerts.cases.shapes import BEGIN, Subject, gauge, of
from gw_alerts.catalog import jobs as alerts
from gw_alerts.catalog.budgets import BUDGET_ALERTS
from gw_alerts.expressions import SLOW_JOBS
from gw_alerts.model import Alert

_WINDOW = 30
_METRIC = m.POD_CREATION_LATENCY
_NEXT = dict(zip(_METRIC.buckets, _METRIC.buckets[1:], strict=False))
_EDGES = (t.POD_CREATION_P95_SECONDS.value, t.POD_CREATION_P99_SECONDS.value)
_BOUNDS = (_METRIC.buckets[0], *sorted({*_EDGES, *(_NEXT[edge] for edge in _EDGES)}))
"""Of the buckets those that rules read, or that a quantile of the cases lies in; the others change nothing."""
_BURN = {
    alerts.POD_CREATION_P95: "pod-creation-15s",
    alerts.POD_CREATION_P99: "pod-creation-60s",
}
_BURNS = (BEGIN + 4, BEGIN + 8)
"""From the seventh to the twelfth minute of a Prometheus two jobs make ten an hour, which is enough for a fast burn."""


def histogram(parts: dict[float, Samples], *, spelling: str = ".0", **labels: str) -> tuple[Series, ...]:
    """A histogram in which so many jobs took up to each bound, and none longer than the last."""
    bounds = sorted(parts)
    whole = parts[bounds[-1]]
    none = mapped(whole, lambda _, __: 0.0)
    every = {
        bound: parts[max(each for each in bounds if each <= bound)] if bound >= bounds[0] else none for bound in _BOUNDS
    }
    series = [
        of(_METRIC, samples, "_bucket", le=f"{bound:g}{spelling if bound == int(bound) else ''}", **labels)
        for bound, samples in every.items()
    ]
    return (*series, of(_METRIC, whole, "_bucket", le="+Inf", **labels), of(_METRIC, whole, "_count", **labels))


class _Late:
    """Jobs of which some are slower than an arm's bound."""

    def __init__(self, alert: Alert, share: float, also: tuple[Alert, ...] = ()) -> None:
        self.alert, self.arm, self.share = alert, alert.arms[0], share
        self.bound = self.arm.thresholds[0]
        self.also = also

    def spans(self, start: int, end: int | None, value: float) -> tuple[Span, ...]:
        """It, and what fires with it when all jobs are slow."""
        every = ((self.alert, self.arm), *((alert, alert.arms[0]) for alert in self.also))
        return tuple(Span(alert, arm, start + arm.for_minutes, end, TENANT, value) for alert, arm in every)

    def all_slow(self) -> tuple[Span, ...]:
        """What two jobs that are both slow set off, while they are within the window."""
        every = {_BURN[alert] for alert in (self.alert, *self.also)}
        burns = [alert for alert in BUDGET_ALERTS if alert.slo in every and alert.name.endswith("Fast")]
        return (
            *self.spans(BEGIN, BEGIN + _WINDOW, self._hidden),
            *(Span(alert, alert.arms[0], *_BURNS, TENANT) for alert in burns),
        )

    def span(self, value: float) -> Span:
        """It alone, from the first minute on."""
        return Span(self.alert, self.arm, 1 + self.arm.for_minutes, None, TENANT, value)

    def case(self, name: str, proofs: set[Proof], fast: Samples, whole: Samples, *fires: Span,
             spelling: str = ".0", is_told: bool = False, more: tuple[Series, ...] = (),
             unclear: frozenset[int] = frozenset()) -> Case:  # fmt: skip
        """Of `whole` jobs those of `fast` are within the bound, few of them near it, the others in the next bucket."""
        series = histogram(self._parts(fast, whole), spelling=spelling)
        title = f"{self.arm.name} {name}".strip()
        until = (len(whole) - 1) // 2
        return Case(
            self.alert, self.arm, title, frozenset(proofs), (*series, *more), until, fires, is_told, unclear=unclear
        )

    def cases(self) -> list[Case]:
        until = 70
        busy = counting(until, (0, 6000))
        exact = mapped(busy, lambda value, _: value * self.share)
        worse = mapped(busy, lambda value, _: value * (self.share - 0.01))
        better = mapped(busy, lambda value, _: value * (self.share + 0.005))
        width = _NEXT[self.bound.value] - self.bound.value
        above = round(self.bound.value + width * 0.01 / (1 - self.share + 0.01), 6)
        none = steps(until, (0, 0))
        one = steps(until, (0, 0), (BEGIN, 1))
        two = steps(until, (0, 0), (BEGIN, SLOW_JOBS))
        return [
            self.case("below", {Proof.BELOW, Proof.BUSY}, better, busy),
            self.case("at", {Proof.AT, Proof.BUSY}, exact, busy),
            self.case("above", {Proof.ABOVE, Proof.BUSY}, worse, busy, self.span(above), is_told=True),
            self.case("one slow job", {Proof.RARE, Proof.BELOW}, none, one),
            self.case("two slow jobs", {Proof.RARE, Proof.AT}, none, two, *self.all_slow()),
            self.case("one in ten minutes", {Proof.RARE}, none, counting(until, (0, 0.1)),
                      *self.spans(8, None, self._hidden), unclear=frozenset(range(8, 40))),
            self.case("old spelling", {Proof.SPELLING}, worse, busy, self.span(above), spelling=""),
            self.case("old spelling at", {Proof.SPELLING}, exact, busy, spelling=""),
            self.case("reset", {Proof.RESET}, none, steps(until, (0, 1), (BEGIN, 0), (BEGIN + 2, 1))),
            self.case("no job", {Proof.IDLE}, none, none),
            self.case("gone", {Proof.ABSENT}, without(none, 20, until + 1, STALE), without(two, 20, until + 1, STALE),
                      *self.all_slow()),
            self.case("short gap", {Proof.SHORT_GAP}, without(none, 10, 14), without(two, 10, 14),
                      *self.all_slow()),
            self.case("long gap", {Proof.LONG_GAP}, without(none, 10, 16), without(two, 10, 16),
                      *self.all_slow()),
            self.case("two agents", {Proof.REPLICAS}, better, busy,
                      more=histogram(self._parts(better, busy), pod="other")),
            self.case("one slow job seen twice", {Proof.REPLICAS, Proof.RARE}, none, one,
                      more=tuple(each.within(prometheus_replica="other") for each in self._late_ones(none, one))),
            self.case("brief", {Proof.BRIEF}, none, self._brief(until)),
        ]  # fmt: skip

    def _parts(self, fast: Samples, whole: Samples) -> dict[float, Samples]:
        bound = self.bound.value
        at_once = mapped(fast, lambda value, _: value * 0.98)
        return {_METRIC.buckets[0]: at_once, bound: fast, _NEXT[bound]: whole}

    def _late_ones(self, fast: Samples, whole: Samples) -> tuple[Series, ...]:
        return histogram(self._parts(fast, whole))

    @property
    def _hidden(self) -> float:
        """The quantile of jobs that are all in the next bucket."""
        bound = self.bound.value
        return bound + (_NEXT[bound] - bound) * self.share

    def _brief(self, until: int) -> Samples:
        """The second slow job comes just before the first one leaves the window."""
        return steps(until, (0, 0), (BEGIN, 1), (BEGIN + _WINDOW - self.arm.for_minutes, 2))


def _waiting(number: int, reason: str) -> Subject:
    alert = alerts.POD_CREATION_P99
    return Subject(
        alert, alert.arms[number], lambda samples: (of(m.OLDEST_WAITING_JOB, samples, reason=reason),), GROUP
    )


def _held() -> list[Case]:
    own = _waiting(1, "ceiling").case("own ceiling", steps(20, (0, 9000)), proofs=frozenset({Proof.IDLE}))
    backoff = _waiting(1, "backoff")
    until = 20
    none = (of(_METRIC, steps(until, (0, 0)), "_count"),)
    return [
        *gauge(_waiting(1, "quota"), calm=0, step=1),
        backoff.case("backoff", steps(until, (0, 0), (BEGIN, 90)), backoff.span(BEGIN, None, 90),
                     proofs=frozenset({Proof.ONE_SOURCE, Proof.RARE}), series=none),
        own,
    ]  # fmt: skip


CASES: tuple[Case, ...] = (
    *_Late(alerts.POD_CREATION_P95, 0.95).cases(),
    *_Late(alerts.POD_CREATION_P99, 0.99, (alerts.POD_CREATION_P95,)).cases(),
    *_held(),
    *gauge(_waiting(2, "start"), calm=0, step=1),
)
