"""The images of others: what is tested here is what is run there."""

import subprocess

from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.runnergroup import RUNNER_IMAGE, RUNNER_VERSION
from support.components import require_envoy


def test_the_proxys_image_has_the_release_of_envoy_that_tests_run() -> None:
    version = subprocess.run([require_envoy(), "--version"], capture_output=True, text=True, check=True).stdout
    assert f"/{PROXY_IMAGE.rpartition('-v')[2]}/" in version


def test_the_proxys_image_has_envoy_itself_as_its_entrypoint() -> None:
    """The other variants start by a script, which would take the arguments for a command (Dockerfile-envoy)."""
    assert PROXY_IMAGE.startswith("envoyproxy/envoy:distroless-v")


def test_the_version_that_agents_report_is_that_of_the_runners_image() -> None:
    assert RUNNER_IMAGE.partition("@")[0].rpartition(":")[2] == RUNNER_VERSION
