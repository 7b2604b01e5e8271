"""Which lines reach the log, by the level that the environment names."""

import json
import os
import subprocess
import sys

import pytest

_TELLS = """
from actions_gateway import processes
processes._agent()
from actions_gateway.agent.sessions import session
session.log.debug("a detail", runner_group="ci-cpu")
session.log.info("a decision", runner_group="ci-cpu")
"""
AGENT = {
    "POD_NAMESPACE": "team-a",
    "GATEWAY_NAME": "team-a",
    "GITHUB_URL": "https://github.com/octo",
    "GITHUB_APP_PATH": "/etc/app",
    "WRAPPER_IMAGE": "controller:1",
    "GITHUB_PROXY": "http://proxy.team-a.svc:8080/",
}


@pytest.mark.parametrize(("level", "told"), [("debug", ["a detail", "a decision"]), ("info", ["a decision"])])
def test_the_level_reaches_the_agents_loggers(level: str, told: list[str]) -> None:
    # In a process of its own: a logger keeps the configuration of its first line.
    environment = {**os.environ, **AGENT, "LOG_LEVEL": level}
    command = [sys.executable, "-c", _TELLS]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr.splitlines()
    assert [json.loads(line)["event"] for line in lines] == told
