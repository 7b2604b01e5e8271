"""The answer first: whether jobs can run, what fires, and the gateway's state."""

from actions_gateway.api.conditions import ConditionType
from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.catalog import components, credentials, jobs, sessions
from gw_alerts.expressions import NO_WORKER_YET
from gw_alerts.recordings import SESSIONS_AVAILABLE
from gw_dashboards.alerting import firing_table
from gw_dashboards.bounds import beyond, counted
from gw_dashboards.model import Kind, Panel, Presence, Query, Row, Word
from gw_dashboards.promql import OF_GROUP, OF_TENANT, RUNNER_GROUP, TENANT, select, worst
from gw_dashboards.tenant.words import BY_GROUP, BY_TENANT, NO_AGENT

FINE_WHEN_TRUE = "|".join((ConditionType.READY, ConditionType.AGC_AVAILABLE, ConditionType.PROXY_AVAILABLE))
INTENDED = "|".join((ConditionType.PAUSED, ConditionType.DELETING))
"""The other conditions are named for their problem."""


def _condition(sign: str, types: str) -> str:
    matchers = f'kind="ActionsGateway",type{sign}"{types}",status="True"'
    return worst(m.CONDITION, f"{TENANT}, name, type", OF_TENANT, matchers)


ANSWER = Row(
    "Can jobs run?",
    (
        Panel(
            title="Do its runner groups listen?",
            description="Each group that should poll has an open session. Without one its jobs wait at GitHub.",
            kind=Kind.STAT,
            queries=(Query(worst(SESSIONS_AVAILABLE, RUNNER_GROUP, OF_GROUP, how="min"), BY_GROUP),),
            no_value="No group should listen: none is there, or all are suspended or paused",
            words=(Word("0", "NO SESSION", is_bad=True), Word("1", "listening")),
            alerts=(sessions.NO_ACTIVE_SESSIONS,),
            bounds=counted(t.NO_ACTIVE_SESSION),
            width=5,
        ),
        Panel(
            title="Longest wait for a worker",
            description="How long a job has waited that is held for quota or back-off, or not yet claimed. Waiting for "
            "the group's own ceiling does not count.",
            kind=Kind.STAT,
            queries=(Query(worst(m.OLDEST_WAITING_JOB, RUNNER_GROUP, OF_GROUP, NO_WORKER_YET), BY_GROUP),),
            no_value="No group is known here",
            alerts=(jobs.POD_CREATION_P99,),
            bounds=beyond(t.POD_CREATION_P99_SECONDS),
            width=5,
        ),
        Panel(
            title="Longest wait for a start",
            description="How long a claimed job has waited for its worker to run: no node has room, or its image "
            "cannot be pulled.",
            kind=Kind.STAT,
            queries=(Query(worst(m.OLDEST_WAITING_JOB, RUNNER_GROUP, OF_GROUP, 'reason="start"'), BY_GROUP),),
            no_value="No group is known here",
            alerts=(jobs.POD_CREATION_P99,),
            bounds=beyond(jobs.UNSTARTED_SECONDS),
            width=5,
        ),
        Panel(
            title="Least time left of a lock",
            description="A renewal each minute buys ten minutes. At the end GitHub cancels the job.",
            kind=Kind.STAT,
            queries=(
                Query(
                    f"{worst(m.LOCK_REMAINING, RUNNER_GROUP, OF_GROUP, how='min')} < Inf",
                    BY_GROUP,
                    presence=Presence.JOBS,
                ),
            ),
            no_value="No job runs",
            alerts=(jobs.RENEWJOB_ERRORS_ALERT,),
            bounds=beyond(t.LOCK_LEFT_SECONDS),
            width=5,
        ),
        Panel(
            title="Token life left",
            description="An agent renews its installation token five minutes before its end. Without one no "
            "runner is registered.",
            kind=Kind.STAT,
            queries=(
                Query(f"min by ({TENANT}) ({select(m.TOKEN_EXPIRY_TIMESTAMP, OF_TENANT)} > 0) - time()", BY_TENANT),
            ),
            no_value="No agent has a token",
            alerts=(credentials.TOKEN_EXPIRING,),
            bounds=beyond(t.TOKEN_LEFT_SECONDS),
            width=4,
        ),
        firing_table(
            "Firing alerts",
            "page|ticket",
            "What is wrong with this tenant, and since when. Start with the page.",
            height=6,
        ),
    ),
)
STATE = Row(
    "State",
    (
        Panel(
            title="Conditions",
            description="What the manager says of the gateway. Its condition's message says why and what to do.",
            kind=Kind.STATE_TIMELINE,
            queries=(
                Query(
                    _condition("=~", FINE_WHEN_TRUE),
                    ("namespace", "name", "type"),
                    words=(Word("0", "no", is_bad=True), Word("1", "yes")),
                ),
                Query(
                    _condition("!~", f"{FINE_WHEN_TRUE}|{INTENDED}"),
                    ("namespace", "name", "type"),
                    words=(Word("0", "no"), Word("1", "yes", is_bad=True)),
                ),
                Query(
                    _condition("=~", INTENDED),
                    ("namespace", "name", "type"),
                    words=(Word("0", "no"), Word("1", "yes", is_plain=True)),
                ),
            ),
            no_value="No manager says anything of this tenant",
            unit="none",
            alerts=(
                components.GATEWAY_NOT_READY,
                components.GATEWAY_IMPAIRED,
                credentials.RATE_LIMITED,
                components.TENANT_PAUSED,
            ),
            width=12,
            height=10,
        ),
        Panel(
            title="Quota used",
            description="By key of the namespace's quotas. A full one keeps workers from being made.",
            kind=Kind.BAR_GAUGE,
            queries=(
                Query(
                    f"max by ({TENANT}, key) ({select(m.QUOTA_USED, OF_TENANT)}"
                    f" / ({select(m.QUOTA_HARD, OF_TENANT)} > 0))",
                    ("namespace", "key"),
                    presence=Presence.OPTIONAL,
                ),
            ),
            no_value="The namespace has no quota",
            alerts=(jobs.QUOTA_SATURATED,),
            bounds=beyond(jobs.QUOTA_FULL_SHARE),
            lowest=0,
            highest=1,
            width=6,
            height=10,
        ),
        Panel(
            title="Does quota refuse workers?",
            description="Jobs wait because the namespace's quotas admit no more worker.",
            kind=Kind.STAT,
            queries=(Query(worst(m.WORKER_QUOTA_EXCEEDED, RUNNER_GROUP, OF_GROUP), BY_GROUP),),
            no_value=NO_AGENT,
            words=(Word("0", "no"), Word("1", "REFUSES", is_bad=True)),
            alerts=(jobs.WORKER_QUOTA_EXCEEDED,),
            bounds=beyond(jobs.QUOTA_REFUSES),
            width=6,
            height=5,
        ),
        Panel(
            title="Is there quota for one more?",
            description="Nothing waits yet; the next job would.",
            kind=Kind.STAT,
            queries=(Query(worst(m.WORKER_QUOTA_PRESSURE, RUNNER_GROUP, OF_GROUP), BY_GROUP),),
            no_value=NO_AGENT,
            words=(Word("0", "yes"), Word("1", "no", is_plain=True)),
            width=6,
            height=5,
        ),
    ),
)
