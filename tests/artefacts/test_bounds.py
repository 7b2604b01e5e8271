"""A time that manager and `gw` both go by is the same for both: neither imports the other."""

from pathlib import Path

import pytest

from actions_gateway.manager.gateway.deletion import WHOLE_SECONDS
from actions_gateway.manager.gateway.verdict.groups import SESSION_GRACE_SECONDS
from gw.sources.events import WORKER_GIVEN_UP
from gw_alerts.thresholds import DELETION_SECONDS, SESSION_GAP_SECONDS, WORKER_GIVEN_UP_SECONDS
from support.own_events import own_events

PAGES = Path(__file__).parents[2] / "runbooks" / "checks"


def test_a_deletion_is_late_when_the_manager_should_have_ended_it() -> None:
    assert DELETION_SECONDS.value == WHOLE_SECONDS
    assert f"over {WHOLE_SECONDS / 60:.0f} min" in (PAGES / "gateway.deleting.md").read_text(encoding="utf-8")


def test_a_group_is_silent_for_gw_when_its_gateway_stops_being_ready() -> None:
    assert SESSION_GAP_SECONDS.value == SESSION_GRACE_SECONDS
    assert f"over {SESSION_GRACE_SECONDS:.0f} s" in (PAGES / "session.open.md").read_text(encoding="utf-8")


def test_gw_looks_for_the_event_that_agents_write_of_a_worker_that_they_give_up() -> None:
    assert WORKER_GIVEN_UP in own_events()


@pytest.mark.parametrize("page", ["worker.starting", "worker.image"])
def test_a_worker_that_was_given_up_is_told_as_long_as_its_page_says(page: str) -> None:
    assert f"within {WORKER_GIVEN_UP_SECONDS.value / 60:.0f} min" in (PAGES / f"{page}.md").read_text(encoding="utf-8")
