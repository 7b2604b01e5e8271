"""Lets the server check an installation, and writes it.

Objects are written in the order of their needs: a definition is in force before anything relies on it, and the manager
comes after its rights and the policies that confine it. Nothing is taken back when a later object is refused: each is
safe to write again, and a second run goes on from there.
"""

from collections.abc import Sequence
from typing import Any

from actions_gateway.api.names import INSTALL_FIELDS, MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import GwError, Refused, TimedOut
from gw.ops.installation.conversation import Conversation
from gw.ops.installation.plan import Action, Plan, Step
from gw.ops.installation.refusal import doing, refusal
from gw.ops.installation.snapshot import Identity, Snapshot, each_of, identity_of
from gw.ops.installation.wanted import resource_for
from gw.sources.cluster import Cluster
from gw.sources.definitions import parse_definition
from gw.sources.ownership import is_ours

Manifest = dict[str, Any]

_LOOK_SECONDS = 0.3


async def rehearse(
    cluster: Cluster, wanted: Sequence[Manifest], snapshot: Snapshot
) -> tuple[dict[Identity, Manifest], tuple[str, ...]]:
    """What each object would become, and what the server could not check; raises GwError for the first refusal."""
    has_namespace = Identity(r.NAMESPACES.kind, MANAGER_NAMESPACE) in snapshot.live
    checked = [manifest for manifest in wanted if has_namespace or not identity_of(manifest).namespace]
    answers = await each_of(_rehearse(cluster, manifest, snapshot) for manifest in checked)
    results = {identity_of(manifest): answer for manifest, answer in zip(checked, answers, strict=True)}
    if has_namespace:
        return results, ()
    return results, (f"the API server's checks of the objects inside of {MANAGER_NAMESPACE}, which does not exist yet",)


async def _rehearse(cluster: Cluster, manifest: Manifest, snapshot: Snapshot) -> Manifest:
    with doing(f"write the {identity_of(manifest)}"):
        return await _apply(cluster, manifest, snapshot, dry_run=True)


async def write(
    cluster: Cluster,
    plan: Plan,
    snapshot: Snapshot,
    *,
    clock: Clock,
    timeout_seconds: float,
    conversation: Conversation,
) -> None:
    """Writes the plan in its order; raises GwError."""
    deadline = clock.monotonic() + timeout_seconds
    done: list[Identity] = []
    definitions, rest = _stages(plan)
    for step in definitions:
        await _write_step(cluster, step, snapshot, done, conversation)
    for step in definitions:
        await _until_established(cluster, step.manifest, clock, deadline, conversation)
    for step in rest:
        await _write_step(cluster, step, snapshot, done, conversation)


def _stages(plan: Plan) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    steps = plan.to_write
    first = tuple(step for step in steps if step.identity.kind == r.CRDS.kind)
    return first, tuple(step for step in steps if step not in first)


async def _write_step(
    cluster: Cluster, step: Step, snapshot: Snapshot, done: list[Identity], conversation: Conversation
) -> None:
    try:
        if step.action is Action.REMOVE:
            await _remove(cluster, step)
        else:
            await _apply(cluster, step.manifest, snapshot, dry_run=False)
    except errors.KubeError as problem:
        raise _stopped(problem, step, done) from problem
    done.append(step.identity)
    conversation.did(step.action, step.identity)


async def _remove(cluster: Cluster, step: Step) -> None:
    try:
        await cluster.delete(
            resource_for(step.manifest),
            step.identity.name,
            namespace=step.identity.namespace or None,
            uid=step.uid or None,
        )
    except errors.NotFound:
        return


def _stopped(problem: errors.KubeError, step: Step, done: Sequence[Identity]) -> GwError:
    verb = "remove" if step.action is Action.REMOVE else "write"
    error = refusal(problem, f"{verb} the {step.identity}")
    if done:
        error.details = (f"Written before it: {', '.join(str(each) for each in done)}.",)
        error.next_step = f"{error.next_step} Then run the same command again: it goes on from there."
    return error


async def _apply(cluster: Cluster, manifest: Manifest, snapshot: Snapshot, *, dry_run: bool) -> Manifest:
    """Takes fields that others keep only on objects that are known to be ours; elsewhere a conflict is a refusal."""
    live = snapshot.live.get(identity_of(manifest))
    may_take = live is not None and (is_ours(live) or manifest["kind"] == r.CRDS.kind)
    return await cluster.apply(
        resource_for(manifest), manifest, field_manager=INSTALL_FIELDS, force=may_take, dry_run=dry_run
    )


async def _until_established(
    cluster: Cluster, manifest: Manifest, clock: Clock, deadline: float, conversation: Conversation
) -> None:
    name = str(manifest["metadata"]["name"])
    while True:
        with doing(f"read the definition {name}"):
            live = await cluster.get(r.CRDS, name)
        if _is_in_force(live):
            return
        problem = parse_definition(manifest, live).problem
        if problem:
            raise Refused(
                f"the API server does not serve the definition {name}: {problem}", f"See `kubectl describe crd {name}`."
            )
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"the definition {name} is not in force yet", "Run the same command again: it goes on from there."
            )
        conversation.waiting(f"the API server serves {name}")
        await clock.sleep(_LOOK_SECONDS)


def _is_in_force(live: Manifest) -> bool:
    conditions = (live.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == "Established" and entry.get("status") == "True" for entry in conditions)
