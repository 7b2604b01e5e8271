"""App Secrets: which credential one holds, and what it replaced.

Read one by one and by name; nothing lists Secrets. Private keys stay inside of `AppCredentials` and `Secret`.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.api import labels
from actions_gateway.github.app import (
    APP_ID_FILE,
    INSTALLATION_ID_FILE,
    PRIVATE_KEY_FILE,
    AppCredentials,
    CredentialInvalid,
    parse_credentials,
)
from actions_gateway.kube import errors
from actions_gateway.kube.resources import SECRETS
from gw.sources.cluster import Cluster
from gw.sources.ownership import annotations_of

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AppIdentity:
    """Which credential a Secret holds, without the credential."""

    app_id: str
    installation_id: str
    key_fingerprint: str


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """One App Secret of a tenant."""

    name: str
    credentials: AppCredentials | None
    """None for one that holds no usable credential."""
    replaces: str
    """The Secret in whose place `gw key rotate` made it; empty for every other one."""
    manifest: Manifest = field(default_factory=dict, repr=False)

    @property
    def identity(self) -> AppIdentity | None:
        return identity_from(self.credentials) if self.credentials is not None else None


def identity_from(credentials: AppCredentials) -> AppIdentity:
    """What is public of a credential."""
    return AppIdentity(credentials.app_id, str(credentials.installation_id), credentials.key_fingerprint)


def identity_of(secret: Manifest) -> AppIdentity | None:
    """Which credential a stored Secret holds; the key itself is forgotten here."""
    credentials = credentials_in(secret)
    return identity_from(credentials) if credentials is not None else None


def credentials_in(secret: Manifest) -> AppCredentials | None:
    """The credential that a stored Secret holds; None when it is not usable."""
    data = secret.get("data") or {}
    try:
        texts = {
            name: base64.b64decode(data[name]).decode()
            for name in (APP_ID_FILE, INSTALLATION_ID_FILE, PRIVATE_KEY_FILE)
        }
        return parse_credentials(
            app_id=texts[APP_ID_FILE], installation_id=texts[INSTALLATION_ID_FILE], private_key=texts[PRIVATE_KEY_FILE]
        )
    except (KeyError, UnicodeDecodeError, binascii.Error, CredentialInvalid):
        return None


async def read_secret(cluster: Cluster, namespace: str, name: str) -> StoredSecret | None:
    """One Secret; None when there is none of that name. Raises KubeError."""
    try:
        manifest = await cluster.get(SECRETS, name, namespace)
    except errors.NotFound:
        return None
    return StoredSecret(
        name=name,
        credentials=credentials_in(manifest),
        replaces=annotations_of(manifest).get(labels.REPLACES, ""),
        manifest=manifest,
    )
