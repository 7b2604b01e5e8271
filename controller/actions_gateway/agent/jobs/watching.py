"""What a running job needs next: one pure decision over its clockwork."""

from dataclasses import dataclass
from enum import StrEnum

from actions_gateway.agent.jobs.outcome import GIVEN_UP
from actions_gateway.agent.tunables import Tunables

_IDLE_SECONDS = 3600.0


class Step(StrEnum):
    """What to do for a job whose worker has not ended."""

    WAIT = "wait"
    SHOW_CANCELLATION = "show cancellation"
    DELETE_CANCELLED = "cancelled"
    DELETE_LOST = "lock_lost"
    DELETE_PENDING = GIVEN_UP
    """The deletions' values are those of the metric's label."""
    LOOK = "look"
    TAKE_FOR_GONE = "node lost"


@dataclass(frozen=True, slots=True)
class Watch:
    """The clockwork of one job; all times are seconds of the monotonic clock."""

    created: float
    """When the pod was made, or last looked for."""
    is_seen: bool = False
    """The watch has shown the pod."""
    pending_due: float | None = None
    """When a worker that has not started is given up; None once it has started."""
    cancel_deadline: float | None = None
    is_cancellation_shown: bool = False
    lost: float | None = None
    """When the lock was found lost."""
    unreachable_due: float | None = None
    """When a pod that is being deleted and does not end is taken for gone."""
    is_deleted: bool = False
    """We asked for the pod's deletion; all that is left is to wait for its end."""


def decide_step(watch: Watch, *, now: float, tunables: Tunables) -> tuple[Step, float]:
    """The next step, and for WAIT how many seconds until something may be due."""
    moments = [_IDLE_SECONDS]
    dues: tuple[tuple[float | None, Step], ...] = (
        (watch.unreachable_due, Step.TAKE_FOR_GONE),
        (None if watch.is_seen else watch.created + tunables.unseen_pod_seconds, Step.LOOK),
    )
    if not watch.is_deleted:
        dues = _deletions(watch, tunables) + dues
    for due, step in dues:
        if due is not None and now >= due:
            return step, 0.0
        if due is not None:
            moments.append(due - now)
    # After the deadlines: a notice that cannot be written never delays them.
    if watch.cancel_deadline is not None and not watch.is_cancellation_shown and not watch.is_deleted:
        return Step.SHOW_CANCELLATION, 0.0
    return Step.WAIT, min(moments)


def _deletions(watch: Watch, tunables: Tunables) -> tuple[tuple[float | None, Step], ...]:
    return (
        (watch.cancel_deadline, Step.DELETE_CANCELLED),
        (None if watch.lost is None else watch.lost + tunables.lock_lost_grace_seconds, Step.DELETE_LOST),
        (watch.pending_due, Step.DELETE_PENDING),
    )
