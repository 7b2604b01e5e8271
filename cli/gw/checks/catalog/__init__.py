"""All checks, in the order of every report: the platform first, then gateway, agent, credential, sessions, pods."""

from gw.checks.catalog import gateway, platform, pods
from gw.checks.model import Check

CATALOG: tuple[Check, ...] = (*platform.CHECKS, *gateway.CHECKS, *pods.CHECKS)
