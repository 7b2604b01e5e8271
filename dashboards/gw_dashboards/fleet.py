"""The fleet board: is any tenant without a session, does the manager lead, do jobs start in time.

The first panels of the platform's board, on metrics that are exported today. Bounds come from `gw_alerts`.
"""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_dashboards.panels import Json, Panel, build_board

UID = "actions-gateway-fleet"
_GROUP = "cluster, namespace, runner_group"
_TENANT = "cluster, namespace"

_SILENT = (
    f"count((max by ({_GROUP}) (last_over_time({m.EXPECTED_SESSIONS.name}[10m])) > 0)"
    f" unless on ({_GROUP}) (max by ({_GROUP}) ({m.ACTIVE_SESSIONS.name}) > 0)) or vector(0)"
)
_NOT_READY = (
    f'count(max by ({_TENANT}, name) ({m.CONDITION.name}{{kind="ActionsGateway",type="Ready",status="True"}}) == 0)'
    " or vector(0)"
)
_P95 = (
    f"histogram_quantile(0.95, sum by ({_TENANT}, le) (rate({m.POD_CREATION_LATENCY.name}_bucket[$__rate_interval])))"
)

PANELS: tuple[Panel, ...] = (
    Panel(
        "Runner groups without a session",
        "Groups that should poll and do not; their jobs wait at GitHub. Alert: ActionsGatewayNoActiveSessions.",
        _SILENT,
        bad_from=1,
        page="runbooks/checks/session.open.md",
    ),
    Panel(
        "Gateways that are not Ready",
        "A new gateway is Ready within about 30 s.",
        _NOT_READY,
        bad_from=1,
        page="runbooks/checks/gateway.ready.md",
    ),
    Panel("Managed gateways", "What the leading manager serves.", f"max({m.MANAGED_GATEWAYS.name})"),
    Panel(
        "Managers that answer",
        "Pods of the manager that are scraped; one of them leads.",
        f'count({m.BUILD_INFO.name}{{component="manager"}}) or vector(0)',
        bad_below=1,
        page="runbooks/checks/manager.running.md",
    ),
    Panel(
        "Jobs claimed per minute",
        "Work that the fleet takes on.",
        f"60 * sum by ({_TENANT}) (rate({m.JOBS_ACQUIRED.name}[$__rate_interval]))",
        legend="{{namespace}}",
        is_graph=True,
        width=12,
    ),
    Panel(
        "Workers by phase",
        "Pending for minutes means that no node has room, or that a quota is full.",
        f"sum by (phase) ({m.WORKERS.name})",
        legend="{{phase}}",
        is_graph=True,
        width=12,
        page="runbooks/checks/worker.starting.md",
    ),
    Panel(
        "Pod creation, p95",
        "From a job's delivery to its pod scheduled. Alert: ActionsGatewayPodCreationLatencyP95.",
        _P95,
        unit="s",
        legend="{{namespace}}",
        is_graph=True,
        bad_from=t.POD_CREATION_P95_SECONDS.value,
        width=12,
        page="runbooks/alerts/pod-creation-latency.md",
    ),
    Panel(
        "Failed reconciles per 5 minutes",
        "What is written may be stale. Alert: ActionsGatewayReconcileErrors.",
        f"300 * sum by ({_TENANT}, controller) (rate({m.RECONCILE_ERRORS.name}[$__rate_interval]))",
        legend="{{namespace}} {{controller}}",
        is_graph=True,
        bad_from=t.RECONCILE_ERRORS_PER_5_MINUTES.value,
        width=12,
        page="runbooks/alerts/reconcile.md",
    ),
)


def fleet_board() -> Json:
    """The dashboard's JSON model."""
    return build_board(uid=UID, title="Actions Gateway: fleet", panels=PANELS)
