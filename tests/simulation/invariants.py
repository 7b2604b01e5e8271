"""What must hold, whatever happens: looked at after every step, and as a whole once the world has come to rest.

job run twice             one plan executed by two workers, or two attempts of a job at once
finished job rerun        a job that succeeded, failed by itself or was cancelled by a person got another attempt
lock lapsed               a live worker's lock ran out
ceiling exceeded          more workers of a group than its bound allows (`ceilings`)
job lost silently         a claimed job ended without its worker's word, was not rerun, and nothing tells why (`losses`)
green job spoiled         a job succeeded at its worker and not at GitHub; no person and no told fault explains it
disrupted job not rerun   a job that lost its worker to a disruption, with budget left, got no other attempt
unstarted job not rerun   the same of a claimed job that never got a worker
request forgotten         a person asked for a job's rerun, and the agent did not hear of it or left it open (`asking`)
job stuck                 a claimed job is still open, or one that could run still waits
leaked ...                session, registration, pod, Secret or task that is one too many at rest
slow start                a new agent has no session for an open group although everybody answers (`timing`)
late renewal              a new agent does not renew a lock that it found (`timing`)
slow release              a job's slot stays taken long after the last job (`timing`)
slow draining             idle groups keep more than one session (`timing`)
fault without a sign      something went wrong and no condition, event or metric shows it (`signs`)
"""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from actions_gateway.api.names import uid_part
from gateway_sandbox.github.models import JobState, Runner, RunnerState
from simulation.agents import RunningAgent
from simulation.ceilings import Ceilings
from simulation.cluster import Event, Json
from simulation.losses import Losses, later
from simulation.signs import Signs
from simulation.timing import Timing
from simulation.workers import Execution

if TYPE_CHECKING:
    from simulation.world import World

_TASK_SLACK = 4
_FAILURES_OF_A_MINUTE = 150
"""With a few groups of a few sessions each; every one of them has a back-off of seconds."""


class Invariants:
    """The checks of one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._is_dirty = True
        self._attempts: dict[int, int] = {}
        self.ceilings = Ceilings(world)
        self.signs = Signs(world)
        self.timing = Timing(world)
        self.losses = Losses(world)
        self._tasks_at_rest = 0
        self._lapsed: set[str] = set()
        self._refused_at = float("-inf")
        """When GitHub did not accept a credential the last time."""
        self._failures: Counter[tuple[str, str, int]] = Counter()
        world.cluster.listeners.append(self._cluster_changed)
        world.github.state._waiters.add(_Dirt(self))  # type: ignore[arg-type]

    def _violated(self, invariant: str, detail: str) -> None:
        self._world.tell("violation", f"{invariant}: {detail}")

    # -- at every step -------------------------------------------------------------------------------------------

    def advanced(self) -> None:
        """Time has moved."""
        if self._is_dirty:
            self._is_dirty = False
            self.ceilings.note_claims()
            self._check_reruns()
            self._check_locks()

    def answered(self, owner: str, what: str, outcome: str) -> None:
        """A process got an answer; the outcome is a status where there is one."""
        if outcome.startswith(("4", "5", "dropped")):
            if outcome == "401":
                self._refused_at = self._world.loop.time()
            minute = int(self._world.loop.time() // 60)
            self._failures[owner, what, minute] += 1
            if self._failures[owner, what, minute] == _FAILURES_OF_A_MINUTE:
                self._violated("hammering", f"{owner} has {what} fail {_FAILURES_OF_A_MINUTE} times within a minute")

    def started(self, running: RunningAgent) -> None:
        """An agent begins."""
        self.ceilings.note_cuts()
        self.timing.started(running)

    def began(self, execution: Execution) -> None:
        """A worker has begun."""
        world = self._world
        for earlier in world.executions.get(execution.plan_id, ()):
            self._violated("job run twice", f"plan {execution.plan_id} in {earlier.pod_uid} and {execution.pod_uid}")
        job = world.job_of(execution.plan_id)
        for other in (*job.run.jobs, *job.run.earlier_jobs):
            running = [one for one in world.executions.get(other.plan_id, ()) if one.ended is None]
            if other is not job and other.plan.name == job.plan.name and running:
                self._violated("job run twice", f"{job.plan.name} in two attempts at once")

    def complain(self, problems: Iterable[str]) -> None:
        """Violations, each with its invariant's name and a colon first."""
        for problem in problems:
            self._violated(*problem.split(": ", 1))

    def note_rest(self) -> None:
        """What an idle agent is made of."""
        self._tasks_at_rest = len(self._world.agents.alive[0].process.tasks) if self._world.agents.alive else 0

    def _cluster_changed(self, event: Event) -> None:
        self.complain(f"ceiling exceeded: {problem}" for problem in self.ceilings.changed(event))

    def _check_reruns(self) -> None:
        for run in self._world.github.runs():
            known = self._attempts.setdefault(run.id, 1)
            if run.attempt == known:
                continue
            self._attempts[run.id] = run.attempt
            self._world.tell("github", f"run {run.id} has attempt {run.attempt}")
            again = {job.plan.name for job in run.jobs if job.attempt == run.attempt}
            for job in run.earlier_jobs:
                if (
                    job.attempt < run.attempt
                    and job.plan.name in again
                    and (why := self.losses.why_final(job))
                    and not later(job, run.attempt)
                    and not self._world.requests.has_asked(job)
                ):
                    self._violated("finished job rerun", f"{job.plan.name} of run {run.id} {why}")

    def _check_locks(self) -> None:
        world, now = self._world, self._world.loop.time()
        for playing in world.kubelet.running():
            execution = playing.execution
            if execution is None or execution.plan_id in self._lapsed:
                continue
            job = world.job_of(execution.plan_id)
            claims = [delivery for delivery in job.deliveries if delivery.token]
            if (
                job.is_done
                and job.conclusion == "failure"
                and max(one.lock_due for one in claims) <= now
                and not job.completion_count
            ):
                self._lapsed.add(execution.plan_id)
                self._violated("lock lapsed", f"{job.plan.name} while {execution.pod} works on it")

    # -- at rest -------------------------------------------------------------------------------------------------

    def unsettled(self) -> list[str]:
        """What is not as it should be at rest, yet."""
        forgotten = self._world.requests.forgotten()
        return [*self._open_jobs(), *self._leaks(), *self.losses.unexplained(), *forgotten]

    def final(self) -> None:
        """The last look."""
        self.complain(self.unsettled())
        self.complain(self.signs.unshown())
        for misuse in self._world.github.violations():
            self._violated("misuse of GitHub", f"{misuse.what}, {misuse.detail}")
        for running in self._world.agents.alive:
            if not running.agent.health.is_alive() or not running.agent.health.is_ready():
                self._violated("unhealthy agent", running.process.name)

    def after_stop(self) -> None:
        """What an agent that was asked to stop leaves behind."""
        world = self._world
        for running in world.agents.ever:
            if running.process.tasks:
                names = [task.get_name() for task in running.process.tasks.values()]
                self._violated("leaked task", f"{running.process.name} has ended, its tasks {names} have not")
        for session in world.github.sessions():
            self._violated("leaked session", f"of {session.runner.name} after the agent's end")
        for runner in self._runners():
            # An agent that hears of its token's end as it stops does not stay for a new one; the next one sweeps.
            was_refused = world.loop.time() - self._refused_at < 60
            if runner.state is not RunnerState.CONSUMED and not was_refused:
                self._violated("leaked registration", f"{runner.name} after the agent's end")

    def _open_groups(self) -> list[Json]:
        return [group for group in self._world.groups() if not group["spec"].get("suspended")]

    def _runners(self) -> list[Runner]:
        """The registrations but those that a group left to GitHub, since it went while its agent was away."""
        profile, present = self._world.profile, {uid_part(one["metadata"]["uid"]) for one in self._world.groups()}
        is_lenient = profile.deletion and (profile.kills or profile.github_faults)
        return [
            runner
            for runner in self._world.github.runners()
            if not is_lenient or runner.name.rsplit("-", 2)[1] in present
        ]

    def _open_jobs(self) -> list[str]:
        served = {label for group in self._open_groups() for label in group["spec"]["runnerLabels"]}
        found = []
        for job in self._world.github.jobs():
            if job.state is JobState.WAITING or job.is_done:
                continue
            if any(delivery.token for delivery in job.deliveries) or set(job.plan.labels) <= served:
                found.append(f"job stuck: {job.plan.name} is {job.state.value}")
        return found

    def _leaks(self) -> list[str]:
        world, found = self._world, []
        groups = {group["metadata"]["name"]: group for group in self._open_groups()}
        sessions = Counter(session.runner.name.rsplit("-", 2)[0] for session in world.github.sessions())
        for name in groups.keys() | sessions.keys():
            if sessions[name] != (1 if name in groups else 0):
                found.append(f"leaked session: {name} has {sessions[name]}")
        runners = Counter(runner.name.rsplit("-", 2)[0] for runner in self._runners())
        found += [
            f"leaked registration: {name} has {count}"
            for name, count in runners.items()
            if count != (1 if name in groups else 0)
        ]
        found += [f"leaked pod: {pod['metadata']['name']}" for pod in world.cluster.all("pods")]
        found += [f"leaked Secret: {secret['metadata']['name']}" for secret in world.cluster.all("secrets")]
        alive = world.agents.alive
        if len(alive) == 1 and self._tasks_at_rest and groups:
            # A group that was made anew is as many tasks again as before.
            tasks = alive[0].process.tasks
            if len(tasks) > self._tasks_at_rest + _TASK_SLACK:
                names = sorted(task.get_name() for task in tasks.values())
                found.append(f"leaked task: {len(tasks)} instead of {self._tasks_at_rest}: {names}")
        return sorted(found)


class _Dirt:
    """Stands among those who wait for a change of GitHub's state."""

    def __init__(self, invariants: Invariants) -> None:
        self._invariants = invariants

    def set(self) -> None:
        self._invariants._is_dirty = True
