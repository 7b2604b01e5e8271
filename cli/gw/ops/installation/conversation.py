"""How installing and removing speak with whoever asked for it; the printer is one, a test another."""

from collections.abc import Sequence
from typing import Protocol

from gw.ops.installation.plan import Action, Plan
from gw.ops.installation.snapshot import Identity


class Conversation(Protocol):
    """Progress and one question."""

    def show_plan(self, plan: Plan) -> None:
        """What is about to be written, field by field."""

    def show_removal(self, host: str, removed: Sequence[str], kept: Sequence[str]) -> None:
        """What is about to go, and what stays."""

    def confirm(self, question: str) -> bool:
        """Whether to go on; raises Refused when there is nobody to ask."""

    def confirm_by_name(self, question: str, name: str) -> bool:
        """Whether the person types that name; raises Refused when there is nobody to ask."""

    def did(self, action: Action, identity: Identity) -> None:
        """An object was written or removed."""

    def released(self, identity: Identity) -> None:
        """A gateway lost the manager's finalizer, since no manager takes it down."""

    def reached(self, what: str) -> None:
        """Something that was waited for is true."""

    def waiting(self, what: str) -> None:
        """What is waited for now, in the words of the cluster."""
