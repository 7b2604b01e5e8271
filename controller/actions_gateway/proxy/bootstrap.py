"""Envoy's bootstrap for one tenant's egress.

Nothing is fetched: no discovery service, no file beside the argument that holds this. Envoy 1.40.
"""

from typing import Any

from actions_gateway.api.egress import PlatformEgress
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import PROXY
from actions_gateway.proxy import administration, egress
from actions_gateway.proxy.listeners import POD_NAME_VARIABLE, extension

_TUNNEL_SECONDS = (1, 10, 60, 300, 900, 1800, 3600, 10800, 21600)


def build_bootstrap(spec: ActionsGatewaySpec, platform: PlatformEgress) -> dict[str, Any]:
    """The bootstrap as JSON-like data."""
    return {
        "node": {"id": f"$({POD_NAME_VARIABLE})", "cluster": PROXY},
        "admin": administration.build_admin(),
        "static_resources": {
            "listeners": [egress.build_listener(spec, platform), administration.build_stats_listener()],
            "clusters": [egress.build_cluster(), administration.build_cluster()],
        },
        "stats_config": {
            "histogram_bucket_settings": [
                {
                    "match": {"suffix": "downstream_cx_length_ms"},
                    "buckets": [seconds * 1000 for seconds in _TUNNEL_SECONDS],
                }
            ]
        },
        "overload_manager": {
            "resource_monitors": [
                extension(
                    "resource_monitors.global_downstream_max_connections",
                    "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=egress.MAX_TUNNELS,
                )
            ]
        },
    }
