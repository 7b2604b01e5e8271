"""The processes of a sandbox's pods as the machine sees them: who they are, and whom they are connected to (Linux)."""

from dataclasses import dataclass
from pathlib import Path

from gateway_sandbox.nodes.processes import CONTAINER, POD_UID

_ESTABLISHED = "01"


@dataclass(frozen=True, slots=True)
class PodProcess:
    """A process of a pod's container."""

    pid: int
    pod_uid: str
    container: str
    command: str


def pod_processes(folder: Path) -> list[PodProcess]:
    """Every process of the pods of the sandbox in `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ = dict(
                pair.partition("=")[::2] for pair in (entry / "environ").read_text(errors="replace").split("\0")
            )
            is_ours = CONTAINER in environ and str(folder) in environ.get("TMPDIR", "")
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if is_ours:
            name = environ[CONTAINER].rpartition("/")[2]
            found.append(PodProcess(int(entry.name), environ[POD_UID], name, command))
    return found


def clients_of(address: str, port: int) -> set[int]:
    """The sockets (inodes) of this machine that are connected to that IPv4 address and port."""
    wanted = "".join(f"{int(part):02X}" for part in reversed(address.split("."))) + f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[9]) for row in rows if row[2] == wanted and row[3] == _ESTABLISHED}


def sockets_of(pid: int) -> set[int]:
    """The sockets (inodes) that a process has open; none when it is gone."""
    found = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        pass
    return found
