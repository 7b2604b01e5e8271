"""Readiness and statistics on their own port, and that nothing else of Envoy's administration is within reach."""

import asyncio
from pathlib import Path

import pytest

from actions_gateway.proxy.listeners import READY_PATH, STATS_PATH
from support.aio import run
from support.envoy import Proxy, running_envoy

from .scene import bootstrap, host, proxy_to

EGRESS_SERIES = (
    "downstream_cx_upgrades_active",
    "downstream_cx_upgrades_total",
    "downstream_cx_length_ms_count",
    "downstream_cx_max_duration_reached",
    "downstream_cx_rx_bytes_total",
    "downstream_cx_tx_bytes_total",
    "downstream_rq_idle_timeout",
    "downstream_rq_max_duration_reached",
    "rbac_denied",
    "rbac_allowed",
)
CLUSTER_SERIES = (
    "upstream_cx_connect_fail",
    "upstream_cx_connect_timeout",
    "upstream_cx_none_healthy",
    "upstream_cx_overflow",
    "circuit_breakers_default_cx_open",
)


def test_two_paths_are_answered_and_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_envoy(bootstrap(), tmp_path) as proxy:
            assert await proxy.get(READY_PATH) == (200, "LIVE\n")
            assert (await proxy.get(STATS_PATH))[0] == 200
            for path in (
                "/", "/stats", "/stats/prometheus/", "/stats/prometheus?usedonly", "/ready?x", "/config_dump",
                "/server_info", "/certs", "/listeners", "//ready", "/ready/../quitquitquit", "/%72eady",
                "/quitquitquit",
            ):  # fmt: skip
                assert (await proxy.get(path))[0] == 404, path
            for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
                assert (await proxy.get(READY_PATH, method))[0] == 404, method
            assert proxy.process.returncode is None

    run(scenario())


def test_every_series_that_alerts_and_dashboards_read_is_there_before_the_first_tunnel(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_envoy(bootstrap(), tmp_path) as proxy:
            assert {name: await proxy.egress(name) for name in EGRESS_SERIES} == dict.fromkeys(EGRESS_SERIES, 0)
            assert {name: await proxy.cluster(name) for name in CLUSTER_SERIES} == dict.fromkeys(CLUSTER_SERIES, 0)

    run(scenario())


def test_hosts_share_one_set_of_series(tmp_path: Path) -> None:
    """Else every storage account that a job downloads from would add a hundred."""

    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            before = set(await proxy.stats())
            await proxy.connect(there.authority)
            added = set(await proxy.stats()) - before
            assert not [series for series in added if "DFPCluster" in series]
            assert await proxy.cluster("upstream_cx_active") == 1

    run(scenario())


def test_a_tunnels_lifetime_is_counted_in_buckets_up_to_its_cap(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_envoy(bootstrap(), tmp_path) as proxy:
            found = [series for series in await proxy.stats() if "egress" in series and "cx_length_ms_bucket" in series]
            edges = [series.split('le="')[1][:-2] for series in found if series.startswith("envoy_http_downstream")]
        assert edges == [
            "1000", "10000", "60000", "300000", "900000", "1800000", "3600000", "10800000", "21600000", "+Inf",
        ]  # fmt: skip

    run(scenario())


def test_a_proxy_that_cannot_listen_ends_and_never_calls_itself_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there:
            config = bootstrap()
            address = config["static_resources"]["listeners"][0]["address"]["socket_address"]
            address["port_value"] = there.port
            with pytest.raises(AssertionError, match="Address already in use"):
                async with running_envoy(config, tmp_path):
                    pass

    run(scenario())


def test_a_proxy_that_is_told_to_fail_is_not_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_envoy(bootstrap(), tmp_path) as proxy:
            reader, writer = await asyncio.open_unix_connection(f"\0actions-gateway-{proxy.name}")
            writer.write(b"POST /healthcheck/fail HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"200"
            writer.close()
            assert (await proxy.get(READY_PATH))[0] == 503

    run(scenario())


def listening(proxy: Proxy) -> set[int]:
    """The TCP ports that the process listens on, as /proc has them."""
    inodes = set()
    for entry in Path(f"/proc/{proxy.process.pid}/fd").iterdir():
        try:
            inodes.add(str(entry.readlink()))
        except FileNotFoundError:
            continue
    rows = [line.split() for line in Path(f"/proc/{proxy.process.pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}


@pytest.mark.skipif(not Path("/proc/self/net").is_dir(), reason="reads the process's sockets from Linux's /proc")
def test_only_the_two_ports_are_listened_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_envoy(bootstrap(), tmp_path) as proxy:
            assert listening(proxy) == {proxy.port, proxy.stats_port}

    run(scenario())


def test_envoy_has_nothing_to_warn_of(tmp_path: Path) -> None:
    """Such as a field that its next release drops."""

    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path, accessLog=True) as proxy:
            assert (await proxy.connect(there.authority)).status == 200
            assert (await proxy.connect("169.254.169.254:443")).status == 403
            assert proxy.log_lines() == []

    run(scenario())
