"""What the egress proxy costs: throughput through CONNECT against direct, resident memory, and time to readiness.

One Envoy with one worker thread; the host is a process of its own, as is Envoy. A stalled tunnel is one whose client
does not read while its host sends without end: what is held then is the most that a tunnel can hold.
"""

import asyncio
import multiprocessing
import os
import re
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from actions_gateway.api.egress import PlatformEgress, parse_egress_exceptions
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.proxy.bootstrap import build_bootstrap
from gateway_sandbox.envoy import PACKAGE, find_envoy
from support.envoy import Proxy, running_envoy

ROUNDS = 5
TRANSFER_BYTES = 2 * 1024**3
PIECE_BYTES = 1 << 20
TUNNELS = 500
BATCH = 50
_SEND, _HOLD = b"s", b"h"


def measure() -> None:
    """Prints one row per figure."""
    if find_envoy() is None:
        print(f"left out: no Envoy ({PACKAGE}, Linux)")
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    host = context.Process(target=_host, args=(theirs,), daemon=True)
    host.start()
    try:
        asyncio.run(_measure(ours.recv()))
    finally:
        host.terminate()


async def _measure(port: int) -> None:
    started = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        async with _envoy(port):
            started.append(time.perf_counter() - before)
    print(f"{'start to ready':26} median {sorted(started)[ROUNDS // 2]:.2f} s   worst {max(started):.2f} s")
    async with _envoy(port) as proxy:
        bare = _resident_mebibytes(proxy)
        direct, through, used = [], [], _processor_seconds(proxy)
        for _ in range(ROUNDS):
            direct.append(await asyncio.to_thread(_transfer, port, b""))
            through.append(await asyncio.to_thread(_transfer, proxy.port, _connect(port)))
        used = (_processor_seconds(proxy) - used) / (ROUNDS * TRANSFER_BYTES / 1e9)
        rates = sorted(direct)[ROUNDS // 2], sorted(through)[ROUNDS // 2]
        print(f"{'one stream, median':26} direct {rates[0]:.0f} MB/s   through {rates[1]:.0f} MB/s", end="   ")
        print(f"{rates[1] / rates[0]:.2f} of direct   {used:.2f} s of CPU per GB")
    print(f"{'resident, bare':26} {bare:.0f} MiB")
    for name, command in (("idle", _HOLD), ("stalled", _SEND)):
        async with _envoy(port) as proxy:
            await _open_tunnels(proxy, port, command)
            count = await proxy.egress("downstream_cx_upgrades_active")
            print(f"{f'resident, {count:.0f} {name} tunnels':26} {_resident_mebibytes(proxy):.0f} MiB")


@asynccontextmanager
async def _envoy(port: int) -> AsyncIterator[Proxy]:
    fields = {"gitHubAppRef": {"name": "app"}, "gitHubURL": "https://github.com/acme"}
    platform = PlatformEgress(parse_egress_exceptions(f"127.0.0.1=127.0.0.1/32:{port}"))
    bootstrap = build_bootstrap(ActionsGatewaySpec.model_validate(fields), platform)
    with tempfile.TemporaryDirectory() as folder:
        async with running_envoy(bootstrap, Path(folder)) as proxy:
            yield proxy


async def _open_tunnels(proxy: Proxy, port: int, command: bytes) -> None:
    """Opens TUNNELS tunnels; returns when Envoy holds no more than it did a moment ago."""
    for _ in range(TUNNELS // BATCH):
        tunnels = await asyncio.gather(*(proxy.connect(f"127.0.0.1:{port}") for _ in range(BATCH)))
        for tunnel in tunnels:
            tunnel.writer.transport.pause_reading()  # type: ignore[attr-defined]
            tunnel.writer.write(command)
    held, before = _resident_mebibytes(proxy), 0.0
    while held > before + 0.1:
        await asyncio.sleep(1)
        held, before = _resident_mebibytes(proxy), held


def _transfer(port: int, head: bytes) -> float:
    """MB per second of TRANSFER_BYTES, from the connection on; `head` is what a proxy is told first."""
    piece = memoryview(bytearray(PIECE_BYTES))
    before = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        if head:
            connection.sendall(head)
            while not connection.recv(4096).endswith(b"\r\n\r\n"):
                pass
        connection.sendall(_SEND)
        received = 0
        while received < TRANSFER_BYTES:
            received += connection.recv_into(piece)
    return received / (time.perf_counter() - before) / 1e6


def _connect(port: int) -> bytes:
    return f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def _resident_mebibytes(proxy: Proxy) -> float:
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def _processor_seconds(proxy: Proxy) -> float:
    fields = Path(f"/proc/{proxy.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _host(pipe: Connection) -> None:
    """Does with each connection what its first byte says."""
    piece = bytes(PIECE_BYTES)

    async def serve(connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection:
            try:
                if await loop.sock_recv(connection, 1) == _SEND:
                    while True:
                        await loop.sock_sendall(connection, piece)
                await loop.sock_recv(connection, 1)
            except ConnectionError:
                return

    async def run() -> None:
        loop, tasks = asyncio.get_running_loop(), set()
        with socket.create_server(("127.0.0.1", 0), backlog=TUNNELS) as server:
            server.setblocking(False)
            pipe.send(server.getsockname()[1])
            while True:
                connection, _ = await loop.sock_accept(server)
                tasks.add(asyncio.create_task(serve(connection)))

    asyncio.run(run())
