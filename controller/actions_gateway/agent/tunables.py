"""The agent's constants of time and count: not settings of a tenant, but what tests and simulations tune.

Source of the protocol's times: actions/runner `src/Runner.Listener/BrokerMessageListener.cs`, `JobDispatcher.cs`;
GitHub REST docs, "Rate limits for the REST API".
"""

from dataclasses import dataclass

from actions_gateway.api.conditions import SUSTAINED_LIMIT_SECONDS
from actions_gateway.engine.backoff import Backoff
from actions_gateway.github.budgets import Limits

_START_BACKOFF = Backoff(base_seconds=1.0, cap_seconds=60.0)
_TOKEN_BACKOFF = Backoff(base_seconds=5.0, cap_seconds=60.0)
_REMOVAL_BACKOFF = Backoff(base_seconds=1.0, cap_seconds=60.0)
_WRITE_BACKOFF = Backoff(base_seconds=1.0, cap_seconds=30.0)
_PROOF_BACKOFF = Backoff(base_seconds=5.0, cap_seconds=300.0)
_GITHUB_LIMITS = Limits()
_ADMISSION_BACKOFF = Backoff(base_seconds=5.0, cap_seconds=300.0)


@dataclass(frozen=True, slots=True)
class Tunables:
    """Defaults are for github.com."""

    # -- sessions
    poll_deadline_seconds: float = 120.0
    """A poll task that outlives this is stuck: the HTTP client's own deadlines (30 s for a new token, 70 s for the poll
    with its connection) have failed."""
    empty_poll_floor_seconds: float = 0.1
    """From the start of an empty poll to the next one, so that a server that does not hold polls is not hammered."""
    sessions_at_rest: int = 1
    """How many sessions of a group wait while nothing is queued, within its bounds."""
    empty_polls_before_drain: int = 3
    """Consecutive empty polls after which a session beyond the last one is given back."""
    burst_wave_seconds: float = 10.0
    """Deliveries to as many sessions as wait, within so long, are a burst: successors are registered ahead of it."""
    stale_answers: int = 3
    """Consecutive empty 200s that mean: the session is dead."""
    busy_heal_seconds: float = 5.0
    """So long a busy session that GitHub no longer knows waits for its job's end before it is opened anew."""
    hold_poll_interval_seconds: float = 10.0
    """How often a session that holds a job asks whether the job still waits for it."""
    claim_window_seconds: float = 120.0
    """How long an unclaimed delivery can be claimed (measured against github.com: about two minutes)."""
    claim_seconds: float = 60.0
    """A claim that is younger may still be going on, whatever has become of its agent's pod."""
    delivery_memory_seconds: float = 180.0
    """A job that was not delivered for so long waits no more, or waits for another runner."""
    refused_claim_pause_seconds: float = 2.0
    """After GitHub refused a claim, before the same session polls again."""
    session_close_seconds: float = 10.0
    """Bound on closing one session and deleting its registration."""
    start_backoff: Backoff = _START_BACKOFF
    """Between attempts to open a session."""

    # -- registrations
    github_limits: Limits = _GITHUB_LIMITS
    """Of the installation; the agent's share of them is its own setting."""
    stray_patience_seconds: float = 300.0
    """A registration without an owner must be seen offline and idle for so long before it is removed."""
    stray_look_seconds: float = 1800.0
    """Between looks for such registrations while none is suspected."""
    late_registration_seconds: float = 5.0
    """For so long after a registration that was not answered GitHub may still be making it."""
    removal_backoff: Backoff = _REMOVAL_BACKOFF
    """Between attempts to remove registrations that GitHub did not let go of."""

    # -- installation token
    token_lead_seconds: float = 300.0
    token_lead_jitter: float = 0.1
    token_floor_seconds: float = 30.0
    """Least time between two mints after a success, however short the tokens' life is."""
    token_backoff: Backoff = _TOKEN_BACKOFF
    secret_look_seconds: float = 60.0
    """How often the files of a working credential are compared with what was read."""

    # -- jobs
    admission_backoff: Backoff = _ADMISSION_BACKOFF
    """Of a group whose workers cannot be made or do not start, before the next claim."""
    quota_patience_seconds: float = 30.0
    """A job that a quota has kept waiting for so long shows in its group's condition."""
    proof_backoff: Backoff = _PROOF_BACKOFF
    """Between questions whether a group's workers are admitted, while they are not or the answer says nothing."""
    acquire_attempts: int = 3
    renew_interval_seconds: float = 60.0
    lock_seconds: float = 600.0
    """What a claim or renewal is worth when GitHub names no end."""
    lock_margin_seconds: float = 60.0
    """A lock is given up so long before its end: the worker must stop before another runner may get the job."""
    lock_lost_grace_seconds: float = 30.0
    """A completed job's lock is gone, too: so long the worker may take to show that it has ended."""
    unstarted_limit_seconds: float = 870.0
    """From then on GitHub, and no person, may have ended a job that did not start (it does after 15 min 14 s)."""
    plan_memory_seconds: float = 300.0
    """So long after a job's end a late delivery of it is recognised as a duplicate."""
    orphan_seconds: float = 600.0
    """A worker that nobody renews a lock for is left so long: by then GitHub has given its job up."""
    adoption_seconds: float = 60.0
    """So long groups wait at the start for the jobs of an earlier agent to be read."""
    foreign_slot_look_seconds: float = 30.0
    """How often a job of another agent that lives beside this one is looked at, in case that one dies."""
    unreachable_node_seconds: float = 120.0
    """A pod whose deletion is overdue by so much is on a node that does not answer: its worker is taken for lost."""
    unseen_pod_seconds: float = 30.0
    """A created pod that the watch has not shown for so long is looked up directly."""
    write_backoff: Backoff = _WRITE_BACKOFF
    """Between attempts to write a job's objects."""

    # -- status
    status_debounce_seconds: float = 0.5
    status_repair_seconds: float = 60.0
    """How soon a status that somebody else wrote over is written again: two agents that live for a while at once do not
    fight about it."""
    sustained_limit_seconds: float = SUSTAINED_LIMIT_SECONDS

    # -- shutdown, within the pod's 60 s of grace
    close_sessions_seconds: float = 20.0
    """Covers claims in progress, too: handling one received message is never cut in half."""
    final_removals_seconds: float = 10.0
    """For registrations that their sessions could not remove while they closed."""
    final_renewals_seconds: float = 10.0
    revoke_seconds: float = 5.0
