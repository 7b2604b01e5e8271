"""How a job ends when its worker cannot go on."""

from __future__ import annotations


class WorkerError(Exception):
    """The worker's launch or report failed: it exits with 1 and reports nothing."""


class SetupError(Exception):
    """The job cannot be set up: it fails with this error, and is reported."""
