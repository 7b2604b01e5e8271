"""Reruns over a ledger and a GitHub that a test plays."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.recovery.rerunning import Loss, Reruns
from actions_gateway.agent.recovery.store import LedgerStore
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.labels import RERUN
from actions_gateway.api.ledger import Cause, RerunState
from actions_gateway.github.errors import (
    GitHubError,
)
from actions_gateway.github.payload import RunIdentity
from actions_gateway.github.runs import GitHubRuns, WorkflowJob, WorkflowRun
from actions_gateway.github.secrets import Secret
from actions_gateway.kube.errors import NotFound as NoMap
from actions_gateway.metrics.catalog import EVICTION_RETRIES, EVICTION_RETRIES_EXHAUSTED, Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

GROUP = {"metadata": {"name": "ci-cpu", "uid": "u"}}
RETRIES = (EVICTION_RETRIES, EVICTION_RETRIES_EXHAUSTED)
LOST = WorkflowJob(11, 7, 1, "build", "completed", "failure", "ci-cpu-1")


class World:
    """GitHub, the ledger's ConfigMap and the events of one agent."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(Component.AGENT, "test")
        self.run = WorkflowRun(7, "in_progress", "", 1)
        self.jobs = [LOST]
        self.looks: list[float] = []
        self.problems: list[GitHubError] = []
        self.rerun_problems: list[GitHubError] = []
        self.rerun: list[int] = []
        self.cancelled: list[int] = []
        self.rejected: list[Secret] = []
        self.told: list[str] = []
        self.texts: list[str] = []
        self.has_token = True
        self.map: dict[str, Any] | None = None
        self.start()

    def start(self) -> None:
        """A new agent process."""
        basics = Basics("team-a", "agent-1", self.clock, random.Random(1), self.metrics, Tunables())
        kube = cast("Any", SimpleNamespace(get=self._get_map, create=self._write_map, patch=self._patch_map))
        tokens = SimpleNamespace(
            get=self._token, peek=lambda: Secret("t") if self.has_token else None, reject=self.rejected.append
        )
        self.reruns = Reruns(
            cast("GitHubRuns", self),
            cast("Any", tokens),
            LedgerStore(kube, basics),
            cast("Any", SimpleNamespace(record=self._record)),
            basics,
        )

    async def _token(self) -> Secret:
        while not self.has_token:
            await self.clock.sleep(30.0)
        return Secret("t")

    async def _record(self, _: Any, reason: str, message: str, **__: Any) -> None:
        self.told.append(reason)
        self.texts.append(message)

    # -- the ConfigMap

    async def _get_map(self, *_: Any) -> dict[str, Any]:
        if self.map is None:
            raise NoMap("none", status=404)
        return self.map

    async def _write_map(self, _: Any, manifest: dict[str, Any]) -> dict[str, Any]:
        self.map = manifest
        self.map["metadata"]["resourceVersion"] = "1"
        return self.map

    async def _patch_map(self, _: Any, name: str, patch: dict[str, Any], *, namespace: str) -> dict[str, Any]:
        assert self.map is not None
        self.map["data"] |= patch["data"]
        return self.map

    # -- GitHub

    def _next(self) -> None:
        if self.problems:
            raise self.problems.pop(0)

    async def get_run(self, _: Secret, repository: str, run_id: int) -> WorkflowRun:
        self.looks.append(self.clock.monotonic())
        self._next()
        assert (repository, run_id) == ("octo/demo", 7)
        return self.run

    async def list_jobs(self, _: Secret, repository: str, run_id: int) -> list[WorkflowJob]:
        self._next()
        return self.jobs

    async def list_running(self, _: Secret, repository: str) -> list[WorkflowRun]:
        self._next()
        return [self.run]

    async def rerun_job(self, _: Secret, repository: str, job_id: int) -> None:
        if self.rerun_problems:
            raise self.rerun_problems.pop(0)
        self.rerun.append(job_id)

    async def force_cancel(self, _: Secret, repository: str, run_id: int) -> bool:
        self.cancelled.append(run_id)
        return True

    # -- the test's words

    def conclude(self, conclusion: str = "failure", job: str | None = None) -> None:
        """The run ends."""
        self.run = replace(self.run, status="completed", conclusion=conclusion)
        now = self.clock.now()
        self.jobs = [replace(one, conclusion=job or conclusion, completed_at=now) for one in self.jobs]

    async def lose(
        self,
        runner: str = "ci-cpu-1",
        *,
        job_id: int | None = 11,
        own: bool = False,
        most: int = 2,
        cause: Cause = Cause.EVICTION,
    ) -> None:
        identity = RunIdentity("octo/demo", 7, 1, job_id, "build")
        await self.reruns.lost(Loss(identity, runner, cause, own, False, GROUP, most, 5.0))

    def ask(self, text: str, *, ago: float = 0.0, group: str = "ci-cpu") -> None:
        """The agent hears of a group that a person has annotated, so many seconds ago."""
        moment = self.clock.now() - timedelta(seconds=ago)
        at = moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
        fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{RERUN}": {}}}}
        owner = {"manager": "gw-job-rerun", "operation": "Update", "time": at, "fieldsV1": fields}
        metadata = {"name": group, "uid": "u", "annotations": {RERUN: text}, "managedFields": [owner]}
        self.reruns.ask({"metadata": metadata})

    def count(self, metric: Any, **labels: str) -> float:
        return self.metrics.value(metric, namespace="team-a", runner_group="ci-cpu", **labels) or 0

    @property
    def states(self) -> list[RerunState]:
        return [job.state for job in self.reruns._store.entries[7].jobs.values()]


def playing(body: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World()
        task = asyncio.create_task(world.reruns.run())
        try:
            await settle()
            await body(world)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())
