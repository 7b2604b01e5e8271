"""Where a sandbox's Alertmanager delivers: an endpoint for each receiver, which keeps what came.

It stands for pagers and ticket queues, so that a drill sees who was told what, and when. Shapes: Alertmanager
documentation, "Configuration" (webhook_config).
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import web

from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import uninterrupted

log = structlog.get_logger(__name__)

PATH = "/notifications"
_KEPT = 200
"""Of each receiver: a dead man's switch is heard every minute, and pushes out no page."""
_LARGEST_BYTES = 4 * 2**20

Notification = Mapping[str, Any]


def receiver_url(url: str, receiver: str) -> str:
    """Where the inbox at `url` takes notifications for a receiver."""
    return f"{url}{PATH}/{quote(receiver, safe='')}"


@dataclass(slots=True)
class Inbox:
    """What receivers were told. Loopback alone reaches it, as the rest of the sandbox's monitoring."""

    clock: Clock
    _kept: dict[str, deque[Notification]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=_KEPT)))

    @property
    def notifications(self) -> list[Notification]:
        """The oldest first: when it came, for whom, whether it fires or is over, and its alerts."""
        return sorted((each for kept in self._kept.values() for each in kept), key=lambda each: str(each["at"]))

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[None]:
        """Takes notifications and tells them while the context is open; raises OSError when the port is taken."""
        application = web.Application(client_max_size=_LARGEST_BYTES)
        application.add_routes([web.get(PATH, self._tell), web.post(f"{PATH}/{{receiver}}", self._take)])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        try:
            await runner.setup()
            await uninterrupted(web.TCPSite(runner, host, port).start())
            yield
        finally:
            await runner.cleanup()

    async def run(self, host: str, port: int) -> None:
        """Serves until cancelled."""
        async with self.serve(host, port):
            await asyncio.Event().wait()

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response({"notifications": self.notifications})

    async def _take(self, request: web.Request) -> web.Response:
        receiver = request.match_info["receiver"]
        try:
            told = parse_notification(await request.json())
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            log.warning("notification not understood", receiver=receiver, problem=repr(problem))
            raise web.HTTPBadRequest(text="not a notification of Alertmanager") from None
        at = self.clock.now().isoformat(timespec="milliseconds")
        self._kept[receiver].append({"at": at, "receiver": receiver, **told})
        return web.Response()


def parse_notification(body: Mapping[str, Any]) -> dict[str, Any]:
    """What counts of a webhook's body; raises KeyError, TypeError or AttributeError for another's."""
    return {
        "status": str(body["status"]),
        "group": dict(body["groupLabels"]),
        "alerts": [
            {
                "name": str(alert["labels"]["alertname"]),
                "status": str(alert["status"]),
                "labels": dict(alert["labels"]),
                "annotations": dict(alert["annotations"]),
                "starts_at": str(alert["startsAt"]),
                "ends_at": str(alert["endsAt"]) if alert["status"] == "resolved" else None,
            }
            for alert in body["alerts"]
        ],
    }
