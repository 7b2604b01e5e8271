"""CPU time and memory of process trees, read from /proc.

A container is the session that its main process leads, and what descends from that session: a daemon that left the
session still counts while its parent lives. Source: proc(5), /proc/PID/stat. Where there is no /proc, nothing is known.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcessFact:
    """One process."""

    pid: int
    parent: int
    session: int
    cpu_seconds: float
    """Its own and that of the children that it has waited for, so that a tree's sum does not fall when one ends."""
    memory_bytes: int
    """Resident memory; pages shared by several processes count for each."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used and holds."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0


Processes = Mapping[int, ProcessFact]
"""By process id."""


def read_processes(root: Path = Path("/proc")) -> Processes:
    """Every process of this machine; one that ends during the look is left out."""
    found = {}
    for entry in root.glob("[0-9]*/stat"):
        try:
            fact = parse_stat(entry.read_text())
        except OSError:
            continue
        found[fact.pid] = fact
    return found


def parse_stat(text: str) -> ProcessFact:
    """The facts of one /proc/PID/stat; the command's name in it may hold blanks and brackets."""
    head, _, tail = text.rpartition(")")
    # Counted from the third field on, the process's state.
    fields = tail.split()
    ticks = sum(int(field) for field in fields[11:15])
    return ProcessFact(
        pid=int(head.partition(" ")[0]),
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_seconds=ticks / _TICKS_PER_SECOND,
        memory_bytes=int(fields[21]) * _PAGE_BYTES,
    )


def usage_by_leader(leaders: Iterable[int], processes: Processes) -> dict[int, Usage]:
    """The usage of each session leader's tree; a leader that is gone uses what its session still does."""
    children, members = defaultdict(list), defaultdict(list)
    for fact in processes.values():
        children[fact.parent].append(fact.pid)
        members[fact.session].append(fact.pid)
    trees = {leader: _tree([leader, *members[leader]], children) & processes.keys() for leader in leaders}
    return {
        leader: Usage(sum(processes[pid].cpu_seconds for pid in tree), sum(processes[pid].memory_bytes for pid in tree))
        for leader, tree in trees.items()
    }


def _tree(roots: list[int], children: Mapping[int, list[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found
