"""Cases of alerts on what is weeks old: their clock goes by days."""

from actions_gateway.metrics import catalog as m
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.plant import GATEWAY
from gw_alerts.cases.rendering import DAYS
from gw_alerts.cases.samples import STALE, Samples, steps
from gw_alerts.cases.shapes import Subject, of
from gw_alerts.catalog import credentials as alerts
from gw_alerts.model import Alert


def _ages(alert: Alert, metric: m.Metric, **labels: str) -> list[Case]:
    """Of a moment that lies so far back; at the second day after it the alert has waited for its hour."""
    (arm,) = alert.arms

    def build(samples: Samples) -> tuple[Series, ...]:
        return (of(metric, samples, **labels),)

    subject = Subject(alert, arm, build, labels)
    bound = alert.thresholds[0].value
    days = int(bound / DAYS.seconds)
    until = days + 6
    # Evaluated each day: one that is a second too old is found out at the first, and told at the next.
    old, just_not = DAYS.seconds - 1.0, float(DAYS.seconds)

    def case(
        name: str, samples: Samples, proof: Proof, *starts: int, end: int | None = None, told: bool = False
    ) -> Case:
        spans = [Span(alert, arm, start, end, labels, start * DAYS.seconds - old) for start in starts]
        return subject.case(name, samples, *spans, proofs=frozenset({proof}), is_told=told)

    renewed = steps(until, (0, old), (days + 3, (days + 3.0) * DAYS.seconds))
    return [
        case("above", steps(until, (0, old)), Proof.ABOVE, days + 2, told=True),
        case("at", steps(until, (0, just_not)), Proof.AT, days + 3),
        case("unknown", steps(until, (0, 0)), Proof.IDLE),
        case("renewed", renewed, Proof.BELOW, days + 2, end=days + 3),
        case("gone", steps(until, (0, old), (days + 3, STALE)), Proof.ABSENT, days + 2, end=days + 3),
        subject.case(
            "replicas", steps(until, (0, old)), *case("", steps(until, (0, old)), Proof.ABOVE, days + 2).fires,
            proofs=frozenset({Proof.REPLICAS}),
            series=(of(metric, steps(until, (0, 80.0 * DAYS.seconds)), pod="other", **labels),),
        ),
    ]  # fmt: skip


CASES: tuple[Case, ...] = (
    *_ages(alerts.CREDENTIAL_OLD, m.CREDENTIAL_REFERENCED, **GATEWAY),
    *_ages(alerts.RUNNER_VERSION_OLD, m.RUNNER_VERSION_RELEASED, version="2.330.0"),
)
