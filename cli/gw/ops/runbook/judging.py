"""What a condition's command has to say: it holds, it does not, it did not in time, or nobody could be asked.

gw's exit codes tell them apart. kubectl ends with 1 whatever happened, so there it is by its words: what is not known
for an answer of the cluster counts as none.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from gw.exits import ExitCode
from gw.ops.runbook.shell import Probe


class Judgement(StrEnum):
    """What became of looking."""

    HOLDS = "holds"
    FAILS = "fails"
    LATE = "late"
    """It was waited for, and did not come."""
    UNASKED = "unasked"
    """Nobody could be asked: no answer, no right, no program."""
    REJECTED = "rejected"
    """The credentials are missing, or not accepted."""


_OF_GW: Mapping[int, Judgement] = {
    ExitCode.OK: Judgement.HOLDS,
    ExitCode.PROBLEM: Judgement.FAILS,
    # Such as a tenant that does not exist.
    ExitCode.REFUSED: Judgement.FAILS,
    ExitCode.CREDENTIALS: Judgement.REJECTED,
    ExitCode.TIMED_OUT: Judgement.LATE,
}
_GW = re.compile(r"(?:^|[;&(] ?)gw ")
_KUBECTL = re.compile(r"(?<![\w-])kubectl(?![\w-])")
_NOT_STARTED = 126
"""The shell's own codes from here on: a program that is not there, or that a signal ended."""
_BESIDE = re.compile(r"Warning: |[IWEF]\d{4} |No resources found")
"""Lines that say nothing of why kubectl ended badly."""
_LATE = re.compile(r"error: timed out waiting for the condition")
_ABSENT = re.compile(r"Error from server \(NotFound\): .+ not found$|error: no matching resources found$")
_REJECTED = re.compile(r"error: You must be logged in to the server|Error from server \(Unauthorized\)")


def judge(command: str, probe: Probe) -> Judgement:
    """The judgement on one condition by how its command ended."""
    if _GW.search(command):
        return _OF_GW.get(probe.code, Judgement.UNASKED)
    if probe.code == 0:
        return Judgement.HOLDS
    if probe.code >= _NOT_STARTED or probe.code < 0:
        return Judgement.UNASKED
    return _by_words(probe) if _KUBECTL.search(command) else Judgement.FAILS


def _by_words(probe: Probe) -> Judgement:
    """Without a complaint of kubectl's it was the program behind it that said no, such as test or grep."""
    lines = [line.strip() for line in probe.errors.splitlines()]
    complaints = [line for line in lines if line and not _BESIDE.match(line)]
    if any(_REJECTED.match(line) for line in complaints):
        return Judgement.REJECTED
    if not all(_LATE.match(line) or _ABSENT.match(line) for line in complaints):
        return Judgement.UNASKED
    return Judgement.LATE if any(_LATE.match(line) for line in complaints) else Judgement.FAILS
