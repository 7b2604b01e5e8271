"""What a deletion still finds, object by object with who holds it up, and the wait until it finds nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from actions_gateway.api.conditions import ConditionType
from actions_gateway.engine.clock import Clock
from gw.errors import TimedOut
from gw.ops.verification import Listener
from gw.sources.cluster import one_line

Blockers = Callable[[], Awaitable[Sequence[str]]]

GOES_ON = "run the same command again: it goes on from there."
_LOOK_SECONDS = 0.5
_SHOWN = 5
_TELLING = frozenset(
    {
        # A namespace's, about what remains in it (Kubernetes API, NamespaceConditionType).
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
        "NamespaceDeletionContentFailure",
        # A gateway's: how far its manager is.
        ConditionType.DELETING.value,
    }
)


def told(manifest: Mapping[str, Any]) -> str:
    """The object, and who holds it up."""
    metadata = manifest["metadata"]
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    finalizers = metadata.get("finalizers") or (manifest.get("spec") or {}).get("finalizers") or []
    held = f"finalizer {', '.join(finalizers)}" if finalizers else ""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    words = [one_line(str(entry.get("message"))) for entry in conditions if _is_telling(entry)]
    reasons = "; ".join(part for part in (held, *words) if part)
    return f"{manifest['kind']} {place}{metadata['name']}" + (f" ({reasons})" if reasons else "")


async def until_gone(
    what: str, blockers: Blockers, *, deadline: float, timeout_seconds: float, clock: Clock, listener: Listener
) -> None:
    """Looks until there is no blocker any more; raises TimedOut that names them. `deadline` is by `clock.monotonic`."""
    while left := await blockers():
        shown = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"after {timeout_seconds:.0f} s there still is {shown}", f"Look what holds it up, then {GOES_ON}"
            )
        listener.waiting(shown)
        await clock.sleep(_LOOK_SECONDS)
    listener.reached(what)


def _is_telling(condition: Mapping[str, Any]) -> bool:
    return condition.get("type") in _TELLING and condition.get("status") == "True"
