"""The platform's board: which tenant suffers, and whether what all of them share works."""

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts import thresholds as t
from gw_alerts.catalog import components, credentials, jobs, sessions
from gw_alerts.expressions import CLUSTER, MEMORY, NO_WORKER_YET, RUNNER_GROUP, budget_left, component
from gw_alerts.model import FLEET_BOARD
from gw_alerts.recordings import EXPECTED_AGENTS, POD_LATENCY_P99, SESSIONS_AVAILABLE
from gw_alerts.thresholds import Severity
from gw_dashboards.alerting import firing_alerts
from gw_dashboards.bounds import beyond, counted, firing, instances
from gw_dashboards.model import Board, Kind, Panel, Presence, Query, Row, Tag, Variable, Word
from gw_dashboards.promql import OF_CLUSTER, TENANT, number, per, processes, quantile, select, total, within, worst

_TENANT = ("namespace",)
_NO_MANAGER = "No manager is seen"
_NO_AGENT = "No agent is seen"
_SILENT = f"{worst(SESSIONS_AVAILABLE, RUNNER_GROUP, OF_CLUSTER, how='min')} == 0"
_AGENTS = f"max by ({TENANT}) ({select(EXPECTED_AGENTS, OF_CLUSTER)}) > 0"
_READY = select(m.CONDITION, OF_CLUSTER, 'kind="ActionsGateway",type="Ready",status="True"')
_ANSWERS = within(m.GITHUB_REQUESTS, "2m", TENANT, OF_CLUSTER, 'code_class=~"2xx|3xx|4xx|limited"')
_FAILURES = within(m.GITHUB_REQUESTS, "2m", TENANT, OF_CLUSTER, 'code_class=~"5xx|error"')
_LEADERS = select(m.MANAGED_GATEWAYS, OF_CLUSTER)

ANSWER = Row(
    "Who suffers?",
    (
        Panel(
            title="Groups without a session",
            description="Runner groups that should poll and do not; their jobs wait at GitHub.",
            kind=Kind.STAT,
            queries=(Query(number(_SILENT, select(SESSIONS_AVAILABLE, OF_CLUSTER))),),
            no_value="No group should listen",
            alerts=(sessions.NO_ACTIVE_SESSIONS,),
            bounds=instances(t.NO_ACTIVE_SESSION),
            width=4,
        ),
        Panel(
            title="Tenants without an agent",
            description="They take no jobs, and locks of running ones end within ten minutes.",
            kind=Kind.STAT,
            queries=(Query(number(f"{_AGENTS} unless on ({TENANT}) {component(m.Component.AGENT)}", _AGENTS)),),
            no_value="No agent is expected",
            alerts=(components.AGENT_DOWN,),
            bounds=instances(components.NO_AGENT),
            width=4,
        ),
        Panel(
            title="Tenants that GitHub does not answer",
            description=f"{sessions.GITHUB_SILENT_ERRORS.value:g} requests or more and no answer within two minutes. "
            "Many at once: GitHub is down. One: its proxy is.",
            kind=Kind.STAT,
            queries=(
                Query(
                    number(
                        f"{_FAILURES} >= {sessions.GITHUB_SILENT_ERRORS.value:g}"
                        f" unless on ({TENANT}) {_ANSWERS} > 0",
                        _FAILURES,
                    )
                ),
            ),
            no_value=_NO_AGENT,
            alerts=(sessions.GITHUB_UNREACHABLE,),
            bounds=instances(sessions.GITHUB_SILENT_ERRORS),
            width=4,
        ),
        Panel(
            title="Gateways that are not Ready",
            description="A new one is Ready within about 30 seconds.",
            kind=Kind.STAT,
            queries=(Query(number(f"max by ({TENANT}, name) ({_READY}) == 0", _READY)),),
            no_value="No gateway, or no manager that says anything",
            alerts=(components.GATEWAY_NOT_READY,),
            bounds=instances(components.NOT_READY),
            width=4,
        ),
        Panel(
            title="Managers that lead",
            description="One. Without it tenants go on; new gateways and changes wait.",
            kind=Kind.STAT,
            queries=(
                Query(
                    f"{processes(m.MANAGED_GATEWAYS, CLUSTER, OF_CLUSTER)}"
                    f" or 0 * count by ({CLUSTER}) (last_over_time({_LEADERS}[{MEMORY}]))",
                    (CLUSTER,),
                ),
            ),
            no_value=f"No manager was seen for {MEMORY}",
            alerts=(components.MANAGER_DOWN,),
            bounds=counted(components.NO_MANAGER),
            width=4,
        ),
        Panel(
            title="Gateways served",
            description="By the leading manager. A jump is somebody who installs many tenants, or misuse.",
            kind=Kind.STAT,
            queries=(Query(total(m.MANAGED_GATEWAYS, "", OF_CLUSTER)),),
            no_value="No manager leads",
            width=4,
        ),
        Panel(
            title="Tenants",
            description="One line each, the one with most alerts first. A name leads to the tenant's board.",
            kind=Kind.TABLE,
            queries=(
                Query(
                    f'count by ({TENANT}) ({firing_alerts("page", OF_CLUSTER)})', _TENANT, "Pages", Presence.FAULT,
                    bounds=firing(Severity.PAGE),
                ),
                Query(
                    f'count by ({TENANT}) ({firing_alerts("ticket", OF_CLUSTER)})', _TENANT, "Tickets", Presence.FAULT,
                    bounds=firing(Severity.TICKET),
                ),
                Query(
                    f"count by ({TENANT}) ({_SILENT}) or 0 * count by ({TENANT}) "
                    f"({select(SESSIONS_AVAILABLE, OF_CLUSTER)})",
                    _TENANT,
                    "Silent groups",
                    bounds=instances(t.NO_ACTIVE_SESSION),
                ),
                Query(
                    worst(m.OLDEST_WAITING_JOB, TENANT, OF_CLUSTER, NO_WORKER_YET),
                    _TENANT,
                    "Longest wait",
                    bounds=beyond(t.POD_CREATION_P99_SECONDS),
                ),
                Query(
                    f"{worst(POD_LATENCY_P99, TENANT, OF_CLUSTER)} >= 0", _TENANT, "Pod creation p99", Presence.JOBS,
                    bounds=beyond(t.POD_CREATION_P99_SECONDS),
                ),
                Query(
                    within(m.TOKEN_REFRESH_ERRORS, "1h", TENANT, OF_CLUSTER), _TENANT, "Token errors, 1 h",
                    bounds=counted(t.TOKEN_REFRESH_ERRORS_PER_HOUR),
                ),
                Query(
                    f"{worst(m.LOCK_REMAINING, TENANT, OF_CLUSTER, how='min')} < Inf", _TENANT, "Least lock left",
                    Presence.JOBS, bounds=beyond(t.LOCK_LEFT_SECONDS),
                ),
                Query(budget_left(OF_CLUSTER), _TENANT, "Budget left", bounds=beyond(t.BUDGET_LEFT_SHARE)),
            ),
            no_value="No tenant is known",
            alerts=(
                sessions.NO_ACTIVE_SESSIONS, jobs.POD_CREATION_P99, credentials.TOKEN_REFRESH_ERRORS,
                jobs.RENEWJOB_ERRORS_ALERT, credentials.BUDGET_LOW,
            ),
            columns=_TENANT,
            width=24,
            height=10,
            leads_to_tenant=True,
        ),
    ),
)  # fmt: skip
WORK = Row(
    "Work",
    (
        Panel(
            title="Jobs claimed per minute",
            description="What the fleet takes on. A fall for all tenants at once has one cause.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.JOBS_ACQUIRED, 60, CLUSTER, OF_CLUSTER), (CLUSTER,), "jobs"),),
            no_value=_NO_AGENT,
            lowest=0,
            width=8,
        ),
        Panel(
            title="Workers by phase",
            description="Pending for minutes means that no node has room, or that quotas are full.",
            kind=Kind.TIME_SERIES,
            queries=(Query(total(m.WORKERS, "phase", OF_CLUSTER), ("phase",)),),
            no_value=_NO_AGENT,
            alerts=(jobs.WORKERS_REAPED,),
            lowest=0,
            is_stacked=True,
            width=8,
        ),
        Panel(
            title="Pod creation, p99 of 30 minutes, the worst tenants",
            description="From a job's delivery to its pod scheduled. All tenants at once: nodes, images, the API.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(f"topk(5, {worst(POD_LATENCY_P99, TENANT, OF_CLUSTER)} >= 0)", _TENANT, presence=Presence.JOBS),
            ),
            no_value="No job started in 30 minutes",
            alerts=(jobs.POD_CREATION_P99,),
            bounds=beyond(t.POD_CREATION_P99_SECONDS),
            lowest=0,
            width=8,
            leads_to_tenant=True,
        ),
    ),
)
MANAGER = Row(
    "Manager",
    (
        Panel(
            title="Failed reconciles per 5 minutes",
            description="What is written may be stale.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.RECONCILE_ERRORS, 300, TENANT, OF_CLUSTER), _TENANT),),
            no_value=_NO_MANAGER,
            alerts=(components.RECONCILE_ERRORS_ALERT,),
            bounds=beyond(t.RECONCILE_ERRORS_PER_5_MINUTES),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Objects that do not reconcile",
            description="Their last attempt failed. The back-off makes one stuck object rarer than the rate beside it.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(
                    worst(m.RECONCILE_FAILING_OBJECTS, f"{TENANT}, controller", OF_CLUSTER), ("namespace", "controller")
                ),
            ),
            no_value=_NO_MANAGER,
            alerts=(components.RECONCILE_STUCK,),
            bounds=counted(components.FAILING_OBJECTS),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Keys that wait, and p95 of a reconcile",
            description="A queue that grows while reconciles take long: an API server that is slow.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(worst(m.WORKQUEUE_DEPTH, "cluster, controller", OF_CLUSTER), ("controller",), "waiting:"),
                Query(
                    quantile(m.RECONCILE_DURATION, 0.95, "cluster, controller", OF_CLUSTER),
                    ("controller",), "p95:", Presence.JOBS, unit="s",
                ),
            ),
            no_value=_NO_MANAGER,
            lowest=0,
            width=8,
        ),
        Panel(
            title="Gateways that wait for the newest release",
            description="The manager rolls a few at a time and stops when one of them does not come back.",
            kind=Kind.STAT,
            queries=(Query(worst(m.ROLLOUT_WAITING, CLUSTER, OF_CLUSTER), (CLUSTER,)),),
            no_value=_NO_MANAGER,
            unit="short",
            alerts=(components.ROLLOUT_STOPPED,),
            width=6,
            height=6,
        ),
        Panel(
            title="New gateways, of 10 minutes",
            description="Somebody installs many tenants, or makes namespaces to take jobs with.",
            kind=Kind.STAT,
            queries=(Query(within(m.GATEWAYS_CREATED, "10m", CLUSTER, OF_CLUSTER), (CLUSTER,)),),
            no_value=_NO_MANAGER,
            alerts=(components.GATEWAYS_JUMP,),
            bounds=counted(components.NEW_GATEWAYS),
            width=6,
            height=6,
        ),
        Panel(
            title="Versions",
            description="Processes by component and version. Two of one component for an hour: a rollout that stopped.",
            kind=Kind.TABLE,
            queries=(
                Query(
                    processes(m.BUILD_INFO, "cluster, component, version", OF_CLUSTER),
                    ("component", "version"), "Processes",
                ),
            ),
            no_value="No process is scraped",
            unit="short",
            alerts=(components.ROLLOUT_STOPPED,),
            columns=("component", "version"),
            width=6,
            height=6,
        ),
        Panel(
            title="Ends of agents' containers, of an hour",
            description="OOMKilled: raise spec.agent.resources. Failures again and again: its log says why.",
            kind=Kind.BAR_GAUGE,
            queries=(Query(f"{within(m.AGENT_TERMINATIONS, '1h', f'{CLUSTER}, reason', OF_CLUSTER)}", ("reason",)),),
            no_value=_NO_MANAGER,
            unit="short",
            alerts=(components.AGENT_OOM_KILLED, components.AGENT_CRASH_LOOPING),
            lowest=0,
            width=6,
            height=6,
        ),
    ),
)  # fmt: skip
AGES = Row(
    "Detail: ages, states, denials",
    (
        Panel(
            title="Ready, by gateway",
            description="Since when, and which ones together.",
            kind=Kind.STATE_TIMELINE,
            queries=(Query(f"max by ({TENANT}, name) ({_READY})", ("namespace", "name")),),
            no_value="No gateway, or no manager that says anything",
            words=(Word("0", "not Ready", is_bad=True), Word("1", "Ready")),
            alerts=(components.GATEWAY_NOT_READY,),
            width=12,
            height=9,
            leads_to_tenant=True,
        ),
        Panel(
            title="Oldest keys",
            description="Since when at least gateways refer to their App's Secret. Keys never end by themselves.",
            kind=Kind.TABLE,
            queries=(
                Query(
                    f"topk(10, time() - min by ({TENANT}, name) ({select(m.CREDENTIAL_REFERENCED, OF_CLUSTER)} > 0))",
                    ("namespace", "name"), "Age",
                ),
            ),
            no_value="No gateway, or no manager that says anything",
            alerts=(credentials.CREDENTIAL_OLD,),
            bounds=beyond(credentials.CREDENTIAL_DAYS),
            columns=("namespace", "name"),
            width=6,
            height=9,
            leads_to_tenant=True,
        ),
        Panel(
            title="Age of runner versions",
            description="GitHub stops giving jobs to old versions: upgrade.",
            kind=Kind.TABLE,
            queries=(
                Query(
                    f"time() - min by (cluster, version) ({select(m.RUNNER_VERSION_RELEASED, OF_CLUSTER)} > 0)",
                    ("version",), "Age",
                ),
            ),
            no_value="No agent has told the release of its runner version",
            alerts=(credentials.RUNNER_VERSION_OLD,),
            bounds=beyond(credentials.RUNNER_RELEASE_DAYS),
            columns=("version",),
            width=6,
            height=9,
        ),
        Panel(
            title="Gateways that came and went per minute",
            description="Who creates and deletes many in turn is not at work with them.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(per(m.GATEWAYS_CREATED, 60, CLUSTER, OF_CLUSTER), (CLUSTER,), "created"),
                Query(per(m.GATEWAYS_DELETED, 60, CLUSTER, OF_CLUSTER), (CLUSTER,), "deleted"),
            ),
            no_value=_NO_MANAGER,
            alerts=(components.GATEWAYS_JUMP,),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Reconciles per minute, by result",
            description="Errors as a share. None at all while gateways change: the manager is stuck.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(m.RECONCILE_TOTAL, 60, "cluster, result", OF_CLUSTER), ("result",)),),
            no_value=_NO_MANAGER,
            alerts=(components.RECONCILE_ERRORS_ALERT,),
            lowest=0,
            is_stacked=True,
            width=8,
        ),
        Panel(
            title="Requests that our admission policies deny",
            description="Somebody, or something, tries what the platform does not allow. Needs the API server's "
            "metrics.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(
                    per(foreign.ADMISSION_CHECKS, 1, "cluster, policy", OF_CLUSTER, components.OUR_DENIALS),
                    ("policy",),
                    presence=Presence.ELSEWHERE,
                ),
            ),
            no_value="Nothing was denied, or Prometheus does not scrape the API server",
            alerts=(components.ADMISSION_DENIED,),
            bounds=beyond(components.ADMISSION_DENIALS),
            lowest=0,
            width=8,
        ),
    ),
    is_collapsed=True,
)  # fmt: skip

BOARD = Board(
    uid=FLEET_BOARD,
    title="Actions Gateway: fleet",
    description="Which tenant suffers, and whether what all of them share works.",
    rows=(ANSWER, WORK, MANAGER, AGES),
    variables=(Variable.CLUSTER,),
    tags=(Tag.ALL, Tag.PLATFORM),
)
