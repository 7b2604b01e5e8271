"""How a failure to speak with Prometheus or Alertmanager ends a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from gw.errors import Blind, Refused
from gw.sources.cluster import asking
from gw.sources.endpoints import Declined, NoAnswer


@contextmanager
def telling(doing: str, *, writes: bool = False) -> Iterator[None]:
    """Turns an endpoint's or an API server's refusal inside the block into a GwError; `doing` continues "could not".

    A write that is declined or forbidden is refused; of one without an answer nobody knows whether it was done.
    """
    try:
        with asking(doing, writes=writes):
            yield
    except Declined as problem:
        raise Refused(problem.reason, problem.next_step) from problem
    except NoAnswer as silence:
        if writes and silence.is_forbidden:
            raise Refused(silence.reason, silence.next_step) from silence
        raise Blind(silence.reason, silence.next_step) from silence
