"""Ports of pods: each declared container port gets a free one on loopback, since all pods share one network."""

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ANNOTATION = "sandbox.actions-gateway.github.com/ports"
"""On a running pod: JSON of port name (or number) to the port it really listens on."""

# Below the range from which Linux takes ports for outgoing connections (net.ipv4.ip_local_port_range, 32768 and up),
# so that none of those slips in between the check and the pod's own bind.
_FIRST, _LAST = 12000, 32000


@dataclass(frozen=True, slots=True)
class PodPorts:
    """The ports of one pod: `numbers` maps declared to real ones, `names` maps port names to real ones."""

    numbers: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[str, int] = field(default_factory=dict)

    def published(self) -> dict[str, int]:
        """What the annotation says: by name, or by declared number where there is no name."""
        named = set(self.names.values())
        return dict(self.names) | {str(port): real for port, real in self.numbers.items() if real not in named}

    def real(self, port: int | str) -> int:
        """The real port of a probe's port, given by name or number; a port that is not declared is taken as it is.

        Raises KeyError for a name that no container declares.
        """
        if isinstance(port, str) and not port.isdigit():
            return self.names[port]
        return self.numbers.get(int(port), int(port))

    def rewrite_value(self, variable: str, value: str) -> str:
        """The value of an environment variable: one named `…_PORT` that holds a declared port follows it."""
        if variable.endswith("_PORT") and value.isdigit():
            return str(self.numbers.get(int(value), value))
        return value


class PortAllocator:
    """Free ports of one host, each given out once until it is returned."""

    def __init__(self, host: str, rng: random.Random) -> None:
        self._host = host
        self._next = rng.randrange(_FIRST, _LAST)
        self._taken: set[int] = set()

    def allocate(self, pod: dict[str, Any]) -> PodPorts:
        """A real port for every port that the pod's containers declare; raises OSError when none is free."""
        numbers: dict[int, int] = {}
        names: dict[str, int] = {}
        for declared in declared_ports(pod):
            number = int(declared["containerPort"])
            if number not in numbers:
                numbers[number] = self.take()
            if name := declared.get("name"):
                names[str(name)] = numbers[number]
        return PodPorts(numbers, names)

    def release(self, ports: PodPorts) -> None:
        """Returns a pod's ports."""
        self._taken.difference_update(ports.numbers.values())

    def take(self) -> int:
        """One free port; raises OSError when none is."""
        for _ in range(_LAST - _FIRST):
            port, self._next = self._next, self._next + 1 if self._next + 1 < _LAST else _FIRST
            if port not in self._taken and self._can_bind(port):
                self._taken.add(port)
                return port
        raise OSError("no free port is left for pods")

    def _can_bind(self, port: int) -> bool:
        with socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, port))
            except OSError:
                return False
        return True


def declared_ports(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """All `ports` entries of the pod's containers, init containers included."""
    spec = pod["spec"]
    containers = (spec.get("initContainers") or []) + spec["containers"]
    return [port for container in containers for port in container.get("ports") or []]
