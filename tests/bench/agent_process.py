"""The agent as a process of its own, as `python -m actions_gateway agent` is, but without the egress proxy.

Run with the path of a JSON document: `settings` (fields of AgentSettings), `tunables` (those that differ), `kubeconfig`
(none: Kubernetes is played inside this process), `profile` (where a profile goes; none: no profile). SIGUSR2
writes a census of tasks and objects beside the document.
"""

import asyncio
import json
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from measuring import Usage, free_ports, metric_value, usage_of

if TYPE_CHECKING:
    from actions_gateway.kube.client import KubeClient

_SAMPLE_SECONDS = 0.005


@dataclass
class AgentProcess:
    """A running one."""

    pid: int
    metrics_port: int
    log: Path
    process: asyncio.subprocess.Process

    def usage(self) -> Usage:
        """Raises RuntimeError once it has ended."""
        if self.process.returncode is not None:
            raise RuntimeError(f"the agent has ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
        return usage_of(self.pid)

    async def metric(self, series: str) -> float | None:
        """See `measuring.metric_value`."""
        return await metric_value(self.metrics_port, series)

    def complaints(self) -> str:
        """What its log warns of, with counts."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        events = (entry for line in lines if (entry := json.loads(line))["level"] in ("warning", "error"))
        counts = Counter(" ".join(filter(None, (entry["event"], entry.get("reason")))) for entry in events)
        return ", ".join(f"{name}: {count}" for name, count in counts.most_common(5)) or "none"

    async def stop(self) -> None:
        """As a rollout stops it."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await self.process.wait()


@asynccontextmanager
async def agent_process(
    folder: Path,
    settings: dict[str, Any],
    *,
    kubeconfig: Path | None = None,
    tunables: dict[str, Any] | None = None,
    profile: Path | None = None,
) -> AsyncIterator[AgentProcess]:
    """An agent at work; its log is `agent.log` in the folder."""
    health_port, metrics_port = free_ports(2)
    ports = {"bind_address": "127.0.0.1", "health_port": health_port, "metrics_port": metrics_port}
    document = {
        "settings": {
            name: str(value) if isinstance(value, Path) else value for name, value in (settings | ports).items()
        },
        "tunables": tunables or {},
        "kubeconfig": str(kubeconfig) if kubeconfig else None,
        "profile": str(profile) if profile else None,
    }
    order = folder / "agent.json"
    order.write_text(json.dumps(document))
    log = folder / "agent.log"
    with log.open("ab") as written:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, str(order), stdout=written, stderr=written
        )
    running = AgentProcess(process.pid, metrics_port, log, process)
    try:
        yield running
    finally:
        await running.stop()


# -- inside the process ------------------------------------------------------------------------------------------------


def main(order: Path) -> None:
    """Runs until SIGTERM."""
    import uvloop

    document = json.loads(order.read_text())
    with _profiled(document["profile"]):
        uvloop.run(_run(document, order.with_suffix(".census")))


@contextmanager
def _profiled(path: str | None) -> Iterator[None]:
    """Samples the stack by CPU time: a tracing profiler would cost several times what it measures."""
    if path is None:
        yield
        return
    alone, within = Counter[str](), Counter[str]()

    def sample(_: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            names.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        alone[names[0]] += 1
        within.update(set(names))

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, _SAMPLE_SECONDS, _SAMPLE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        total = max(1, alone.total())
        lines = [f"{total} samples of {_SAMPLE_SECONDS * 1000:.0f} ms CPU: share alone, share with what it calls"]
        lines += [f"{alone[name] / total:7.1%} {count / total:7.1%}  {name}" for name, count in within.most_common()]
        Path(path).write_text("\n".join(lines))


async def _run(document: dict[str, Any], census: Path) -> None:
    from played_kube import played_kube

    from actions_gateway.agent.run import run_agent
    from actions_gateway.agent.tunables import Tunables
    from actions_gateway.engine.clock import SystemClock
    from actions_gateway.github.budgets import Limits
    from actions_gateway.kube.client import connect
    from actions_gateway.logs import configure_logging
    from actions_gateway.processes import calm_collector
    from actions_gateway.settings import AgentSettings

    configure_logging("info")
    calm_collector()
    fields, tunables = document["settings"], document["tunables"]
    if "github_limits" in tunables:
        tunables |= {"github_limits": Limits(**tunables["github_limits"])}
    paths = {name: Path(fields[name]) for name in ("github_app_path", "ca_bundle_path")}
    settings, clock = AgentSettings(**(fields | paths)), SystemClock()
    opened = connect(document["kubeconfig"]) if document["kubeconfig"] else played_kube(settings.namespace)
    async with opened as client:
        work = asyncio.ensure_future(
            run_agent(
                settings,
                client=client,
                clock=clock,
                rng=random.SystemRandom(),
                tunables=Tunables(**tunables),
            )
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, work.cancel)
        loop.add_signal_handler(signal.SIGUSR2, lambda: census.write_text(json.dumps(_census(client))))
        await asyncio.wait({work})
        if not work.cancelled():
            work.result()


def _census(client: "KubeClient") -> dict[str, int]:
    """The tasks by name without numbers, and what a played Kubernetes holds, by kind."""
    from played_kube import PlayedKube

    counts = Counter(re.sub(r"[-0-9a-f]*[0-9][-0-9a-f]*", "#", task.get_name()) for task in asyncio.all_tasks())
    return dict(counts) | (client.counts() if isinstance(client, PlayedKube) else {})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
