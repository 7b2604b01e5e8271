"""Names of Services as the processes of pods can use them: a relay on loopback in place of cluster DNS and kube-proxy.

What a pod spec says with a Service's name and port in it (`web.team-a.svc.cluster.local:80`) names a relay's address
instead. The relay of a name and port is there from the first mention until the node ends, whether or not the Service
exists: as with a cluster's DNS name, who is behind it is decided anew for each connection.

Source: Kubernetes "DNS for Services and Pods" (names), "Virtual IPs and Service Proxies" (a connection goes to one
ready pod that is not terminating, and is refused when there is none).
"""

import asyncio
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from gateway_sandbox.nodes.ports import PodPorts

_NAME = re.compile(
    r"(?<![\w.-])(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(?:\.cluster\.local)?:(?P<port>[0-9]{1,5})(?!\d)"
)
_CHUNK_BYTES = 65536
_BACKLOG = 1024

ServicePort = tuple[str, str, int]
"""(namespace, name, port)."""


class Pod(Protocol):
    """What a Service needs to know of a pod."""

    @property
    def key(self) -> tuple[str, str]: ...

    @property
    def labels(self) -> dict[str, str]: ...

    @property
    def ports(self) -> PodPorts: ...

    @property
    def is_in_service(self) -> bool:
        """Ready, and not about to end."""


class Services:
    """The relays of one node; `find_pods` gives its pods."""

    def __init__(self, host: str, find_pods: Callable[[], Iterable[Pod]]) -> None:
        self._host = host
        self._find_pods = find_pods
        self._specs: dict[tuple[str, str], dict[str, Any]] = {}
        self._relays: dict[ServicePort, socket.socket] = {}
        self._new: asyncio.Queue[ServicePort] = asyncio.Queue()
        self._turns: dict[ServicePort, int] = {}

    def observe(self, service: dict[str, Any], *, is_deleted: bool) -> None:
        """Takes a Service as the API server has it."""
        key = service["metadata"]["namespace"], service["metadata"]["name"]
        if is_deleted:
            self._specs.pop(key, None)
        else:
            self._specs[key] = service["spec"]

    def rewrite(self, text: str) -> str:
        """`text` with each Service's name and port replaced by the address of its relay; raises OSError."""
        return _NAME.sub(lambda match: self._relay((match["namespace"], match["name"], int(match["port"]))), text)

    async def run(self) -> None:
        """Serves the relays until cancelled; their connections end with it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    target = await self._new.get()
                    tasks.create_task(self._serve(target, tasks), name=f"relay {target}")
        finally:
            for listener in self._relays.values():
                listener.close()

    def _relay(self, target: ServicePort) -> str:
        """The address of the relay, which accepts connections at once and serves them as soon as `run` does."""
        if target not in self._relays:
            self._relays[target] = socket.create_server((self._host, 0), backlog=_BACKLOG)
            self._new.put_nowait(target)
        return f"{self._host}:{self._relays[target].getsockname()[1]}"

    async def _serve(self, target: ServicePort, tasks: asyncio.TaskGroup) -> None:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.create_task(self._forward(target, reader, writer), name=f"connection to {target}")

        async with await asyncio.start_server(accept, sock=self._relays[target]) as server:
            await server.serve_forever()

    async def _forward(self, target: ServicePort, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            pod_reader, pod_writer = await asyncio.open_connection(self._host, self._pick(target))
            ends.append(pod_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, pod_writer))
                both.create_task(_pump(pod_reader, writer))
        except* OSError:
            for end in ends:
                end.transport.abort()
        finally:
            for end in ends:
                end.close()

    def _pick(self, target: ServicePort) -> int:
        """The real port of the ready pod whose turn it is; raises OSError when there is none."""
        namespace, name, port = target
        spec = self._specs.get((namespace, name)) or {}
        wanted = next(
            (entry.get("targetPort", port) for entry in spec.get("ports") or [] if entry["port"] == port), None
        )
        selector = (spec.get("selector") or {}).items()
        if wanted is None or not selector:
            raise ConnectionRefusedError(f"{target} is no port of a Service with pods")
        chosen = (pod for pod in self._find_pods() if pod.key[0] == namespace and selector <= pod.labels.items())
        ready = [real for pod in chosen if pod.is_in_service and (real := _port_of(pod, wanted))]
        if not ready:
            raise ConnectionRefusedError(f"no pod of {target} is ready")
        turn = self._turns[target] = self._turns.get(target, -1) + 1
        return ready[turn % len(ready)]


def _port_of(pod: Pod, wanted: int | str) -> int | None:
    try:
        return pod.ports.real(wanted)
    except KeyError:
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on what comes, then its end: the other direction may go on."""
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
