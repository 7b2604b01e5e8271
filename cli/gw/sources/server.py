"""The API server itself as facts: its version, its clock, the API groups it serves, who it takes the caller for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster
from gw.sources.gateways import parse_time

Manifest = Mapping[str, Any]

MINIMUM = (1, 30)
"""The first version that serves ValidatingAdmissionPolicy as v1 (Kubernetes 1.30 changelog)."""
METRICS_GROUP = "metrics.k8s.io"


@dataclass(frozen=True, slots=True)
class ServerFact:
    """One API server."""

    host: str
    version: str
    """As it calls itself, such as v1.36.3."""
    number: tuple[int, int] | None
    """Major and minor; None when it names none."""
    groups: frozenset[str] = frozenset()
    """The API groups that it serves, aggregated ones included."""

    @property
    def is_too_old(self) -> bool:
        return self.number is not None and self.number < MINIMUM


@dataclass(frozen=True, slots=True)
class ClockFact:
    """The server's clock beside this machine's."""

    skew_seconds: float
    """How far the server is ahead; negative when it is behind."""


async def gather_server(cluster: Cluster) -> ServerFact:
    """Version and groups; raises KubeError."""
    version = await cluster.request("GET", "/version")
    groups = await cluster.request("GET", "/apis")
    return parse_server(cluster.host, version, groups)


def parse_server(host: str, version: Manifest, groups: Manifest) -> ServerFact:
    """The facts of a /version and an APIGroupList; vendors put a plus sign behind the minor number."""
    major, minor = (re.match(r"[0-9]+", str(version.get(key) or "")) for key in ("major", "minor"))
    return ServerFact(
        host=host,
        version=str(version.get("gitVersion") or "?"),
        number=(int(major[0]), int(minor[0])) if major and minor else None,
        groups=frozenset(str(group.get("name")) for group in groups.get("groups") or []),
    )


async def gather_addresses(cluster: Cluster) -> tuple[str, ...]:
    """Ranges of one address each, where pods find the API server; empty when the cluster does not say."""
    try:
        found = await cluster.list(r.ENDPOINTSLICES, "default", label_selector="kubernetes.io/service-name=kubernetes")
        endpoints = (endpoint for each in found.items for endpoint in each.get("endpoints") or [])
        return parse_cidrs(",".join(address for endpoint in endpoints for address in endpoint["addresses"]))
    except (errors.KubeError, ValueError):
        return ()


async def gather_clock(cluster: Cluster, clock: Clock) -> ClockFact | None:
    """The difference of the clocks, half the round trip allowed for; None when the server does not say its time.

    The time is that of a SelfSubjectReview, which is answered and not stored (Kubernetes API reference). It is cut to
    the second.
    """
    before = clock.now()
    try:
        answer = await _review(cluster)
    except errors.NotFound:
        return None
    return parse_clock(answer, before + (clock.now() - before) / 2)


async def who_am_i(cluster: Cluster) -> str:
    """The caller as the API server knows them, empty when it does not say; raises KubeError."""
    user = ((await _review(cluster)).get("status") or {}).get("userInfo") or {}
    return str(user.get("username") or "")


async def _review(cluster: Cluster) -> Manifest:
    """An answered SelfSubjectReview (authentication.k8s.io/v1)."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer: Manifest = await cluster.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    return answer


def parse_clock(review: Manifest, now: datetime) -> ClockFact | None:
    """The facts of an answered review."""
    theirs = parse_time((review.get("metadata") or {}).get("creationTimestamp"))
    return None if theirs is None else ClockFact((theirs - now).total_seconds())
