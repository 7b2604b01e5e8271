"""Tunnels through a real Envoy: how they open, what they carry, what ends them, and how many there may be."""

import asyncio
import json
import signal
import ssl
from pathlib import Path

import pytest

from gateway_sandbox.certificates import SandboxCertificates
from support.aio import run
from support.envoy import Tunnel, running_envoy
from support.names import serving_names

from .scene import bootstrap, cluster, host, manager, proxy_to, proxy_with_names, resolved_by

HEALTHY = 200


async def ended(tunnel: Tunnel) -> bytes:
    """What still comes before the tunnel's end."""
    try:
        return await tunnel.reader.read()
    except ConnectionResetError:
        return b""


async def be_busy(tunnel: Tunnel) -> None:
    """Asks again and again; raises what the tunnel ends with."""
    while True:
        await tunnel.ask(b"busy")
        await asyncio.sleep(0.01)


def test_a_tunnel_carries_bytes_both_ways_and_is_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.connect(there.authority)
            assert tunnel.status == HEALTHY
            assert await tunnel.ask(b"a" * 300_000) == b"a" * 300_000
            assert await proxy.egress("downstream_cx_upgrades_active") == 1
            assert await proxy.egress("downstream_cx_upgrades_total") == 1
            assert await proxy.egress("downstream_cx_rx_bytes_total") > 300_000
            assert await proxy.egress("rbac_denied") == 0

    run(scenario())


@pytest.mark.parametrize("headers", ["", "Host: elsewhere\r\n"], ids=["without a host header", "with one"])
def test_clients_that_speak_the_older_http_get_their_tunnels(tmp_path: Path, headers: str) -> None:
    """As Python's http.client before 3.12 does, and with it whatever of that age runs inside a job."""

    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.send(f"CONNECT {there.authority} HTTP/1.0\r\n{headers}\r\n")
            assert tunnel.status == HEALTHY
            assert await tunnel.ask(b"old") == b"old"
            assert (await proxy.send(f"CONNECT 127.0.0.1:22 HTTP/1.0\r\nHost: {there.authority}\r\n\r\n")).status == 403

    run(scenario())


def test_tls_goes_through_unopened(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = SandboxCertificates.create(tmp_path / "tls")
        async with host(tls=authority.server_context()) as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.connect(there.authority)
            trust = ssl.create_default_context(cafile=str(authority.ca_path))
            await tunnel.writer.start_tls(trust, server_hostname="127.0.0.1")
            assert await tunnel.ask(b"inside") == b"inside"
            tunnel.writer.close()

    run(scenario())


def test_when_the_client_closes_its_half_the_host_sees_the_end_and_the_tunnel_is_over(tmp_path: Path) -> None:
    """Envoy does not carry a half-closed state over HTTP/1.1: what the host says afterwards is not delivered."""

    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.connect(there.authority)
            assert await tunnel.ask(b"last words") == b"last words"
            tunnel.writer.write_eof()
            assert await ended(tunnel) == b""
            await proxy.reaches("downstream_cx_upgrades_active", 0)

    run(scenario())


def test_all_that_the_client_sent_arrives_before_its_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        received: asyncio.Queue[int] = asyncio.Queue()

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.put_nowait(len(await reader.read()))
            writer.close()

        async with host(answer=count) as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.connect(there.authority)
            tunnel.writer.write(b"z" * 1_000_000)
            tunnel.writer.close()
            assert await received.get() == 1_000_000

    run(scenario())


def test_all_that_the_host_sent_arrives_before_its_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"z" * 1_000_000)
            writer.close()

        async with host(answer=pour) as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.connect(there.authority)
            assert len(await ended(tunnel)) == 1_000_000

    run(scenario())


def test_a_host_that_refuses_connections_is_a_503_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there:
            pass
        async with proxy_to(there, tmp_path) as proxy:
            assert (await proxy.connect(there.authority)).status == 503
            assert await proxy.cluster("upstream_cx_connect_fail") == 1

    run(scenario())


def test_a_name_that_does_not_exist_is_a_503_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with proxy_with_names({}, tmp_path) as (proxy, _):
            assert (await proxy.connect("nowhere.github.com:443")).status == 503
            assert await proxy.cluster("upstream_cx_none_healthy") == 1
            assert await proxy.egress("rbac_denied") == 0

    run(scenario())


def test_a_name_server_that_does_not_answer_is_a_503_in_bounded_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving_names({}) as names:
            names.is_silent = True
            config = resolved_by(names, bootstrap())
            resolution = manager(config)["http_filters"][1]["typed_config"]["sub_cluster_config"]
            assert resolution["cluster_init_timeout"] == "5s"
            resolution["cluster_init_timeout"] = "0.2s"
            async with running_envoy(config, tmp_path) as proxy:
                assert (await proxy.connect("github.com:443")).status == 503
                assert names.asked[0] == "github.com"

    run(scenario())


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
            manager(config)["stream_idle_timeout"] = "1s"
            # The name's cluster is unused long before: that must not take a tunnel with it.
            cluster(config)["cluster_type"]["typed_config"]["sub_clusters_config"]["sub_cluster_ttl"] = "0.1s"
            async with running_envoy(config, tmp_path) as proxy:
                tunnel = await proxy.connect(there.authority)
                for _ in range(4):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(tunnel.reader.read(1), 0.3)
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


def test_what_is_told_to_the_proxy_reaches_neither_the_host_nor_a_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        received: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.append(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            config = bootstrap(f"127.0.0.1=127.0.0.1/32:{port}", accessLog=True)
            async with running_envoy(config, tmp_path) as proxy:
                tunnel = await proxy.connect(
                    f"127.0.0.1:{port}", "Proxy-Authorization: Basic cGxhbnRlZA==", "X-A: planted"
                )
                tunnel.writer.write(b"hello")
                assert await ended(tunnel) == b""
                refused = await proxy.connect("elsewhere.example:443", "Proxy-Authorization: Basic cGxhbnRlZA==")
                assert refused.status == 403
                lines = await proxy.access_lines(2)
        assert received == [b"hello"]
        written = json.dumps(lines) + "".join(proxy.log_lines())
        assert "planted" not in written
        assert "cGxhbnRlZA" not in written

    run(scenario())


def test_the_access_log_has_one_line_per_tunnel_and_refusal_when_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path, accessLog=True) as proxy:
            tunnel = await proxy.connect(there.authority)
            await tunnel.ask(b"12345")
            tunnel.writer.close()
            (await proxy.connect("169.254.169.254:443")).writer.close()
            opened, refused = sorted(await proxy.access_lines(2), key=lambda line: int(line["code"]))
        assert set(opened) == {
            "start", "duration_ms", "method", "authority", "upstream", "code", "flags", "details",
            "received_bytes", "sent_bytes", "peer",
        }  # fmt: skip
        assert opened["authority"] == opened["upstream"] == there.authority
        assert (opened["code"], opened["received_bytes"], opened["sent_bytes"]) == (200, 5, 5)
        assert opened["peer"].startswith("127.0.0.1:")
        assert (refused["authority"], refused["code"], refused["upstream"]) == ("169.254.169.254:443", 403, None)

    run(scenario())


def test_there_is_no_access_log_unless_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            (await proxy.connect(there.authority)).writer.close()
            await proxy.reaches("downstream_cx_upgrades_active", 0)
            await proxy.reaches("downstream_cx_destroy", 1)
        assert (tmp_path / "stdout").read_text() == ""

    run(scenario())


def test_sigterm_ends_envoy_and_its_tunnels_at_once(tmp_path: Path) -> None:
    """So a pod's preStop hook is what lets tunnels go on."""

    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.connect(there.authority)
            proxy.process.send_signal(signal.SIGTERM)
            assert await proxy.process.wait() == 0
            assert await ended(tunnel) == b""

    run(scenario())
