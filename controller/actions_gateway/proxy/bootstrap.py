"""Envoy's bootstrap for one tenant's egress."""

from typing import Any

from actions_gateway.api.egress import EgressException
from actions_gateway.api.gateway import ActionsGatewaySpec


def build_bootstrap(spec: ActionsGatewaySpec, exceptions: tuple[EgressException, ...]) -> dict[str, Any]:
    """The bootstrap as JSON-like data; `exceptions` are the platform's."""
    return {"spec": spec.git_hub_url, "exceptions": [str(exception) for exception in exceptions]}
