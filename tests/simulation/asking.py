"""People who have lost jobs rerun that nobody reruns by themselves, and whether the agent does what they ask for."""

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from actions_gateway.api import labels
from actions_gateway.api.ledger import NEEDS_PERSON, RerunRequest, RerunState, parse_request
from gateway_sandbox.github.models import Job
from simulation.cluster import Json
from simulation.loop import EPOCH

if TYPE_CHECKING:
    from simulation.world import World


class Requests:
    """What was asked for in one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._asked: dict[str, float] = {}
        """By runner: when it was asked for last."""

    async def play(self, world: "World", rng: random.Random) -> None:
        """Asks now and then for one of the jobs that need a person; what no agent has taken yet stays asked for."""
        while world.is_restless:
            await asyncio.sleep(rng.uniform(30, 200))
            groups = {group["metadata"]["name"]: group for group in world.groups()}
            needy = [job for job in self._jobs() if job["state"] in NEEDS_PERSON and job["runnerGroup"] in groups]
            if not needy:
                continue
            chosen = rng.choice(needy)
            runner, name = chosen["runner"], chosen["runnerGroup"]
            before = self._request(groups[name])
            open_runners = [one for one in before.runners if not self._is_taken(one, before)] if before else []
            request = RerunRequest(f"token-{rng.getrandbits(64):x}", (*open_runners, runner))
            world.tell("user", f"asks {name} for a rerun of {', '.join(request.runners)}")
            self._asked |= dict.fromkeys(request.runners, world.loop.time())
            owned: Json = {"f:metadata": {"f:annotations": {f"f:{labels.RERUN}": {}}}}
            at = (EPOCH + timedelta(seconds=world.loop.time())).strftime("%Y-%m-%dT%H:%M:%SZ")
            owners = [{"manager": "gw-job-rerun", "operation": "Update", "time": at, "fieldsV1": owned}]
            annotations = {labels.RERUN: request.render()}
            world.cluster.change(
                "runnergroups", name, {"metadata": {"annotations": annotations, "managedFields": owners}}
            )

    def has_asked(self, job: Job) -> bool:
        """Whether a person wants it rerun, whatever it ended with; who has it cancelled later does not."""
        asked = [self._asked[one.runner.name] for one in job.deliveries if one.runner.name in self._asked]
        if job.completed_at is None or job.conclusion != "cancelled":
            return bool(asked)
        # GitHub's times and the API server's are whole seconds.
        return any((job.completed_at - EPOCH).total_seconds() < at + 1 for at in asked)

    def forgotten(self) -> Iterator[str]:
        """Requests that stand and that the ledger does not know, or that it leaves open though their run has ended."""
        ended = {run.id for run in self._world.github.runs() if run.status == "completed"}
        jobs = {job["runner"]: job for job in self._jobs()}
        for group in self._world.groups():
            request = self._request(group)
            for runner in request.runners if request else ():
                job = jobs.get(runner)
                if job is None or request is None:
                    continue
                if not self._is_taken(runner, request):
                    yield f"request forgotten: {runner} in {request.token}"
                elif job["state"] == RerunState.PENDING and job["run"] in ended:
                    yield f"request forgotten: {runner} is pending, and its run has ended"

    def _is_taken(self, runner: str, request: RerunRequest) -> bool:
        return any(job["runner"] == runner and job.get("request") == request.token for job in self._jobs())

    @staticmethod
    def _request(group: Json) -> RerunRequest | None:
        return parse_request((group["metadata"].get("annotations") or {}).get(labels.RERUN))

    def _jobs(self) -> list[Json]:
        """The ledger's jobs, each with the id of its run."""
        data = [one.get("data") or {} for one in self._world.cluster.all("configmaps")]
        entries = [(int(key), json.loads(text)) for ledger in data for key, text in ledger.items() if key.isdecimal()]
        return [job | {"run": run_id} for run_id, entry in entries for job in entry["jobs"]]
