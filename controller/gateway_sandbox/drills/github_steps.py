"""What drills do at the simulated GitHub, as steps: it misbehaves, permits less, and runs a workflow.

Each is known by a name that is chosen before it is made, so that its way back is known then, too.
"""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, RERUN_LEDGER
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import Manifest
from gateway_sandbox.drills.site import Site
from gateway_sandbox.drills.steps import Delete, DeletePods, Step, Target

_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Misbehave(Step):
    """A fault of the simulated GitHub, in the words of its control API."""

    title: str
    """Which no other fault of it has."""
    fault: dict[str, Any]

    async def way_back(self, site: Site) -> Step | None:
        return Behave(self.title)

    async def act(self, site: Site) -> None:
        await site.github.control("POST", "/faults", self.fault | {"title": self.title})


@dataclass(frozen=True, slots=True)
class Behave(Step):
    """The end of such a fault."""

    title: str

    async def act(self, site: Site) -> None:
        for fault in (await site.github.control("GET", "/state"))["faults"]:
            if fault["title"] == self.title:
                await site.github.control("DELETE", f"/faults?id={fault['id']}")


@dataclass(frozen=True, slots=True)
class Permit(Step):
    """What the App's installation is granted from now on; tokens that it has are void.

    `removed` names permissions that go, `granted` is the whole.
    """

    installation_id: int
    removed: tuple[str, ...] = ()
    granted: dict[str, str] | None = None

    async def way_back(self, site: Site) -> Step | None:
        return Permit(self.installation_id, granted=await self._before(site))

    async def act(self, site: Site) -> None:
        granted = self.granted
        if granted is None:
            before = await self._before(site)
            granted = {name: level for name, level in before.items() if name not in self.removed}
        await site.github.control("PUT", f"/installations/{self.installation_id}", {"permissions": granted})

    async def _before(self, site: Site) -> dict[str, str]:
        found = await site.github.control("GET", f"/installations/{self.installation_id}")
        return dict(found["permissions"])


@dataclass(frozen=True, slots=True)
class StartRun(Step):
    """A workflow run of one job at the simulated GitHub."""

    runs_on: tuple[str, ...]
    script: str
    repository: str
    path: str = field(default_factory=lambda: f"drill-{secrets.token_hex(4)}.yml")
    """Of its workflow file; no other run has it."""

    async def way_back(self, site: Site) -> Step | None:
        return EndRun(self.path)

    async def act(self, site: Site) -> None:
        job = {"name": "drill", "runs-on": list(self.runs_on), "steps": [{"run": self.script}]}
        workflow = {"name": "Drill", "on": "workflow_dispatch", "jobs": {"drill": job}}
        # JSON is YAML.
        body = {"repository": self.repository, "path": self.path, "workflow": json.dumps(workflow), "source": None}
        await site.github.control("POST", "/runs", body)


@dataclass(frozen=True, slots=True)
class EndRun(Step):
    """Cancels a run and clears away what would keep telling of the fault: its ended pods, and the agent's memory."""

    path: str

    async def act(self, site: Site) -> None:
        for run in await self._runs(site):
            await _cancel(site, run)

    async def settle(self, site: Site) -> bool:
        # Not all(): each goes on with its own.
        return False not in [await _is_cleared(site, run) for run in await self._runs(site)]

    async def _runs(self, site: Site) -> list[dict[str, Any]]:
        """One; none when it was never started."""
        found = (await site.github.control("GET", "/runs"))["runs"]
        return [run for run in found if run["path"] == self.path]


async def _cancel(site: Site, run: dict[str, Any], *, force: bool = False) -> bool:
    """Whether it had ended; by `force` also one whose job never started, which no runner can report."""
    if run["status"] != "completed":
        await site.github.control("POST", f"/runs/{run['id']}/cancel?force={str(force).lower()}")
    return bool(run["status"] == "completed")


async def _is_cleared(site: Site, run: dict[str, Any]) -> bool:
    pods = await _pods(site, run)
    for pod in pods:
        metadata, phase = pod["metadata"], (pod.get("status") or {}).get("phase")
        # The agent leaves a cancelled job's pod the time that GitHub gives a worker, also one that cannot start.
        is_cancelled = metadata["annotations"].get(labels.CANCELLATION)
        if phase in _ENDED or (phase == "Pending" and is_cancelled):
            await Delete(Target.of(r.PODS, metadata["name"], metadata["namespace"])).act(site)
    is_forgotten = await _is_forgotten(site, run)
    return await _cancel(site, run, force=not pods) and not pods and is_forgotten


async def _is_forgotten(site: Site, run: dict[str, Any]) -> bool:
    """Whether no agent remembers a job of it: such a one would be rerun later, or be asked about for a day."""
    key = str(run["id"])
    ledgers = await site.client.list(r.CONFIGMAPS, field_selector=f"metadata.name={RERUN_LEDGER}")
    found = [one["metadata"]["namespace"] for one in ledgers.items if key in (one.get("data") or {})]
    for namespace in found:
        await site.client.patch(r.CONFIGMAPS, RERUN_LEDGER, {"data": {key: None}}, namespace=namespace)
        # It reads the ledger at its start alone.
        await DeletePods(AGENT, namespace).act(site)
    return not found


async def _pods(site: Site, run: dict[str, Any]) -> list[Manifest]:
    workers = await site.client.list(r.PODS, label_selector=labels.RUNNER_GROUP)
    annotated = [(pod, pod["metadata"].get("annotations") or {}) for pod in workers.items]
    return [pod for pod, annotations in annotated if annotations.get(labels.RUN_ID) == str(run["id"])]
