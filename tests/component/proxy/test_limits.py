"""What bounds tunnels: time, number and size, each with the figure of the bootstrap and shown with a smaller one."""

import asyncio
from pathlib import Path

import pytest

from support.aio import run
from support.envoy import Tunnel, running_envoy

from .scene import bootstrap, cluster, ended, host, manager, proxy_to

HEALTHY = 200


async def be_busy(tunnel: Tunnel) -> None:
    """Asks again and again; raises what the tunnel ends with."""
    while True:
        await tunnel.ask(b"busy")
        await asyncio.sleep(0.01)


def test_the_hosts_in_use_are_bounded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as one, host() as two:
            config = bootstrap(f"{one.exception},{two.exception}")
            hosts = cluster(config)["cluster_type"]["typed_config"]["sub_clusters_config"]
            assert hosts["max_sub_clusters"] == 1024
            hosts["max_sub_clusters"] = 1
            async with running_envoy(config, tmp_path) as proxy:
                assert (await proxy.connect(one.authority)).status == HEALTHY
                assert (await proxy.connect(two.authority)).status == 503
                assert (await proxy.connect(one.authority)).status == HEALTHY

    run(scenario())


def test_a_silent_tunnel_stays_below_the_cap_on_idleness_and_ends_at_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there:
            config = bootstrap(there.exception)
            assert manager(config)["stream_idle_timeout"] == "300s"
            manager(config)["stream_idle_timeout"] = "6s"
            # The name's cluster is unused long before: that must not take a tunnel with it.
            cluster(config)["cluster_type"]["typed_config"]["sub_clusters_config"]["sub_cluster_ttl"] = "0.1s"
            async with running_envoy(config, tmp_path) as proxy:
                tunnel = await proxy.connect(there.authority)
                for _ in range(4):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(tunnel.reader.read(1), 1.8)
                    assert await tunnel.ask(b"poll") == b"poll"
                assert await ended(tunnel) == b""
                await proxy.reaches("downstream_rq_idle_timeout", 1)

    run(scenario())


def test_a_busy_tunnel_ends_at_the_cap_on_its_lifetime(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there:
            config = bootstrap(there.exception)
            options = manager(config)["common_http_protocol_options"]
            assert (options["max_connection_duration"], options["max_stream_duration"]) == ("21599s", "21600s")
            options |= {"max_connection_duration": "0.4s", "max_stream_duration": "0.8s"}
            async with running_envoy(config, tmp_path) as proxy:
                tunnel = await proxy.connect(there.authority)
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await be_busy(tunnel)
                await proxy.reaches("downstream_rq_max_duration_reached", 1)
                assert await proxy.egress("downstream_cx_max_duration_reached") == 1

    run(scenario())


def test_a_request_that_never_ends_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there:
            config = bootstrap(there.exception)
            assert manager(config)["request_headers_timeout"] == "5s"
            manager(config)["request_headers_timeout"] = "0.2s"
            async with running_envoy(config, tmp_path) as proxy:
                assert (await proxy.send(f"CONNECT {there.authority} HTTP/1.1\r\nHost:")).status == 408
                assert await proxy.egress("downstream_rq_header_timeout") == 1

    run(scenario())


def test_headers_beyond_what_a_connect_needs_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            assert (await proxy.connect(there.authority, f"Padding: {'p' * 9000}")).status == 431
            assert (await proxy.connect(there.authority, *(f"H{number}: 1" for number in range(70)))).status == 431

    run(scenario())


def test_a_host_that_has_as_many_tunnels_as_there_may_be_shows_in_statistics(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there:
            config = bootstrap(there.exception)
            (limits,) = cluster(config)["circuit_breakers"]["thresholds"]
            assert limits["max_connections"] == 600
            limits["max_connections"] = 1
            async with running_envoy(config, tmp_path) as proxy:
                assert await proxy.cluster("circuit_breakers_default_cx_open") == 0
                assert (await proxy.connect(there.authority)).status == HEALTHY
                assert await proxy.cluster("circuit_breakers_default_cx_open") == 1

    run(scenario())


def test_clients_beyond_the_limit_are_turned_away_while_statistics_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there:
            config = bootstrap(there.exception)
            (monitor,) = config["overload_manager"]["resource_monitors"]
            assert monitor["typed_config"]["max_active_downstream_connections"] == 600
            monitor["typed_config"]["max_active_downstream_connections"] = 1
            async with running_envoy(config, tmp_path) as proxy:
                assert (await proxy.connect(there.authority)).status == HEALTHY
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await proxy.connect(there.authority)
                stats = await proxy.stats()
                (count,) = [value for key, value in stats.items() if "downstream_global_cx_overflow" in key and value]
                assert count == 1

    run(scenario())
