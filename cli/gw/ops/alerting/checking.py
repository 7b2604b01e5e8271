"""Compares a cluster's Prometheus and Alertmanager with what this release ships. Writes nothing."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from actions_gateway.engine.clock import Clock
from gw.checks.belonging import own_series
from gw.errors import Blind
from gw.exits import ExitCode
from gw.ops.alerting.comparison import RulesComparison, compare_rules
from gw.ops.alerting.routes import UnreadableConfiguration, parse_configuration
from gw.ops.alerting.routing import RoutesComparison, compare_routes
from gw.sources.alertmanager import Alertmanager
from gw.sources.cluster import Cluster
from gw.sources.endpoints import Endpoint, NoAnswer, all_of
from gw.sources.facts import Fact, Facts, Known, Missing, Need, NotKnown
from gw.sources.gathering import gather_facts, read_fact
from gw.sources.places import Endpoints, Sources
from gw.sources.prometheus import Prometheus
from gw_alerts.model import Links
from gw_alerts.values import Values


@dataclass(frozen=True, slots=True)
class AlertsCheck:
    """What was compared, and what could not be."""

    at: datetime
    rules: Fact[RulesComparison]
    routes: Fact[RoutesComparison]
    whose: Missing | None
    """Why nobody can tell whether it is this cluster's Prometheus."""

    @property
    def has_difference(self) -> bool:
        differs = isinstance(self.rules, Known) and (self.rules.value.differences or self.rules.value.is_too_old)
        misled = isinstance(self.routes, Known) and not self.routes.value.is_same
        return bool(differs or misled)

    @property
    def is_blind(self) -> bool:
        is_pending = isinstance(self.rules, Known) and self.rules.value.pending_count > 0
        return (
            is_pending or self.whose is not None or any(isinstance(each, Missing) for each in (self.rules, self.routes))
        )

    @property
    def exit_code(self) -> ExitCode:
        """A difference beats blindness."""
        if self.has_difference:
            return ExitCode.PROBLEM
        return ExitCode.UNKNOWN if self.is_blind else ExitCode.OK


async def check_alerts(cluster: Cluster, values: Values | None, clock: Clock, sources: Sources) -> AlertsCheck:
    """Raises Blind when the Prometheus is another cluster's: its rules are no concern of this one."""
    facts = await gather_facts(cluster, None, {Need.GATEWAYS, Need.SERIES}, clock, sources)
    whose = _whose(facts)
    async with Endpoints(sources, cluster, None) as endpoints:

        async def rules() -> RulesComparison:
            links = values.links if values is not None else None
            return await _rules(await endpoints.prometheus(), links)

        async def routes() -> RoutesComparison:
            return await _routes(await endpoints.alertmanager(), values, facts)

        found, led = await asyncio.gather(read_fact("ask Prometheus", rules), read_fact("ask Alertmanager", routes))
    return AlertsCheck(facts.now, found, led, whose if isinstance(found, Known) else None)


def _whose(facts: Facts) -> Missing | None:
    try:
        own_series(facts)
    except NotKnown as blind:
        if isinstance(facts.gateways, Known) and isinstance(facts.series, Known) and blind.missing.is_lasting:
            raise Blind(blind.missing.reason, blind.missing.next_step) from None
        return blind.missing
    return None


async def _rules(endpoint: Endpoint, links: Links | None) -> RulesComparison:
    prometheus = Prometheus(endpoint)
    version, groups = await all_of(prometheus.version(), prometheus.rule_groups())
    return compare_rules(groups, version, endpoint.source, links)


async def _routes(endpoint: Endpoint, values: Values | None, facts: Facts) -> RoutesComparison:
    status = await Alertmanager(endpoint).status()
    try:
        loaded = parse_configuration(status.configuration)
    except UnreadableConfiguration as problem:
        raise NoAnswer(
            f"{endpoint.source} does not tell the configuration that it has loaded: {problem}",
            "Compare its file with what `gw alerts render alertmanager` prints.",
        ) from None
    gateways = facts.gateways.value if isinstance(facts.gateways, Known) else ()
    return compare_routes(
        loaded,
        status.version,
        endpoint.source,
        tenants=sorted({gateway.namespace for gateway in gateways}),
        cluster=values.cluster if values is not None else "",
        receivers=frozenset(values.receivers) if values is not None else None,
    )
