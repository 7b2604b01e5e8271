"""What every test shares."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane
from support.components import require_control_plane
from support.installed import install

# A shared machine may stall any single example; how long code takes is the benchmark's business.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each thing that a machine lacks, however many tests want it."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"SKIPPED {count}: {reason}")


def _reason(report: pytest.TestReport) -> str:
    where_and_why = report.longrepr
    return str(where_and_why[2] if isinstance(where_and_why, tuple) else where_and_why).removeprefix("Skipped: ")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The one real control plane of the test session; each test takes namespaces of its own."""
    require_control_plane()
    folder = tmp_path_factory.mktemp("controlplane")
    plane = ControlPlane(folder / "data", SandboxCertificates.create(folder / "certificates"))
    asyncio.run(plane.start(timeout_seconds=120.0))
    try:
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The session's control plane with the whole installation on it, policies at work, without a running manager."""
    asyncio.run(install(control_plane))
    return control_plane
