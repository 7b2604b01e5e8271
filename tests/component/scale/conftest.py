"""One fleet for all tests of scale."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.programs import KWOK
from gateway_sandbox.controlplane.server import ControlPlane
from support.components import require_control_plane

from .fleet import Fleet, start_fleet


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A control plane of its own: that many nodes would be in the way of other tests."""
    require_control_plane(KWOK)
    folder = tmp_path_factory.mktemp("fleet")
    plane = ControlPlane(folder / "data", SandboxCertificates.create(folder / "certificates"))
    try:
        yield asyncio.run(start_fleet(plane))
    finally:
        plane.stop()
