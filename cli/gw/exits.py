"""The exit codes of every command, spelled once."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's end means to a script."""

    OK = 0
    """Fine."""
    PROBLEM = 1
    """Looked and found a problem at or above --fail-on."""
    REFUSED = 2
    """Wrong usage, or refused: nothing was done, unless the words list what was."""
    UNKNOWN = 3
    """Could not find out."""
    CREDENTIALS = 4
    """Credentials are missing or rejected."""
    TIMED_OUT = 5
    """Timed out waiting."""
    INTERRUPTED = 130
    """Interrupted."""
