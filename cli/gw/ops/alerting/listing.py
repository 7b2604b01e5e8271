"""What fires: as Alertmanager has it, with who silenced it or what stands for it."""

from dataclasses import dataclass
from datetime import datetime

from actions_gateway.engine.clock import Clock
from gw.checks.belonging import OwnSeries, own_series
from gw.checks.catalog.observability import is_of_cluster, is_ours, why_deaf
from gw.exits import ExitCode
from gw.ops.tenants import not_a_tenant
from gw.sources.alerting import AlertFact, AlertingFact, SilenceFact
from gw.sources.cluster import Cluster
from gw.sources.facts import Facts, Known, Missing, Need, NotKnown
from gw.sources.gathering import gather_facts
from gw.sources.places import Sources
from gw_alerts.catalog import BY_NAME
from gw_alerts.model import Scope
from gw_alerts.thresholds import Severity

_NEEDS = frozenset({Need.GATEWAYS, Need.SERIES, Need.MONITORING, Need.ALERTING})


@dataclass(frozen=True, slots=True)
class ListedAlert:
    """One alert that fires."""

    fact: AlertFact
    severity: Severity
    """Its rule's, whatever somebody has made of the label."""
    silences: tuple[SilenceFact, ...]
    inhibitors: tuple[str, ...]
    """Names of the alerts that stand for it."""

    @property
    def is_told(self) -> bool:
        """Whether its receiver hears of it."""
        return self.fact.state != "suppressed" and not self.silences


@dataclass(frozen=True, slots=True)
class AlertList:
    """What fires now."""

    at: datetime
    namespace: str | None
    alerts: tuple[ListedAlert, ...]
    """Pages first, then the oldest."""
    left_out: int
    """That tell of no problem."""
    unproven: tuple[Missing, ...]
    """Why there may be others, or some of them be another cluster's."""

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.UNKNOWN if self.unproven else ExitCode.OK


async def list_alerts(
    cluster: Cluster, namespace: str | None, clock: Clock, sources: Sources, *, everything: bool
) -> AlertList:
    """With `everything` also the dead-man's switch and what only keeps others quiet.

    Raises Refused for a namespace that is no tenant.
    """
    facts = await gather_facts(cluster, namespace, _NEEDS, clock, sources)
    if namespace and facts.gateways == Known(()):
        raise await not_a_tenant(cluster, namespace)
    if isinstance(facts.alerting, Missing):
        return AlertList(facts.now, namespace, (), 0, (facts.alerting,))
    alerting = facts.alerting.value
    own, doubts = _own(facts, alerting)
    shown = [alert for alert in own if everything or BY_NAME[alert.name].tells_of_problem]
    listed = [_listed(alert, alerting) for alert in shown]
    listed.sort(key=lambda each: (each.severity.rank, str(each.fact.started_at), each.fact.name))
    return AlertList(facts.now, namespace, tuple(listed), len(own) - len(shown), doubts)


def _own(facts: Facts, alerting: AlertingFact) -> tuple[list[AlertFact], tuple[Missing, ...]]:
    """This cluster's alerts, and what is not known of them."""
    try:
        own = own_series(facts)
    except NotKnown as blind:
        # What fires is worth reading, whosever it may be.
        found = [alert for alert in alerting.alerts if facts.namespace in (None, alert.labels.get("namespace"))]
        return found, (blind.missing,)
    found = [alert for alert in alerting.alerts if _belongs(alert, own, facts)]
    if isinstance(facts.monitoring, Missing):
        return found, (facts.monitoring,)
    deaf = why_deaf(facts.monitoring.value) if own.clusters else ""
    return found, ((Missing(deaf, "gw alerts check"),) if deaf else ())


def _belongs(alert: AlertFact, own: OwnSeries, facts: Facts) -> bool:
    if facts.namespace is None and not own.clusters:
        # Before the first gateway nobody can tell whose an alert is.
        return True
    is_fleets = facts.namespace is None and BY_NAME[alert.name].scope is Scope.FLEET
    return is_ours(alert.labels, own, facts) or (is_fleets and is_of_cluster(alert.labels, own))


def _listed(alert: AlertFact, alerting: AlertingFact) -> ListedAlert:
    silences = {silence.id: silence for silence in alerting.silences}
    names = {each.fingerprint: each.name for each in alerting.alerts if each.fingerprint}
    return ListedAlert(
        alert,
        BY_NAME[alert.name].severity,
        tuple(silences[each] for each in alert.silenced_by if each in silences),
        tuple(dict.fromkeys(names.get(each, "another alert") for each in alert.inhibited_by)),
    )
