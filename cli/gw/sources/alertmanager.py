"""Questions to Alertmanager, and the three things that it may be told. Source: its `api/v2/openapi.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gw.sources.endpoints import Endpoint
from gw.sources.gateways import parse_time

Document = Mapping[str, Any]
Documents = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class AlertmanagerStatus:
    """What it says of itself."""

    version: str
    started_at: datetime | None
    configuration: str
    """The YAML that it has loaded, secrets masked; empty when it does not say."""
    peers: int
    """How many stand together, itself included; 0 for one that stands alone."""


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """One Alertmanager; every question raises NoAnswer."""

    endpoint: Endpoint

    async def status(self) -> AlertmanagerStatus:
        return self.endpoint.parsed(_status, await self.endpoint.document("/api/v2/status"))

    async def alerts(self) -> Documents:
        """All that it has, silenced and inhibited ones included."""
        return await self._list("/api/v2/alerts")

    async def groups(self) -> Documents:
        """The groups that it tells receivers of, one for each receiver."""
        return await self._list("/api/v2/alerts/groups")

    async def silences(self) -> Documents:
        """All that it has, expired ones included."""
        return await self._list("/api/v2/silences")

    async def metrics(self) -> str:
        """Its own metrics in the text form."""
        reply = await self.endpoint.ask("/metrics")
        if reply.status >= 300:
            raise self.endpoint.stranger(f"its metrics are not there (HTTP {reply.status})")
        return reply.body.decode(errors="replace")

    async def add_silence(self, silence: Document) -> str:
        """The id of the new silence."""
        answer = await self.endpoint.write("POST", "/api/v2/silences", silence)
        return self.endpoint.parsed(lambda data: str(data["silenceID"]), answer)

    async def expire_silence(self, silence_id: str) -> None:
        """Ends it now."""
        await self.endpoint.write("DELETE", f"/api/v2/silence/{silence_id}")

    async def post_alerts(self, alerts: list[Document]) -> None:
        """Tells it of alerts, as Prometheus does; one whose `endsAt` is over is resolved."""
        await self.endpoint.write("POST", "/api/v2/alerts", alerts)

    async def _list(self, path: str) -> Documents:
        document = await self.endpoint.document(path)
        if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
            raise self.endpoint.stranger("its answer has another shape")
        return tuple(document)


def _status(data: Any) -> AlertmanagerStatus:
    cluster = data.get("cluster") or {}
    return AlertmanagerStatus(
        version=str(data["versionInfo"]["version"]),
        started_at=parse_time(data.get("uptime")),
        configuration=str((data.get("config") or {}).get("original") or ""),
        peers=len(cluster.get("peers") or ()),
    )
