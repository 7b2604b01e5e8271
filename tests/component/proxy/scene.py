"""What the cases of the proxy share: a bootstrap with some of its numbers changed, and hosts on loopback to reach."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.api.egress import PlatformEgress, parse_egress_exceptions
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.proxy.bootstrap import build_bootstrap
from support.envoy import Proxy, Tunnel, running_envoy
from support.names import NameServer, serving_names

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
END = b"the host saw the end"


def gateway(url: str = "https://github.com/acme", **proxy: Any) -> ActionsGatewaySpec:
    fields = {"gitHubAppRef": {"name": "app"}, "gitHubURL": url, "proxy": proxy}
    return ActionsGatewaySpec.model_validate(fields)


def platform(exceptions: str = "", denied: str = "") -> PlatformEgress:
    """What the manager's settings say."""
    return PlatformEgress(parse_egress_exceptions(exceptions), parse_cidrs(denied))


def bootstrap(exceptions: str = "", denied: str = "", **fields: Any) -> dict[str, Any]:
    """The bootstrap of a gateway on github.com; `exceptions` and `denied` as the manager's settings have them."""
    return build_bootstrap(gateway(**fields), platform(exceptions, denied))


def manager(config: dict[str, Any]) -> dict[str, Any]:
    """The connection manager of a bootstrap's egress listener, to be changed in place."""
    found: dict[str, Any] = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    changed: dict[str, Any] = found["typed_config"]
    return changed


def cluster(config: dict[str, Any]) -> dict[str, Any]:
    """The pattern of the clusters of hosts, to be changed in place."""
    found: dict[str, Any] = config["static_resources"]["clusters"][0]
    return found


def resolved_by(names: NameServer, config: dict[str, Any]) -> dict[str, Any]:
    """The bootstrap with a name server of the test's own."""
    address = {"address": "127.0.0.1", "port_value": names.port, "protocol": "UDP"}
    cluster(config)["typed_dns_resolver_config"]["typed_config"]["resolvers"] = [{"socket_address": address}]
    return config


class Host:
    """A server that sends back what it gets, and says so when it has seen the end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.port = 0
        self.visits = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write(END)
        except ConnectionError:
            pass
        finally:
            writer.close()

    @property
    def exception(self) -> str:
        """What lets a proxy reach this host by its address."""
        return f"{self.address}={self.address}/32:{self.port}"

    @property
    def authority(self) -> str:
        return f"{self.address}:{self.port}"


@asynccontextmanager
async def host(
    address: str = "127.0.0.1", port: int = 0, *, answer: Answer | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Host]:
    """A host that echoes, or does what `answer` does."""
    found = Host(address)
    server = await asyncio.start_server(answer or found.answer, address, port, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


@asynccontextmanager
async def proxy_to(found: Host, folder: Path, **settings: Any) -> AsyncIterator[Proxy]:
    """A proxy that may reach `found`."""
    async with running_envoy(bootstrap(found.exception, **settings), folder) as proxy:
        yield proxy


@asynccontextmanager
async def proxy_with_names(
    records: dict[str, list[str]], folder: Path, exceptions: str = "", **settings: Any
) -> AsyncIterator[tuple[Proxy, NameServer]]:
    """A proxy that resolves names by a table of the test's own, and again after a tenth of a second."""
    async with serving_names(records) as names:
        config = resolved_by(names, bootstrap(exceptions, **settings))
        cluster(config)["dns_refresh_rate"] = "0.1s"
        async with running_envoy(config, folder) as proxy:
            yield proxy, names


async def ended(tunnel: Tunnel) -> bytes:
    """What still comes before the tunnel's end."""
    try:
        return await tunnel.reader.read()
    except ConnectionResetError:
        return b""
