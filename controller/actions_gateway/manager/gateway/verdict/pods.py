"""Why pods do not run, in words that stay the same while a container goes through the states of a crash loop.

Reasons are the kubelet's and the scheduler's own (Kubernetes docs, "Pod Lifecycle").
"""

from collections.abc import Iterator, Sequence
from typing import Any

from actions_gateway.kube.client import Manifest

_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
_CRASH_LOOP = "CrashLoopBackOff"
_LOOP_RESTARTS = 2
"""The kubelet restarts once at once, and backs off from then on."""
_MESSAGE_LIMIT = 300


def pods_cause(pods: Sequence[Manifest]) -> str:
    """The newest pod's reason for not being ready that says anything; empty when none does."""
    newest_first = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    causes = (cause for pod in newest_first if not _is_going(pod) for cause in _causes(pod.get("status") or {}))
    return next(causes, "")


def _is_going(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _causes(status: dict[str, Any]) -> Iterator[str]:
    if status.get("phase") == "Failed" and status.get("reason"):
        yield _told(status["reason"], status.get("message"))
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        if not container.get("ready") and (cause := _container_cause(container)):
            yield f"container {container.get('name')}: {cause}"
    for entry in status.get("conditions") or []:
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            yield _told(entry.get("reason", ""), entry.get("message"))


def _container_cause(container: dict[str, Any]) -> str:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    reason = str(waiting.get("reason") or "")
    if reason == _CRASH_LOOP or (ended and int(container.get("restartCount") or 0) >= _LOOP_RESTARTS):
        # Its own message counts up the seconds of the back-off, so it never stays the same.
        return f"{_CRASH_LOOP}, its last run ended with {_end(ended)}" if ended else _CRASH_LOOP
    if reason not in _STARTING:
        return _told(reason, waiting.get("message"))
    # An init container that completed is not ready, and no cause of anything.
    return _end(ended) if ended and ended.get("exitCode") != 0 else ""


def _end(ended: dict[str, Any]) -> str:
    return f"{ended.get('reason') or 'Error'} (exit code {ended.get('exitCode')})"


def _told(reason: str, message: Any) -> str:
    text = " ".join(str(message or "").split())[:_MESSAGE_LIMIT].rstrip(".")
    return f"{reason}: {text}" if text else reason
