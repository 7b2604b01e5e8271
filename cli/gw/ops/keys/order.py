"""What a rotation is asked for, and what came of it."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from actions_gateway.github.secrets import Secret
from gw.exits import ExitCode
from gw.ops.changes.carrying import Carried, Manner
from gw.sources.secrets import AppIdentity

FIELD_MANAGER = "gw-key-rotate"


@dataclass(frozen=True, slots=True)
class RotateKey:
    """One tenant's change to another key."""

    namespace: str
    private_key: Secret = field(repr=False)
    """The new one, as its file has it."""
    timeout_seconds: float
    """For the new key to come to work; a return to the old one has as long again."""
    manner: Manner = field(default_factory=Manner)
    app_id: str | None = None
    """None keeps the App."""
    installation_id: str | None = None
    """None keeps the installation."""
    compromised: bool = False
    """The old key is in wrong hands: it is never gone back to."""
    delete_old: bool = False
    """Whether the old Secret goes once the new key works."""
    ca_bundle: Path | None = None
    """Certificate authorities of a private GitHub, for the proof from here; None takes those that the gateway names."""
    source: str = "the private key"
    """How to call the key when it is refused: mostly its file."""


class Outcome(StrEnum):
    """How a rotation ended."""

    DRY_RUN = "dry-run"
    LEFT_TO_GIT = "left-to-git"
    """The Secret is there; the reference is GitOps's to change."""
    ROTATED = "rotated"
    RETURNED = "returned"
    """The new key did not come to work, and the gateway works with the old one again."""


@dataclass(frozen=True, slots=True)
class RotatedKey:
    """What came of it."""

    carried: Carried
    outcome: Outcome
    key: AppIdentity
    """The new credential."""
    secret: str
    replaced: str
    """The old Secret."""
    is_resumed: bool = False
    """Whether the reference had been changed by an earlier run."""
    is_tried: bool = False
    """Whether the agent has minted a token with the new key."""
    is_proven: bool = False
    """Whether nothing that could be asked speaks against the new key: token, polls, checks."""
    took_seconds: float = 0.0
    is_old_deleted: bool = False
    cause: str = ""
    """Why the new key did not come to work."""
    timed_out: bool = False
    sharing: tuple[str, ...] | None = ()
    """Other tenants that use the old key; None when they could not be listed."""

    @property
    def exit_code(self) -> ExitCode:
        match self.outcome:
            case Outcome.RETURNED:
                return ExitCode.TIMED_OUT if self.timed_out else ExitCode.PROBLEM
            case Outcome.LEFT_TO_GIT:
                return ExitCode.REFUSED
            case _:
                return ExitCode.OK
