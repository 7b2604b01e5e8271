"""What the wrapper refuses before `Runner.Worker` runs."""

from __future__ import annotations


class StartError(Exception):
    """The job cannot be started; the text is one sentence for the pod's termination message, without any secret."""
