"""Which Service of a cluster is its Prometheus or Alertmanager: listed by label, and the same choice every time."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster, one_line

Manifest = Mapping[str, Any]

_PORT_NAMES = ("web", "http-web", "https-web", "http", "https")
"""As the operator and its charts name the port of the product itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """The chosen Service, or why none could be looked for."""

    namespace: str = ""
    name: str = ""
    port: int = 0
    is_https: bool = False
    candidates: int = 1
    """How many there were to choose from."""
    forbidden: str = ""
    """The API server's words for the right that the caller lacks."""

    @property
    def place(self) -> str:
        others = f", the first of {self.candidates} such Services" if self.candidates > 1 else ""
        return f"the Service {self.namespace}/{self.name}:{self.port}{others}"

    @property
    def proxy_path(self) -> str:
        scheme = "https:" if self.is_https else ""
        return f"/api/v1/namespaces/{self.namespace}/services/{scheme}{self.name}:{self.port}/proxy"


def choose_service(services: Collection[Manifest], port: int) -> Found | None:
    """The best Service: one with the product's own port, else a port that is named as the operator names it.

    Among equals the first by namespace and name.
    """
    candidates = [
        (rank, str(metadata["namespace"]), str(metadata["name"]), number, is_https)
        for service in services
        for metadata in [service["metadata"]]
        for rank, number, is_https in _ports(service, port)[:1]
    ]
    if not candidates:
        return None
    _, namespace, name, number, is_https = min(candidates)
    return Found(namespace, name, number, is_https, len(candidates))


def _ports(service: Manifest, wanted: int) -> list[tuple[int, int, bool]]:
    """(rank, number, whether it speaks TLS) of the Service's ports, the best first."""

    def ranked() -> Iterator[tuple[int, int, bool]]:
        for entry in (service.get("spec") or {}).get("ports") or []:
            number, name = int(entry["port"]), str(entry.get("name") or "")
            rank = 0 if number == wanted else 1 + _PORT_NAMES.index(name) if name in _PORT_NAMES else 9
            is_https = name.startswith("https") or number == 443 or entry.get("appProtocol") == "https"
            yield rank, number, is_https

    return sorted(ranked())


async def find_service(cluster: Cluster, namespace: str | None, selectors: Sequence[str], port: int) -> Found | None:
    """The chosen one of all Services with one of those labels; None when there is none.

    Whoever may not list all namespaces' Services looks into the tenant's own. Raises KubeError.
    """
    try:
        return choose_service(await _services(cluster, None, selectors), port)
    except errors.Forbidden as problem:
        refused = Found(forbidden=one_line(problem.message))
        if namespace is None:
            return refused
    try:
        return choose_service(await _services(cluster, namespace, selectors), port) or refused
    except errors.Forbidden:
        return refused


async def _services(cluster: Cluster, namespace: str | None, selectors: Sequence[str]) -> list[Manifest]:
    """Each Service once, though several labels may fit."""
    found: dict[tuple[str, str], Manifest] = {}
    for selector in selectors:
        for item in (await cluster.list(r.SERVICES, namespace, label_selector=selector)).items:
            found[item["metadata"]["namespace"], item["metadata"]["name"]] = item
    return list(found.values())
