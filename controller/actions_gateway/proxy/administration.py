"""Readiness and statistics on a port of their own: two paths of Envoy's administration, and nothing else of it."""

from typing import Any

from actions_gateway.proxy.listeners import (
    ADMIN_PIPE,
    READY_PATH,
    STATS_PATH,
    STATS_PORT_VARIABLE,
    extension,
    socket_address,
)

_ADMINISTRATION = "administration"
_ADDRESS = {"pipe": {"path": ADMIN_PIPE}}


def build_admin() -> dict[str, Any]:
    """Envoy's administration, which is never reached over TCP."""
    return {"address": _ADDRESS}


def build_stats_listener() -> dict[str, Any]:
    """Exactly `GET /ready` and `GET /stats/prometheus`; `:path` holds the query, so none is let through.

    With `?usedonly` Envoy leaves out every series that was not touched, and with them the zeros that alerts need.
    """
    routes = [
        {
            "match": {
                "path": path,
                "headers": [
                    {"name": ":path", "string_match": {"exact": path}},
                    {"name": ":method", "string_match": {"exact": "GET"}},
                ],
            },
            "route": {"cluster": _ADMINISTRATION},
        }
        for path in (READY_PATH, STATS_PATH)
    ]
    manager = extension(
        "filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="stats",
        codec_type="HTTP1",
        http_filters=[extension("filters.http.router", "extensions.filters.http.router.v3.Router")],
        route_config={"name": "stats", "virtual_hosts": [{"name": "stats", "domains": ["*"], "routes": routes}]},
        request_headers_timeout="5s",
        max_request_headers_kb=8,
    )
    return {
        "name": "stats",
        "address": socket_address(STATS_PORT_VARIABLE),
        "ignore_global_conn_limit": True,
        "filter_chains": [{"filters": [manager]}],
    }


def build_cluster() -> dict[str, Any]:
    """The way to the administration's socket."""
    return {
        "name": _ADMINISTRATION,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _ADMINISTRATION,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _ADDRESS}}]}],
        },
    }
