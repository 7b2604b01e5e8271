"""Silences in Alertmanager: by whom, why, of which alert of which tenant, and until when; each has all of these."""

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from gw.checks.wording import lasting
from gw.errors import Blind, NotConfirmed, Refused
from gw.ops.alerting.telling import telling
from gw.ops.recordkeeping import ask_author
from gw.ops.tenants import not_a_tenant
from gw.sources.alerting import AlertFact, AlertingFact, SilenceFact, gather_alerting
from gw.sources.alertmanager import Alertmanager
from gw.sources.cluster import Cluster, asking
from gw.sources.gathering import gather_gateways
from gw.sources.places import Endpoints, Sources
from gw_alerts.catalog import BY_NAME
from gw_alerts.model import Alert, Scope, Signal

LONGEST = timedelta(days=7)
"""What shall be quiet for longer is to be mended, or its rule is wrong."""
SHORTEST = timedelta(minutes=1)
_MOST_COMMENT, _MOST_AUTHOR = 500, 200
_SAME_END = timedelta(minutes=1)
"""One that ends so much earlier is as long as asked: the command was typed again."""
_SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class SilenceOrder:
    """What was asked for."""

    alert: str
    namespace: str | None
    """The tenant; None for an alert of the platform, or with `everywhere`."""
    seconds: float
    comment: str
    author: str | None = None
    cluster_name: str | None = None
    """The label that a fleet's Alertmanager tells clusters apart by."""
    everywhere: bool = False
    """Of all tenants."""
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class SilencePlan:
    """What is about to be written."""

    alert: Alert
    matchers: tuple[tuple[str, str], ...]
    """Labels and the values that they are equal to."""
    starts_at: datetime
    ends_at: datetime
    author: str
    comment: str
    quiets: tuple[AlertFact, ...]
    """That fire now."""
    extends: SilenceFact | None
    """The silence of the same matchers that is in force already."""

    @property
    def text(self) -> str:
        """The matchers, as amtool writes them."""
        return ", ".join(f'{name}="{value}"' for name, value in self.matchers)

    @property
    def is_needed(self) -> bool:
        """Whether anything has to be written."""
        return self.extends is None or self.extends.ends_at is None or self.extends.ends_at < self.ends_at - _SAME_END

    def body(self) -> dict[str, Any]:
        """As Alertmanager takes it; with the id and the start of one that is there, that one is changed."""
        since = self.extends.starts_at if self.extends and self.extends.starts_at else self.starts_at
        return {
            **({"id": self.extends.id} if self.extends else {}),
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in self.matchers
            ],
            "startsAt": since.isoformat(),
            "endsAt": self.ends_at.isoformat(),
            "createdBy": self.author,
            "comment": self.comment,
        }


@dataclass(frozen=True, slots=True)
class PlacedSilence:
    """What came of it."""

    plan: SilencePlan
    id: str
    """Of the silence that stands; empty in a dry run of a new one."""
    is_written: bool
    is_dry_run: bool


Agree = Callable[[SilencePlan], bool]


async def silence_alert(
    cluster: Cluster, order: SilenceOrder, clock: Clock, sources: Sources, agree: Agree
) -> PlacedSilence:
    """Raises GwError; nothing is written before `agree` says so."""
    alert = _allowed(order)
    _refuse_bad_words(order)
    # The manager's own work has its namespace.
    if order.namespace not in (None, MANAGER_NAMESPACE) and not (await _gateways(cluster, order.namespace)):
        raise await not_a_tenant(cluster, order.namespace)
    author = order.author.strip() if order.author else await ask_author(cluster, "nothing was silenced")
    async with Endpoints(sources, cluster, order.namespace) as endpoints:
        with telling("ask Alertmanager for silences"):
            endpoint = await endpoints.alertmanager()
            alerting = await gather_alerting(endpoint)
        plan = _plan(alert, order, author, alerting, clock.now())
        if order.dry_run or not plan.is_needed:
            return PlacedSilence(plan, plan.extends.id if plan.extends else "", False, order.dry_run)
        if not agree(plan):
            raise NotConfirmed("nothing was silenced", "Run it again once the plan is right.")
        alertmanager = Alertmanager(endpoint)
        with telling("write the silence", writes=True):
            silence_id = await alertmanager.add_silence(plan.body())
            standing = {each.id for each in (await gather_alerting(endpoint)).silences if not each.is_over}
    if silence_id not in standing:
        raise Blind(
            f"{endpoint.source} has taken the silence {silence_id} and does not show it",
            "See with `gw alerts silence list`; another replica may have answered.",
        )
    return PlacedSilence(plan, silence_id, is_written=True, is_dry_run=False)


async def list_silences(cluster: Cluster, sources: Sources, *, with_past: bool) -> tuple[SilenceFact, ...]:
    """By their end; raises Blind."""
    async with Endpoints(sources, cluster, None) as endpoints:
        with telling("ask Alertmanager for silences"):
            silences = (await gather_alerting(await endpoints.alertmanager())).silences
    return tuple(each for each in silences if with_past or not each.is_over)


async def expire_silence(
    cluster: Cluster, text: str, sources: Sources, agree: Callable[[SilenceFact], bool], *, dry_run: bool
) -> tuple[SilenceFact, bool]:
    """The silence, and whether this ended it; one that is over stays so. Raises GwError."""
    async with Endpoints(sources, cluster, None) as endpoints:
        with telling("ask Alertmanager for silences"):
            endpoint = await endpoints.alertmanager()
            silence = _named((await gather_alerting(endpoint)).silences, text)
        if silence.is_over or dry_run:
            return silence, False
        if not agree(silence):
            raise NotConfirmed("the silence stands", "Run it again to end it.")
        with telling("end the silence", writes=True):
            await Alertmanager(endpoint).expire_silence(silence.id)
    return silence, True


def find_alert(name: str) -> Alert:
    """The alert of that name; raises Refused with the nearest one."""
    if name in BY_NAME:
        return BY_NAME[name]
    lower = {each.lower(): each for each in BY_NAME}
    near = [lower[each] for each in difflib.get_close_matches(name.lower(), lower, n=1)]
    near = near or [each for each in BY_NAME if name.lower() and name.lower() in each.lower()][:1]
    raise Refused(
        f"there is no alert {name!r} in this release",
        f"{f'Did you mean {near[0]}? ' if near else ''}Its page, or `gw alerts list --all`, has the name.",
    )


def _allowed(order: SilenceOrder) -> Alert:
    alert = find_alert(order.alert)
    is_guarded = alert.signal is Signal.ABUSE or alert.is_always_firing
    if is_guarded and not order.force:
        why = "is the dead-man's switch: silenced, it ends as if monitoring had died"
        if alert.signal is Signal.ABUSE:
            why = "tells of abuse: whoever is silenced may be who abuses"
        raise Refused(f"{alert.name} {why}", "Add --force if that is what you want.")
    if alert.scope is Scope.FLEET and order.namespace:
        raise Refused(
            f"{alert.name} is the platform's and has no tenant, so nothing would be silenced", "Leave out --tenant."
        )
    if alert.scope is Scope.TENANT and not (order.namespace or order.everywhere):
        raise Refused(
            f"no tenant was named, and {alert.name} is each tenant's own",
            "Name one with --tenant NAME, or silence it for all with -A.",
        )
    return alert


def _refuse_bad_words(order: SilenceOrder) -> None:
    for text, option, most in (
        (order.comment, "--comment", _MOST_COMMENT),
        *(((order.author, "--author", _MOST_AUTHOR),) if order.author is not None else ()),
    ):
        if not text.strip():
            raise Refused(f"{option} is empty", "Say why, for whoever sees the silence." if most > 200 else "Say who.")
        if len(text) > most:
            raise Refused(f"{option} has {len(text)} characters, more than {most}", "Write it shorter.")
    if not SHORTEST.total_seconds() <= order.seconds <= LONGEST.total_seconds():
        raise Refused(
            f"--for {lasting(order.seconds)}: a silence lasts from a minute to {LONGEST.days} days",
            "What has to be quiet for longer is to be mended; write --for 2h, for example.",
        )


async def _gateways(cluster: Cluster, namespace: str) -> Collection[Any]:
    with asking("list gateways"):
        return await gather_gateways(cluster, namespace)


def _plan(alert: Alert, order: SilenceOrder, author: str, alerting: AlertingFact, now: datetime) -> SilencePlan:
    matchers = tuple(_matchers(alert, order, alerting))
    text = ", ".join(f'{name}="{value}"' for name, value in matchers)
    # One that begins later keeps nothing quiet now, and somebody wants it then.
    same = [each for each in alerting.silences if each.matchers == text and each.is_active]
    quiets = [each for each in alerting.alerts if all(each.labels.get(name) == value for name, value in matchers)]
    return SilencePlan(
        alert,
        matchers,
        now,
        now + timedelta(seconds=order.seconds),
        author,
        order.comment.strip(),
        tuple(quiets),
        max(same, key=lambda each: str(each.ends_at), default=None),
    )


def _matchers(alert: Alert, order: SilenceOrder, alerting: AlertingFact) -> Iterator[tuple[str, str]]:
    yield "alertname", alert.name
    clusters = sorted({each.labels["cluster"] for each in alerting.alerts if each.labels.get("cluster")})
    if order.cluster_name:
        yield "cluster", order.cluster_name
    elif clusters:
        # The only one that is seen need not be the caller's: others may have no alert, or not arrive, just now.
        several = "several clusters" if len(clusters) > 1 else "a cluster that has a name"
        raise Refused(
            f"{alerting.source} has alerts of {several}: {', '.join(clusters)}",
            "Name yours with --cluster NAME, so that no other cluster's tenant of the same name goes quiet.",
        )
    if order.namespace:
        yield "namespace", order.namespace


def _named(silences: Collection[SilenceFact], text: str) -> SilenceFact:
    """By its id, or the beginning of one."""
    found = [each for each in silences if each.id == text]
    if not found and len(text) >= _SHORTEST_ID:
        found = [each for each in silences if each.id.startswith(text)]
    if len(found) != 1:
        what = f"{len(found)} silences begin with {text!r}" if found else f"there is no silence {text!r}"
        raise Refused(what, "See their ids with `gw alerts silence list --all`.")
    return found[0]
