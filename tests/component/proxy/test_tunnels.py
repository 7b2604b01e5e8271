"""Tunnels through a real Envoy: how they open, what they carry, and what a client sees when they do not."""

import asyncio
import signal
import ssl
from pathlib import Path

import pytest

from gateway_sandbox.certificates import SandboxCertificates
from support.aio import run
from support.envoy import running_envoy
from support.names import serving_names

from .scene import bootstrap, ended, host, manager, proxy_to, proxy_with_names, resolved_by

HEALTHY = 200


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
            assert await proxy.cluster("upstream_cx_connect_fail") == 2, "each of two tries"

    run(scenario())


def test_a_host_that_answers_at_one_of_its_addresses_is_reached(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host("127.0.0.3") as there:
            records = {"two.example": ["127.0.0.2", "127.0.0.3"]}
            exception = f"two.example=127.0.0.2/31:{there.port}"
            async with proxy_with_names(records, tmp_path, exception) as (proxy, _):
                for _ in range(20):
                    tunnel = await proxy.connect(f"two.example:{there.port}")
                    assert await tunnel.ask(b"reached") == b"reached"
                assert await proxy.cluster("upstream_cx_connect_fail") > 0

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


def test_sigterm_ends_envoy_and_its_tunnels_at_once(tmp_path: Path) -> None:
    """So a pod's preStop hook is what lets tunnels go on."""

    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            tunnel = await proxy.connect(there.authority)
            proxy.process.send_signal(signal.SIGTERM)
            assert await proxy.process.wait() == 0
            assert await ended(tunnel) == b""

    run(scenario())
