"""What happened to the objects of one tenant, or of all and the platform: the events that are kept, and new ones."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube.client import ObjectList, WatchType
from gw.errors import Blind, Refused
from gw.ops.redaction import redact_text
from gw.ops.tenants import not_a_tenant, reading_types
from gw.sources.cluster import Cluster, asking
from gw.sources.events import EVENTS, EventFact, parse_event
from gw.sources.gathering import gather_gateways

LOOK_AGAIN_SECONDS = 1.0
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EventRequest:
    """Whose events, and which of them."""

    namespace: str | None
    since_seconds: float | None = None
    is_warning: bool | None = None
    """None for both types."""
    kind: str = ""
    """Of the object, in lower case; empty for any."""
    name: str = ""

    def takes(self, event: EventFact, now: datetime) -> bool:
        """Whether the event is wanted."""
        if self.is_warning not in (None, event.is_warning) or self.name not in ("", event.name):
            return False
        if self.kind and self.kind not in (event.kind.lower(), f"{event.kind.lower()}s"):
            return False
        oldest = now - timedelta(seconds=self.since_seconds) if self.since_seconds is not None else _NEVER
        return (event.last_at or _NEVER) >= oldest


@dataclass(frozen=True, slots=True)
class EventReport:
    """Events by their last time, the newest last."""

    at: datetime
    namespace: str | None
    events: tuple[EventFact, ...]


def parse_object(text: str) -> tuple[str, str]:
    """Kind in lower case, empty when none is named, and name; raises Refused."""
    kind, slash, name = text.rpartition("/")
    if not name or (slash and not kind) or "/" in kind:
        raise Refused(f"--for {text!r} names no object", "Write --for NAME or --for KIND/NAME, as pod/runner-1.")
    return kind.lower(), name


def parse_type(text: str) -> bool:
    """Whether warnings are meant; raises Refused."""
    if text.lower() not in ("warning", "normal"):
        raise Refused(f"--type {text}: there is no such type of event", "Types: warning, normal.")
    return text.lower() == "warning"


async def list_events(cluster: Cluster, request: EventRequest, now: datetime) -> EventReport:
    """The events that the cluster still keeps, an hour by default; raises GwError."""
    namespaces = await _namespaces(cluster, request.namespace)
    with asking("list the events"):
        listed = await cluster.list(EVENTS, request.namespace)
    return EventReport(now, request.namespace, _wanted(listed, request, namespaces, now))


async def watch_events(
    cluster: Cluster,
    request: EventRequest,
    clock: Clock,
    *,
    on_event: Callable[[EventFact], None],
    on_note: Callable[[str], None],
) -> NoReturn:
    """Tells each event that is there and each new one, or new of its series, until cancelled; raises GwError at first.

    What a cluster cannot answer for a moment is asked again: each event is told once, whatever happens.
    """
    told: dict[str, EventFact] = {}

    def tell(event: EventFact) -> None:
        if told.get(event.uid) != event:
            told[event.uid] = event
            on_event(event)

    is_first, trouble = True, ""
    while True:
        try:
            namespaces = await _namespaces(cluster, request.namespace)
            with asking("watch the events"):
                listed = await cluster.list(EVENTS, request.namespace)
                # An event expires at the server after a while: what is not there any more is not told again.
                kept = {event.uid for event in map(_parsed, listed.items)}
                told = {uid: event for uid, event in told.items() if uid in kept}
                for event in _wanted(listed, request, namespaces, clock.now()):
                    tell(event)
                is_first, trouble = False, ""
                async for change in cluster.watch(EVENTS, request.namespace, resource_version=listed.resource_version):
                    event = _parsed(change.object)
                    is_news = change.type in (WatchType.ADDED, WatchType.MODIFIED)
                    if is_news and event.namespace in namespaces and request.takes(event, clock.now()):
                        tell(event)
        except Blind as problem:
            if is_first:
                raise
            if problem.what != trouble and not isinstance(problem.__cause__, errors.Gone):
                trouble = problem.what
                on_note(f"{trouble}; still trying")
        await clock.sleep(LOOK_AGAIN_SECONDS)


async def _namespaces(cluster: Cluster, namespace: str | None) -> Collection[str]:
    """Those whose events are meant: of every tenant and of the manager without a name; raises GwError."""
    with reading_types("list the gateways"):
        gateways = await gather_gateways(cluster, namespace)
        if namespace is not None and not gateways:
            raise await not_a_tenant(cluster, namespace)
    return {gateway.namespace for gateway in gateways} | (set() if namespace else {MANAGER_NAMESPACE})


def _wanted(
    listed: ObjectList, request: EventRequest, namespaces: Collection[str], now: datetime
) -> tuple[EventFact, ...]:
    events = (event for event in map(_parsed, listed.items) if event.namespace in namespaces)
    chosen = (event for event in events if request.takes(event, now))
    return tuple(sorted(chosen, key=lambda event: (event.last_at or _NEVER, event.namespace, event.about, event.uid)))


def _parsed(manifest: dict[str, object]) -> EventFact:
    """With a note that holds no credential, whoever wrote it."""
    event = parse_event(manifest)
    return replace(event, note=redact_text(event.note, lambda _: None))
