"""A small CONNECT proxy that misbehaves on demand; the real Envoy's own tests show how that one answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ConnectProxy:
    """One listener on loopback; `connect_proxy` makes it."""

    def __init__(self) -> None:
        self.tunnels: list[str] = []
        """Where each tunnel that was asked for leads, as `host:port`."""
        self.refusal: int | None = None
        """The status of every answer to CONNECT while it is set; 0 answers nothing at all."""
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """For GITHUB_PROXY; the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def open_tunnels(self) -> int:
        """Clients that are connected."""
        return len(self._open)

    async def start(self) -> None:
        """Listens, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Goes away with every tunnel, as a killed pod does."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Resets every tunnel."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._tunnel(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        assert method == "CONNECT", "GitHub is asked through tunnels only"
        self.tunnels.append(target)
        if self.refusal is not None:
            if self.refusal == 0:
                await reader.read()
            writer.write(f"HTTP/1.1 {self.refusal} Refused\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        host, _, port = target.rpartition(":")
        upstream_reader, upstream_writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.wait(
                {
                    asyncio.ensure_future(_copy(reader, upstream_writer)),
                    asyncio.ensure_future(_copy(upstream_reader, writer)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            upstream_writer.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[ConnectProxy]:
    """A running proxy."""
    proxy = ConnectProxy()
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
