"""Changes that no case can show, each with the reason, and those that only the drift of what is committed shows."""

import re
from collections.abc import Mapping

NOTHING: Mapping[str, str] = {
    r"round\(.*0\.0[0-9]* ->|, \[0\.0+1 -> |^slos:\d+ \| 6 -> 7$": "the step of a rounding is far below an event",
    r"^Watchdog \| vector": "a vector of any number fires",
    r"timestamp_seconds > \[0 -> 1\]|namespace=\"\"\} > \[0 -> 1\]$": "nothing happened in the first second of 1970",
    r"_rate_limit_limit \[> ->|_rate_limit_limit > \[0 ->": "a limit is thousands or unknown, and 0 / 0 is no number",
    r"NotificationsFailing \| .*\[> -> >=\]$": "0 / 0 is no number",
    r"AgentDown \| .*>= \[1 -> 0\]$": "a count of nothing is nothing, not 0",
}
"""By a pattern that is found in the change's name and words."""
DRIFT_ALONE: Mapping[str, str] = {
    r"^actions_gateway:slo_(events|errors):rate5m ": "a steady share is the same in a window of another length",
    r"^actions_gateway:slo_errors:ratio(1d|30d) .*:\[1h -> ": "a day of samples is the same at each half of an hour",
    r"^actions_gateway:slo_budget_left:ratio ": "shown on boards alone",
    r"^actions_gateway:job_duration_seconds:": "shown on boards alone",
    r"^actions_gateway:pod_creation_latency_seconds:p9\d .*\[30m -> 60m": "alerts count slow jobs of 30 minutes, too",
    r"^actions_gateway_expected_\w+:remembered ": "what is remembered for hours and days has further clauses beside it",
    r"^actions_gateway:(sessions_available|exporters|proxy_tunnels_closed)": "a guard beside another one that decides",
    r"NoActiveSessions none .*> \[0 -> 1\]$": "a claim in each of two minutes",
    r"(CredentialOld|RunnerVersionOld) \| for: ": "their cases count in days",
    r"PodCreationLatency\w+( scheduled)? \| et\{le": "quick and slow jobs leave the window together",
    r"\[6h -> 10800s\]$": "a series that was away for three hours to six",
    r"^ActionsGatewayManagerDown \| .*96h -> ": "another clause says the same in a cluster of its own",
    r"^ActionsGatewayProxyDown \| .*> \[0 -> 1\]$": "another clause says the same of one proxy",
    r"^ActionsGatewaySLO\w+BurnSlow \| .*(\[1d|\[1h -> |86400 \[|\[> ->|> \[0)": "the other pair of windows decides",
    r"^ActionsGatewaySLO\w+BurnFast \| .* 3600 \[>=": "an average of rates is never exactly ten events an hour",
    r"^ActionsGatewaySLOSessionAvailabilityBurn(Slow \| for|Fast \| .*availability)": "it is spent in whole minutes",
}
"""By such a pattern: why promtool's cases say the same; the committed rule file is compared with the catalogue's."""


def is_nothing(name: str, what: str) -> bool:
    """Whether the change is none."""
    return _is_found(NOTHING, name, what)


def shows_as_drift(name: str, what: str) -> bool:
    """Whether it is known that no case shows the change of a rule."""
    return _is_found(DRIFT_ALONE, name, what)


def _is_found(patterns: Mapping[str, str], name: str, what: str) -> bool:
    return any(re.search(pattern, f"{name} | {what}") for pattern in patterns)
