"""Which metrics no board shows, and why. A test keeps it exact."""

import re
from collections.abc import Mapping

from actions_gateway.metrics import catalog as m
from gw_dashboards.catalog import BOARDS

_REMEMBERED = "shown as what the recording remembers of it, which outlives the manager"
NOT_SHOWN: Mapping[str, str] = {
    m.EXPECTED_SESSIONS.name: _REMEMBERED,
    m.EXPECTED_AGENTS.name: _REMEMBERED,
    m.EXPECTED_PROXIES.name: _REMEMBERED,
    m.CONTROLLER_RUNTIME_RECONCILE_ERRORS.name: "the same as actions_gateway_reconcile_errors_total",
    m.RENEW_JOB_ERRORS.name: "the same as actions_gateway_renewjob_errors_total",
    m.CONDITION_LAST_TRANSITION.name: "the timeline of conditions shows since when",
    m.AGENT_RECYCLES.name: "one for each job; the registrations that fail are shown",
    m.WORKER_SLOTS_FREE.name: "the difference of two lines that are shown: ceiling and jobs claimed",
    m.DUPLICATE_COMPLETIONS.name: "one for each duplicate delivery, and those are shown",
    m.TOKEN_REFRESHES.name: "the token's life left is shown, and refreshes that fail",
    m.TOKEN_CONSECUTIVE_REFRESH_FAILURES.name: "the failures of an hour are shown, by which the alert goes",
}


def shown() -> frozenset[str]:
    """The names of our metrics that a query of a board reads."""
    text = " ".join(query.expression for board in BOARDS for _, query in board.queries())
    return frozenset(
        metric.name
        for metric in m.CATALOG
        if re.search(rf"\b{metric.name}(_bucket|_count|_sum)?\b(?!:)", text) is not None
    )
