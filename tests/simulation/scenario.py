"""The actors: people, the platform, the manager, and bad luck. Each plays for as long as the world is restless."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway_sandbox.github.faults import PRESETS, Action
from gateway_sandbox.github.models import JobState
from simulation.agents import KillPlan, RunningAgent
from simulation.clients import KubeTrouble
from simulation.cluster import Event, Json
from simulation.workers import Blow

if TYPE_CHECKING:
    from simulation.world import World

_REST_AFTER_START_SECONDS = 20.0
_PATIENCE_SECONDS = 60 * 60.0
"""Without any job's moving, the world is taken to be as settled as it will be."""
_LONGEST_SETTLING_SECONDS = 6 * 3600.0
_LOOK_SECONDS = 30.0
_TENANT_SHARE = 0.3
"""Of deletions, those of the whole tenant."""
_REGISTRATION_LOOKS = 60
_REGISTRATION_LOOK_SECONDS = 5.0
"""For five minutes the manager waits for runners."""

FAULTS = (
    "register-lost", "register-corrupt-blob", "session-409", "session-401", "session-403", "session-slow",
    "session-key", "sessions-dropped", "record-deleted", "session-version", "poll-black-hole", "poll-instant-202",
    "poll-empty-200",
    "poll-truncated", "poll-invalid-json", "poll-lost", "poll-reset", "poll-reset-mid-hold", "poll-400", "poll-401",
    "poll-403", "poll-404", "poll-410", "poll-session-invalid", "poll-runner-not-found", "poll-version", "poll-429",
    "poll-429-seconds", "poll-500", "poll-503", "poll-unknown-message", "poll-foreign-cancellation",
    "poll-token-refresh", "poll-runner-refresh", "poll-body-object", "delivery-duplicate", "delivery-short-lease",
    "delivery-paced", "acquire-401", "acquire-404", "acquire-409", "acquire-422", "acquire-500", "acquire-hang",
    "acquire-lost", "acquire-other-plan", "acquire-token-case", "renew-401", "renew-404", "renew-410", "renew-429",
    "renew-500", "renew-hang", "renew-slow", "lock-short", "complete-401", "complete-500", "complete-lost",
    "rest-primary-limit", "rest-secondary-403", "rest-secondary-429", "rest-503", "broker-outage", "run-outage",
    "github-outage", "token-401", "token-403", "token-404", "delete-busy",
)  # fmt: skip
"""Of the shared catalogue, those that GitHub recovers from by itself."""

KILL_POINTS = (
    ("POST generate-jitconfig", "sent"), ("rest.generate_jitconfig", "served"), ("broker.create_session", "served"),
    ("broker.create_session", "answered"), ("broker.poll", "answered"), ("POST secrets", "sent"),
    ("POST secrets", "served"), ("POST secrets", "answered"), ("broker.acknowledge", "served"),
    ("POST acquirejob", "sent"), ("run.acquire", "served"), ("run.acquire", "answered"), ("run.acquire", "answered"),
    ("PATCH secrets", "sent"), ("PATCH secrets", "served"), ("PATCH secrets", "answered"), ("POST pods", "sent"),
    ("POST pods", "served"), ("POST pods", "answered"), ("run.renew", "served"), ("run.renew", "answered"),
    ("WATCH pods", "told"), ("DELETE secrets", "sent"), ("DELETE secrets", "served"), ("run.complete", "served"),
    ("POST configmaps", "served"), ("PATCH configmaps", "sent"), ("PATCH configmaps", "served"),
    ("PATCH configmaps", "answered"),
    ("rest.rerun_job", "served"), ("rest.rerun_job", "answered"), ("rest.create_token", "answered"),
    ("DELETE pods", "served"),
)  # fmt: skip
"""Where a kill finds the agent in the middle of something."""

Actor = Callable[["World", random.Random], Coroutine[Any, Any, None]]


async def play(world: "World") -> None:
    """The restless part."""
    rng, profile = world.stream("play"), world.profile
    for number in range(rng.choice((1, 1, 2, 3))):
        listeners = rng.choice((1, 2, 3, 5))
        workers = {} if rng.random() < 0.5 else {"maxWorkers": rng.randint(1, 6)}
        world.create_group(f"g{number + 1}", maxListeners=listeners, **workers)
    world.agents.start()
    await asyncio.sleep(_REST_AFTER_START_SECONDS)
    world.invariants.note_rest()
    actors: dict[str, tuple[bool, Actor]] = {
        "jobs": (True, _jobs), "bursts": (profile.bursts, _bursts), "cancels": (profile.cancels, _cancels),
        "GitHub faults": (profile.github_faults, _github_faults),
        "Kubernetes faults": (profile.kube_faults, _kube_faults), "blows": (profile.blows, _blows),
        "slow pods": (profile.slow_pods, _slow_pods), "quota": (profile.quota, _quota),
        "edits": (profile.edits, _edits), "rotation": (profile.rotation, _rotation),
        "clock jumps": (profile.clock_jumps, _clock_jumps), "deletion": (profile.deletion, _deletion),
        "restarts": (profile.restarts, _restarts), "kills": (profile.kills, _kills),
        "two agents": (profile.two_agents, _two_agents), "requests": (profile.requests, world.requests.play),
    }  # fmt: skip
    tasks = [
        world.people.start(actor(world, world.stream(name)), name=name)
        for name, (plays, actor) in actors.items()
        if plays
    ]
    await asyncio.sleep(rng.uniform(*profile.minutes) * 60)
    world.is_restless = False
    # Actors end what they have begun, so that the world is left in order.
    await asyncio.wait(tasks)
    for task in tasks:
        task.result()
    world.tell("world", "comes to rest")


async def settle(world: "World") -> None:
    """Waits until all is as it should be, or long enough; then the last checks, and the agent's own end."""
    world.github.clear_faults()
    if not world.agents.alive:
        world.agents.start()
    moved = began = world.loop.time()
    before: list[str] = []
    is_new = True
    while (is_new or world.invariants.unsettled()) and world.loop.time() - began < _LONGEST_SETTLING_SECONDS:
        now = [job.state.value for job in world.github.jobs()]
        moved = world.loop.time() if now != before else moved
        before = now
        world.invariants.timing.quiet(world.loop.time() - moved)
        if world.loop.time() - moved > _PATIENCE_SECONDS:
            break
        await asyncio.sleep(_LOOK_SECONDS)
        # What a killed one left behind shows once the next one has looked.
        if is_new := not world.agents.alive:
            world.agents.start()
    world.invariants.final()
    for running in world.agents.alive:
        await world.agents.stop(running)
    await asyncio.sleep(1.0)
    world.invariants.after_stop()


# -- people ------------------------------------------------------------------------------------------------------------


def _label(world: "World", rng: random.Random) -> str | None:
    groups = world.groups()
    return str(rng.choice(groups)["spec"]["runnerLabels"][0]) if groups else None


async def _jobs(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.expovariate(1 / world.profile.job_every_seconds))
        if (label := _label(world, rng)) is not None and world.is_restless:
            world.start_run(label, rng.choice((1, 1, 1, 2, 3)))


async def _bursts(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(120, 600))
        if (label := _label(world, rng)) is not None and world.is_restless:
            world.start_run(label, rng.randint(5, 15))


async def _cancels(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(20, 150))
        if open_runs := [run for run in world.github.runs() if run.status != "completed"]:
            # A job that waits for its quota is cancelled as often as one that runs.
            unstarted = [run for run in open_runs if any(job.state is JobState.ACQUIRED for job in run.jobs)]
            is_waiting = world.profile.quota and unstarted and rng.random() < 0.5
            world.cancel_run(rng.choice(unstarted if is_waiting else open_runs))


async def _edits(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(20, 200))
        if not (groups := world.groups()):
            continue
        name = rng.choice(groups)["metadata"]["name"]
        change = rng.choice((
            {"maxListeners": rng.randint(1, 8)}, {"maxWorkers": rng.randint(1, 8)}, {"maxWorkers": None},
            {"runnerLabels": [name.removeprefix("ci-"), f"extra-{rng.randint(1, 3)}"]},
            {"suspended": True}, {"podTemplate": {"spec": {"containers": [{"name": "runner", "image": "r:2"}]}}},
        ))  # fmt: skip
        world.tell("manager", f"changes {name}: {change}")
        world.cluster.change("runnergroups", name, {"spec": change})
        if "suspended" in change:
            await asyncio.sleep(rng.uniform(20, 200))
            world.tell("manager", f"resumes {name}")
            world.cluster.change("runnergroups", name, {"spec": {"suspended": False}})


async def _deletion(world: "World", rng: random.Random) -> None:
    """Groups go and come again under their name, and so does the whole tenant; sometimes for good."""
    while world.is_restless:
        await asyncio.sleep(rng.uniform(100, 400))
        if rng.random() < _TENANT_SHARE:
            await _tenant_deletion(world, rng)
            continue
        group = rng.choice(world.groups())
        world.tell("manager", f"deletes {group['metadata']['name']}")
        world.delete_group(group)
        await asyncio.sleep(rng.uniform(0.5, 200))
        _create_again(world, group)
    if rng.random() < 0.5:
        world.tell("manager", "deletes the tenant's groups")
        for group in world.groups():
            world.delete_group(group)


def _create_again(world: "World", group: Json) -> None:
    world.create_group(group["metadata"]["name"].removeprefix("ci-"), maxListeners=group["spec"]["maxListeners"])


async def _tenant_deletion(world: "World", rng: random.Random) -> None:
    """In the manager's order: the groups give up their runners, they go with their workers, the agent goes.

    Or all at once and in no order, as with its namespace. Afterwards the tenant is made anew.
    """
    groups = world.groups()
    if is_orderly := rng.random() < 0.5:
        world.tell("manager", "deletes the tenant")
        for group in groups:
            world.cluster.change("runnergroups", group["metadata"]["name"], {"spec": {"suspended": True}})
        for _ in range(_REGISTRATION_LOOKS):
            if world.github.runners():
                await asyncio.sleep(_REGISTRATION_LOOK_SECONDS)
    else:
        world.tell("admin", "deletes the namespace")
        world.cluster.is_terminating = True
    for group in groups:
        world.delete_group(group)
    if not is_orderly:
        for plural in ("secrets", "pods"):
            for found in world.cluster.all(plural):
                world.cluster.delete(plural, found)
    else:
        await asyncio.sleep(rng.uniform(0.5, 60))
        for running in world.agents.alive:
            await world.agents.stop(running)
    world.invariants.losses.ledger_deleted()
    for ledger in world.cluster.all("configmaps"):
        world.cluster.delete("configmaps", ledger)
    for running in world.agents.alive:
        await world.agents.stop(running)
    await asyncio.sleep(rng.uniform(10, 100))
    world.cluster.is_terminating = False
    world.tell("manager", "makes the tenant anew")
    for group in groups:
        _create_again(world, group)
    if not world.agents.alive:
        world.agents.start()
    await asyncio.sleep(_REST_AFTER_START_SECONDS)


async def _rotation(world: "World", rng: random.Random) -> None:
    current = 0
    while world.is_restless:
        await asyncio.sleep(rng.uniform(60, 400))
        if rng.random() < 0.5:
            world.tell("admin", "spoils the App's Secret for a while")
            world.write_secret(None)
            await asyncio.sleep(seconds := rng.uniform(10, 200))
            world.invariants.complain(world.invariants.signs.of_secret(seconds))
        else:
            current = 1 - current
            world.tell("admin", f"revokes the App's key; the new one is {current}")
            world.use_key(current)
            world.github.apps.forget_tokens()
            await asyncio.sleep(rng.uniform(0, 200))
        world.write_secret(current)
    await asyncio.sleep(60.0)


# -- the platform ------------------------------------------------------------------------------------------------------


async def _quota(world: "World", rng: random.Random) -> None:
    quota = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": "20", "requests.cpu": "20"}}}
    world.cluster.create("resourcequotas", quota)
    while world.is_restless:
        await asyncio.sleep(rng.uniform(20, 200))
        tight = rng.choice(({"pods": str(rng.randint(0, 3))}, {"requests.cpu": f"{rng.randint(0, 3) * 500}m"}))
        if rng.random() < 0.3:
            await _claim(world, rng.uniform(20, 200))
            tight = {"pods": str(len(world.cluster.all("pods")))}
        world.tell("platform", f"sets the quota to {tight}")
        world.cluster.change("resourcequotas", "team", {"spec": {"hard": tight}, "status": {"hard": tight}})
        await asyncio.sleep(rng.uniform(20, 400))
        world.invariants.complain(world.invariants.signs.of_quota())
        world.tell("platform", "raises the quota")
        roomy = {"pods": "20", "requests.cpu": "20"}
        world.cluster.change("resourcequotas", "team", {"spec": {"hard": roomy}, "status": {"hard": roomy}})


async def _claim(world: "World", seconds: float) -> None:
    """Returns when a job is about to be claimed, or after so long: a quota that fills now refuses the job's pod."""
    taken = asyncio.Event()

    def look(event: Event) -> None:
        if event.plural == "secrets" and event.type == "ADDED":
            taken.set()

    world.cluster.listeners.append(look)
    try:
        async with asyncio.timeout(seconds):
            await taken.wait()
    except TimeoutError:
        pass
    finally:
        world.cluster.listeners.remove(look)


async def _blows(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(10, 120))
        everybody = list(world.kubelet.pods.values())
        pods = world.kubelet.running() if rng.random() < 0.8 else [one for one in everybody if one.execution is None]
        pods = [one for one in pods if not one.is_gone]
        if pods:
            playing, blow = rng.choice(pods), rng.choice(list(Blow))
            if blow is Blow.CRASH and playing.execution is None:
                continue
            world.tell("platform", f"{blow} of {playing.name}")
            world.kubelet.strike(playing, blow)


async def _slow_pods(world: "World", rng: random.Random) -> None:
    kubelet = world.kubelet
    while world.is_restless:
        await asyncio.sleep(rng.uniform(20, 200))
        if not (groups := world.groups()):
            continue
        group = rng.choice(groups)["metadata"]["name"]
        what = rng.choice(("full", "pull", "image"))
        world.tell("platform", f"{what} for {group}")
        kubelet.is_full = what == "full"
        kubelet.pull_trouble[group] = 0.7 if what == "pull" else 0.0
        if what == "image":
            kubelet.bad_image.add(group)
        await asyncio.sleep(rng.uniform(20, 300))
        kubelet.is_full = False
        kubelet.pull_trouble.clear()
        kubelet.bad_image.clear()
    world.tell("platform", "is well again")


# -- bad luck ----------------------------------------------------------------------------------------------------------


async def _github_faults(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(20, 200))
        name = rng.choice(FAULTS)
        fault = PRESETS[name]
        if fault.match.times is None and fault.action is not Action.TUNE and rng.random() < 0.5:
            fault = replace(fault, match=replace(fault.match, probability=rng.uniform(0.2, 0.8)))
        world.tell("GitHub", f"fault {name} ({fault.match.probability:.2f})")
        shown = world.invariants.signs.before()
        number = world.github.inject(fault)
        entry = next((one for one in world.github.faults.active if one.id == number), None)
        since = world.loop.time()
        await asyncio.sleep(rng.uniform(10, 240))
        world.github.clear_faults(number)
        world.invariants.losses.faulty(name, since)
        if entry is not None:
            world.invariants.complain(world.invariants.signs.after(name, fault, entry.hits, shown))
        world.tell("GitHub", f"no fault {name}")


async def _kube_faults(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(10, 120))
        for running in world.agents.alive:
            match rng.choice(("requests", "requests", "break", "stall", "expire")):
                case "requests":
                    running.link.kube_trouble = KubeTrouble(probability=rng.uniform(0.05, 0.6))
                case "break":
                    _break_watches(running)
                case "stall":
                    running.link.stall_watches = True
                case "expire":
                    world.cluster.expire_history()
                    _break_watches(running)
        await asyncio.sleep(rng.uniform(5, 120))
        for running in world.agents.alive:
            running.link.kube_trouble, running.link.stall_watches = KubeTrouble(), False


def _break_watches(running: RunningAgent) -> None:
    cut, running.link.cut = running.link.cut, asyncio.Event()
    cut.set()


async def _clock_jumps(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(30, 300))
        for running in world.agents.alive:
            running.clock.skew_seconds = rng.choice((rng.uniform(-50, 50), rng.uniform(-4000, 4000)))
            world.tell("node", f"clock of {running.process.name} is off by {running.clock.skew_seconds:.0f} s")
        await asyncio.sleep(rng.uniform(10, 400))
        for running in world.agents.ever:
            running.clock.skew_seconds = 0.0


async def _restarts(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(30, 300))
        for running in world.agents.alive:
            await world.agents.stop(running)
        await asyncio.sleep(rng.uniform(0.2, 20))
        if not world.agents.alive:
            world.agents.start()


async def _kills(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(5, 40))
        if not world.agents.alive:
            world.agents.start()
            continue
        running = world.agents.alive[-1]
        if rng.random() < 0.2:
            world.agents.kill(running)
        else:
            what, where = rng.choice(KILL_POINTS)
            running.kill_plans = [KillPlan(what, where, rng.choice((1, 1, 1, 2, 4)), rng.choice((0, 0, 1, 2, 3, 5, 8)))]
            deadline = world.loop.time() + rng.uniform(20, 120)
            await asyncio.wait({running.task}, timeout=deadline - world.loop.time())
            running.kill_plans = []
        await asyncio.sleep(rng.uniform(0.5, 20))
        if not world.agents.alive:
            world.agents.start()


async def _two_agents(world: "World", rng: random.Random) -> None:
    while world.is_restless:
        await asyncio.sleep(rng.uniform(30, 200))
        world.agents.start()
        await asyncio.sleep(rng.uniform(30, 600))
        if not world.agents.alive:
            continue
        going = rng.choice(world.agents.alive)
        if rng.random() < 0.5:
            await world.agents.stop(going)
        else:
            world.agents.kill(going)
