"""Reasons of events that are no condition's, as the code has them."""

import re
from pathlib import Path

from actions_gateway.manager.gateway.deletion import LEFT_AT_GITHUB, LEFT_IN_CLUSTER
from actions_gateway.manager.gateway.pod_security import TAKEN_OVER

_AGENT = Path(__file__).parents[2] / "controller" / "actions_gateway" / "agent"
_TOLD = re.compile(r"(?:_tell|record)\(\s*(?:[\w.]+,\s*)?\"(\w+)\"")


def own_events() -> set[str]:
    """The manager's notices, and what agents tell of jobs."""
    texts = (path.read_text(encoding="utf-8") for path in _AGENT.rglob("*.py"))
    return {LEFT_AT_GITHUB, LEFT_IN_CLUSTER, TAKEN_OVER} | {reason for text in texts for reason in _TOLD.findall(text)}
