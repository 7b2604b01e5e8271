"""The thresholds are the runbook's, word for word, or say why they are ours."""

import pytest

from gw_alerts.thresholds import ALL, OURS, Severity, Threshold


@pytest.mark.parametrize("threshold", ALL, ids=lambda threshold: threshold.subject)
def test_it_says_where_it_comes_from(threshold: Threshold) -> None:
    assert threshold.source.strip()
    if threshold.source.startswith(OURS):
        assert len(threshold.source) > len(OURS) + 20


def test_subjects_are_unique() -> None:
    assert len({threshold.subject for threshold in ALL}) == len(ALL)


def test_severities_are_ordered_from_page_down() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2]
    assert Severity.PAGE.reaches(Severity.TICKET)
    assert not Severity.INFO.reaches(Severity.TICKET)
