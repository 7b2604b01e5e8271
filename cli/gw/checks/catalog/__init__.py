"""All checks, in the order of every report: the platform first, then gateway, agent, credential, sessions and the rest.

Three selections ask them: `gw health` how tenants and platform are, `gw check --pre` whether a cluster can take an
installation, `gw check` whether it enforces what the installation relies on.
"""

from gw.checks.catalog import (
    credentials,
    gateway,
    installation,
    jobs,
    observability,
    platform,
    pods,
    proxy,
    quota,
    series,
    states,
    versions,
    workers,
)
from gw.checks.model import Category, Check

_MODULES = (platform, gateway, states, credentials, jobs, quota, workers, pods, proxy, versions, series, observability)
_CATEGORIES = list(Category)

HEALTH: tuple[Check, ...] = tuple(
    sorted(
        (*(check for module in _MODULES for check in module.CHECKS), installation.DEFINITIONS, installation.CLOCK),
        key=lambda check: _CATEGORIES.index(check.category),
    )
)
PREREQUISITES: tuple[Check, ...] = (
    platform.REACHABLE,
    installation.VERSION,
    installation.RIGHTS,
    installation.PLACE,
    installation.DEFINITIONS,
    installation.POD_SECURITY,
    installation.NETWORK,
    installation.METRICS,
    installation.MONITORING,
    installation.CLOCK,
)
INSTALLATION: tuple[Check, ...] = (
    platform.REACHABLE,
    installation.VERSION,
    *(check for check in platform.CHECKS if check is not platform.REACHABLE),
    installation.PLACE,
    installation.DEFINITIONS,
    installation.POLICIES,
    installation.POD_SECURITY,
    installation.NETWORK,
    installation.METRICS,
    installation.MONITORING,
    installation.CLOCK,
    installation.PINNED,
)
CATALOG: tuple[Check, ...] = (*HEALTH, *(check for check in installation.CHECKS if check not in HEALTH))
