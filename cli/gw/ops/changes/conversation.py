"""How an operation that writes speaks with whoever asked for it; the printer is one, a test another."""

from typing import Protocol

from gw.ops.changes.plan import Plan, Step


class Conversation(Protocol):
    """Progress and one question."""

    def checked(self, what: str) -> None:
        """Something was proven before anything is written."""

    def show_plan(self, plan: Plan) -> None:
        """What is about to be written, field by field, and what it means."""

    def confirm(self, question: str) -> bool:
        """Whether to go on; raises Refused when there is nobody to ask."""

    def confirm_by_name(self, question: str, name: str) -> bool:
        """Whether the person types that name; raises Refused when there is nobody to ask."""

    def goes_on_with(self, command: str) -> None:
        """What to run after an interrupt, where the same command again would do more."""

    def wrote(self, step: Step) -> None:
        """A step was carried out."""

    def left_open(self, step: Step) -> None:
        """An interrupt came while a step was carried out: it may have been, or not."""

    def undid(self, step: Step) -> None:
        """An object that this run made was taken back."""

    def reached(self, what: str) -> None:
        """Something that was waited for is true."""

    def waiting(self, what: str) -> None:
        """What is waited for now, in the words of the cluster."""
