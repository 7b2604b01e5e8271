"""RunnerGroup: one set of runners with the same labels, written by the manager and reconciled by the agent.

Defaults stand here once; the CRD's schema and the code that reads a stored object both take them from these fields.
"""

from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.api.fields import (
    DATE_TIME,
    INT32,
    INT64,
    ApiModel,
    Conditions,
    CredentialStatus,
    Duration,
    FreeObject,
    Rule,
    RunnerLabel,
    at_least,
    cel,
)
from actions_gateway.api.names import JOB_SLOTS, MAX_NAME_LENGTH
from actions_gateway.api.waits import WaitReason

RUNNER_IMAGE = (
    "ghcr.io/actions/actions-runner:2.335.1@sha256:08c30b0a7105f64bddfc485d2487a22aa03932a791402393352fdf674bda2c29"
)
RUNNER_VERSION = "2.335.1"
RUNNER_RELEASED = datetime(2026, 6, 9, tzinfo=UTC)
"""The day of the tag v2.335.1 in the repository actions/runner; moves with the version above."""

_TIERS_ASCEND = Rule(
    "!has(self.priorityTiers) || (self.priorityTiers.map(t, t.threshold).isSorted() && "
    "self.priorityTiers.all(t, self.priorityTiers.exists_one(o, o.threshold == t.threshold)))",
    "priorityTiers must have strictly ascending thresholds",
)
_WORKERS_MATCH_TIERS = Rule(
    "!has(self.maxWorkers) || !has(self.priorityTiers) || size(self.priorityTiers) == 0 || "
    "self.maxWorkers == self.priorityTiers[size(self.priorityTiers) - 1].threshold",
    "maxWorkers must equal the threshold of the last priority tier",
)
_NAME = Rule(
    f"size(self.metadata.name) <= {MAX_NAME_LENGTH + 1}",
    f"a runner group's name has at most {MAX_NAME_LENGTH + 1} characters",
)
"""The name is a label's value on its workers."""
NAME_RULES = cel(_NAME)
GROUP_RULES = cel(_TIERS_ASCEND, _WORKERS_MATCH_TIERS)


class PreemptionPolicy(StrEnum):
    """Kubernetes' two policies of a priority class."""

    PREEMPT_LOWER_PRIORITY = "PreemptLowerPriority"
    NEVER = "Never"


class PriorityTier(ApiModel):
    """Workers up to `threshold` running get this priority class."""

    priority_class_name: str = Field(min_length=1, max_length=253)
    threshold: Annotated[int, Field(ge=1, le=JOB_SLOTS, json_schema_extra=INT32)]
    preemption_policy: PreemptionPolicy = Field(
        PreemptionPolicy.NEVER, description="Informational: what preempts is decided by the PriorityClass itself."
    )


class GroupSettings(ApiModel):
    """What a group's runners are like; shared by RunnerGroup and by the entries of an ActionsGateway."""

    runner_labels: Annotated[list[RunnerLabel], Field(min_length=1, max_length=100)] = Field(
        description="Labels that a job's runs-on must be a subset of. GitHub adds none of its own to these runners."
    )
    max_listeners: Annotated[int, Field(ge=1, le=JOB_SLOTS, json_schema_extra=INT32)] = Field(
        1, description="Bound on the sessions that wait for work. One waits at rest; bursts grow up to here."
    )
    max_workers: Annotated[int, Field(ge=1, le=JOB_SLOTS, json_schema_extra=INT32)] | None = Field(
        None, description="Bound on running jobs. Unset: the last tier's threshold, else maxListeners."
    )
    priority_tiers: Annotated[list[PriorityTier], Field(max_length=10)] | None = Field(
        None, description="Ascending thresholds; the first tier with room gives a worker its priority class."
    )
    pod_template: FreeObject | None = Field(
        None, description="A PodTemplateSpec for the workers. The container that runs the job is named runner."
    )
    worker_image: str | None = Field(None, max_length=1024, description="Image of the runner container.")
    max_eviction_retries: Annotated[int, Field(ge=0, le=10, json_schema_extra=INT32)] = 2
    eviction_retry_delay: Duration = Field("5s", json_schema_extra=at_least("1s"))
    max_quota_retries: Annotated[int, Field(ge=0, le=20, json_schema_extra=INT32)] = 5
    quota_retry_delay: Duration = Field("30s", json_schema_extra=at_least("1s"))
    completed_pod_ttl: Duration = Field("5m", alias="completedPodTTL", json_schema_extra=at_least("0s"))
    pending_pod_deadline: Duration = Field("10m", json_schema_extra=at_least("1s"))
    max_worker_lifetime: Duration = Field("12h", json_schema_extra=at_least("0s"))
    suspended: bool = Field(False, description="Claims nothing while true; running jobs go on to their end.")

    @model_validator(mode="after")
    def _tiers_are_consistent(self) -> Self:
        thresholds = [tier.threshold for tier in self.priority_tiers or []]
        if any(later <= earlier for earlier, later in pairwise(thresholds)):
            raise ValueError(_TIERS_ASCEND.message)
        if thresholds and self.max_workers is not None and self.max_workers != thresholds[-1]:
            raise ValueError(_WORKERS_MATCH_TIERS.message)
        return self

    @property
    def worker_ceiling(self) -> int:
        """How many jobs may run at once."""
        if self.max_workers is not None:
            return self.max_workers
        if self.priority_tiers:
            return self.priority_tiers[-1].threshold
        return self.max_listeners

    @property
    def completed_pod_ttl_seconds(self) -> float:
        """How long a finished worker pod stays readable."""
        return parse_duration_seconds(self.completed_pod_ttl)

    @property
    def max_worker_lifetime_seconds(self) -> float:
        """A worker's life at most; 0 means unbounded."""
        return parse_duration_seconds(self.max_worker_lifetime)


class RunnerGroupSpec(GroupSettings):
    """The spec of a RunnerGroup."""

    model_config = ConfigDict(json_schema_extra=GROUP_RULES)


MOST_OF_A_WAIT = 1024
"""Characters that tell of one wait."""


class GroupWait(ApiModel):
    """Jobs that wait for one thing."""

    reason: str = Field(max_length=20, description=f"One of {', '.join(WaitReason)}.")
    jobs: int = Field(0, json_schema_extra=INT32, description="How many of the pending jobs that is.")
    since: str | None = Field(
        None, json_schema_extra=DATE_TIME, description="When the first of them was delivered, within a minute."
    )
    message: str = Field(
        "", max_length=MOST_OF_A_WAIT, description="What they wait for, which limit binds and what ends it."
    )


class RunnerGroupStatus(ApiModel):
    """What the agent reports."""

    conditions: Conditions = Field(default_factory=list)
    active_sessions: int = Field(0, json_schema_extra=INT32, description="Sessions that can take a job.")
    active_jobs: int = Field(0, json_schema_extra=INT32, description="Claimed jobs that have not ended.")
    pending_jobs: int = Field(0, json_schema_extra=INT32, description="Jobs delivered or claimed that do not run yet.")
    waiting: Annotated[list[GroupWait], Field(max_length=5)] | None = Field(
        None, description="What the pending jobs wait for; absent while nothing waits."
    )
    registrations: int | None = Field(
        None,
        json_schema_extra=INT32,
        description="Runners that the agent has registered at GitHub and not seen end; absent while it cannot tell what"
        " another agent left of a closed group.",
    )
    observed_generation: int = Field(0, json_schema_extra=INT64)
    credential: CredentialStatus | None = Field(None, description="What the agent sees of the App credential.")


__all__ = [
    "GROUP_RULES",
    "RUNNER_IMAGE",
    "RUNNER_RELEASED",
    "RUNNER_VERSION",
    "GroupSettings",
    "PriorityTier",
    "RunnerGroupSpec",
    "RunnerGroupStatus",
]
