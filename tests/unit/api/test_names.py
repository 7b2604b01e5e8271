"""Names that reach a cluster or GitHub: bounded, unique, and never cut without a digest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.api import names

DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
UID = "0b7eb6b1-0000-4000-8000-000000000001"

group_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


@given(group_names, st.uuids())
def test_a_worker_pod_always_has_a_valid_name(group: str, plan: object) -> None:
    assert DNS_LABEL.match(names.worker_pod_name(group, str(plan)))


@given(group_names, st.from_regex(r"[0-9a-f]{8}", fullmatch=True))
def test_a_runner_name_holds_the_groups_uid_part_and_fits_githubs_64_characters(group: str, nonce: str) -> None:
    name = names.runner_name(group, UID, nonce)
    assert len(name) <= 64
    assert name.endswith(f"-{names.uid_part(UID)}-{nonce}")


def test_long_groups_that_differ_at_their_end_give_different_pods_for_the_same_plan() -> None:
    first, second = ("g" * 61 + end for end in "ab")
    assert names.worker_pod_name(first, "plan") != names.worker_pod_name(second, "plan")


@pytest.mark.parametrize(("slot", "name"), [(1, "job-0001"), (1024, "job-1024")])
def test_a_slot_has_the_name_that_the_agents_role_lists(slot: int, name: str) -> None:
    assert names.job_slot_name(slot) == name
    assert names.job_slot_number(name) == slot


@pytest.mark.parametrize("name", ["", "job-", "job-0000", "job-1025", "job-001", "job-00001", "job-0001\n", "job-²²²²"])
def test_what_is_no_slot_s_name_has_no_number(name: str) -> None:
    assert names.job_slot_number(name) is None


@pytest.mark.parametrize("slot", [0, 1025, -1])
def test_a_slot_outside_the_role_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match=r"not in 1\.\.1024"):
        names.job_slot_name(slot)
