"""Writes a plan: the server checks every object before the first one is written, and a refusal takes back what was.

An object can be checked in a namespace that exists only; so a new namespace is written first, and goes again when the
server refuses what belongs into it.
"""

from collections.abc import Sequence
from typing import Any

from actions_gateway.kube import errors
from actions_gateway.kube.resources import NAMESPACES, Resource, resource_of
from gw.errors import GwError, Refused
from gw.ops.onboarding.conversation import Conversation
from gw.ops.onboarding.plan import Plan, Step
from gw.sources.cluster import Cluster, explain

_REFUSALS = (errors.Forbidden, errors.Invalid, errors.AlreadyExists, errors.NotFound, errors.Conflict)
"""Answers that say that nothing was written by this request."""


async def rehearse(cluster: Cluster, plan: Plan) -> tuple[str, ...]:
    """Lets the server check what it can without writing; returns what it could not check. Raises GwError."""
    namespace, others = _stages(plan)
    try:
        for step in namespace or others:
            await _create(cluster, step, dry_run=True)
    except errors.KubeError as problem:
        raise _refusal(problem, step) from problem
    if namespace and others:
        return ("the API server's checks of the objects inside of the namespace, which does not exist yet",)
    return ()


async def write(cluster: Cluster, plan: Plan, conversation: Conversation) -> None:
    """Writes the plan in its order; raises GwError, after taking back its objects when the server refuses one."""
    written: list[tuple[Step, str]] = []
    for stage in _stages(plan):
        for dry_run in (True, False):
            for step in stage:
                try:
                    live = await _create(cluster, step, dry_run=dry_run)
                except errors.KubeError as problem:
                    raise await _unwind(cluster, problem, step, written, conversation) from problem
                if not dry_run:
                    written.append((step, str(live["metadata"].get("uid") or "")))
                    conversation.wrote(step)


def _stages(plan: Plan) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    steps = plan.to_write
    namespace = tuple(step for step in steps if step.kind == NAMESPACES.kind)
    return namespace, tuple(step for step in steps if step.kind != NAMESPACES.kind)


async def _create(cluster: Cluster, step: Step, *, dry_run: bool) -> dict[str, Any]:
    return await cluster.create(_resource(step), step.manifest, dry_run=dry_run)


async def _unwind(
    cluster: Cluster,
    problem: errors.KubeError,
    step: Step,
    written: Sequence[tuple[Step, str]],
    conversation: Conversation,
) -> GwError:
    """Takes back what this run wrote, unless the server's answer leaves open what happened."""
    error = _refusal(problem, step)
    if not isinstance(problem, _REFUSALS):
        done = ", ".join(f"{each.kind} {each.name}" for each, _ in written) or "nothing"
        error.next_step = (
            f"Run the same command again, it goes on from there; written so far: {done}. {error.next_step}"
        )
        return error
    try:
        for each, uid in reversed(written):
            namespace = each.manifest["metadata"].get("namespace")
            await cluster.delete(_resource(each), each.name, namespace=namespace, uid=uid or None)
            conversation.undid(each)
    except errors.KubeError as second:
        error.next_step = f"{error.next_step} {each.kind} {each.name} could not be taken back: {second.message}."
    return error


def _refusal(problem: errors.KubeError, step: Step) -> GwError:
    if isinstance(problem, errors.AlreadyExists):
        return Refused(
            f"the {step.kind} {step.name} has appeared meanwhile, somebody else is at work",
            "Look who, then run the same command again.",
        )
    return explain(problem, f"write the {step.kind} {step.name}", writes=True)


def _resource(step: Step) -> Resource:
    resource = resource_of(str(step.manifest["apiVersion"]), step.kind)
    assert resource is not None, step.kind
    return resource
