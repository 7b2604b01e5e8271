"""What is known of the keys in use, from the gateways' statuses: no Secret has to be read for it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from actions_gateway.api.reference import referenced_since
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.tenants import read_served, reading_types
from gw.sources.cluster import Cluster, explain
from gw.sources.gateways import GatewayFact, parse_gateway, parse_time
from gw.sources.rights import Right, ask_rights

Manifest = Mapping[str, Any]


class AgeSource(StrEnum):
    """Where a key's age is from: GitHub's API tells none."""

    SECRET = "secret"
    """Its Secret was made then."""
    REFERENCE = "reference"
    """The gateway has referred to its Secret since then at the latest."""


@dataclass(frozen=True, slots=True)
class KeyFact:
    """The key of one tenant."""

    gateway: GatewayFact
    since: datetime | None
    since_from: AgeSource


@dataclass(frozen=True, slots=True)
class AppUse:
    """One App, and the tenants that use it with which key; a key's fingerprint is empty where nobody reported it."""

    app_id: str
    tenants: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class KeyReport:
    """The keys of a tenant or of all at one moment."""

    at: datetime
    namespace: str | None
    keys: tuple[KeyFact, ...]
    apps: tuple[AppUse, ...]
    """Of the tenants above; each with everybody who uses it."""
    unknown: tuple[str, ...] = ()
    """What could not be seen, as sentences without a full stop."""


async def report_keys(cluster: Cluster, namespace: str | None, now: datetime) -> KeyReport:
    """The report; raises GwError, Refused when the namespace is no tenant."""
    if namespace is None:
        with reading_types("list the tenants"):
            everything = (await cluster.list(r.ACTIONSGATEWAYS)).items
        keys = tuple(sorted(map(_by_reference, everything), key=_place))
        return KeyReport(now, None, keys, _uses(keys, [key.gateway for key in keys]), tuple(_untold(keys)))
    live = (await read_served(cluster, namespace)).live
    key, (neighbours, problem) = await asyncio.gather(_by_secret(cluster, live), _neighbours(cluster))
    unknown = [*_untold((key,)), *([problem] if problem else [])]
    return KeyReport(now, namespace, (key,), _uses((key,), neighbours or [key.gateway]), tuple(unknown))


def _place(key: KeyFact) -> tuple[str, str]:
    return key.gateway.namespace, key.gateway.name


def _by_reference(live: Manifest) -> KeyFact:
    return KeyFact(parse_gateway(live), referenced_since(live), AgeSource.REFERENCE)


async def _by_secret(cluster: Cluster, live: Manifest) -> KeyFact:
    """Of one tenant alone, and only by who may: reads of App Secrets by others are what an auditor looks for."""
    fact = _by_reference(live)
    right = Right("get", r.SECRETS, fact.gateway.namespace, fact.gateway.secret_name)
    try:
        (answer,) = await ask_rights(cluster, [right])
        if not answer.is_allowed:
            return fact
        secret = await cluster.get(r.SECRETS, fact.gateway.secret_name, fact.gateway.namespace)
    except errors.KubeError:
        return fact
    made_at = parse_time(secret["metadata"].get("creationTimestamp"))
    return KeyFact(fact.gateway, made_at, AgeSource.SECRET) if made_at else fact


async def _neighbours(cluster: Cluster) -> tuple[list[GatewayFact] | None, str]:
    try:
        return [parse_gateway(item) for item in (await cluster.list(r.ACTIONSGATEWAYS)).items], ""
    except errors.KubeError as problem:
        return None, f"which other tenants use the same App: {explain(problem, 'list the tenants').what}"


def _uses(keys: tuple[KeyFact, ...], everybody: list[GatewayFact]) -> tuple[AppUse, ...]:
    asked = {key.gateway.credential.app_id for key in keys if key.gateway.credential}
    users: dict[str, list[tuple[str, str]]] = {}
    for gateway in everybody:
        if gateway.credential is not None and gateway.credential.app_id in asked:
            place = (gateway.namespace, gateway.credential.key_fingerprint)
            users.setdefault(gateway.credential.app_id, []).append(place)
    return tuple(AppUse(app_id, tuple(sorted(tenants))) for app_id, tenants in sorted(users.items()))


def _untold(keys: tuple[KeyFact, ...]) -> list[str]:
    return [
        f"which key {key.gateway.namespace} uses: no agent has reported on the Secret {key.gateway.secret_name} yet"
        for key in keys
        if key.gateway.credential is None
    ]
