"""The App Secret as an object, and its versioned name."""

import base64
import re
from typing import Any

from actions_gateway.api import labels
from actions_gateway.github.app import APP_ID_FILE, INSTALLATION_ID_FILE, PRIVATE_KEY_FILE
from actions_gateway.github.secrets import Secret
from actions_gateway.kube.resources import SECRETS

Manifest = dict[str, Any]

BY_GW = "gw"
"""Value of the managed-by label on what `gw` creates."""
SECRET_BASE = "github-app"
_VERSIONED = re.compile(rf"{SECRET_BASE}-v([1-9][0-9]{{0,5}})")


def secret_name(version: int) -> str:
    """The name of the App Secret's version 1, 2, …: Secrets are immutable, so a new key is a new Secret."""
    return f"{SECRET_BASE}-v{version}"


def secret_version(name: str) -> int:
    """The version of a name that gw gives; 0 for every other one."""
    found = _VERSIONED.fullmatch(name)
    return int(found[1]) if found else 0


def build_app_secret(
    namespace: str, name: str, *, app_id: str, installation_id: str, private_key: Secret, replaces: str = ""
) -> Manifest:
    """The App's credentials; holds the key in the clear, so it is sent and never shown."""
    texts = {APP_ID_FILE: app_id, INSTALLATION_ID_FILE: installation_id, PRIVATE_KEY_FILE: private_key.reveal()}
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {labels.MANAGED_BY: BY_GW},
            **({"annotations": {labels.REPLACES: replaces}} if replaces else {}),
        },
        "type": "Opaque",
        "immutable": True,
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()},
    }
