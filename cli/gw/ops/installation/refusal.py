"""What the API server's refusals mean to somebody who installs or removes."""

from collections.abc import Iterator
from contextlib import contextmanager

from actions_gateway.kube import errors
from gw.errors import GwError, Refused
from gw.sources.cluster import explain, one_line

RIGHTS_STEP = "`gw check --pre` names every right that an installation takes; ask the platform's owners for it."


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Turns a refusal inside the block into a GwError; `what` continues the words "could not"."""
    try:
        yield
    except errors.KubeError as problem:
        raise refusal(problem, what) from problem


def refusal(problem: errors.KubeError, what: str) -> GwError:
    """The error with its next step; a missing right is a refusal, whether it was to read or to write."""
    match problem:
        case errors.QuotaExceeded():
            return explain(problem, what, writes=True)
        case errors.Forbidden():
            return Refused(f"could not {what}: {one_line(problem.message)}", RIGHTS_STEP)
        case errors.NotFound():
            return Refused(
                f"could not {what}: {one_line(problem.message)}",
                "An installation needs that type. Of the sandboxes, `gw sandbox up --cluster real` serves them all.",
            )
        case errors.Conflict():
            return Refused(
                f"could not {what}: {one_line(problem.message)}",
                "Somebody else keeps that field. Let its owner take the value over or give the field up, then go on.",
            )
        case _:
            return explain(problem, what, writes=True)
