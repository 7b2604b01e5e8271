"""Cases in which a manager is away for days: what it wanted is still gone by, and for how long."""

from actions_gateway.metrics import catalog as m
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.plant import GROUP, TENANT, agent_process, manager
from gw_alerts.cases.rendering import Clock
from gw_alerts.cases.samples import STALE, steps
from gw_alerts.cases.shapes import of
from gw_alerts.catalog import components, sessions

CLOCK = Clock(30 * 60)
"""What was recorded is read again within the hour for which a recording outlives its Prometheus."""
_HOUR = 2
_UNTIL = 110 * _HOUR
_FRIDAY = 2 * _HOUR
"""The manager ends."""
_TUESDAY = 80 * _HOUR
"""It would be missed by then, and nobody has mended it."""
_FORGOTTEN = _FRIDAY + 96 * _HOUR


def _manager(until: int, expected: int, back: int | None = None) -> tuple[Series, ...]:
    """It wants so many sessions and an agent until it ends, and no session when it is back."""
    again = ((back, 0),) if back is not None else ()
    present = ((back, 1),) if back is not None else ()
    return (
        manager(steps(until, (0, 1), (_FRIDAY, STALE), *present)),
        of(m.EXPECTED_SESSIONS, steps(until, (0, expected), (_FRIDAY, STALE), *again)),
        of(m.EXPECTED_AGENTS, steps(until, (0, 1), (_FRIDAY, STALE), *present)),
    )


def _agent(until: int, open_: int, end: int | None = None) -> tuple[Series, ...]:
    ends = ((end, STALE),) if end is not None else ()
    return (
        agent_process(steps(until, (0, 1), *ends)),
        of(m.ACTIVE_SESSIONS, steps(until, (0, open_), *ends)),
    )


def _cases() -> list[Case]:
    none, down, away = sessions.NO_ACTIVE_SESSIONS, components.AGENT_DOWN, components.MANAGER_DOWN
    # The last sample lies before the end, so what remembers it forgets it a little earlier.
    unclear = frozenset(range(_FORGOTTEN - 2, _FORGOTTEN + 3))
    gone = 30 * _HOUR

    def lost(end: int | None) -> tuple[Span, ...]:
        return (
            Span(down, down.arms[0], gone + 1, end, TENANT),
            Span(none, none.arms[0], gone + 1, end, GROUP),
        )

    def case(name: str, until: int, series: tuple[Series, ...], *fires: Span, forgets: bool = False) -> Case:
        alert = fires[0].alert if fires else none
        return Case(
            alert, alert.arms[0], name, frozenset({Proof.MEMORY}), series, until, fires,
            unclear=unclear if forgets else frozenset(),
        )  # fmt: skip

    return [
        case("suspended, and no manager for days", _UNTIL, (*_manager(_UNTIL, 0), *_agent(_UNTIL, 0))),
        case("suspended by the manager that is back", _UNTIL,
             (*_manager(_UNTIL, 0, _TUESDAY), *_agent(_UNTIL, 0))),
        case("an agent ends a day later", _TUESDAY, (*_manager(_TUESDAY, 1), *_agent(_TUESDAY, 1, gone)), *lost(None)),
        case("an agent ends, and nobody mends anything", _UNTIL,
             (*_manager(_UNTIL, 1), *_agent(_UNTIL, 1, gone)), *lost(_FORGOTTEN), forgets=True),
        case("no manager over a weekend", _TUESDAY, (manager(steps(_TUESDAY, (0, 1), (_FRIDAY, STALE))),),
             Span(away, away.arms[0], _FRIDAY + 1)),
    ]  # fmt: skip


CASES: tuple[Case, ...] = tuple(_cases())
