"""What is there before a key is rotated: the gateway, its Secret, a Secret that an earlier run left."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.api.conditions import ConditionStatus, ConditionType
from actions_gateway.kube import errors
from gw.ops.keys.manifests import secret_name, secret_version
from gw.ops.tenants import groups_of, read_served
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.gathering import gather_gateways, gather_groups
from gw.sources.secrets import AppIdentity, StoredSecret, read_secret

Manifest = Mapping[str, Any]

_MOST_VERSIONS = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live state that a rotation is decided from."""

    gateway: GatewayFact
    groups: tuple[GroupFact, ...]
    in_use: StoredSecret | None
    """The Secret that the gateway refers to; None when it does not exist."""
    later: tuple[StoredSecret, ...]
    """Versions after it, up to the first gap: of runs that were interrupted, or that returned."""
    neighbours: tuple[GatewayFact, ...] | None
    """The gateways of other tenants; None when they could not be listed."""
    siblings: tuple[GatewayFact, ...] = ()
    """Other gateways of the namespace, which are not served."""
    live: Manifest = field(default_factory=dict, repr=False)
    """The gateway's object."""

    @property
    def works(self) -> bool:
        """Whether the agent has reported that the credential in use works."""
        entry = self.gateway.condition(ConditionType.CREDENTIAL_UNAVAILABLE)
        return entry is not None and entry.status == ConditionStatus.FALSE

    @property
    def silent_groups(self) -> frozenset[str]:
        """Groups that had no session although the key worked: a new key does not give them one."""
        return (
            frozenset(group.name for group in self.groups if not group.active_sessions) if self.works else frozenset()
        )

    def sharing(self, fingerprint: str) -> tuple[str, ...] | None:
        """Other tenants that work with that key; None when they could not be listed."""
        if self.neighbours is None:
            return None
        used = ((each.namespace, each.credential.key_fingerprint) for each in self.neighbours if each.credential)
        return tuple(namespace for namespace, known in used if fingerprint and known == fingerprint)

    @property
    def next_name(self) -> str:
        """The name of a new Secret."""
        last = self.later[-1].name if self.later else self.gateway.secret_name
        return secret_name(secret_version(last) + 1)

    def with_identity(self, identity: AppIdentity) -> StoredSecret | None:
        """A later Secret that holds that credential already."""
        return next((secret for secret in self.later if secret.identity == identity), None)


async def gather_snapshot(cluster: Cluster, namespace: str) -> Snapshot:
    """Reads everything once; raises GwError, Refused when the namespace is no tenant."""
    served = await read_served(cluster, namespace)
    gateway = served.fact
    with asking(f"read the App Secrets of {namespace}"):
        in_use = await read_secret(cluster, namespace, gateway.secret_name)
        later = await _later(cluster, namespace, gateway.secret_name)
        groups = await gather_groups(cluster, namespace)
    neighbours = await _neighbours(cluster, namespace)
    return Snapshot(gateway, groups_of(gateway, groups), in_use, later, neighbours, served.others, served.live)


async def _later(cluster: Cluster, namespace: str, after: str) -> tuple[StoredSecret, ...]:
    found: list[StoredSecret] = []
    first = secret_version(after) + 1
    for version in range(first, first + _MOST_VERSIONS):
        secret = await read_secret(cluster, namespace, secret_name(version))
        if secret is None:
            break
        found.append(secret)
    return tuple(found)


async def _neighbours(cluster: Cluster, namespace: str) -> tuple[GatewayFact, ...] | None:
    """Whoever rotates in a namespace of their own may not see the others."""
    try:
        everywhere = await gather_gateways(cluster, None)
    except errors.KubeError:
        return None
    return tuple(gateway for gateway in everywhere if gateway.namespace != namespace)


async def read_both(cluster: Cluster, namespace: str, name: str) -> tuple[GatewayFact | None, tuple[GroupFact, ...]]:
    """The gateway of that name, None once it is gone, and its groups; raises KubeError."""
    gateways, groups = await asyncio.gather(gather_gateways(cluster, namespace), gather_groups(cluster, namespace))
    gateway = next((fact for fact in gateways if fact.name == name), None)
    return gateway, groups_of(gateway, groups) if gateway else ()
