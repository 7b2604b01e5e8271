"""How a command ends badly: one sentence of what, one of what to do, and the exit code.

GwError
├── Refused               2   wrong usage, or refused; nothing was done unless the details say what
│   └── NotConfirmed      2   a person said no
├── Blind                 3   could not find out
├── CredentialsRejected   4   credentials are missing or rejected
└── TimedOut              5   waited as long as asked

Both sentences are shown to people and land in CI logs: they never hold a key, a token or a Secret's content.
"""

from gw.exits import ExitCode


class GwError(Exception):
    """The base; `what` is one sentence without a full stop at its end, `next_step` one that says what to do.

    `details` are lines of evidence that somebody else wrote, such as the end of a log.
    """

    code = ExitCode.UNKNOWN

    def __init__(self, what: str, next_step: str, *, details: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.details = details


class Refused(GwError):
    """Wrong usage, or a precondition does not hold."""

    code = ExitCode.REFUSED


class NotConfirmed(Refused):
    """A person was shown what would be done, and said no."""


class Blind(GwError):
    """The answer could not be found out."""

    code = ExitCode.UNKNOWN


class CredentialsRejected(GwError):
    """Credentials are missing or rejected."""

    code = ExitCode.CREDENTIALS


class TimedOut(GwError):
    """The wait ended before the awaited state came."""

    code = ExitCode.TIMED_OUT
