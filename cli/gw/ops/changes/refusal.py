"""What the API server's refusals mean to somebody who changes something."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actions_gateway.kube import errors
from gw.errors import GwError, Refused
from gw.ops.changes.plan import Action, Step
from gw.sources.changes import parse_object
from gw.sources.cluster import explain

_VERBS = {Action.CREATE: "write", Action.CHANGE: "change", Action.DELETE: "delete", Action.UNCHANGED: "read"}


def refusal(problem: errors.KubeError, step: Step) -> GwError:
    """The error with its next step."""
    match problem:
        case errors.AlreadyExists():
            return Refused(
                f"the {step} has appeared meanwhile, somebody else is at work",
                "Look who, then run the same command again.",
            )
        case errors.Conflict():
            return changed_meanwhile(step, step.live)
        case errors.NotFound() if step.action is not Action.CREATE:
            return Refused(f"the {step} is gone meanwhile", "Run the same command again: the plan is made anew.")
        case _:
            return explain(problem, f"{_VERBS[step.action]} the {step}", writes=True)


def changed_meanwhile(step: Step, now: Mapping[str, Any], fields: Sequence[str] = ()) -> Refused:
    """Somebody changed the object, in `fields` as far as they are known, between plan and write."""
    edits = parse_object(now).edits
    who = f" by {edits[-1].manager}" if edits else ""
    which = f" ({', '.join(fields)})" if fields else ""
    return Refused(
        f"the {step} was changed meanwhile{who}{which}, and this change was not made",
        "Run the same command again: the plan is made anew from what is there now.",
    )


def with_progress(error: GwError, written: Sequence[Step], step: Step, problem: errors.KubeError) -> GwError:
    """The same error, which says what stands written, and whether the last step may stand, too."""
    lines = list(_progress(written, step, problem))
    if lines:
        error.details = (*error.details, *lines)
        error.next_step = f"Run the same command again, it goes on from there. {error.next_step}"
    return error


def _progress(written: Sequence[Step], step: Step, problem: errors.KubeError) -> Iterator[str]:
    if written:
        yield f"Written so far: {', '.join(map(str, written))}."
    if is_open(problem):
        yield f"No answer came about the {step}: it may have been written all the same."


def is_open(problem: errors.KubeError) -> bool:
    """Whether the answer leaves open what happened."""
    refusals = (errors.Forbidden, errors.Invalid, errors.AlreadyExists, errors.NotFound, errors.Conflict)
    return not isinstance(problem, (*refusals, errors.Unauthorized, errors.TooManyRequests))
