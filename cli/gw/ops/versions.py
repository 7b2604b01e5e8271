"""The versions that belong to this installation of gw."""

import platform
from dataclasses import dataclass

import actions_gateway
from actions_gateway.api.names import API_GROUP, API_VERSION
from actions_gateway.api.runnergroup import RUNNER_VERSION


@dataclass(frozen=True, slots=True)
class Versions:
    """What is installed here and what it speaks."""

    gw: str
    api: str
    runner: str
    python: str


def read_versions() -> Versions:
    """The versions of this process."""
    return Versions(
        gw=actions_gateway.__version__,
        api=f"{API_GROUP}/{API_VERSION}",
        runner=RUNNER_VERSION,
        python=platform.python_version(),
    )
