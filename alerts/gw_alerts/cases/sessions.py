"""Cases of alerts on sessions and on what reaches them."""

from actions_gateway.metrics import catalog as m
from gw_alerts.cases.model import Case, Proof, Series
from gw_alerts.cases.plant import GROUP, PLATFORM, TENANT, manager
from gw_alerts.cases.samples import STALE, Samples, counting, mapped, steps
from gw_alerts.cases.shapes import BEGIN, Subject, events, expectation, gauge, of, rate
from gw_alerts.catalog import jobs
from gw_alerts.catalog import sessions as alerts


def _active(samples: Samples) -> tuple[Series, ...]:
    return (of(m.ACTIVE_SESSIONS, samples),)


def _no_sessions() -> list[Case]:
    alert = alerts.NO_ACTIVE_SESSIONS
    subject = Subject(alert, alert.arms[0], _active, GROUP)
    until = 20
    none = steps(until, (0, 1), (BEGIN, 0))
    told = of(m.EXPECTED_SESSIONS, steps(until, (0, 1)))
    fires = subject.span(BEGIN, None, 1)
    busy = steps(until, (0, 200), (BEGIN, 0), (BEGIN + 1, 200))
    # All sessions are used up whenever anybody looks, and the queue ends at last.
    long = 30
    used_up = steps(long, (0, 1), (BEGIN, 0))
    burst = (of(m.JOBS_ACQUIRED, counting(long, (0, 0), (BEGIN, 170), (BEGIN + 12, 0))),)
    both = (of(m.EXPECTED_SESSIONS, steps(long, (0, 1))), manager(steps(long, (0, 1))))
    after = subject.span(BEGIN + 14, None, 1)
    leads = manager(steps(until, (0, 1)))
    # A scrape that names its target's namespace leaves the tenant's in another label.
    elsewhere = (
        of(m.EXPECTED_SESSIONS, steps(until, (0, 1)), namespace=PLATFORM, exported_namespace=TENANT["namespace"]),
        leads,
    )
    return [
        *expectation(subject, told=lambda samples: of(m.EXPECTED_SESSIONS, samples), leads=manager),
        subject.case("zero", none, fires, proofs=frozenset({Proof.AT}), series=(told, manager(steps(until, (0, 1))))),
        subject.case("zero and no manager", none, fires, proofs=frozenset({Proof.ONE_SOURCE})),
        subject.case("a burst", used_up, after, proofs=frozenset({Proof.BUSY}), series=(*both, *burst)),
        subject.case("a burst and no manager", used_up, after, proofs=frozenset({Proof.BUSY}), series=burst),
        subject.case("an agent that claimed is gone", steps(until, (0, 1), (BEGIN, STALE)), fires,
                     proofs=frozenset({Proof.BUSY}),
                     series=(told, leads, of(m.JOBS_ACQUIRED, counting(until, (0, 170))))),
        subject.case("reset", none, fires, proofs=frozenset({Proof.RESET}),
                     series=(told, leads, of(m.JOBS_ACQUIRED, steps(until, (0, 40), (BEGIN, 0))))),
        subject.case("one job in ten minutes", steps(until, (0, 1), (BEGIN, 0), (BEGIN + 1, 1)),
                     proofs=frozenset({Proof.RARE}),
                     series=(told, leads, of(m.JOBS_ACQUIRED, steps(until, (0, 0), (BEGIN, 1), (BEGIN + 10, 2))))),
        subject.case("labels are the scrape's", steps(until, (0, 1)), proofs=frozenset({Proof.IDLE}), series=elsewhere),
        subject.case("busy", busy, proofs=frozenset({Proof.BUSY, Proof.BELOW}), series=(told,)),
        subject.case(
            "one of two agents", none, proofs=frozenset({Proof.REPLICAS}),
            series=(told, of(m.ACTIVE_SESSIONS, steps(until, (0, 1)), pod="other")),
        ),
    ]  # fmt: skip


def _silent() -> list[Case]:
    alert = alerts.NO_ACTIVE_SESSIONS

    def build(samples: Samples) -> tuple[Series, ...]:
        polling = steps((len(samples) - 1) / 2, (0, 1))
        return (
            of(m.LAST_POLL_TIMESTAMP, mapped(samples, lambda age, second: second - age)),
            of(m.LISTENER_SLOTS, polling, state="polling"),
        )

    subject = Subject(alert, alert.arms[1], build, GROUP)
    deaf = steps(20, (0, 1000))
    others = (of(m.LISTENER_SLOTS, steps(20, (0, 3)), state="busy"),)
    poll = of(m.LAST_POLL_TIMESTAMP, mapped(deaf, lambda age, second: second - age))
    nobody = Subject(alert, alert.arms[1], lambda _: (poll, *others), GROUP)
    return [
        *gauge(subject, calm=20, step=1, best_counts=True),
        nobody.case("all busy", deaf, proofs=frozenset({Proof.IDLE})),
    ]


def _requests(samples: Samples, code_class: str = "error", endpoint: str = "poll") -> Series:
    return of(m.GITHUB_REQUESTS, samples, code_class=code_class, endpoint=endpoint)


def _unreachable() -> list[Case]:
    alert = alerts.GITHUB_UNREACHABLE
    subject = Subject(alert, alert.arms[0], lambda samples: (_requests(samples),), TENANT)
    until = 20
    failing = counting(until, (0, 0), (BEGIN, 4))

    def answered(name: str, code_class: str, endpoint: str) -> Case:
        series = (_requests(counting(until, (0, 0.3)), code_class, endpoint),)
        return subject.case(name, failing, proofs=frozenset({Proof.REPLICAS}), series=series)

    refused = Subject(
        alert, alert.arms[0], lambda samples: (_requests(samples, "5xx"), _requests(samples, "error", "token")), TENANT
    )
    anew = (
        of(m.GITHUB_REQUESTS, counting(until, (BEGIN + 4, 4)), code_class="error", endpoint="poll", pod="new"),
    )  # fmt: skip
    one_each = steps(until, (0, 0), (BEGIN, 1), (BEGIN + 2, 1))
    return [
        *events(subject, window=2),
        subject.case(
            "the agent is restarted", steps(until, (0, 0), (BEGIN, 3), (BEGIN + 2, STALE)),
            subject.span(BEGIN, None, 3), proofs=frozenset({Proof.RESTART}),
            series=anew,
        ),
        answered("polls are answered", "2xx", "poll"),
        answered("a key is refused", "4xx", "token"),
        refused.case("two ways", one_each, refused.span(BEGIN, BEGIN + 2, 2), proofs=frozenset({Proof.AT})),
        subject.case(
            "answered until just now", failing, subject.span(BEGIN + 2, None, 8), proofs=frozenset({Proof.BRIEF}),
            series=(_requests(counting(until, (0, 2), (BEGIN, 0)), "2xx"),),
        ),
    ]  # fmt: skip


def _stalled() -> list[Case]:
    alert = alerts.JOB_ACQUISITION_STALLED
    arm = alert.arms[0]

    def waiting(samples: Samples) -> tuple[Series, ...]:
        return (of(m.OLDEST_WAITING_JOB, samples, reason="claim"),)

    def errors(samples: Samples) -> tuple[Series, ...]:
        return (of(m.JOB_ACQUISITION_ERRORS, samples, reason="other"),)

    # A claim is awaited as long before the page on jobs that are not started.
    also = ((jobs.POD_CREATION_P99, jobs.POD_CREATION_P99.arms[1]),)
    subject, failing = Subject(alert, arm, waiting, GROUP, also), Subject(alert, arm, errors, GROUP)
    until = 30
    late = steps(until, (0, 0), (BEGIN, 100))
    once = steps(until, (0, 0), (BEGIN, 1))
    lost = Subject(
        alert, arm, lambda samples: (of(m.JOB_ACQUISITION_ERRORS, samples, reason="already_claimed"),), GROUP
    )
    claimed = (of(m.JOBS_ACQUIRED, steps(until, (0, 4), (BEGIN + 2, 5))),)
    return [
        *gauge(subject, calm=0, step=1),
        failing.case(
            "errors alone", once, failing.span(BEGIN, BEGIN + 10, 1), proofs=frozenset({Proof.ONE_SOURCE})
        ),
        failing.case("reset", steps(until, (0, 3), (BEGIN, 0)), proofs=frozenset({Proof.RESET})),
        failing.case("claimed at last", once, proofs=frozenset({Proof.RARE}), series=claimed),
        # One is late among thousands that are not: the page on late jobs says so.
        subject.case(
            "busy", late, subject.spans(BEGIN, None, 100)[1], proofs=frozenset({Proof.BUSY}),
            series=(of(m.JOBS_ACQUIRED, counting(until, (0, 6000))),),
        ),
        lost.case("others were faster", counting(until, (0, 6000)), proofs=frozenset({Proof.BUSY})),
    ]  # fmt: skip


def _all() -> list[Case]:
    poll = Subject(
        alerts.MESSAGE_POLL_ERRORS, alerts.MESSAGE_POLL_ERRORS.arms[0],
        lambda samples: (of(m.MESSAGE_POLL_ERRORS, samples),), TENANT,
    )  # fmt: skip
    register = Subject(
        alerts.REGISTRATION_ERRORS, alerts.REGISTRATION_ERRORS.arms[0],
        lambda samples: (of(m.AGENT_RECYCLE_ERRORS, samples),), GROUP,
    )  # fmt: skip
    lag = Subject(
        alerts.EVENT_LOOP_LAG, alerts.EVENT_LOOP_LAG.arms[0], lambda samples: (of(m.EVENT_LOOP_LAG, samples),), TENANT
    )
    return [
        *_no_sessions(), *_silent(), *_unreachable(), *_stalled(), *rate(poll, window=5, unit=1),
        *events(register, window=10, again=5), *gauge(lag, calm=0, step=0.5, held=2),
    ]  # fmt: skip


CASES: tuple[Case, ...] = tuple(_all())
