"""Writes a plan in its order.

What this run made is taken back when the server refuses a later object; changed objects stay changed, and the error
says which. An answer that leaves open what happened takes nothing back: the same command goes on from there.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from actions_gateway.kube import errors
from gw.errors import GwError
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.performing import perform
from gw.ops.changes.plan import Action, Plan, Step
from gw.ops.changes.refusal import is_open, refusal, with_progress
from gw.ops.changes.rehearsal import is_namespace
from gw.sources.cluster import Cluster

_Written = tuple[Step, Mapping[str, Any]]


async def write(cluster: Cluster, plan: Plan, conversation: Conversation, *, field_manager: str) -> None:
    """Every step of the plan; raises GwError."""
    written: list[_Written] = []
    first = [step for step in plan.to_write if is_namespace(step)]
    for step in first:
        await _write(cluster, step, written, conversation, field_manager)
    rest = [step for step in plan.to_write if step not in first]
    # Inside of a namespace that is new nothing could be rehearsed before.
    for is_rehearsal in (True, False) if first else (False,):
        for step in rest:
            await _write(cluster, step, written, conversation, field_manager, dry_run=is_rehearsal)


async def _write(
    cluster: Cluster,
    step: Step,
    written: list[_Written],
    conversation: Conversation,
    field_manager: str,
    *,
    dry_run: bool = False,
) -> None:
    try:
        step, result = await perform(cluster, step, field_manager=field_manager, dry_run=dry_run)
    except errors.KubeError as problem:
        error = refusal(problem, step)
        if not is_open(problem):
            await _take_back(cluster, written, conversation, error)
        raise with_progress(error, [each for each, _ in written], step, problem) from problem
    except GwError as error:
        await _take_back(cluster, written, conversation, error)
        raise
    except (asyncio.CancelledError, KeyboardInterrupt):
        if not dry_run:
            conversation.left_open(step)
        raise
    if not dry_run:
        written.append((step, result))
        conversation.wrote(step)


async def _take_back(cluster: Cluster, written: list[_Written], conversation: Conversation, error: GwError) -> None:
    """Deletes what this run made, latest first; what cannot go is named in the error."""
    for step, result in reversed(list(written)):
        if step.action is not Action.CREATE:
            continue
        uid = str((result.get("metadata") or {}).get("uid") or "") or None
        try:
            await cluster.delete(step.resource, step.name, namespace=step.namespace, uid=uid)
        except errors.KubeError as second:
            error.details = (*error.details, f"{step} could not be taken back: {second.message}.")
            continue
        written.remove((step, result))
        conversation.undid(step)
