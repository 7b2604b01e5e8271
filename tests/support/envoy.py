"""A real Envoy for one test, on ports that the kernel chooses, asked by its own administration and statistics."""

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions_gateway.proxy.listeners import (
    BIND_ADDRESS_VARIABLE,
    POD_NAME_VARIABLE,
    PROXY_PORT_VARIABLE,
    READY_PATH,
    STATS_PATH,
    STATS_PORT_VARIABLE,
)
from actions_gateway.proxy.rendering import render
from support.components import require_envoy

_names = (f"test-{os.getpid()}-{number}" for number in itertools.count())


def expanded(bootstrap: dict[str, Any], name: str) -> str:
    """The bootstrap as an argument, with its variables expanded as Kubernetes does it; the kernel chooses the ports."""
    text = render(bootstrap)
    values = {BIND_ADDRESS_VARIABLE: "127.0.0.1", PROXY_PORT_VARIABLE: "0", STATS_PORT_VARIABLE: "0"}
    for variable, value in {**values, POD_NAME_VARIABLE: name}.items():
        text = text.replace(f"$({variable})", value)
    return text


@dataclass
class Tunnel:
    """What a CONNECT led to."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, data: bytes) -> bytes:
        """As many bytes back as `data` has."""
        self.writer.write(data)
        return await self.reader.readexactly(len(data))


async def open_tunnel(address: str, port: int, authority: str) -> Tunnel:
    """The answer to CONNECT of a proxy that somebody else runs."""
    return await _send(address, port, _connect_request(authority))


def _connect_request(authority: str, *headers: str) -> str:
    return "\r\n".join([f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *headers, "", ""])


async def _send(address: str, port: int, request: str) -> Tunnel:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(request.encode())
        status, headers = await _head(reader)
    except Exception:
        writer.close()
        raise
    return Tunnel(status, headers, reader, writer)


@dataclass
class Proxy:
    """A running Envoy."""

    process: asyncio.subprocess.Process
    name: str
    folder: Path
    port: int = 0
    stats_port: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def send(self, request: str) -> Tunnel:
        """Writes a request to the proxy's port and reads the head of the answer."""
        tunnel = await _send("127.0.0.1", self.port, request)
        self._writers.append(tunnel.writer)
        return tunnel

    async def connect(self, authority: str, *headers: str) -> Tunnel:
        """The answer to CONNECT."""
        return await self.send(_connect_request(authority, *headers))

    async def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and body from the statistics' port."""
        return await _request(*await asyncio.open_connection("127.0.0.1", self.stats_port), path, method)

    async def stats(self) -> dict[str, float]:
        """Each series' value; its label of connection manager, cluster or none as `name{value}`, buckets left out."""
        _, body = await self.get(STATS_PATH)
        lines = [line.rpartition(" ") for line in body.splitlines() if line and not line.startswith("#")]
        return {series: float(value) for series, _, value in lines}

    async def egress(self, name: str) -> float:
        """The value of one series of the connection manager."""
        return (await self.stats())[f'envoy_http_{name}{{envoy_http_conn_manager_prefix="egress"}}']

    async def cluster(self, name: str) -> float:
        """The value of one series of the clusters of hosts."""
        return (await self.stats())[f'envoy_cluster_{name}{{envoy_cluster_name="egress"}}']

    async def reaches(self, name: str, value: float) -> None:
        """Returns when the connection manager's series has come to `value`."""
        while await self.egress(name) != value:  # noqa: ASYNC110 - Envoy sends no event
            await asyncio.sleep(0.02)

    def log_lines(self) -> list[str]:
        """What Envoy itself said, from warnings on."""
        return (self.folder / "stderr").read_text().splitlines()

    async def access_lines(self, count: int) -> list[dict[str, Any]]:
        """The access log, once it has `count` lines."""
        path = self.folder / "stdout"
        while len(lines := path.read_text().splitlines()) < count:  # noqa: ASYNC110 - Envoy sends no event
            await asyncio.sleep(0.02)
        return [json.loads(line) for line in lines]

    async def administration(self, path: str) -> str:
        """The body of a path of the administration, over its own socket."""
        connection = await asyncio.open_unix_connection(f"\0actions-gateway-{self.name}")
        return (await _request(*connection, path, "GET"))[1]

    async def find_ports(self) -> None:
        """Returns when both listeners are there and Envoy calls itself ready."""
        while not (self.port and self.stats_port):
            assert self.process.returncode is None, self.log_lines()
            try:
                listeners = json.loads(await self.administration("/listeners?format=json"))["listener_statuses"]
            except (ConnectionError, FileNotFoundError):
                listeners = []
            ports = {found["name"]: found["local_address"]["socket_address"]["port_value"] for found in listeners}
            self.port, self.stats_port = ports.get("egress", 0), ports.get("stats", 0)
            await asyncio.sleep(0.02)
        while (await self.get(READY_PATH))[0] != 200:  # noqa: ASYNC110 - Envoy sends no event
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Ends Envoy and what is connected to it."""
        for writer in self._writers:
            writer.transport.abort()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def running_envoy(bootstrap: dict[str, Any], folder: Path) -> AsyncIterator[Proxy]:
    """An Envoy with this bootstrap that takes connections; `folder` gets its output."""
    name = next(_names)
    arguments = ["--config-yaml", expanded(bootstrap, name), "--disable-hot-restart", "--concurrency", "1"]
    arguments += ["--log-level", "warning", "--file-flush-interval-msec", "20"]
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(require_envoy(), *arguments, stdout=stdout, stderr=stderr)
    proxy = Proxy(process, name, folder)
    try:
        await proxy.find_ports()
        yield proxy
    finally:
        await proxy.stop()


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, method: str
) -> tuple[int, str]:
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n".encode())
    try:
        status, headers = await _head(reader)
        if method == "HEAD":
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = await _chunks(reader)
        else:
            body = await reader.readexactly(int(headers["content-length"]))
    finally:
        writer.close()
    return status, body.decode()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *lines = head.strip().split("\r\n")
    return int(status.split()[1]), {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while length := int(await reader.readline(), 16):
        body += (await reader.readexactly(length + 2))[:-2]
    return body
