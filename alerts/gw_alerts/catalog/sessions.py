"""Sessions and what reaches them: no session, GitHub that does not answer, claims that fail."""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.expressions import (
    JUST_CLAIMED,
    OPEN_SESSIONS,
    RUNNER_GROUP,
    SESSIONS,
    TENANT,
    compare,
    errors,
    events,
    latest,
)
from gw_alerts.model import Alert, Arm, Depends, Part, Scope, Signal
from gw_alerts.recordings import EXPECTED_SESSIONS

GITHUB_SILENT_ERRORS = t.Threshold(
    subject="requests to GitHub of a tenant without an answer, while none is answered, within two minutes",
    comparison=">=",
    value=2,
    unit="requests",
    severity=t.Severity.PAGE,
    source=t.OURS + "a healthy tenant has a poll answered every 50 s; two failures and no answer are no accident",
)
POLL_ERRORS_PER_MINUTE = t.Threshold(
    subject="polls that failed, per namespace",
    comparison=">",
    value=5,
    unit="errors per minute",
    severity=t.Severity.TICKET,
    source=t.OURS + "the runbook asks to look at persistent poll errors and names no number; it is that of renewals",
)
RECYCLE_ERRORS = t.Threshold(
    subject="registrations of runners that could not be made within 10 minutes",
    comparison=">",
    value=0,
    unit="registrations",
    severity=t.Severity.TICKET,
    source=t.OURS + "each job uses a registration up; while none can be made, sessions run out one by one",
)
CLAIM_SECONDS = t.Threshold(
    subject="time that a delivered job waits for its claim while none is claimed",
    comparison=">",
    value=60,
    unit="seconds",
    severity=t.Severity.TICKET,
    source=t.OURS + "a claim takes a second; GitHub takes an unclaimed delivery back after two minutes",
)
CLAIMS_FAILED = t.Threshold(
    subject="claims that failed within 10 minutes, those that another runner was first with aside, while none succeeds",
    comparison=">",
    value=0,
    unit="claims",
    severity=t.Severity.TICKET,
    source=t.OURS + "GitHub gives a failed claim's job to another runner, which fails as well while the cause lasts",
)
LOOP_LAG_SECONDS = t.Threshold(
    subject="lag of an agent's or a manager's event loop",
    comparison=">",
    value=5,
    unit="seconds",
    severity=t.Severity.TICKET,
    source=t.OURS + "polls and renewals are late by as much; the liveness probe ends a process that is stuck for 30 s",
)

_EXPECTED = EXPECTED_SESSIONS.name
_SILENT = f"time() - {latest(m.LAST_POLL_TIMESTAMP, RUNNER_GROUP)}"
_POLLING = latest(m.LISTENER_SLOTS, RUNNER_GROUP, 'state="polling"')
_UNANSWERED = events(m.GITHUB_REQUESTS, "2m", TENANT, 'code_class=~"5xx|error"')
_ANSWERED = events(m.GITHUB_REQUESTS, "2m", TENANT, 'code_class=~"2xx|3xx|4xx|limited"')

NO_ACTIVE_SESSIONS = Alert(
    "ActionsGatewayNoActiveSessions",
    t.Severity.PAGE,
    Part.AGENT,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            # Of the groups that should poll, those without a session, be the agent's series at 0 or gone with the
            # agent. Of a group of which no manager has said anything the agent's own 0 is enough.
            f"({_EXPECTED} > 0 unless on ({RUNNER_GROUP}) {SESSIONS} > 0)"
            f" or ({compare(OPEN_SESSIONS, t.NO_ACTIVE_SESSION)}"
            f" unless on ({RUNNER_GROUP}) ({JUST_CLAIMED} > 0 or {_EXPECTED}))",
            # An agent that ends closes its sessions before it is gone, and the page on it is the one to be told.
            3,
            "No session is open for {{ $labels.namespace }}/{{ $labels.runner_group }}",
            "No listener polls, so its jobs wait at GitHub until one does.",
            (t.NO_ACTIVE_SESSION,),
            "none",
            checks=("session.open",),
        ),
        Arm(
            f"({compare(_SILENT, t.POLL_AGE_SECONDS)}) and on ({RUNNER_GROUP}) {_POLLING} > 0",
            1,
            "Sessions of {{ $labels.namespace }}/{{ $labels.runner_group }} are open and hear nothing",
            "No poll was answered for {{ $value | humanizeDuration }}, so its jobs wait at GitHub.",
            (t.POLL_AGE_SECONDS,),
            "silent",
            checks=("session.polling",),
        ),
    ),
    "runbooks/alerts/sessions-zero.md",
    ("cluster", "namespace", "runner_group"),
    frozenset({Depends.GITHUB, Depends.AGENT}),
    seed="actions_gateway_active_sessions",
)

GITHUB_UNREACHABLE = Alert(
    "ActionsGatewayGitHubUnreachable",
    t.Severity.PAGE,
    Part.GITHUB,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            # Any answer is one, a refusal too. Nobody waits here: it has to fire no later than what it inhibits.
            f"{compare(_UNANSWERED, GITHUB_SILENT_ERRORS)} unless on ({TENANT}) {_ANSWERED} > 0",
            0,
            "GitHub does not answer {{ $labels.namespace }}",
            "Requests fail, and none was answered for two minutes. No job is taken, and locks of running jobs end "
            "within 10 minutes. GitHub is down, or the way through the tenant's proxy is.",
            (GITHUB_SILENT_ERRORS,),
            checks=("github.reachable",),
        ),
    ),
    "runbooks/alerts/github-down.md",
    ("cluster", "namespace"),
    # An outage slows an idle tenant's polls down to one in a minute, so two minutes do not always hold two failures.
    keep_firing_minutes=5,
)

JOB_ACQUISITION_STALLED = Alert(
    "ActionsGatewayJobAcquisitionStalled",
    t.Severity.TICKET,
    Part.AGENT,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            "("
            + compare(latest(m.OLDEST_WAITING_JOB, RUNNER_GROUP, 'reason="claim"'), CLAIM_SECONDS)
            + " or "
            + compare(events(m.JOB_ACQUISITION_ERRORS, "10m", RUNNER_GROUP, 'reason!="already_claimed"'), CLAIMS_FAILED)
            + f") unless on ({RUNNER_GROUP}) {events(m.JOBS_ACQUIRED, '10m', RUNNER_GROUP)} > 0",
            5,
            "{{ $labels.namespace }}/{{ $labels.runner_group }} claims none of the jobs that GitHub delivers",
            "Jobs are delivered, and none was claimed for 10 minutes.",
            (CLAIM_SECONDS, CLAIMS_FAILED),
            checks=("job.waiting",),
        ),
    ),
    "runbooks/alerts/acquisition-stalled.md",
    ("cluster", "namespace", "runner_group"),
    frozenset({Depends.GITHUB, Depends.AGENT, Depends.CLAIMS}),
)

MESSAGE_POLL_ERRORS = Alert(
    "ActionsGatewayMessagePollErrors",
    t.Severity.TICKET,
    Part.AGENT,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(errors(m.MESSAGE_POLL_ERRORS, "5m", 60), POLL_ERRORS_PER_MINUTE),
            10,
            "Polls of {{ $labels.namespace }} keep failing",
            "{{ $value }} polls a minute fail; jobs are heard of late.",
            (POLL_ERRORS_PER_MINUTE,),
            checks=("session.polling",),
        ),
    ),
    "runbooks/alerts/network-github.md",
    ("cluster", "namespace"),
    frozenset({Depends.GITHUB, Depends.AGENT, Depends.CLAIMS}),
)

REGISTRATION_ERRORS = Alert(
    "ActionsGatewayAgentRecycleErrors",
    t.Severity.TICKET,
    Part.AGENT,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(events(m.AGENT_RECYCLE_ERRORS, "10m", RUNNER_GROUP), RECYCLE_ERRORS),
            10,
            "Runners of {{ $labels.namespace }}/{{ $labels.runner_group }} cannot be registered",
            "{{ $value }} registrations failed in 10 minutes. Each job uses one up, so sessions run out.",
            (RECYCLE_ERRORS,),
            checks=("session.open",),
        ),
    ),
    "runbooks/alerts/sessions-zero.md",
    ("cluster", "namespace", "runner_group"),
    frozenset({Depends.GITHUB, Depends.AGENT, Depends.CLAIMS}),
)

EVENT_LOOP_LAG = Alert(
    "ActionsGatewayEventLoopLag",
    t.Severity.TICKET,
    Part.AGENT,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(f"max by ({TENANT}) (max_over_time({m.EVENT_LOOP_LAG.name}[2m]))", LOOP_LAG_SECONDS),
            5,
            "A process in {{ $labels.namespace }} is late by {{ $value | humanizeDuration }}",
            "Its event loop is held up: polls, renewals and reconciles come late by as much.",
            (LOOP_LAG_SECONDS,),
        ),
    ),
    "runbooks/alerts/agent-down.md",
    ("cluster", "namespace"),
    frozenset({Depends.AGENT}),
)
