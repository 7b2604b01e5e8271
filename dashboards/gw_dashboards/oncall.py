"""The board for whoever was woken: what fires, whom it hits, what all of them share, and whether to believe it."""

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts import thresholds as t
from gw_alerts.catalog import BY_NAME, GROUP, GROUP_SIZES, SERIES_MISSING, components, jobs, sessions, watching
from gw_alerts.expressions import CLUSTER, NO_WORKER_YET, RUNNER_GROUP, component
from gw_alerts.recordings import EXPECTED_AGENTS, SESSIONS_AVAILABLE
from gw_alerts.thresholds import Severity
from gw_dashboards.alerting import ARMED, alert_history, dead_mans_switch, firing_alerts, firing_count, firing_table
from gw_dashboards.bounds import beyond, counted, difference, firing, instances
from gw_dashboards.model import Board, Kind, Panel, Presence, Query, Row, Tag, Variable
from gw_dashboards.promql import OF_CLUSTER, OF_TENANT, TENANT, number, per, select, within, worst

UID = "actions-gateway-oncall"
_TENANT = ("namespace",)
_OURS = f'rule_group=~".*;{GROUP}.*"'
_AGENTS = f"max by ({TENANT}) ({select(EXPECTED_AGENTS, OF_TENANT)}) > 0"
_SILENT = f"{worst(SESSIONS_AVAILABLE, RUNNER_GROUP, OF_TENANT, how='min')} == 0"
_UNDELIVERED = (
    f"{watching.NOTIFICATIONS_FAILED} / ({watching.NOTIFICATIONS_ATTEMPTED} > 0)"
    f" and on ({CLUSTER}) {worst(foreign.NOTIFICATIONS, CLUSTER, OF_CLUSTER)}"
)
_MISSING = worst(foreign.ALERTS_SERIES, f"{CLUSTER}, family", OF_CLUSTER, f'alertname="{SERIES_MISSING.name}"')
_RULES = sum(GROUP_SIZES.values())
_NOT_LOADED = BY_NAME["ActionsGatewayRulesNotLoaded"]
_NO_SELF = "Prometheus does not scrape itself, so nobody knows"

FIRING = Row(
    "What fires?",
    (
        firing_count("Pages", Severity.PAGE, "Somebody's jobs suffer, or will within the hour."),
        firing_count("Tickets", Severity.TICKET, "For the next working day; often the cause of a page beside them."),
        Panel(
            title="Tenants with a page",
            description="One: it is that tenant's. Many since the same minute: what they share.",
            kind=Kind.STAT,
            queries=(
                Query(
                    number(f"count by ({TENANT}) ({firing_alerts('page')})", select(m.GATEWAY_INFO, OF_TENANT)),
                ),
            ),
            no_value="No manager has told of any tenant",
            bounds=firing(Severity.PAGE),
            width=4,
        ),
        Panel(
            title="Groups without a session",
            description="Of the chosen tenants. Their jobs wait at GitHub.",
            kind=Kind.STAT,
            queries=(Query(number(_SILENT, select(SESSIONS_AVAILABLE, OF_TENANT))),),
            no_value="No group should listen",
            alerts=(sessions.NO_ACTIVE_SESSIONS,),
            bounds=instances(t.NO_ACTIVE_SESSION),
            width=4,
        ),
        Panel(
            title="Tenants without an agent",
            description="Of the chosen ones. Locks of running jobs end within ten minutes.",
            kind=Kind.STAT,
            queries=(
                Query(number(f"{_AGENTS} unless on ({TENANT}) {component(m.Component.AGENT)}", _AGENTS)),
            ),
            no_value="No agent is expected",
            alerts=(components.AGENT_DOWN,),
            bounds=instances(components.NO_AGENT),
            width=4,
        ),
        dead_mans_switch(),
        firing_table(
            "Pages that fire", "page",
            "The oldest first: read each one's page (column Page), then the tenant's board (its name). Inhibited ones "
            "are shown, too.",
        ),
        firing_table("Tickets that fire", "ticket", "Often the cause of a page above, and older than it."),
        alert_history(),
    ),
)  # fmt: skip
HIT = Row(
    "Whom does it hit?",
    (
        Panel(
            title="Longest waits for a worker, the worst groups",
            description="Held for quota or back-off, or not claimed. Since when says what changed then.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(
                    "topk(5, " + worst(m.OLDEST_WAITING_JOB, RUNNER_GROUP, OF_TENANT, NO_WORKER_YET) + ")",
                    ("namespace", "runner_group"),
                ),
            ),
            no_value="No agent is seen",
            alerts=(jobs.POD_CREATION_P99,),
            bounds=beyond(t.POD_CREATION_P99_SECONDS),
            lowest=0,
            width=8,
            leads_to_tenant=True,
        ),
        Panel(
            title="Failed renewals of locks per minute, the worst tenants",
            description="At the end of a lock GitHub cancels its job.",
            kind=Kind.TIME_SERIES,
            queries=(Query(f"topk(5, {per(m.RENEWJOB_ERRORS, 60, TENANT, OF_TENANT)})", _TENANT),),
            no_value="No agent is seen",
            alerts=(jobs.RENEWJOB_ERRORS_ALERT,),
            bounds=beyond(t.RENEWJOB_ERRORS_PER_MINUTE),
            lowest=0,
            width=8,
            leads_to_tenant=True,
        ),
        Panel(
            title="GitHub's answers per minute, by class",
            description="Of all chosen tenants. Only `error` and 5xx: GitHub, or the way to it.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.GITHUB_REQUESTS, 60, "code_class", OF_TENANT), ("code_class",)),),
            no_value="No agent is seen",
            alerts=(sessions.GITHUB_UNREACHABLE,),
            lowest=0,
            is_stacked=True,
            width=8,
        ),
    ),
)
WATCHING = Row(
    "Is this to be believed?",
    (
        Panel(
            title="Rules that are not loaded",
            description=f"There are {_RULES}. `gw alerts check` says which are missing. Below 0: of another release.",
            kind=Kind.STAT,
            queries=(
                # Each Prometheus by itself: of two that see each other, or write into one store, one may have all.
                Query(
                    f"{_RULES} - min by ({CLUSTER}) (sum without (rule_group) "
                    f"({select(foreign.RULES_LOADED, OF_CLUSTER, _OURS)}))",
                    (CLUSTER,),
                ),
            ),
            no_value="None is loaded, or Prometheus does not scrape itself",
            alerts=(_NOT_LOADED,),
            bounds=difference(t.RULES_NOT_LOADED),
            width=5,
        ),
        Panel(
            title="Evaluations that failed, of 5 minutes",
            description="Such an alert does not fire, whatever happens.",
            kind=Kind.STAT,
            queries=(Query(within(foreign.RULE_FAILURES, "5m", CLUSTER, OF_CLUSTER, _OURS), (CLUSTER,)),),
            no_value=_NO_SELF,
            alerts=(watching.RULE_FAILURES,),
            bounds=counted(watching.RULES_FAILED),
            width=5,
        ),
        Panel(
            title="Evaluations that did not happen, of 5 minutes",
            description="Prometheus has too much to do; alerts fire late.",
            kind=Kind.STAT,
            queries=(Query(within(foreign.ITERATIONS_MISSED, "5m", CLUSTER, OF_CLUSTER, _OURS), (CLUSTER,)),),
            no_value=_NO_SELF,
            alerts=(watching.EVALUATIONS_MISSED,),
            bounds=counted(watching.RULES_FAILED),
            width=5,
        ),
        Panel(
            title="Notifications that fail",
            description="By receiver, as a share of 10 minutes: people are not told.",
            kind=Kind.STAT,
            queries=(Query(_UNDELIVERED, ("integration",), presence=Presence.ELSEWHERE),),
            no_value="Nothing was sent, or Prometheus does not scrape Alertmanager",
            alerts=(watching.NOTIFICATIONS_FAILING,),
            bounds=beyond(watching.NOTIFICATIONS_FAILED_SHARE),
            width=5,
        ),
        Panel(
            title="Series that nobody exports",
            description="Families that rules read, while their component is there. Alerts on them stay silent.",
            kind=Kind.STAT,
            queries=(Query(number(_MISSING, ARMED)),),
            no_value="The rules are not evaluated",
            alerts=(SERIES_MISSING,),
            bounds=instances(t.RULES_NOT_LOADED),
            width=4,
        ),
        Panel(
            title="Alerts as Grafana reads them",
            description="With their words, commands and pages, where Grafana may read this Prometheus's rules.",
            kind=Kind.ALERT_LIST,
            queries=(),
            no_value="No alert fires, or Grafana may not read this Prometheus's rules",
            width=24,
            height=8,
        ),
    ),
)

BOARD = Board(
    uid=UID,
    title="Actions Gateway: on call",
    description="What fires, whom it hits, what all of them share, and whether to believe it.",
    rows=(FIRING, HIT, WATCHING),
    variables=(Variable.CLUSTER, Variable.NAMESPACE),
    tags=(Tag.ALL, Tag.PLATFORM),
    since="now-3h",
    refresh="30s",
)
