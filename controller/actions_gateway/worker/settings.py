"""The wrapper's settings: read from the environment once, and removed from what the job's steps inherit."""

from __future__ import annotations

import math

from .errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

RUNNER_HOME_DIR = "RUNNER_HOME_DIR"
PAYLOAD_SECRET_PATH = "PAYLOAD_SECRET_PATH"
CANCELLATION_PATH = "CANCELLATION_PATH"
WORKER_SHUTDOWN_GRACE = "WORKER_SHUTDOWN_GRACE"
GITHUB_CA_CERT_PATH = "GITHUB_CA_CERT_PATH"
PROXY_CA_CERT_PATH = "PROXY_CA_CERT_PATH"
TERMINATION_MESSAGE_PATH = "TERMINATION_MESSAGE_PATH"
JOB_REFUSAL = "JOB_REFUSAL"
JOB_PLAN_ID = "JOB_PLAN_ID"
WRAPPER_LD_PRELOAD = "WRAPPER_LD_PRELOAD"
"""The image's LD_PRELOAD, which the launcher keeps from the wrapper's own interpreter."""

OWN_VARIABLES = (
    RUNNER_HOME_DIR,
    PAYLOAD_SECRET_PATH,
    CANCELLATION_PATH,
    WORKER_SHUTDOWN_GRACE,
    GITHUB_CA_CERT_PATH,
    PROXY_CA_CERT_PATH,
    TERMINATION_MESSAGE_PATH,
    JOB_REFUSAL,
    JOB_PLAN_ID,
    WRAPPER_LD_PRELOAD,
)
"""What `Runner.Worker`, and with it every step of the job, does not see."""


class Settings:
    """Paths are strings as given; an empty CA or termination path means: none."""

    __slots__ = (
        "cancellation_path",
        "extra_ca_paths",
        "payload_folder",
        "plan_id",
        "refusal",
        "runner_home",
        "shutdown_grace_seconds",
        "termination_message_path",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raises StartError, naming the variable."""
        # The stock runner image keeps everything in the home of its user.
        self.runner_home = environ.get(RUNNER_HOME_DIR) or "/home/runner"
        self.payload_folder = environ.get(PAYLOAD_SECRET_PATH) or "/run/secrets/job-payload"
        self.cancellation_path = environ.get(CANCELLATION_PATH) or "/etc/podinfo/cancellation"
        # Below the 30 s that Kubernetes gives a pod, so that the wrapper and not the kubelet ends the job.
        self.shutdown_grace_seconds = _seconds(environ, WORKER_SHUTDOWN_GRACE, default=25.0)
        self.extra_ca_paths = tuple(
            (name, environ[name]) for name in (GITHUB_CA_CERT_PATH, PROXY_CA_CERT_PATH) if environ.get(name)
        )
        # The job that the pod was made for; empty for whatever the Secret holds.
        self.plan_id = environ.get(JOB_PLAN_ID, "")
        # Why the job is to fail in place of running, as the agent words it.
        self.refusal = environ.get(JOB_REFUSAL, "")
        self.termination_message_path = environ.get(TERMINATION_MESSAGE_PATH, "")


def _seconds(environ: Mapping[str, str], name: str, *, default: float) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise StartError(f"{name} must be a number of seconds above 0, not {text!r}")
    return seconds


def scrubbed(environ: Mapping[str, str], started_with: bytes | None = None) -> dict[str, str]:
    """The environment for `Runner.Worker`: everything but the wrapper's own variables.

    `started_with` is /proc/self/environ: where no locale is set, Python adds LC_CTYPE to its environment (PEP 538).
    """
    kept = {name: value for name, value in environ.items() if name not in OWN_VARIABLES}
    if started_with is not None and b"\0LC_CTYPE=" not in b"\0" + started_with:
        kept.pop("LC_CTYPE", None)
    if preload := environ.get(WRAPPER_LD_PRELOAD):
        kept["LD_PRELOAD"] = preload
    return kept
