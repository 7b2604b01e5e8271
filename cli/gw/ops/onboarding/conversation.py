"""How an operation that writes speaks with whoever asked for it; the printer is one, a test another."""

from typing import Protocol

from gw.ops.onboarding.plan import Plan, Step


class Conversation(Protocol):
    """Progress and one question."""

    def checked(self, what: str) -> None:
        """Something was proven before anything is written."""

    def show_plan(self, plan: Plan) -> None:
        """What is about to be written."""

    def confirm(self, question: str) -> bool:
        """Whether to go on; raises Refused when there is nobody to ask."""

    def wrote(self, step: Step) -> None:
        """An object was written."""

    def undid(self, step: Step) -> None:
        """An object of this run was taken back."""

    def reached(self, what: str) -> None:
        """Something that was waited for is true."""

    def waiting(self, what: str) -> None:
        """What is waited for now, in the words of the cluster."""
