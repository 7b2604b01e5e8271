"""A control plane of their own: its audit log holds nothing but what these tests do."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane, Options
from support.components import require_control_plane
from support.installed import install
from support.patience import HANG_SECONDS


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With the whole installation, and no scheduler: the tests play the pods."""
    require_control_plane()
    folder = tmp_path_factory.mktemp("rights")
    running = ControlPlane(
        folder / "data", SandboxCertificates.create(folder / "certificates"), Options(with_scheduler=False)
    )
    asyncio.run(running.start(timeout_seconds=HANG_SECONDS))
    try:
        asyncio.run(install(running))
        yield running
    finally:
        running.stop()
