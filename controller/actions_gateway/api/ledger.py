"""The ledger of lost jobs as its ConfigMap holds it: one key per workflow run, written by the agent and read by `gw`.

The name of the ConfigMap is `names.RERUN_LEDGER`, a key is the run's id; what else it holds has no number for a key.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

MOST_OF_A_NAME = 200
"""Characters of a job's name, which may be a matrix's values."""


class Cause(StrEnum):
    """Why a job lost its worker; but for the last one, the values of the metrics' label."""

    EVICTION = "eviction"
    """The node ran short of memory, disk or process ids."""
    PREEMPTION = "preemption"
    """A pod of higher priority took its place."""
    DELETION = "deletion"
    """Its pod or node was taken away: drained, deleted, reclaimed, lost."""
    ABANDONED = "abandoned"
    """It never started."""
    LOCK_LOST = "lock_lost"
    """GitHub had ended it, or its lock could not be renewed for so long that GitHub ends it."""


class RerunState(StrEnum):
    """What has become of a lost job."""

    PENDING = "pending"
    """It is rerun once its run has concluded."""
    REQUESTED = "requested"
    UNNEEDED = "unneeded"
    """It had concluded well, or somebody had rerun it."""
    EXHAUSTED = "exhausted"
    """The run's budget was used up: a person decides."""
    MANUAL = "manual"
    """What ended it, nobody can tell here: a person decides, unless its run turns out to be cancelled, or the job to
    have succeeded."""
    WITHHELD = "withheld"
    """A person cancelled the run."""
    REFUSED = "refused"
    """GitHub does not rerun it."""
    EXPIRED = "expired"
    """Its run did not conclude within a day."""


NEEDS_PERSON = frozenset({RerunState.EXHAUSTED, RerunState.MANUAL, RerunState.REFUSED, RerunState.EXPIRED})
"""Nobody reruns these until a person asks for it."""


@dataclass(frozen=True, slots=True)
class LostJob:
    """One job of a run, lost in one attempt of it."""

    runner: str
    """The name of the registration that had it; unique, so it tells the loss apart from every other one."""
    job_id: int | None
    """The job's id in the REST API; None when its payload did not say or was never seen."""
    name: str
    """Cut off at MOST_OF_A_NAME."""
    group: str
    cause: Cause
    attempt: int
    """Of the run; 0 when it is unknown."""
    lost_at: datetime
    not_before: datetime
    is_own_ending: bool
    """GitHub ends it because of us, so that its conclusion `cancelled` is no person's."""
    is_unstarted: bool = False
    """GitHub ends it by its own limit if nobody does before: its conclusion `cancelled` is no person's from then on."""
    state: RerunState = RerunState.PENDING
    request: str = ""
    """The token of the last request of a person for its rerun, made at `not_before`; empty while there was none.

    What was cancelled by then is rerun all the same; who cancels later has changed their mind.
    """

    @property
    def is_pending(self) -> bool:
        """Whether it waits for its rerun."""
        return self.state is RerunState.PENDING

    @property
    def is_open(self) -> bool:
        """Whether its run's end may decide about it."""
        return self.state in (RerunState.PENDING, RerunState.MANUAL)

    @property
    def changed_at(self) -> datetime:
        """When it was lost, or last asked for by a person."""
        return self.not_before if self.request else self.lost_at


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One workflow run."""

    repository: str
    """owner/name."""
    retries: int = 0
    """Reruns that its budget was charged with."""
    jobs: Mapping[str, LostJob] = field(default_factory=dict)
    """By the name of their runner."""

    @property
    def last_change(self) -> datetime | None:
        """When the latest of its jobs was lost or asked for."""
        return max((job.changed_at for job in self.jobs.values()), default=None)

    @property
    def pending(self) -> list[LostJob]:
        """Jobs that wait for their rerun."""
        return [job for job in self.jobs.values() if job.is_pending]

    @property
    def open(self) -> list[LostJob]:
        """Jobs about which their run's end may decide."""
        return [job for job in self.jobs.values() if job.is_open]


def parse_run_id(key: str) -> int | None:
    """The run of a key of the ConfigMap; None when it is no run's."""
    return int(key) if key.isdecimal() and str(int(key)) == key else None


def render(entry: RunEntry) -> str:
    """The value of the run's key in the ConfigMap."""
    jobs = [
        {
            "runner": job.runner,
            "jobId": job.job_id,
            "name": job.name,
            "runnerGroup": job.group,
            "cause": job.cause.value,
            "attempt": job.attempt,
            "lostAt": job.lost_at.isoformat(),
            "notBefore": job.not_before.isoformat(),
            "ownEnding": job.is_own_ending,
            "unstarted": job.is_unstarted,
            "state": job.state.value,
        }
        | ({"request": job.request} if job.request else {})
        for job in entry.jobs.values()
    ]
    return json.dumps({"repository": entry.repository, "retries": entry.retries, "jobs": jobs}, separators=(",", ":"))


def parse(text: str) -> RunEntry:
    """The entry; raises ValueError when the text is none."""
    try:
        fields = json.loads(text)
        jobs = [_job(item) for item in fields["jobs"]]
        return RunEntry(str(fields["repository"]), int(fields["retries"]), {job.runner: job for job in jobs})
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as problem:
        raise ValueError(f"no entry of a workflow run: {type(problem).__name__}") from problem


def _job(fields: Mapping[str, Any]) -> LostJob:
    return LostJob(
        runner=str(fields["runner"]),
        job_id=None if fields["jobId"] is None else int(fields["jobId"]),
        name=str(fields["name"]),
        group=str(fields["runnerGroup"]),
        cause=Cause(fields["cause"]),
        attempt=int(fields["attempt"]),
        lost_at=_moment(fields["lostAt"]),
        not_before=_moment(fields["notBefore"]),
        is_own_ending=bool(fields["ownEnding"]),
        is_unstarted=bool(fields.get("unstarted")),
        state=RerunState(fields["state"]),
        request=str(fields.get("request") or ""),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without its zone")
    return moment


# -- requests of people ------------------------------------------------------------------------------------------------


MOST_OF_A_REQUEST = 64
"""Runners. The ledger holds the token once for each of them, beside the jobs of everybody else."""
_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}")
_RUNNER = re.compile(r"[A-Za-z0-9.-]{1,64}")
"""`names.runner_name`, of which GitHub allows 64 characters."""


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """The value of the annotation `labels.RERUN`: jobs that a person wants rerun, named by their runners."""

    token: str
    """Unique to the request: each is carried out once."""
    runners: tuple[str, ...]

    def render(self) -> str:
        """The annotation's value."""
        return " ".join((self.token, *self.runners))


def parse_request(text: object) -> RerunRequest | None:
    """The request in an annotation, which anybody may have written; None when it is none, or larger than ours are."""
    token, *runners = text.split() if isinstance(text, str) and text.strip() else [""]
    runners = list(dict.fromkeys(runners))
    is_sound = bool(_TOKEN.fullmatch(token)) and all(_RUNNER.fullmatch(runner) for runner in runners)
    return RerunRequest(token, tuple(runners)) if is_sound and 0 < len(runners) <= MOST_OF_A_REQUEST else None
