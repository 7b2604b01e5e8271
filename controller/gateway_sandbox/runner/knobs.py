"""Switches that make the fake worker misbehave on purpose, for tests and drills.

They come from the JSON file that GATEWAY_SANDBOX_WORKER_KNOBS names, else from `<runner root>/worker-knobs.json`.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH118, PTH123
from __future__ import annotations

import json
import os

from .errors import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARIABLE = "GATEWAY_SANDBOX_WORKER_KNOBS"
FILE_NAME = "worker-knobs.json"


class Knobs:
    """All knobs at the values of the real worker; `Knobs(name=value)` turns some."""

    def __init__(self, **values: Any) -> None:
        self.first_message_seconds = 30.0
        self.read_delay_seconds = 0.0
        """Wait before the first read, so that a large job message blocks its writer."""
        self.sigterm_seconds = 30.0
        """How long the first SIGTERM leaves for the report."""
        self.interrupt_seconds = 7.5
        self.terminate_seconds = 2.5
        self.output_close_seconds = 5.0
        """How long a step's output may stay open after its process ended."""
        self.duration_seconds = 0.0
        """Time that the job takes in addition to its steps."""
        self.result = ""
        """Reported in place of the real result: succeeded, failed or canceled."""
        self.exit_code: int | None = None
        """Exit with this code after the steps, without a report."""
        self.crash_text = ""
        """Print this and exit with 1 as soon as the job has arrived."""
        self.kill_signal = 0
        """Kill the worker with this signal as soon as the job has arrived."""
        self.ignore_control = False
        """Go on whatever message or SIGTERM arrives."""
        self.close_channel = False
        """Close the reading end before the first read, and linger for `duration_seconds`."""
        self.lingering_child_seconds = 0.0
        """Leave a child behind that holds every inherited descriptor this long."""
        self.stdout_bytes = 0
        """Write this much to stdout during the job."""
        self.reports = True
        """Post completejob."""
        self.complete_attempts = 25
        self.complete_retry_seconds = 5.0
        self.upload_interval_seconds = 0.3
        self.record_path = ""
        """Write argv, environment, descriptors and the decoded message to this file."""
        for name, value in values.items():
            if name not in vars(self):
                raise WorkerError(f"unknown knob {name!r}; there are: {', '.join(vars(self))}")
            setattr(self, name, value)


def read_knobs(environ: Mapping[str, str], runner_root: str) -> Knobs:
    """Raises WorkerError when the named file cannot be used."""
    path = environ.get(VARIABLE) or os.path.join(runner_root, FILE_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            return Knobs(**json.load(file))
    except FileNotFoundError:
        if VARIABLE in environ:
            raise WorkerError(f"{VARIABLE} names {path}, which does not exist") from None
        return Knobs()
    except (OSError, ValueError, TypeError) as exc:
        raise WorkerError(f"cannot read the knobs in {path}: {exc}") from exc
