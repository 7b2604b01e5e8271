"""What the jobs of a runner group wait for: the vocabulary of its status, of metrics and of `gw`."""

from enum import StrEnum


class WaitReason(StrEnum):
    """Why a job waits, in the order in which jobs come by it."""

    CEILING = "ceiling"
    """As many jobs as the group may run at once do."""
    QUOTA = "quota"
    """The namespace's quotas admit no further worker."""
    BACKOFF = "backoff"
    """The group's last worker could not be made or did not start."""
    CLAIM = "claim"
    """It is delivered and being claimed."""
    START = "start"
    """It is claimed, and its worker does not run yet."""
