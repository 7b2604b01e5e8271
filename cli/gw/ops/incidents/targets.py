"""Which gateways an incident is about, from what their statuses say."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from gw.errors import Refused
from gw.ops.tenants import groups_of, not_a_tenant, reading_types
from gw.sources.cluster import Cluster
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.gathering import gather_gateways, gather_groups, gather_pods
from gw.sources.incidents import MOST_TARGETS, Incident, Target
from gw.sources.jobs import host_of
from gw.sources.pods import PodFact, PodRole


@dataclass(frozen=True, slots=True)
class CompromisedApp:
    """An App, and every gateway that works with it."""

    app_id: str
    host: str
    targets: tuple[Target, ...]
    permissions: tuple[str, ...]
    """What its installations grant, such as `actions:write`."""
    unsure: tuple[str, ...]
    """Gateways whose status does not say of which App they are."""
    keys: frozenset[str] = frozenset()
    """Fingerprints of the keys that are in wrong hands, as far as they are known."""

    @property
    def subject(self) -> str:
        return f"App {self.app_id} at {self.host}"


def compromised_keys(incident: Incident) -> frozenset[str]:
    """The fingerprints of the keys that are in wrong hands, as far as they are known."""
    return frozenset(incident.facts.get("compromised", "").split())


async def find_app(
    cluster: Cluster, *, app_id: str | None, namespace: str | None, keys: Collection[str] = ()
) -> CompromisedApp:
    """The App by its id, or that of a tenant; raises Refused when no gateway uses it, or the id means two Apps.

    Of several keys of the App, those are in wrong hands that are named, else the named tenant's, else all in use.
    """
    with reading_types("list the gateways of every tenant"):
        gateways, groups, agents = await gather_served(cluster, None)
    if namespace is not None:
        own = [each for each in gateways if each.namespace == namespace]
        if not own:
            raise await not_a_tenant(cluster, namespace)
        known = [each for each in own if each.credential is not None and each.credential.app_id]
        if not known:
            raise Refused(
                f"the status of {namespace} does not say which App it uses", "Name the App with --app-id N instead."
            )
        app = app_of(gateways, groups, agents, app_id_of(known[0]), host_of(known[0].github_url))
        return _with_keys(app, keys or {each.credential.key_fingerprint for each in known if each.credential})
    wanted = app_id or ""
    hosts = sorted({host_of(each.github_url) for each in gateways if app_id_of(each) == wanted})
    if not hosts:
        there = ", ".join(sorted({app_id_of(each) for each in gateways} - {""})) or "none"
        raise Refused(f"no gateway's status names the App {wanted}", f"The Apps that are named: {there}.")
    if len(hosts) > 1:
        raise Refused(
            f"the id {wanted} is an App at {' and another at '.join(hosts)}", "Name a tenant whose App it is instead."
        )
    app = app_of(gateways, groups, agents, wanted, hosts[0])
    return _with_keys(app, keys or {target.key_fingerprint for target in app.targets})


def _with_keys(app: CompromisedApp, keys: Collection[str]) -> CompromisedApp:
    return replace(app, keys=frozenset(keys) - {""})


async def gather_served(
    cluster: Cluster, namespace: str | None
) -> tuple[tuple[GatewayFact, ...], tuple[GroupFact, ...], tuple[PodFact, ...]]:
    """Gateways, runner groups and agents' pods of one namespace or of all; raises KubeError."""
    gateways, groups, pods = await asyncio.gather(
        gather_gateways(cluster, namespace), gather_groups(cluster, namespace), gather_pods(cluster, namespace)
    )
    return gateways, groups, tuple(pod for pod in pods if pod.role is PodRole.AGENT)


def app_of(
    gateways: Sequence[GatewayFact], groups: Iterable[GroupFact], agents: Iterable[PodFact], app_id: str, host: str
) -> CompromisedApp:
    """Everything that uses the App: by its id, or by one of its keys, since a Secret may name the client id instead.

    Raises Refused for more gateways than a record holds.
    """
    here = [each for each in gateways if host_of(each.github_url) == host]
    named = [each for each in here if app_id_of(each) == app_id]
    keys = {each.credential.key_fingerprint for each in named if each.credential} - {""}
    meant = [each for each in here if each in named or (each.credential and each.credential.key_fingerprint in keys)]
    if len(meant) > MOST_TARGETS:
        raise Refused(
            f"{len(meant)} gateways use the App {app_id}, and an incident's record holds {MOST_TARGETS}",
            "Suspend its installations at GitHub, then name the tenants one by one.",
        )
    granted = {
        f"{name}:{level}" for each in meant if each.credential for name, level in each.credential.permissions.items()
    }
    return CompromisedApp(
        app_id=app_id,
        host=host,
        targets=targets_of(meant, groups, agents),
        permissions=tuple(sorted(granted)),
        unsure=tuple(f"{each.namespace}/{each.name}" for each in here if not app_id_of(each)),
    )


def sessions_of(gateway: GatewayFact, groups: Iterable[GroupFact], agents: Iterable[PodFact]) -> int:
    """As its agent counts them; one that is not ready counts no more, whatever it has left in the status."""
    if not any(pod.namespace == gateway.namespace and pod.is_ready for pod in agents):
        return 0
    return sum(group.active_sessions for group in groups_of(gateway, tuple(groups)))


def targets_of(
    gateways: Iterable[GatewayFact], groups: Iterable[GroupFact], agents: Iterable[PodFact]
) -> tuple[Target, ...]:
    """The gateways as the incident found them."""
    known, pods = tuple(groups), tuple(agents)
    return tuple(
        Target(
            namespace=each.namespace,
            gateway=each.name,
            github_url=each.github_url,
            app_id=app_id_of(each),
            installation_id=each.credential.installation_id if each.credential else "",
            secret=each.secret_name,
            key_fingerprint=each.credential.key_fingerprint if each.credential else "",
            sessions=sessions_of(each, known, pods),
        )
        for each in gateways
    )


def app_id_of(gateway: GatewayFact) -> str:
    """As the gateway's status says; empty when it does not."""
    return gateway.credential.app_id if gateway.credential else ""
