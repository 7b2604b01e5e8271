"""When a container runs again and how long it waits for that: pure decisions.

Sources: Kubernetes "Pod Lifecycle" (restart policy) and kubernetes pkg/kubelet/kuberuntime (doBackOff: the first
restart is immediate, then 10 s doubling to 5 min, forgotten after twice the cap without a crash).
"""

from enum import StrEnum

INITIAL_SECONDS = 10.0
CAP_SECONDS = 300.0


class RestartPolicy(StrEnum):
    """A pod's `restartPolicy`."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


def wants_restart(policy: RestartPolicy, exit_code: int, *, is_init: bool) -> bool:
    """Whether a container that ended runs again; init containers end for good with their first success."""
    if exit_code != 0:
        return policy is not RestartPolicy.NEVER
    return policy is RestartPolicy.ALWAYS and not is_init


def next_delay_seconds(previous_seconds: float | None, ran_seconds: float) -> float:
    """The pause before the next start, from the pause before the one that just ended (None: it was the first)."""
    if previous_seconds is None or ran_seconds > 2 * CAP_SECONDS:
        return 0.0
    return min(CAP_SECONDS, max(INITIAL_SECONDS, 2 * previous_seconds))
