"""Carries a plan out in the way that every command of gw does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from actions_gateway.kube.resources import SECRETS
from gw.errors import NotConfirmed, Refused
from gw.exits import ExitCode
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Action, Plan
from gw.ops.changes.rehearsal import refuse_missing_rights, rehearse
from gw.ops.changes.writing import write
from gw.sources.cluster import Cluster
from gw.sources.ownership import gitops_owner


class Writing(Protocol):
    """Writes what a person has agreed to."""

    async def __call__(
        self, cluster: Cluster, plan: Plan, conversation: Conversation, *, field_manager: str
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Manner:
    """How to go about a write, as the shared options say."""

    dry_run: bool = False
    yes: bool = False
    confirm: str | None = None
    """The name that a destructive plan wants typed, given beforehand."""
    export: bool = False
    """Say what belongs into git, and write nothing."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of a plan."""

    plan: Plan
    is_written: bool
    """Whether this run wrote anything."""
    is_dry_run: bool = False
    kept_by: tuple[str, ...] = ()
    """GitOps controllers that keep the objects, for which nothing was written."""

    @property
    def for_git(self) -> list[dict[str, Any]]:
        """What belongs into the repository: new objects whole, of others the fields that change; never a Secret."""
        steps = [step for step in self.plan.to_write if step.action is not Action.DELETE and step.resource != SECRETS]
        return [_for_git(step.live, step.manifest) for step in steps]

    def with_unproven(self, unproven: Sequence[str]) -> "Carried":
        """With what could not be seen afterwards, too."""
        return replace(self, plan=replace(self.plan, unproven=(*self.plan.unproven, *unproven)))

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.REFUSED if self.kept_by else ExitCode.OK


async def carry_out(
    cluster: Cluster,
    plan: Plan,
    manner: Manner,
    *,
    conversation: Conversation,
    field_manager: str,
    question: str,
    destroys: str = "",
    heeds_gitops: bool = True,
    writing: Writing = write,
) -> Carried:
    """The written plan; raises GwError. Nothing is written before rights, server and person agree.

    `destroys` is the name that the person has to type in place of a plain yes. `heeds_gitops` is false for what no
    repository holds, such as an annotation of gw's own, which GitOps controllers leave where it is. `writing` is for
    plans whose steps wait for more than one another.
    """
    plan = _without_the_settled(plan)
    kept_by = tuple(dict.fromkeys(filter(None, (gitops_owner(step.live) for step in plan.to_write if step.live))))
    if (kept_by and heeds_gitops) or manner.export:
        return Carried(plan, is_written=False, kept_by=kept_by)
    await refuse_missing_rights(cluster, plan)
    plan = await rehearse(cluster, plan, field_manager=field_manager)
    conversation.show_plan(plan)
    if manner.dry_run or not plan.to_write:
        return Carried(plan, is_written=False, is_dry_run=manner.dry_run)
    if not _agrees(manner, conversation, question, destroys):
        raise NotConfirmed(
            "the plan was not confirmed, and nothing was written", "Run it again once the plan is right."
        )
    await writing(cluster, plan, conversation, field_manager=field_manager)
    return Carried(plan, is_written=True)


def _without_the_settled(plan: Plan) -> Plan:
    """Without the patches whose every value stands already."""
    steps = [
        replace(step, action=Action.UNCHANGED)
        if step.action is Action.CHANGE and _is_contained(step.manifest, step.live)
        else step
        for step in plan.steps
    ]
    return replace(plan, steps=tuple(steps))


def _is_contained(patch: Any, live: Any) -> bool:
    if not isinstance(patch, Mapping):
        return bool(patch == live)
    return isinstance(live, Mapping) and all(_is_contained(value, live.get(key)) for key, value in patch.items())


def _agrees(manner: Manner, conversation: Conversation, question: str, destroys: str) -> bool:
    if not destroys:
        return manner.yes or conversation.confirm(question)
    if manner.yes or manner.confirm is not None:
        _refuse_another_name(manner, destroys)
        return True
    return conversation.confirm_by_name(f"{question} Type {destroys} to go on:", destroys)


def _refuse_another_name(manner: Manner, destroys: str) -> None:
    if manner.confirm != destroys or not manner.yes:
        given = "was not confirmed by name" if manner.confirm is None else f"is not about {manner.confirm}"
        raise Refused(
            f"this {given}, and nothing was written", f"Add --yes --confirm {destroys} once the plan is right."
        )


def _for_git(live: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    if not live:
        return dict(manifest)
    metadata = {key: live["metadata"][key] for key in ("name", "namespace") if live["metadata"].get(key)}
    changed = dict(manifest.get("metadata") or {})
    rest = {key: value for key, value in manifest.items() if key != "metadata"}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": {**metadata, **changed}, **rest}
