"""What can be known before anything is written: the caller's rights, the server's checks, the fields that change."""

from collections.abc import Iterable
from dataclasses import replace

from actions_gateway.installation.people import roles_that_may
from actions_gateway.kube import errors
from actions_gateway.kube.resources import NAMESPACES, SECRETS
from gw.errors import Refused
from gw.ops.changes.fields import FieldChange, changes_between
from gw.ops.changes.performing import perform
from gw.ops.changes.plan import Action, Plan, Step
from gw.ops.changes.refusal import refusal
from gw.sources.cluster import Cluster
from gw.sources.rights import Right, ask_rights

_VERBS = {Action.CREATE: "create", Action.CHANGE: "patch", Action.DELETE: "delete"}


async def refuse_missing_rights(cluster: Cluster, plan: Plan) -> None:
    """Raises Refused that names every right which the plan takes and the caller lacks."""
    await refuse_lacking_rights(cluster, [_right(step) for step in plan.to_write])


async def refuse_lacking_rights(cluster: Cluster, needed: Iterable[Right]) -> None:
    """The same for rights that an operation takes as a whole, before it has a plan."""
    rights = list(dict.fromkeys(needed))
    try:
        facts = await ask_rights(cluster, rights)
    except errors.KubeError:
        # Whoever may not even ask hears it from the dry run.
        return
    lacking = [(right, fact) for right, fact in zip(rights, facts, strict=True) if not fact.is_allowed]
    if not lacking:
        return
    roles = [set(roles_that_may(right.verb, right.resource.group, right.resource.plural)) for right, _ in lacking]
    having = sorted(set.intersection(*roles))
    words = f" ({' and '.join(having)} {'has' if len(having) == 1 else 'have'} it)" if having else ""
    what = f"you may not {' and not '.join(str(fact) for _, fact in lacking)}; nothing was tried"
    raise Refused(what, f"Ask the platform's owners for that right{words}, or run gw as somebody who has it.")


async def rehearse(cluster: Cluster, plan: Plan, *, field_manager: str) -> Plan:
    """The plan with the fields that change, and without patches that change nothing; raises GwError.

    An object can be checked in a namespace that exists only: beside a new namespace the rest is unproven.
    """
    is_new = any(is_namespace(step) for step in plan.to_write)
    steps, unproven = list[Step](), list(plan.unproven)
    for step in plan.steps:
        if step.action is Action.UNCHANGED or (is_new and not is_namespace(step)):
            steps.append(step)
            continue
        try:
            steps.append(await _rehearse(cluster, step, field_manager))
        except errors.KubeError as problem:
            raise refusal(problem, step) from problem
    if is_new and any(not is_namespace(step) for step in plan.to_write):
        unproven.append("the API server's checks of the objects inside of the namespace, which does not exist yet")
    return replace(plan, steps=tuple(steps), unproven=tuple(unproven))


def is_namespace(step: Step) -> bool:
    """Whether the step makes the namespace that others lie in."""
    return step.resource == NAMESPACES and step.action is Action.CREATE


async def _rehearse(cluster: Cluster, step: Step, field_manager: str) -> Step:
    step, result = await perform(cluster, step, field_manager=field_manager, dry_run=True)
    if step.action is not Action.CHANGE:
        return step
    fields = changes_between(step.live, result)
    return replace(step, fields=_shown(step, fields), action=step.action if fields else Action.UNCHANGED)


def _shown(step: Step, fields: tuple[FieldChange, ...]) -> tuple[FieldChange, ...]:
    """A Secret's fields change without their values being said."""
    if step.resource != SECRETS:
        return fields
    hidden = [
        replace(each, before=each.before and "(hidden)", after=each.after and "(hidden)")
        if each.path.startswith(("data", "stringData"))
        else each
        for each in fields
    ]
    return tuple(hidden)


def _right(step: Step) -> Right:
    # What is created has no name yet that a role could have been restricted to.
    name = "" if step.action is Action.CREATE else step.name
    return Right(_VERBS[step.action], step.resource, step.namespace or "", name)
