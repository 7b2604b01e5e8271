"""Questions to Alertmanager. Source: its `api/v2/openapi.yaml` (status, alerts, silences)."""

from dataclasses import dataclass
from typing import Any

from gw.sources.endpoints import Endpoint

Documents = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """One Alertmanager; every question raises NoAnswer."""

    endpoint: Endpoint

    async def version(self) -> str:
        document = await self.endpoint.document("/api/v2/status")
        return self.endpoint.parsed(lambda data: str(data["versionInfo"]["version"]), document)

    async def alerts(self) -> Documents:
        """All that it has, silenced and inhibited ones included."""
        return await self._list("/api/v2/alerts")

    async def silences(self) -> Documents:
        """All that it has, expired ones included."""
        return await self._list("/api/v2/silences")

    async def _list(self, path: str) -> Documents:
        document = await self.endpoint.document(path)
        if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
            raise self.endpoint.stranger("its answer has another shape")
        return tuple(document)
