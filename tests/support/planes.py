"""Control planes for tests: real ones, that start before the first test that takes them and end after the last."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane, Options
from support.components import require_control_plane
from support.installed import install
from support.patience import HANG_SECONDS

WITHOUT_SCHEDULER = Options(with_scheduler=False)
"""Where there are no nodes, and tests play the pods."""


@contextmanager
def running_plane(folder: Path, options: Options | None = None) -> Iterator[ControlPlane]:
    """One as long as the block lasts; skips the test, or under CI=true fails it, where the programs are missing.

    Each takes a fifth of a processor while nobody asks it anything: a fixture is as narrow as its tests let it be.
    """
    require_control_plane()
    plane = ControlPlane(folder / "data", SandboxCertificates.create(folder / "certificates"), options or Options())
    asyncio.run(plane.start(timeout_seconds=HANG_SECONDS))
    try:
        yield plane
    finally:
        plane.stop()


@contextmanager
def installed_plane(folder: Path, options: Options | None = None) -> Iterator[ControlPlane]:
    """One with the whole installation on it, policies at work, without a running manager."""
    with running_plane(folder, options) as plane:
        asyncio.run(install(plane))
        yield plane
