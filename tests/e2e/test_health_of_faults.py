"""Every fault of the sandbox's library: health names it with its severity, says nothing false, and is clean afterwards.

On the real control plane where its programs are there, since there a tenant's own rights can be tried as well; else on
the embedded cluster.
"""

from collections.abc import Callable, Iterator

import pytest

from gateway_sandbox.faults import FAULTS, Fault
from gw.checks.catalog import HEALTH
from gw.sources.facts import Need
from support.components import best_cluster, require_monitoring
from support.fault_drill import FAULT_ROW, Drill, Report, Row, drill

pytestmark = pytest.mark.e2e

OF_MONITORING = {Need.SERIES, Need.MONITORING, Need.ALERTING}
NEEDS = {check.id: check.needs for check in HEALTH}


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    require_monitoring()
    with drill(tmp_path_factory.mktemp("drill") / "cluster", cluster=best_cluster()) as running:
        yield running


@pytest.fixture
def well(drilled: Drill) -> Report:
    """What is said before a fault: no problem, and nothing unknown."""
    return drilled.settle()


SLOW = ("deaf-listener", "label-unserved", "quota-full", "stuck-deletion")
"""What health names after a minute or more, each within one tenant: played together, in tenants of their own."""


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name not in SLOW], ids=lambda fault: fault.name)
def test_health_names_the_fault_and_nothing_false_and_is_clean_again(
    fault: Fault, drilled: Drill, well: Report, record_property: Callable[[str, object], None]
) -> None:
    check(drilled.play(fault, well), record_property)


def test_slow_faults_are_named_each_in_its_own_tenant(
    drilled: Drill, record_property: Callable[[str, object], None]
) -> None:
    """The last of all: its tenants stay."""
    slow = [fault for fault in FAULTS if fault.name in SLOW]
    assert len(slow) == len(SLOW)
    played = {f"team-{fault.name}": fault for fault in slow}
    for tenant in played:
        drilled.add(tenant, f"cpu labels=self-hosted,{tenant} maxWorkers=4 maxListeners=2")
    rows = drilled.play_together(played, drilled.settle())
    assert [row.fault for row in rows] == [fault.name for fault in slow]
    for row in rows:
        check(row, record_property)


def check(row: Row, record_property: Callable[[str, object], None]) -> None:
    """What a fault's row has to say."""
    record_property(FAULT_ROW, str(row))
    assert row.found_seconds is not None, f"health does not name it: {row}"
    assert not row.false, "\n".join(map(str, row.false))
    assert row.clean_seconds is not None, f"health is not clean again: {[*map(str, row.left)]}"
    from_the_cluster = {check for check, _ in row.expected if not NEEDS[check] & OF_MONITORING}
    for whose, view in {"without Prometheus": row.without_prometheus, "with a tenant's rights": row.to_tenant}.items():
        if view is not None:
            assert from_the_cluster <= {check for check, _ in view.named}, f"{whose} it is not named: {row}"
            assert view.named <= row.named, f"{whose} it is named as if it were better or worse: {row.named}"
            assert not view.false, f"{whose}: " + "\n".join(map(str, view.false))
