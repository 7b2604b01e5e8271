"""The tenant's board: can its jobs run, since when not, and what they wait for."""

from gw_alerts.model import TENANT_BOARD
from gw_dashboards.model import Board, Tag, Variable
from gw_dashboards.tenant.answer import ANSWER, STATE
from gw_dashboards.tenant.github import GITHUB, LIMITS
from gw_dashboards.tenant.jobs import ENDED, JOBS

BOARD = Board(
    uid=TENANT_BOARD,
    title="Actions Gateway: tenant",
    description="Whether a tenant's jobs run, since when not, and what they wait for.",
    rows=(ANSWER, STATE, JOBS, GITHUB, ENDED, LIMITS),
    variables=(Variable.CLUSTER, Variable.NAMESPACE, Variable.RUNNER_GROUP),
    tags=(Tag.ALL, Tag.TENANT),
    refresh="30s",
)
