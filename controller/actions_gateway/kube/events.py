"""Kubernetes events: what happened to an object, for the people who run `kubectl describe` on it.

The first occurrence is created, repeats within the window become a series on the same event (Kubernetes API
conventions, "Events": deduplicate at the source). Reporting is best effort: an event that cannot be written is logged
and never stops the work it tells of.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog

from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import KubeError, NamespaceTerminating, NotFound
from actions_gateway.kube.resources import EVENTS

log = structlog.get_logger(__name__)

_SERIES_WINDOW_SECONDS = 600.0
_REMEMBERED = 1024
_NOTE_LIMIT = 1024
_NAME_PREFIX_LIMIT = 40

_Identity = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event to write."""

    reason: str
    message: str
    is_warning: bool


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    last_seen: float


class EventRecorder:
    """Writes events in the name of one component instance."""

    def __init__(self, client: KubeClient, clock: Clock, *, component: str, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._instance = instance
        self._series: dict[_Identity, _Series] = {}

    async def record(
        self, regarding: Manifest, reason: str, message: str, *, action: str, warning: bool = False
    ) -> None:
        """Tells that `reason` happened to `regarding`; `action` is the verb that was carried out or tried."""
        identity = (regarding["metadata"].get("uid", ""), reason, action, message)
        now = self._clock.monotonic()
        series = self._series.get(identity)
        try:
            if series is not None and now - series.last_seen < _SERIES_WINDOW_SECONDS:
                series.count, series.last_seen = series.count + 1, now
                await self._extend(regarding, series)
            else:
                name = await self._create(regarding, reason, message, action=action, warning=warning)
                self._remember(identity, _Series(name, 1, now))
        except NotFound:
            # The event expired at the server; the next occurrence starts a new one.
            self._series.pop(identity, None)
        except NamespaceTerminating:
            log.debug("event not written: its namespace is being deleted", reason=reason)
        except KubeError as problem:
            log.warning("event not written", reason=reason, problem=problem.message)

    def _remember(self, identity: _Identity, series: _Series) -> None:
        self._series.pop(identity, None)
        self._series[identity] = series
        while len(self._series) > _REMEMBERED:
            del self._series[next(iter(self._series))]

    async def _create(self, regarding: Manifest, reason: str, message: str, *, action: str, warning: bool) -> str:
        metadata = regarding["metadata"]
        created = await self._client.create(
            EVENTS,
            {
                "apiVersion": EVENTS.api_version,
                "kind": EVENTS.kind,
                "metadata": {
                    # The server takes the prefix for a name, which ends with a letter or digit but for one dash.
                    "generateName": f"{metadata['name'][:_NAME_PREFIX_LIMIT].rstrip('-.')}-",
                    "namespace": metadata.get("namespace") or "default",
                },
                "eventTime": _micro_time(self._clock.now()),
                "type": "Warning" if warning else "Normal",
                "reason": reason,
                "action": action,
                "note": message[:_NOTE_LIMIT],
                "regarding": {
                    "apiVersion": regarding["apiVersion"],
                    "kind": regarding["kind"],
                    "name": metadata["name"],
                    "namespace": metadata.get("namespace", ""),
                    "uid": metadata.get("uid", ""),
                    "resourceVersion": metadata.get("resourceVersion", ""),
                },
                "reportingController": self._component,
                "reportingInstance": self._instance,
            },
        )
        return str(created["metadata"]["name"])

    async def _extend(self, regarding: Manifest, series: _Series) -> None:
        patch = {"series": {"count": series.count, "lastObservedTime": _micro_time(self._clock.now())}}
        namespace = regarding["metadata"].get("namespace") or "default"
        await self._client.patch(EVENTS, series.name, patch, namespace=namespace)


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
