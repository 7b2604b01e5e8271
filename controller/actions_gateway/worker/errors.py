"""What the wrapper refuses before `Runner.Worker` runs."""

from __future__ import annotations


class StartError(Exception):
    """The job cannot be started; the text is one sentence for the pod's termination message, without any secret."""

    exit_code = 1


class WrongJob(StartError):
    """The mounted Secret has become another job's: that one has a worker of its own."""

    exit_code = 80
    """By which the agent knows that this pod's own job never ran."""
