"""What one process uses, says of itself, and how a figure stands beside its reference."""

import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one living process."""

    cpu_seconds: float
    resident_mib: float
    peak_mib: float


def usage_of(pid: int) -> Usage:
    """Raises FileNotFoundError once the process is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {words[0]: int(words[1]) / 1024 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return Usage(cpu_seconds, sizes["VmRSS:"], sizes["VmHWM:"])


async def metric_value(port: int, series: str) -> float | None:
    """The sum of a metric's series over all labels that are not in `series`; None while nothing answers."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
            lines = (await response.text()).splitlines()
    except aiohttp.ClientConnectionError:
        return None
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{series} ", f"{series}{{"))]
    return sum(found) if found else None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def percentile(values: list[float], share: float) -> float:
    """The nearest rank; `share` of 1 is the largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(title: str, ours: str, reference: str = "", target: str = "") -> None:
    """One row: ours, what it is compared with, and what is to be reached."""
    beside = "".join(f"   {name} {text}" for name, text in (("upstream", reference), ("to reach", target)) if text)
    print(f"{title:38} {ours:22}{beside}".rstrip(), flush=True)
