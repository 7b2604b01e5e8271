"""Plays worker pods without processes: schedules, runs and ends them, and reports to GitHub as their workers would."""

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from actions_gateway.agent.jobs.packing import unpacked
from actions_gateway.api import labels
from actions_gateway.api.names import RUNNER_CONTAINER
from actions_gateway.engine.clock import SystemClock
from actions_gateway.github.broker import RunnerPlatform
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.messages import JobRequest
from actions_gateway.github.runservice import AcquiredJob, Conclusion, RunService, parse_job
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import KubeError, NotFound
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import PODS, SECRETS
from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.models import Job

Manifest = dict[str, Any]


@dataclass
class Playing:
    """One pod being played; a test may look at it and steer it."""

    pod: Manifest
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """The pod was deleted."""


Ending = Callable[[Playing], Awaitable[tuple[int, Conclusion | None]]]
"""What the worker does: returns its exit code, and what it tells GitHub (None: nothing)."""


async def succeed(_: Playing) -> tuple[int, Conclusion | None]:
    """A worker whose job succeeds at once."""
    return 0, Conclusion.SUCCEEDED


async def crash(_: Playing) -> tuple[int, Conclusion | None]:
    """A worker that is killed before it reports."""
    return 137, None


async def run_until_deleted(playing: Playing) -> tuple[int, Conclusion | None]:
    """A worker that goes on until its pod is deleted, and does not report then."""
    await playing.gone.wait()
    return 137, None


class Gate:
    """Workers that run until they are let go, and succeed then."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    async def __call__(self, _: Playing) -> tuple[int, Conclusion | None]:
        await self._open.wait()
        return 0, Conclusion.SUCCEEDED

    def open(self) -> None:
        """Lets them go, and those that come."""
        self._open.set()


class PodPlayer:
    """Plays every worker pod of a namespace."""

    def __init__(self, client: KubeClient, github: GitHub, http: GitHubHttp, namespace: str) -> None:
        self._client = client
        self._github = github
        self._run_service = RunService(http, RunnerPlatform("2.335.1"))
        self._namespace = namespace
        self._playing: dict[str, Playing] = {}
        self.ending: Ending = succeed
        self.is_on_strike = False
        """No pod is started."""
        self.running: dict[str, Manifest] = {}
        """Pods whose worker runs now, by name."""
        self.most_running: dict[str, int] = {}
        """The most workers that ran at once, by group."""
        self.played: list[str] = []

    async def run(self) -> None:
        """Plays until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            changes = list_watch(
                self._client,
                PODS,
                self._namespace,
                clock=SystemClock(),
                rng=random.Random(1),
                label_selector=labels.RUNNER_GROUP,
            )
            async for change in changes:
                if change.type is ChangeType.ADDED and not self.is_on_strike:
                    playing = self._playing[change.object["metadata"]["name"]] = Playing(change.object)
                    tasks.create_task(self._play(playing), name=f"play {change.object['metadata']['name']}")
                elif change.type is ChangeType.DELETED and change.object["metadata"]["name"] in self._playing:
                    self._playing[change.object["metadata"]["name"]].gone.set()

    async def _play(self, playing: Playing) -> None:
        name, group = playing.pod["metadata"]["name"], playing.pod["metadata"]["labels"][labels.RUNNER_GROUP]
        started = _now()
        job, message = await self._mounted_job(playing)
        self.played.append(name)
        # Told first: what a test does to a running pod's status is not to be overwritten.
        await self._show(playing, "Running", {"running": {"startedAt": started}})
        self.running[name] = playing.pod
        self.most_running[group] = max(self.most_running.get(group, 0), self._running_of(group))
        self._github.worker_started(job)
        exit_code, conclusion = await self.ending(playing)
        if conclusion is not None:
            await self._run_service.complete(message, conclusion)
        del self.running[name]
        ended = {
            "exitCode": exit_code,
            "startedAt": started,
            "finishedAt": _now(),
            "message": "the worker's last words",
        }
        await self._show(playing, "Failed" if exit_code else "Succeeded", {"terminated": ended})

    def _running_of(self, group: str) -> int:
        return sum(pod["metadata"]["labels"][labels.RUNNER_GROUP] == group for pod in self.running.values())

    async def _mounted_job(self, playing: Playing) -> tuple[Job, AcquiredJob]:
        """The job as the worker sees it: through the Secret's keys that its pod mounts."""
        slot = playing.pod["metadata"]["annotations"][labels.JOB_SLOT]
        volume = next(volume for volume in playing.pod["spec"]["volumes"] if volume["name"] == "job-payload")
        assert volume["secret"]["secretName"] == slot
        secret = await self._client.get(SECRETS, slot, self._namespace)
        mounted = {item["key"]: base64.b64decode(secret["data"][item["key"]]) for item in volume["secret"]["items"]}
        plan_id = mounted["plan-id"].decode()
        job = next(job for job in self._github.jobs() if job.plan_id == plan_id)
        payload = unpacked(mounted["payload"])
        # Of two deliveries the one that was claimed first need not be the one that was offered first.
        delivery = next(one for one in job.deliveries if one.token and one.token.encode() in payload)
        url = f"{self._github.state.base_url}/run/1"
        message = parse_job(payload, JobRequest(delivery.request_id, url), plan_id=plan_id)
        return job, message

    async def _show(self, playing: Playing, phase: str, state: Manifest) -> None:
        """Writes the pod's status; a pod that is gone shows nothing."""
        runner = {"name": RUNNER_CONTAINER, "image": "runner", "imageID": "", "ready": False, "restartCount": 0}
        status = {
            "phase": phase,
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{**runner, "state": state}],
        }
        try:
            await self._client.patch(
                PODS,
                playing.pod["metadata"]["name"],
                {"status": status},
                namespace=self._namespace,
                subresource="status",
            )
        except NotFound:
            pass
        except KubeError as problem:
            raise AssertionError(f"the pod's status was not written: {problem.message}") from problem


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
