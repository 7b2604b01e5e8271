"""Real components that tests use where they are found: skipped with one line elsewhere, a failure in CI."""

import functools
import json
import os
import re
import shutil
import subprocess
from typing import NoReturn

import pytest

KUBECTL_MINIMUM = (1, 30)


@functools.cache
def require_kubectl() -> str:
    """The path of a kubectl of version 1.30 or newer; skips, or under CI=true fails, without one."""
    path = shutil.which("kubectl")
    if path is None:
        _lacks("kubectl is not installed: version 1.30 or newer, from your Kubernetes vendor, brings this test")
    version = subprocess.run(
        [path, "version", "--client", "--output=json"], capture_output=True, text=True, check=True
    ).stdout
    client = json.loads(version)["clientVersion"]
    found = (int(client["major"]), int(re.sub(r"\D.*", "", client["minor"])))
    if found < KUBECTL_MINIMUM:
        _lacks(f"kubectl {client['gitVersion']} is too old: version 1.30 or newer brings this test")
    return path


def _lacks(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
