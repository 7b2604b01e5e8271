"""The listener that takes CONNECT, and the way from a name to one checked address.

Every host and port gets a cluster of its own while it is used (`sub_clusters_config`), in which each address that the
name resolves to is an endpoint. A tunnel is offered one endpoint: the filter of addresses judges it when it is
selected, before a connection is made, and so it judges the other one that is tried when that fails. A forward proxy
without these would connect to the next address of the name (happy eyeballs), or to that of a later resolution,
unchecked.

A tunnel ends as a whole: when either side closes its half, Envoy delivers what it holds and closes both. On SIGTERM
Envoy ends at once with all its tunnels; what lets them go on is the pod's preStop hook, not a setting here.
"""

from typing import Any

from actions_gateway.api.egress import PlatformEgress
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.proxy.listeners import PROXY_PORT_VARIABLE, extension, socket_address
from actions_gateway.proxy.rules import address_filter, name_filter

EGRESS = "egress"
"""What the listener and its connection manager are called in statistics, and the clusters of all hosts together."""

MAX_TUNNELS = 600
"""Above the 500 of the saturation alert, so that it can be crossed and seen. This is the limit of clients' connections
and of those to any one host: a tunnel too many is turned away at once, and never waits for another one's end."""
BUFFER_BYTES = 65536
"""Per connection and direction; TCP's own flow control holds back what is beyond it."""
HEADERS_TIMEOUT = "5s"
CONNECT_TIMEOUT = "10s"
UNUSED_TIMEOUT = "60s"
"""Of a client's connection that holds no tunnel."""
CLOSE_DELAY = "0.1s"
"""Between the host's last byte and the end that a client sees, so that what the client still sends is not answered with
a reset that takes that byte away; Envoy's default is a second."""
IDLE_TIMEOUT = "300s"
"""Of a tunnel without a byte in either direction; counted as `downstream_rq_idle_timeout`."""
LIFETIME = "21600s"
"""Of a tunnel, however busy; counted as `downstream_rq_max_duration_reached`."""
LIFETIME_COUNTED = "21599s"
"""Of a client's connection. With HTTP/1.1 this ends no tunnel, but it counts the connection as
`downstream_cx_max_duration_reached`, the series that the alert reads."""


def build_listener(spec: ActionsGatewaySpec, platform: PlatformEgress) -> dict[str, Any]:
    """CONNECT over HTTP/1.1 and 1.0 on the proxy's port."""
    manager = extension(
        "filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=EGRESS,
        codec_type="HTTP1",
        http_filters=_http_filters(spec, platform),
        route_config={"name": EGRESS, "virtual_hosts": [{"name": EGRESS, "domains": ["*"], "routes": [_ROUTE]}]},
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        request_headers_timeout=HEADERS_TIMEOUT,
        stream_idle_timeout=IDLE_TIMEOUT,
        delayed_close_timeout=CLOSE_DELAY,
        max_request_headers_kb=8,
        # Older clients open their tunnels so: Python's http.client does before 3.12.
        http_protocol_options={"accept_http_10": True},
        common_http_protocol_options={
            "idle_timeout": UNUSED_TIMEOUT,
            "max_connection_duration": LIFETIME_COUNTED,
            "max_stream_duration": LIFETIME,
            "max_headers_count": 64,
        },
        generate_request_id=False,
        **_access_log(spec),
    )
    return {
        "name": EGRESS,
        "address": socket_address(PROXY_PORT_VARIABLE),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [{"filters": [manager]}],
    }


def build_cluster() -> dict[str, Any]:
    """The pattern of the clusters of hosts, which share its name in statistics."""
    return {
        "name": EGRESS,
        "alt_stat_name": EGRESS,
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": CONNECT_TIMEOUT,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "dns_lookup_family": "V4_PREFERRED",
        "typed_dns_resolver_config": extension(
            "network.dns_resolver.cares",
            "extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            # Names here are complete: a search domain of the cluster must not answer for them.
            dns_resolver_options={"no_default_search_domain": True},
            # Clusters of hosts ask every five seconds; an answer is kept as long as its TTL says, at most this long.
            qcache_max_ttl=60,
        ),
        "circuit_breakers": {"thresholds": [{"max_connections": MAX_TUNNELS, "max_pending_requests": MAX_TUNNELS}]},
        "cluster_type": extension(
            "clusters.dynamic_forward_proxy",
            "extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
            sub_clusters_config={"lb_policy": "ROUND_ROBIN", "max_sub_clusters": 1024, "sub_cluster_ttl": "60s"},
            # Names of certificates are for the client to check: what is tunnelled is its own TLS.
            allow_insecure_cluster_options=True,
        ),
    }


_ROUTE = {
    "match": {"connect_matcher": {}},
    "route": {
        "cluster": EGRESS,
        "timeout": "0s",
        # Another address of the name once, which is judged like the first.
        "retry_policy": {
            "retry_on": "connect-failure",
            "num_retries": 1,
            "host_selection_retry_max_attempts": 3,
            "retry_host_predicate": [
                extension(
                    "retry_host_predicates.previous_hosts",
                    "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                )
            ],
        },
        "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
    },
}


def _http_filters(spec: ActionsGatewaySpec, platform: PlatformEgress) -> list[dict[str, Any]]:
    resolve = extension(
        "filters.http.dynamic_forward_proxy",
        "extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
        sub_cluster_config={"cluster_init_timeout": "5s"},
    )
    codec = extension("filters.http.upstream_codec", "extensions.filters.http.upstream_codec.v3.UpstreamCodec")
    router = extension(
        "filters.http.router",
        "extensions.filters.http.router.v3.Router",
        suppress_envoy_headers=True,
        upstream_http_filters=[address_filter(platform), codec],
    )
    return [name_filter(spec, platform.exceptions), resolve, router]


def _access_log(spec: ActionsGatewaySpec) -> dict[str, Any]:
    if not spec.proxy.access_log:
        return {}
    line = {
        "start": "%START_TIME%",
        "duration_ms": "%DURATION%",
        "method": "%REQ(:METHOD)%",
        "authority": "%REQ(:AUTHORITY)%",
        "upstream": "%UPSTREAM_HOST%",
        "code": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "received_bytes": "%BYTES_RECEIVED%",
        "sent_bytes": "%BYTES_SENT%",
        "peer": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    }
    log = extension(
        "access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": line},
    )
    return {"access_log": [log]}
