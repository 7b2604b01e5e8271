"""Every duration and variant of the simulated GitHub in one frozen value; a fault may replace fields for a while.

Durations come from what clients of github.com measured and from the sources of actions/runner; those that nobody
measured say "assumed".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DEFAULT_PERMISSIONS: Mapping[str, str] = {
    "actions": "write",
    "administration": "write",
    "contents": "read",
    "metadata": "read",
    "organization_self_hosted_runners": "write",
}


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Defaults imitate github.com."""

    # App and installation tokens (GitHub REST docs: "Generating an installation access token for a GitHub App").
    jwt_skew_seconds: float = 10.0
    installation_token_seconds: float = 3600.0

    # Rate limits (GitHub REST docs: "Rate limits for the REST API"); the point limit is off unless set.
    primary_budget: int = 5000
    anonymous_budget: int = 60
    budget_window_seconds: float = 3600.0
    points_per_minute: int | None = None
    budget_spent: int = 0
    """So many calls of each installation's hour were made by somebody else; an App's own, with a JWT, count apart."""

    clock_offset_seconds: float = 0.0
    """How far GitHub's clock, by which it judges signed requests and dates its answers, is ahead of ours."""

    # Registration.
    runner_group_ids: tuple[int, ...] = (1,)
    unusable_runner_group_ids: tuple[int, ...] = (2,)
    """Groups that exist and refuse self-hosted runners, as the GitHub-hosted group does."""
    key_pool_size: int = 8
    fresh_keys: bool = False
    blob_style: Literal["pascal", "camel"] = "pascal"
    blob_bom: bool = False
    blob_omit: tuple[str, ...] = ()
    """Keys left out of `.runner`."""
    propagation_delay_seconds: float = 0.0
    """How long after a registration the token endpoint does not know the client yet."""
    record_delete_delay_seconds: float = 5.0
    deleted_client_error: Literal["not_found", "invalid_client"] = "not_found"

    # Runner tokens and sessions.
    runner_token_seconds: int = 3000
    omit_expires_in: bool = False
    minimum_runner_version: str = "2.329.0"
    version_refusal: Literal["text", "envelope"] = "text"
    session_ttl_seconds: float = 180.0  # assumed; the runner retries a conflict for four minutes
    dead_session_reply: Literal["envelope", "403", "404", "410"] = "envelope"
    deleted_runner_reply: Literal["401", "not_found"] = "401"
    stale_empty_polls: int = 3
    online_window_seconds: float = 60.0  # assumed

    # Polls and deliveries.
    poll_hold_seconds: float = 50.0
    reoffer_min_interval_seconds: float = 0.0
    reoffer_acknowledged: bool = False
    delivery_lease_seconds: float = 120.0
    new_request_id_after_lease: bool = False
    fanout: int = 1
    """To how many sessions a newly queued job is delivered at once; more than one imitates duplicate deliveries."""
    consume_on: Literal["acquire", "assign"] = "acquire"

    # Jobs.
    lock_seconds: float = 600.0
    unstarted_limit_seconds: float = 900.0
    renew_defers_unstarted: bool = False
    started_on_first_renew: bool = False
    cancel_grace_seconds: float = 300.0
    repeat_acquire: Literal["conflict", "same"] = "conflict"
    missing_conclusion: Literal["succeeded", "refuse"] = "succeeded"
    payload_padding_bytes: int = 0

    journal_size: int = 20_000
    meta: Mapping[str, object] = field(
        default_factory=lambda: {
            "verifiable_password_authentication": False,
            "api": ["192.30.252.0/22", "2a0a:a440::/29"],
            "web": ["140.82.112.0/20"],
            "actions": ["4.148.0.0/16", "not-a-network", "2606:50c0::/32"],
        }
    )
