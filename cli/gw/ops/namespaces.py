"""What a namespace can be called, and which can be a tenant's, by their name alone."""

import re

from actions_gateway.api.names import RESERVED_NAMESPACES
from gw.errors import Refused

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_namespace_name(name: str) -> None:
    """Raises Refused for a name that no API server takes."""
    if not _DNS_LABEL.fullmatch(name):
        raise Refused(f"{name!r} cannot be a namespace's name", "Use small letters, digits and hyphens, at most 63.")


def check_tenant_name(name: str) -> None:
    """Raises Refused for a name that no tenant can have."""
    check_namespace_name(name)
    if is_reserved(name):
        raise Refused(
            f"the namespace {name} is reserved for the cluster itself", "Name a namespace of the tenant's own."
        )


def can_be_tenant(name: str) -> bool:
    """Whether `gw tenant add` would take the name."""
    return _DNS_LABEL.fullmatch(name) is not None and not is_reserved(name)


def is_reserved(name: str) -> bool:
    """Whether the namespace belongs to the cluster or to the platform."""
    return name in RESERVED_NAMESPACES or name.startswith("kube-")
