"""`gw health -A` on a real API server that holds 200 tenants, five of which are broken."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.rig import Gw, SteppingClock
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane
from support.components import require_control_plane
from support.tenant_fleet import BROKEN, STILL, start_with_fleet

COUNT = 200
_AFTER_PROVISIONING = timedelta(seconds=120)


class LaterClock(SteppingClock):
    """Two minutes from now: the objects were stored a moment ago, and none of them counts as new."""

    def now(self) -> datetime:
        return datetime.now(UTC) + _AFTER_PROVISIONING + timedelta(seconds=self.slept_seconds)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Without controllers: nothing touches what is stored."""
    require_control_plane()
    folder = tmp_path_factory.mktemp("fleet")
    certificates = SandboxCertificates.create(folder / "certificates")
    running = ControlPlane(folder / "data", certificates, STILL)
    try:
        asyncio.run(start_with_fleet(running, COUNT, renewed_for=_AFTER_PROVISIONING * 5))
        yield running
    finally:
        running.stop()


def test_the_report_names_the_five_broken_tenants_and_no_other_one(plane: ControlPlane, tmp_path: Path) -> None:
    gw = Gw(real_cluster=True, clock=LaterClock())
    answer = gw("health", "-A", "-o", "json", "--kubeconfig", str(plane.kubeconfig))
    assert answer.code == 1, answer
    report = json.loads(answer.out)
    found: dict[str, set[str]] = {}
    for check in report["checks"]:
        for finding in check["findings"]:
            if finding["outcome"] == "problem":
                found.setdefault(finding["subject"].partition("/")[0], set()).add(check["id"])
    assert found.pop("", set()) == {"clock.agrees"}, "the test's own clock is ahead"
    assert set(found) == set(BROKEN)
    for tenant, (_, check_id) in BROKEN.items():
        assert check_id in found[tenant]
