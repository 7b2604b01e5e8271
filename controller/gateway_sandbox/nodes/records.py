"""What the node knows about each container: the facts from which a pod's status is rendered."""

from dataclasses import dataclass, field
from datetime import datetime

SIGKILL_EXIT_CODE = 137


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running (yet)."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """The main process runs."""

    started_at: datetime


@dataclass(frozen=True, slots=True)
class Terminated:
    """The main process has ended, or never began (`reason` StartError)."""

    exit_code: int
    reason: str
    finished_at: datetime
    started_at: datetime | None = None
    message: str = ""
    container_id: str = ""


State = Waiting | Running | Terminated


@dataclass(slots=True)
class ContainerRecord:
    """One container's facts; changed by the container's own loop only."""

    name: str
    image: str
    is_init: bool
    state: State = field(default_factory=lambda: Waiting("PodInitializing"))
    last: Terminated | None = None
    """The run before the present one."""
    restart_count: int = 0
    has_started: bool = False
    """The startup probe has passed, or there is none and the container runs."""
    is_ready: bool = False
    container_id: str = ""
    image_id: str = ""

    @property
    def has_succeeded(self) -> bool:
        return isinstance(self.state, Terminated) and self.state.exit_code == 0
