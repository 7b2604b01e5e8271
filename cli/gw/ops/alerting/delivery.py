"""Sends a marked page through the real route, and proves by Alertmanager's own counters that it was delivered.

The counters are Alertmanager's `alertmanager_notifications_total` and `alertmanager_notification_requests_total` with
their `_failed_` twins, by integration (and since 0.27 by reason); source: its `/metrics`. They tell integrations
apart, not alerts. So the test takes its turn right after the dead-man's switch, which is told each minute, takes only
what the switch cannot have caused for the page's, and says which other groups are told in the same way.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from gw.checks.wording import counted
from gw.errors import GwError, NotConfirmed, Refused
from gw.exits import ExitCode
from gw.ops.alerting.counters import Counters, Counts, read_counters
from gw.ops.alerting.routes import UnreadableConfiguration, parse_configuration, seconds_of
from gw.ops.alerting.switch import SharedSwitch, shared_switch
from gw.ops.alerting.telling import telling
from gw.ops.recordkeeping import ask_author
from gw.ops.tenants import not_a_tenant
from gw.sources.alertmanager import Alertmanager, Documents
from gw.sources.cluster import Cluster, asking
from gw.sources.endpoints import Endpoint, NoAnswer
from gw.sources.gathering import gather_gateways
from gw.sources.places import Endpoints, Sources
from gw_alerts.catalog.watching import WATCHDOG
from gw_alerts.model import TEAM
from gw_alerts.thresholds import Severity

NAME = "ActionsGatewayTestPage"
"""Of no rule, so that no silence and no inhibition of a real alert is about it."""
_LOOK_AGAIN_SECONDS = 1.0
_SPARE_SECONDS = 30.0
"""The dead-man's switch is told within two of its intervals, since one may be a moment early, and these."""
_LEFT_OVER_SECONDS = 60.0
"""After the test the page ends by itself, should gw be killed."""
_LASTING = 3
"""So many attempts that failed are no hiccup, though Alertmanager goes on trying."""


class Outcome(StrEnum):
    """What came of the page."""

    PLANNED = "planned"
    """A dry run."""
    DELIVERED = "delivered"
    REFUSED = "refused"
    """The receiver does not take it."""
    SILENT = "silent"
    """It reached a receiver that tells nobody, or somebody silenced it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PageOrder:
    """What was asked for."""

    namespace: str | None
    cluster_name: str | None
    timeout_seconds: float
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Whom the page will reach."""

    labels: Mapping[str, str]
    source: str
    version: str
    receivers: tuple[str, ...]
    requests: Mapping[str, int]
    """By integration: how many the page makes when all receivers take it."""
    wait_seconds: float
    """For which Alertmanager holds a new group back."""
    others: tuple[str, ...]
    """Alerts of other groups that are told in the same way now, the dead-man's switch aside."""
    switch: SharedSwitch
    """The dead-man's switch, as far as it is told in the same way."""
    peers: int

    @property
    def integrations(self) -> tuple[str, ...]:
        return tuple(self.requests)


@dataclass(frozen=True, slots=True)
class PageResult:
    """What the test found."""

    plan: PagePlan
    outcome: Outcome
    detail: str
    """One sentence without a full stop."""
    at: datetime
    seconds: float = 0.0
    """From the page to its notification."""
    next_step: str = ""

    @property
    def exit_code(self) -> ExitCode:
        match self.outcome:
            case Outcome.PLANNED | Outcome.DELIVERED:
                return ExitCode.OK
            case Outcome.REFUSED | Outcome.SILENT:
                return ExitCode.PROBLEM
            case Outcome.UNKNOWN:
                return ExitCode.UNKNOWN


class PageConversation(Protocol):
    """Progress and one question."""

    def agrees(self, plan: PagePlan) -> bool:
        """Shows whom the page will reach, and asks."""

    def waiting(self, what: str) -> None:
        """What is waited for now."""

    def reached(self, what: str) -> None:
        """Something has happened."""


async def prove_delivery(
    cluster: Cluster, order: PageOrder, clock: Clock, sources: Sources, conversation: PageConversation
) -> PageResult:
    """Raises GwError; the page is taken back whatever happens."""
    if order.namespace not in (None, MANAGER_NAMESPACE):
        with asking("list gateways"):
            gateways = await gather_gateways(cluster, order.namespace)
        if not gateways:
            raise await not_a_tenant(cluster, str(order.namespace))
    author = await ask_author(cluster, "no page was sent")
    async with Endpoints(sources, cluster, order.namespace) as endpoints:
        with telling("ask Alertmanager where the page would go"):
            endpoint = await endpoints.alertmanager()
            alertmanager = Alertmanager(endpoint)
            plan = await _plan(endpoint, alertmanager, order)
        if not plan.integrations:
            return PageResult(
                plan,
                Outcome.SILENT,
                f"the receiver {', '.join(plan.receivers)} tells nobody, so no page was sent",
                clock.now(),
                next_step="gw alerts check --values FILE, and gw alerts render alertmanager",
            )
        if order.dry_run:
            return PageResult(plan, Outcome.PLANNED, "no page was sent", clock.now())
        if not conversation.agrees(plan):
            raise NotConfirmed("no page was sent", "Run it again when whoever is on call knows of it.")
        with telling("read Alertmanager's counters"):
            was_seen = await _after_switch(alertmanager, plan, clock, conversation)
            start = _Start(read_counters(await alertmanager.metrics()), clock.monotonic(), was_seen)
        return await _send_and_watch(alertmanager, plan, order, author, start, clock, conversation)


# -- the plan


async def _plan(endpoint: Endpoint, alertmanager: Alertmanager, order: PageOrder) -> PagePlan:
    status, groups = await alertmanager.status(), await alertmanager.groups()
    try:
        loaded = parse_configuration(status.configuration)
    except UnreadableConfiguration as problem:
        raise NoAnswer(
            f"{endpoint.source} does not tell the configuration that it has loaded: {problem}",
            "Send a page by amtool, and ask whoever is on call.",
        ) from None
    labels = _labels(order)
    routes = list(loaded.root.ends(labels))
    receivers = tuple(dict.fromkeys(route.receiver for route in routes))
    requests = Counter(way for name in receivers for way in loaded.receivers.get(name, ()))
    _refuse_shared_groups(groups, receivers, labels, routes[0].group_by)
    others = [
        str(alert["labels"].get("alertname"))
        for group in groups
        if set(loaded.receivers.get(str(group["receiver"]["name"]), ())) & requests.keys()
        for alert in group["alerts"]
    ]
    return PagePlan(
        labels,
        endpoint.source,
        status.version,
        receivers,
        requests,
        max(seconds_of(route.wait) for route in routes),
        tuple(sorted({name for name in others if name != WATCHDOG.name})),
        shared_switch(loaded, groups, requests),
        status.peers,
    )


def _labels(order: PageOrder) -> Mapping[str, str]:
    return {
        "alertname": NAME,
        "severity": Severity.PAGE.value,
        "team": TEAM,
        "test": "true",
        "namespace": order.namespace or MANAGER_NAMESPACE,
        **({"cluster": order.cluster_name} if order.cluster_name else {}),
    }


def _refuse_shared_groups(
    groups: Documents, receivers: Sequence[str], labels: Mapping[str, str], group_by: Sequence[str]
) -> None:
    """A notification speaks of its whole group: the test must not stand in one about a real alert."""
    for group in groups:
        of_group = group.get("labels") or {}
        keys = of_group.keys() if "..." in group_by else group_by
        is_same = all(of_group.get(name, "") == labels.get(name, "") for name in keys)
        if str(group["receiver"]["name"]) in receivers and is_same and group["alerts"]:
            names = sorted({str(alert["labels"].get("alertname")) for alert in group["alerts"]})
            raise Refused(
                f"{', '.join(names)} fires in the group that the test would be told with", "Name another tenant."
            )


# -- the page


@dataclass(frozen=True, slots=True)
class _Start:
    """What was counted before the page."""

    counters: Counters
    at: float
    """By the monotonic clock."""
    was_switch_seen: bool
    """Whether the dead-man's switch was told right before."""


async def _after_switch(
    alertmanager: Alertmanager, plan: PagePlan, clock: Clock, conversation: PageConversation
) -> bool:
    """Waits until the dead-man's switch was told, where the page's way is also its way; whether that was seen."""
    if not plan.switch.groups:
        return False
    conversation.waiting("the dead-man's switch, so that its notification is not taken for the page's")
    first = read_counters(await alertmanager.metrics())
    deadline = clock.monotonic() + 2 * plan.switch.interval_seconds + _SPARE_SECONDS
    while clock.monotonic() < deadline:
        await clock.sleep(_LOOK_AGAIN_SECONDS)
        if read_counters(await alertmanager.metrics()).since(first).of(plan.integrations).attempts:
            return True
    return False


async def _send_and_watch(
    alertmanager: Alertmanager,
    plan: PagePlan,
    order: PageOrder,
    author: str,
    start: _Start,
    clock: Clock,
    conversation: PageConversation,
) -> PageResult:
    sent_at = clock.now()
    with telling("send the page", writes=True):
        await alertmanager.post_alerts([_page(plan, author, sent_at, order.timeout_seconds)])
    conversation.reached(f"the page is sent to {plan.source}")
    try:
        conversation.waiting(f"its notification, {plan.wait_seconds:g} s after the page at the earliest")
        return await _watch(alertmanager, plan, order, start, clock)
    finally:
        # It ends by itself, too.
        with suppress(NoAnswer, GwError):
            await alertmanager.post_alerts([_page(plan, author, sent_at, None, ended_at=clock.now())])


async def _watch(
    alertmanager: Alertmanager, plan: PagePlan, order: PageOrder, start: _Start, clock: Clock
) -> PageResult:
    begun = clock.monotonic()
    told: Counts | None = None
    while clock.monotonic() - begun < order.timeout_seconds:
        await clock.sleep(_LOOK_AGAIN_SECONDS)
        try:
            if silence := await _silenced(alertmanager, plan):
                return PageResult(plan, Outcome.SILENT, silence, clock.now(), next_step="gw alerts silence list")
            risen = read_counters(await alertmanager.metrics()).since(start.counters)
        except NoAnswer:
            continue
        told = risen.of(plan.integrations)
        seconds = clock.monotonic() - begun
        # What was counted before the group's wait is over is not the page's.
        if seconds < plan.wait_seconds:
            continue
        if _is_taken(plan, risen, start, clock):
            return PageResult(plan, Outcome.DELIVERED, _delivered(plan), clock.now(), seconds)
        if told.given_up or told.failures >= _LASTING:
            return _refused(plan, told, clock.now(), seconds)
    if told is not None and told.failures:
        return _refused(plan, told, clock.now(), order.timeout_seconds)
    return PageResult(
        plan,
        Outcome.UNKNOWN,
        f"no notification was counted within {order.timeout_seconds:g} s",
        clock.now(),
        next_step=_unknown_step(plan, order),
    )


def _is_taken(plan: PagePlan, risen: Counters, start: _Start, clock: Clock) -> bool:
    """Whether every way has more successes than the dead-man's switch may have caused, by as many as the page makes."""
    seconds = clock.monotonic() - start.at
    return all(
        risen.of((integration,)).successes
        >= requests + plan.switch.most_successes(integration, seconds, was_seen=start.was_switch_seen)
        for integration, requests in plan.requests.items()
    )


async def _silenced(alertmanager: Alertmanager, plan: PagePlan) -> str:
    """Why nobody is told of the page although it has arrived."""
    for entry in await alertmanager.alerts():
        labels, status = entry.get("labels") or {}, entry.get("status") or {}
        if all(labels.get(name) == value for name, value in plan.labels.items()):
            if by := status.get("silencedBy"):
                return f"the silence {', '.join(map(str, by))} keeps the page quiet"
            if status.get("inhibitedBy"):
                return "another alert inhibits the page"
    return ""


def _refused(plan: PagePlan, told: Counts, now: datetime, seconds: float) -> PageResult:
    failed = ", ".join((counted(int(told.failures), "request") + " failed", *told.reasons))
    receivers = ", ".join(plan.receivers)
    return PageResult(
        plan,
        Outcome.REFUSED,
        f"{receivers} does not take it ({', '.join(told.failing)}: {failed})",
        now,
        seconds,
        "see Alertmanager's log for the receiver's own words, and the files that hold its secrets",
    )


def _delivered(plan: PagePlan) -> str:
    words = f"{', '.join(plan.receivers)} has taken it by {', '.join(plan.integrations)}"
    if plan.others:
        words += f"; {', '.join(plan.others)} may be told in the same way, so ask whoever is on call, too"
    return words


def _unknown_step(plan: PagePlan, order: PageOrder) -> str:
    if plan.peers > 1:
        return f"{plan.peers} Alertmanagers stand together: ask the one that tells, with --alertmanager-url URL"
    if plan.wait_seconds >= order.timeout_seconds:
        return f"the route waits {plan.wait_seconds:g} s: add --timeout {plan.wait_seconds + 30:g}s"
    if plan.switch.groups:
        return "the dead-man's switch is told in the same way, which may hide the page: ask whoever is on call"
    return "see Alertmanager's log, or add --timeout 6m: a group that was told lately is told again only minutes later"


def _page(
    plan: PagePlan, author: str, sent_at: datetime, seconds: float | None, *, ended_at: datetime | None = None
) -> dict[str, Any]:
    ends_at = ended_at or sent_at + timedelta(seconds=(seconds or 0) + _LEFT_OVER_SECONDS)
    return {
        "labels": dict(plan.labels),
        "annotations": {
            "summary": f"Test page, sent by {author}: nothing is wrong",
            "description": "It proves that pages arrive. Nobody has to do anything; it ends by itself.",
            "command": "gw alerts test",
        },
        "startsAt": sent_at.isoformat(),
        "endsAt": ends_at.isoformat(),
    }
