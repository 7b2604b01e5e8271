"""What passes between a tenant and GitHub: polls, renewals, tokens, the budget."""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.catalog import credentials, jobs, sessions
from gw_alerts.expressions import budget_left
from gw_dashboards.bounds import beyond, counted
from gw_dashboards.model import Kind, Panel, Presence, Query, Row
from gw_dashboards.promql import OF_GROUP, OF_TENANT, RUNNER_GROUP, TENANT, per, select, total, within, worst
from gw_dashboards.tenant.words import BY_GROUP, BY_TENANT, NO_AGENT

GITHUB = Row(
    "GitHub",
    (
        Panel(
            title="Time since a poll was answered",
            description="GitHub answers a poll within a minute. A group whose sessions are all busy does not poll.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(
                    f"time() - {worst(m.LAST_POLL_TIMESTAMP, RUNNER_GROUP, OF_GROUP)} and on ({RUNNER_GROUP}) "
                    + worst(m.LISTENER_SLOTS, RUNNER_GROUP, OF_GROUP, 'state="polling"')
                    + " > 0",
                    BY_GROUP,
                ),
            ),
            no_value="No session polls: all are busy, or none is open",
            alerts=(sessions.NO_ACTIVE_SESSIONS,),
            bounds=beyond(t.POLL_AGE_SECONDS),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Failed renewals of locks per minute",
            description="Ten minutes without a renewal end a job.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.RENEWJOB_ERRORS, 60, TENANT, OF_TENANT), BY_TENANT),),
            no_value=NO_AGENT,
            alerts=(jobs.RENEWJOB_ERRORS_ALERT,),
            bounds=beyond(t.RENEWJOB_ERRORS_PER_MINUTE),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Installation tokens that could not be minted, of an hour",
            description="The current one ends within an hour, and without another one no runner is registered.",
            kind=Kind.TIME_SERIES,
            queries=(Query(within(m.TOKEN_REFRESH_ERRORS, "1h", TENANT, OF_TENANT), BY_TENANT),),
            no_value=NO_AGENT,
            alerts=(credentials.TOKEN_REFRESH_ERRORS,),
            bounds=counted(t.TOKEN_REFRESH_ERRORS_PER_HOUR),
            lowest=0,
            width=8,
        ),
        Panel(
            title="GitHub's answers per minute, by class",
            description="`error` is no answer at all. Only errors means GitHub is down, or the way to it is.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.GITHUB_REQUESTS, 60, "code_class", OF_TENANT), ("code_class",)),),
            no_value=NO_AGENT,
            alerts=(sessions.GITHUB_UNREACHABLE,),
            lowest=0,
            is_stacked=True,
            width=8,
        ),
        Panel(
            title="Requests that GitHub refused a token, of 10 minutes",
            description="Refusals, not outages: a revoked key, or somebody who tries keys.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(
                    within(m.GITHUB_REQUESTS, "10m", TENANT, OF_TENANT, 'endpoint="token",code_class="4xx"'), BY_TENANT
                ),
            ),
            no_value=NO_AGENT,
            alerts=(credentials.TOKEN_REFRESH_ABUSE,),
            bounds=counted(credentials.KEY_REFUSALS),
            lowest=0,
            width=8,
        ),
        Panel(
            title="REST budget left",
            description="Of the installation's hour. Registrations and reruns wait without it; locks do not.",
            kind=Kind.BAR_GAUGE,
            queries=(Query(budget_left(OF_TENANT), BY_TENANT),),
            no_value="GitHub has not told the budget yet",
            alerts=(credentials.BUDGET_LOW,),
            bounds=beyond(t.BUDGET_LEFT_SHARE),
            lowest=0,
            highest=1,
            width=8,
            height=6,
        ),
    ),
)
LIMITS = Row(
    "Detail: limits, registrations, the agent itself",
    (
        Panel(
            title="Failed polls and registrations per minute",
            description="Failed polls delay jobs. Each job uses up a registration, so sessions run out without new "
            "ones.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(per(m.MESSAGE_POLL_ERRORS, 60, "reason", OF_TENANT), ("reason",), "poll:"),
                Query(per(m.AGENT_RECYCLE_ERRORS, 60, RUNNER_GROUP, OF_GROUP), BY_GROUP, "registration:"),
            ),
            no_value=NO_AGENT,
            alerts=(sessions.MESSAGE_POLL_ERRORS, sessions.REGISTRATION_ERRORS),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Calls that wait for the budget",
            description="Vital ones recover jobs, routine ones are registrations. Waiting for minutes is bad.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(worst(m.GITHUB_BUDGET_WAITING, "cluster, priority", OF_TENANT), ("priority",), "waiting:"),
                Query(per(m.GITHUB_BUDGET_WAIT_SECONDS, 1, "priority", OF_TENANT), ("priority",), "seconds a second:"),
            ),
            no_value=NO_AGENT,
            alerts=(credentials.BUDGET_LOW,),
            lowest=0,
            width=8,
            height=6,
        ),
        Panel(
            title="Limited by GitHub for",
            description="How long GitHub has limited a group without a good answer.",
            kind=Kind.STAT,
            queries=(
                Query(
                    f"(time() - min by ({TENANT}) ({select(m.RATE_LIMITED_SINCE, OF_GROUP)} > 0)) / 60",
                    BY_TENANT,
                    presence=Presence.FAULT,
                ),
            ),
            no_value="GitHub does not limit this tenant",
            alerts=(credentials.RATE_LIMITED,),
            bounds=beyond(t.RATE_LIMITED_MINUTES),
            width=8,
            height=6,
        ),
        Panel(
            title="Sessions by what they do",
            description="A group that only recycles gets no registration; one that only holds has no room.",
            kind=Kind.TIME_SERIES,
            queries=(Query(total(m.LISTENER_SLOTS, "state", OF_GROUP), ("state",)),),
            no_value=NO_AGENT,
            alerts=(sessions.REGISTRATION_ERRORS,),
            lowest=0,
            is_stacked=True,
            width=8,
        ),
        Panel(
            title="Answers of the Kubernetes API per minute",
            description="5xx and no answers delay workers.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.KUBE_REQUESTS, 60, "code_class", OF_TENANT), ("code_class",)),),
            no_value=NO_AGENT,
            lowest=0,
            is_stacked=True,
            width=8,
        ),
        Panel(
            title="Lag of the agent's event loop",
            description="Polls and renewals are late by as much.",
            kind=Kind.TIME_SERIES,
            queries=(Query(worst(m.EVENT_LOOP_LAG, TENANT, OF_TENANT), BY_TENANT),),
            no_value=NO_AGENT,
            alerts=(sessions.EVENT_LOOP_LAG,),
            bounds=beyond(sessions.LOOP_LAG_SECONDS),
            lowest=0,
            width=8,
        ),
    ),
    is_collapsed=True,
)
