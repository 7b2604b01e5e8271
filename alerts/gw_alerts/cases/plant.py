"""Series that several cases need beside those of their own alert: managers, what they expect, agents."""

from actions_gateway.metrics import catalog as m
from gw_alerts.cases.model import Series
from gw_alerts.cases.samples import STALE, Samples, steps
from gw_alerts.cases.shapes import of

TENANT = {"namespace": "team-a"}
GROUP = {**TENANT, "runner_group": "ci-cpu"}
GATEWAY = {**TENANT, "name": "ci"}
PLATFORM = "gmc-system"


def manager(samples: Samples) -> Series:
    """A manager leads, with so many gateways."""
    return of(m.MANAGED_GATEWAYS, samples, namespace=PLATFORM)


def manager_process(samples: Samples) -> Series:
    """A manager is scraped."""
    return of(m.BUILD_INFO, samples, namespace=PLATFORM, component=m.Component.MANAGER.value, version="1")


def agent_process(samples: Samples, **labels: str) -> Series:
    """An agent is scraped."""
    return of(m.BUILD_INFO, samples, component=m.Component.AGENT.value, version="1", **labels)


def told(metric: m.Metric, until: float, last: Samples | None = None) -> tuple[Series, ...]:
    """A manager that leads, and what it says of one object all the time, or by `last`."""
    return manager(steps(until, (0, 1))), of(metric, last if last is not None else steps(until, (0, 1)))


def told_once(metric: m.Metric, until: float, end: float, value: float = 1) -> tuple[Series, ...]:
    """The same until the manager is gone with everything that it says."""
    return manager(steps(until, (0, 1), (end, STALE))), of(metric, steps(until, (0, value), (end, STALE)))
