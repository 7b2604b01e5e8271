"""The board of objectives: what is left of each budget, how fast it burns, and who burns it."""

from gw_alerts import slos
from gw_alerts.catalog import BY_NAME
from gw_alerts.model import Alert
from gw_dashboards.bounds import Bounds, beyond
from gw_dashboards.model import Board, Kind, Panel, Presence, Query, Row, Tag, Variable
from gw_dashboards.promql import OF_TENANT, TENANT

UID = "actions-gateway-slo"
_TENANT = ("namespace",)
_NO_EVENTS = "No event in this window, so nothing was promised"


def _alerts(objective: slos.Objective) -> tuple[Alert, ...]:
    return tuple(alert for alert in BY_NAME.values() if alert.slo == objective.name)


def _bounds(objective: slos.Objective, burn: slos.Burn) -> Bounds:
    value = slos.bound(objective, burn)
    return beyond(next(each for alert in _alerts(objective) for each in alert.thresholds if each.value == value))


def _recorded(name: str, objective: slos.Objective) -> str:
    return f'{name}{{slo="{objective.name}",{OF_TENANT}}}'


def _presence(objective: slos.Objective) -> Presence:
    return Presence.JOBS if objective.fewest_events else Presence.ALWAYS


def _row(objective: slos.Objective) -> Row:
    return Row(
        f"{objective.title}: {objective.share * 100:g} % are promised",
        (_least_left(objective), _worst_shares(objective), _misses(objective), _burners(objective)),
    )


def _least_left(objective: slos.Objective) -> Panel:
    return Panel(
        title=f"{objective.name}: least budget left",
        description=f"Of {slos.DAYS} days, of the tenant that has least. Below 0 the promise is broken.",
        kind=Kind.GAUGE,
        queries=(Query(f"min({_recorded(slos.BUDGET_LEFT, objective)})", presence=_presence(objective)),),
        no_value=_NO_EVENTS,
        unit="percentunit",
        alerts=_alerts(objective),
        bounds=beyond(slos.SPENT),
        lowest=-1,
        highest=1,
        width=4,
        height=8,
    )


def _worst_shares(objective: slos.Objective) -> Panel:
    return Panel(
        title=f"{objective.name}: worst share of misses, by window",
        description="Red from where a window burns its pair's share of the budget; an alert needs both of a pair.",
        kind=Kind.BAR_GAUGE,
        queries=tuple(
            Query(
                f"max({_recorded(slos.ratio(burn.long), objective)})",
                name=burn.long,
                presence=_presence(objective),
                bounds=_bounds(objective, burn),
            )
            for burn in (*slos.FAST, *slos.SLOW)
        ),
        no_value=_NO_EVENTS,
        unit="percentunit",
        alerts=_alerts(objective),
        lowest=0,
        width=6,
        height=8,
    )


def _misses(objective: slos.Objective) -> Panel:
    fastest = slos.FAST[0]
    misses = f"max by ({TENANT}) ({_recorded(slos.ratio(fastest.long), objective)})"
    return Panel(
        title=f"{objective.name}: misses of an hour",
        description=f"By tenant; the line is where an hour burns {fastest.factor:g} times too fast.",
        kind=Kind.TIME_SERIES,
        queries=(Query(misses, _TENANT, presence=_presence(objective)),),
        no_value=_NO_EVENTS,
        unit="percentunit",
        alerts=_alerts(objective),
        bounds=_bounds(objective, fastest),
        lowest=0,
        width=8,
        height=8,
        leads_to_tenant=True,
    )


def _burners(objective: slos.Objective) -> Panel:
    presence = _presence(objective)
    least = f"bottomk(10, max by ({TENANT}) ({_recorded(slos.BUDGET_LEFT, objective)}))"
    events = f"round(3600 * max by ({TENANT}) ({_recorded(slos.EVENTS, objective)})) and on ({TENANT}) {least}"
    return Panel(
        title=f"{objective.name}: who burns the budget",
        description="Budget left by tenant, the least first, with the events of an hour: few say little.",
        kind=Kind.TABLE,
        queries=(
            Query(least, _TENANT, "Left", presence, bounds=beyond(slos.SPENT)),
            Query(events, _TENANT, "Events/h", presence, unit="short"),
        ),
        no_value=_NO_EVENTS,
        unit="percentunit",
        alerts=_alerts(objective),
        columns=_TENANT,
        is_worst_first=False,
        width=6,
        height=8,
        leads_to_tenant=True,
    )


BOARD = Board(
    uid=UID,
    title="Actions Gateway: objectives",
    description="What is left of each error budget, how fast it burns, and who burns it.",
    rows=tuple(_row(objective) for objective in slos.OBJECTIVES),
    variables=(Variable.CLUSTER, Variable.NAMESPACE),
    tags=(Tag.ALL, Tag.PLATFORM),
    since=f"now-{slos.DAYS}d",
)
