"""A name server for one test: UDP on loopback, answers A and AAAA questions from a table (RFC 1035)."""

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

_TYPES = {4: 1, 6: 28}
_NO_SUCH_NAME = 3


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """Answers from `records`, which may change at any time; other names do not exist."""

    records: dict[str, list[str]]
    ttl_seconds: dict[str, int] = field(default_factory=dict)
    """Of a name's answers; 0 where nothing else is said."""
    is_silent: bool = False
    port: int = 0
    asked: list[str] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, end = [], 12
        while length := data[end]:
            labels.append(data[end + 1 : end + 1 + length].decode())
            end += 1 + length
        (kind,) = struct.unpack("!H", data[end + 1 : end + 3])
        name = ".".join(labels).lower()
        self.asked.append(name)
        if self.is_silent:
            return
        addresses = [ipaddress.ip_address(text) for text in self.records.get(name, ())]
        answers = [address.packed for address in addresses if _TYPES[address.version] == kind]
        body = b"".join(
            struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl_seconds.get(name, 0), len(packed)) + packed
            for packed in answers
        )
        flags = 0x8180 | (0 if name in self.records else _NO_SUCH_NAME)
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(answers), 0, 0)
        assert self._transport is not None
        self._transport.sendto(head + data[12 : end + 5] + body, addr)

    async def is_asked_again(self, name: str) -> None:
        """Returns at the next question for `name`."""
        before = self.asked.count(name)
        while self.asked.count(name) == before:  # noqa: ASYNC110 - one line, no event of its own
            await asyncio.sleep(0.02)


@asynccontextmanager
async def serving_names(records: dict[str, list[str]]) -> AsyncIterator[NameServer]:
    """A name server on a free port of 127.0.0.1."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(records), ("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
