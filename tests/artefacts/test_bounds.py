"""A time that manager and `gw` both go by is the same for both: neither imports the other."""

from pathlib import Path

from actions_gateway.manager.gateway.deletion import WHOLE_SECONDS
from actions_gateway.manager.gateway.verdict.groups import SESSION_GRACE_SECONDS
from gw_alerts.thresholds import DELETION_SECONDS, SESSION_GAP_SECONDS

PAGES = Path(__file__).parents[2] / "runbooks" / "checks"


def test_a_deletion_is_late_when_the_manager_should_have_ended_it() -> None:
    assert DELETION_SECONDS.value == WHOLE_SECONDS
    assert f"over {WHOLE_SECONDS / 60:.0f} min" in (PAGES / "gateway.deleting.md").read_text(encoding="utf-8")


def test_a_group_is_silent_for_gw_when_its_gateway_stops_being_ready() -> None:
    assert SESSION_GAP_SECONDS.value == SESSION_GRACE_SECONDS
    assert f"over {SESSION_GRACE_SECONDS:.0f} s" in (PAGES / "session.open.md").read_text(encoding="utf-8")
