"""A real control plane for the faults alone: they change its custom resource definitions and delete namespaces."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane
from support.components import require_control_plane
from support.patience import HANG_SECONDS

from .site import furnish


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane with the custom resource definitions, the components' rights and the manager's namespace."""
    require_control_plane()
    folder = tmp_path_factory.mktemp("faults")
    running = ControlPlane(folder / "data", SandboxCertificates.create(folder / "certificates"))
    asyncio.run(running.start(timeout_seconds=HANG_SECONDS))
    try:
        asyncio.run(furnish(running))
        yield running
    finally:
        running.stop()
