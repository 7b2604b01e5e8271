"""All checks, in the order of every report: the platform first, then gateway, agent, credential, sessions and the rest.

Three selections ask them: `gw health` how tenants and platform are, `gw check --pre` whether a cluster can take an
installation, `gw check` whether it enforces what the installation relies on.
"""

from gw.checks.catalog import gateway, installation, platform, pods, states
from gw.checks.model import Check

HEALTH: tuple[Check, ...] = (*platform.CHECKS, *gateway.CHECKS, *states.CHECKS, *pods.CHECKS)
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
CATALOG: tuple[Check, ...] = (*HEALTH, *installation.CHECKS)
