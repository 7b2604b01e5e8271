"""One step at the API server, for real or as its dry run.

Objects of a busy cluster change all the time, a quota's status with every pod. A patch that meets such a change is
repeated on the new state, unless the change touches what the patch is about.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from actions_gateway.kube import errors
from gw.ops.changes.fields import changes_between
from gw.ops.changes.plan import Action, Step
from gw.ops.changes.refusal import changed_meanwhile
from gw.sources.cluster import Cluster

_TRIES = 5


async def perform(cluster: Cluster, step: Step, *, field_manager: str, dry_run: bool) -> tuple[Step, Mapping[str, Any]]:
    """The step on the state that it met, and the object that results, empty for one that goes.

    A patch holds for the object's state that was planned from. Raises KubeError, and Refused when somebody changed
    meanwhile what the patch is about.
    """
    planned = step.live
    for attempt in range(_TRIES):
        try:
            return step, await _send(cluster, step, field_manager=field_manager, dry_run=dry_run)
        except errors.NotFound:
            if step.action is not Action.DELETE:
                raise
            return step, {}
        except errors.Conflict:
            if step.action is not Action.CHANGE or attempt == _TRIES - 1:
                raise
            now = await cluster.get(step.resource, step.name, step.namespace)
            if touched := _touched(step, planned, now):
                raise changed_meanwhile(step, now, touched) from None
            step = replace(step, live=now)
    raise AssertionError("the last try returns or raises")


async def _send(cluster: Cluster, step: Step, *, field_manager: str, dry_run: bool) -> Mapping[str, Any]:
    match step.action:
        case Action.CREATE:
            return await cluster.create(step.resource, dict(step.manifest), dry_run=dry_run)
        case Action.CHANGE:
            return await cluster.patch(
                step.resource,
                step.name,
                _on_planned_state(step),
                namespace=step.namespace,
                dry_run=dry_run,
                field_manager=field_manager,
            )
        case Action.DELETE if not dry_run:
            uid = str(step.live["metadata"].get("uid") or "") or None
            await cluster.delete(step.resource, step.name, namespace=step.namespace, uid=uid)
    return {}


def _on_planned_state(step: Step) -> dict[str, Any]:
    version = step.live["metadata"].get("resourceVersion")
    metadata = {**(step.manifest.get("metadata") or {}), **({"resourceVersion": version} if version else {})}
    return {**step.manifest, **({"metadata": metadata} if metadata else {})}


def _touched(step: Step, planned: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The fields that changed since the plan and lie under what the patch sets; a list is set as a whole."""
    if planned["metadata"].get("uid") != now["metadata"].get("uid"):
        return ["metadata.uid"]
    prefixes = _set_by(step.manifest, "")
    changed = [each.path for each in changes_between(planned, now)]
    return [path for path in changed if any(_is_below(path, prefix) for prefix in prefixes)]


def _set_by(patch: Mapping[str, Any], path: str) -> list[str]:
    found: list[str] = []
    for key, value in patch.items():
        below = f"{path}.{key}" if path else str(key)
        found += _set_by(value, below) if isinstance(value, Mapping) and value else [below]
    return found


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")) or prefix.startswith(f"{path}.")
