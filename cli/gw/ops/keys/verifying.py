"""Proves a key at GitHub for a tenant, without writing anything."""

from dataclasses import dataclass
from pathlib import Path

from actions_gateway.github.secrets import Secret
from gw.errors import Refused
from gw.ops.keys.authorities import trusted_authorities
from gw.ops.keys.credentials import LookUp, Witness, check_credentials, prove_key
from gw.ops.tenants import read_served
from gw.sources.cluster import Cluster
from gw.sources.gateways import GatewayFact
from gw.sources.installation import Installation, InstallationQuery
from gw.sources.secrets import AppIdentity, identity_from


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """Which key for which tenant; App and installation are those in use unless named."""

    namespace: str
    private_key: Secret
    source: str
    app_id: str | None = None
    installation_id: str | None = None
    ca_bundle: Path | None = None
    """Certificate authorities of a private GitHub in place of those that the gateway names."""


@dataclass(frozen=True, slots=True)
class VerifiedKey:
    """What GitHub confirmed of it."""

    gateway: GatewayFact
    key: AppIdentity
    installation: Installation

    @property
    def is_in_use(self) -> bool | None:
        """Whether the agent works with this very key; None when no agent has reported on one."""
        used = self.gateway.credential
        return None if used is None else used.key_fingerprint == self.key.key_fingerprint


async def verify_key(cluster: Cluster, order: VerifyKey, *, look_up: LookUp, witness: Witness) -> VerifiedKey:
    """The proven key; raises CredentialsRejected when GitHub says no, Blind when it says nothing."""
    served = await read_served(cluster, order.namespace)
    gateway = served.fact
    app_id = order.app_id or (gateway.credential.app_id if gateway.credential else "")
    installation_id = order.installation_id or (gateway.credential.installation_id if gateway.credential else "")
    if not app_id or not installation_id:
        raise Refused(
            f"no agent of {order.namespace} has reported which App it uses", "Add --app-id and --installation-id."
        )
    credentials = check_credentials(
        app_id=app_id, installation_id=installation_id, private_key=order.private_key, source=order.source
    )
    url_from = f"spec.gitHubURL of the gateway {gateway.name}"
    async with trusted_authorities(cluster, served.live, order.ca_bundle) as bundle:
        query = InstallationQuery(gateway.github_url, credentials, bundle, url_from)
        return VerifiedKey(gateway, identity_from(credentials), await prove_key(query, look_up, witness))
