"""What keeps a worker pod from starting its runner, read from the pod's own state.

Sources of the reasons: kubernetes/kubernetes `pkg/kubelet/images/types.go` (images), `pkg/kubelet/kuberuntime/
kuberuntime_container.go` and `pkg/kubelet/container/sync_result.go` (containers). The kubelet retries all of them for
ever; which ones waiting does not heal is ours to say. What has no place in a pod's state (a volume that cannot be
mounted, a sandbox that cannot be made: both are events only) is no trouble here, it ends at the pod's deadline.
"""

import re
from dataclasses import dataclass
from typing import Any

from actions_gateway.api.names import RUNNER_CONTAINER

_TEXT_LENGTH = 600

_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons of a container that waits for its turn."""
_PULL = frozenset({"ErrImagePull", "ImagePullBackOff"})
_PERMANENT = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImageInspectError",
        "InvalidImageName",
        "SignatureValidationFailed",
    }
)

_PASSING_WORDS = re.compile(
    r"timed?[ -]?out|deadline exceeded|\b(429|5\d\d)\b|too ?many ?requests|rate limit|no such host|connection|"
    r"unavailable|unexpected eof|server misbehaving|try again|not yet been read|failed to sync|is reserved for",
    re.IGNORECASE,
)
"""An outage, a limit, or a kubelet that has just started, whatever else the message says."""
_ABSENT_IMAGE = re.compile(
    r"not found|manifest unknown|name unknown|does not exist|denied|unauthorized|forbidden|authori[sz]ation|"
    r"no basic auth|no match(ing manifest)? for",
    re.IGNORECASE,
)
"""How containerd, CRI-O and registries say that an image does not exist or is not for us."""
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a worker does not run yet."""

    reason: str
    """The kubelet's or the scheduler's word for it."""
    text: str
    """For people: which container, and the words of whoever refuses it."""
    is_permanent: bool
    """Waiting does not help: somebody has to change the template, the image or what it refers to."""

    @property
    def kind(self) -> str:
        """The reason, where the kubelet has two words in turn for one trouble the same one."""
        return "ImagePull" if self.reason in _PULL else self.reason


def trouble_of(pod: dict[str, Any]) -> Trouble | None:
    """What keeps the pod's runner from running, a permanent trouble first; None when nothing does, or it has run.

    Containers other than the runner do not hold it back once they are past the init containers: theirs passes.
    """
    status = _object(pod.get("status"))
    containers = _objects(status.get("containerStatuses"))
    runner = next((container for container in containers if container.get("name") == RUNNER_CONTAINER), {})
    if _has_run(runner) or status.get("phase") in ("Succeeded", "Failed"):
        return None
    blocking = [*_objects(status.get("initContainerStatuses")), runner]
    others = [container for container in containers if container is not runner]
    found = [_waiting(container, is_blocking=True) for container in blocking]
    found += [_waiting(container, is_blocking=False) for container in others]
    troubles = sorted(filter(None, found), key=lambda trouble: not trouble.is_permanent)
    return troubles[0] if troubles else _unscheduled(status)


def _has_run(runner: dict[str, Any]) -> bool:
    state = _object(runner.get("state"))
    return "running" in state or "terminated" in state


def _waiting(container: dict[str, Any], *, is_blocking: bool) -> Trouble | None:
    waiting = _object(_object(container.get("state")).get("waiting"))
    reason, message = _text(waiting.get("reason")), _text(waiting.get("message"))
    if reason in _STARTING:
        return None
    text = f"container {_text(container.get('name'))}: {reason}{f': {message}' if message else ''}"
    return Trouble(reason, text[:_TEXT_LENGTH], is_blocking and _is_permanent(reason, message))


def _is_permanent(reason: str, message: str) -> bool:
    if reason == "InvalidImageName":
        return True
    # Names of images and addresses go: `ghcr.io/team/denied:1` says nothing about a denial.
    words = " ".join(word for word in _QUOTED.sub(" ", message).split() if "/" not in word)
    if _PASSING_WORDS.search(words):
        return False
    return reason in _PERMANENT or (reason in _PULL and _ABSENT_IMAGE.search(words) is not None)


def _unscheduled(status: dict[str, Any]) -> Trouble | None:
    for condition in _objects(status.get("conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason, message = _text(condition.get("reason")) or "Unschedulable", _text(condition.get("message"))
            text = f"not scheduled ({reason}){f': {message}' if message else ''}"
            return Trouble(reason, text[:_TEXT_LENGTH], is_permanent=False)
    return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
