"""The sockets of one client: kept alive so that a dead peer is noticed, and waited for when the client closes.

aiohttp forgets a connection that it closes in the middle of an exchange, and TLS takes one more turn to say goodbye; a
process or loop that ends before that leaves the peer with a reset and the loop with an open socket.
"""

import asyncio
import socket
from typing import Any
from weakref import WeakSet

_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that is gone without a word is noticed after a minute, as by Kubernetes' own clients; seconds, a count."""
_LOOK_SECONDS = 0.002


class Sockets:
    """Makes sockets and knows which of them are open."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def make(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket for one entry of `getaddrinfo`."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if (option := getattr(socket, name, None)) is not None:
                made.setsockopt(socket.IPPROTO_TCP, option, value)
        self._made.add(made)
        return made

    async def until_closed(self, timeout_seconds: float) -> None:
        """Returns when all are closed, or after so long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while True:
            # Nobody tells when a transport has closed its socket.
            if loop.time() >= deadline or all(made.fileno() < 0 for made in list(self._made)):
                return
            await asyncio.sleep(_LOOK_SECONDS)
