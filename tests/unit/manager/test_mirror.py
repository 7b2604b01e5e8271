"""The local copy that reconciles read from, and which gateways a change concerns."""

from typing import Any

import pytest

from actions_gateway.kube.listwatch import Change, ChangeType
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    RESOURCEQUOTAS,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
)
from actions_gateway.manager.gateway.gather import gather
from actions_gateway.manager.gateway.mirror import Edit, Mirror, Mirrors
from actions_gateway.manager.gateway.triggers import concerned, delay_seconds
from support import manager_objects as make

Manifest = dict[str, Any]
KINDS = (ACTIONSGATEWAYS, NAMESPACES, PODS, RESOURCEQUOTAS, RUNNERGROUPS, SERVICEACCOUNTS)


def account(version: str, *, uid: str = "u1", **fields: Any) -> Manifest:
    return {"metadata": {"name": "a", "namespace": "team-a", "uid": uid, "resourceVersion": version}, **fields}


def change(kind: ChangeType, manifest: Manifest) -> Change:
    return Change(kind, manifest)


def test_a_write_is_seen_at_once_and_a_late_event_does_not_take_it_back() -> None:
    mirror = Mirror(SERVICEACCOUNTS)
    mirror.take(change(ChangeType.ADDED, account("9")))
    mirror.put(account("10", note="written"))
    assert mirror.take(change(ChangeType.MODIFIED, account("9"))) is None
    assert mirror.take(change(ChangeType.MODIFIED, account("10"))) is None
    assert mirror.get("a", "team-a") == account("10", note="written")


def test_the_end_of_a_predecessor_does_not_end_its_successor() -> None:
    mirror = Mirror(SERVICEACCOUNTS)
    mirror.put(account("12", uid="u2"))
    assert mirror.take(change(ChangeType.DELETED, account("11", uid="u1"))) is None
    assert len(mirror) == 1
    assert mirror.take(change(ChangeType.DELETED, account("13", uid="u2"))) is not None
    assert len(mirror) == 0


def test_a_late_answer_to_a_write_brings_back_nothing_that_has_gone() -> None:
    mirror = Mirror(SERVICEACCOUNTS)
    mirror.take(change(ChangeType.ADDED, account("10")))
    mirror.take(change(ChangeType.DELETED, account("12")))
    assert mirror.put(account("11", note="written before its end")) is None
    assert len(mirror) == 0
    assert mirror.put(account("13", uid="u2")) is not None, "a successor"


def test_what_left_the_selection_and_comes_back_is_taken_in() -> None:
    mirror = Mirror(SERVICEACCOUNTS, label_selector="ours")
    mirror.take(change(ChangeType.ADDED, account("10")))
    mirror.take(change(ChangeType.DELETED, account("12")))
    assert mirror.take(change(ChangeType.ADDED, account("13"))) is not None
    assert len(mirror) == 1


def test_managed_fields_are_not_kept() -> None:
    mirror = Mirror(SERVICEACCOUNTS)
    manifest = account("1")
    manifest["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    mirror.put(manifest)
    kept = mirror.get("a", "team-a")
    assert kept is not None
    assert "managedFields" not in kept["metadata"]


def mirrors_of(*gateways: Manifest) -> Mirrors:
    mirrors = {resource: Mirror(resource) for resource in KINDS}
    for manifest in gateways:
        mirrors[ACTIONSGATEWAYS].put(manifest)
    return mirrors


def test_nothing_is_gathered_for_a_gateway_that_is_gone_or_whose_namespace_is_not_known_yet() -> None:
    mirrors = mirrors_of(make.gateway())
    assert gather(mirrors, ("team-a", "other")) is None
    assert gather(mirrors, ("team-a", "ci")) is None


def test_a_change_concerns_every_gateway_of_its_namespace_and_no_other() -> None:
    mirrors = mirrors_of(make.gateway("ci"), make.gateway("spare"), make.gateway(namespace="team-b"))
    both = [("team-a", "ci"), ("team-a", "spare")]
    assert concerned(mirrors, SERVICEACCOUNTS, Edit(None, account("1"))) == both
    assert concerned(mirrors, NAMESPACES, Edit(None, make.namespace("team-a"))) == both


def test_the_end_of_a_gateway_concerns_itself_and_the_one_that_waits() -> None:
    mirrors = mirrors_of(make.gateway("spare"))
    edit = Edit(make.gateway("ci"), None)
    assert sorted(concerned(mirrors, ACTIONSGATEWAYS, edit)) == [("team-a", "ci"), ("team-a", "spare")]


@pytest.mark.parametrize(
    ("before", "after", "is_urgent"),
    [
        pytest.param({"activeJobs": 1}, {"activeJobs": 2}, False, id="only counters moved"),
        pytest.param({"activeJobs": 1}, {"activeJobs": 1, "conditions": []}, True, id="a condition moved"),
    ],
)
def test_counters_alone_may_wait(before: Manifest, after: Manifest, is_urgent: bool) -> None:
    edit = Edit(account("1", status=before), account("2", status=after))
    assert (delay_seconds(RUNNERGROUPS, edit) == 0) is is_urgent


def test_a_new_group_does_not_wait() -> None:
    assert delay_seconds(RUNNERGROUPS, Edit(None, account("1", status={"activeJobs": 1}))) == 0


def quota(used: str, hard: str = "4") -> Manifest:
    return account(used, status={"hard": {"pods": hard}, "used": {"pods": used}})


def test_what_says_nothing_new_concerns_nobody() -> None:
    mirrors = mirrors_of(make.gateway("ci"))
    assert concerned(mirrors, PODS, Edit(account("1", status={}), account("2", status={}))) == []
    assert concerned(mirrors, RESOURCEQUOTAS, Edit(quota("1"), quota("2"))) == []
    assert concerned(mirrors, RESOURCEQUOTAS, Edit(quota("1"), quota("2", hard="8"))) == [("team-a", "ci")]
    assert concerned(mirrors, RESOURCEQUOTAS, Edit(None, quota("1"))) == [("team-a", "ci")]


def test_a_pods_steps_are_looked_at_together() -> None:
    assert delay_seconds(PODS, Edit(None, account("1"))) > 0


def test_a_rollouts_counts_are_looked_at_together_and_a_changed_spec_at_once() -> None:
    ready = Edit(account("1", status={"readyReplicas": 1}), account("2", status={"readyReplicas": 2}))
    assert delay_seconds(DEPLOYMENTS, ready) > 0
    scaled = Edit(account("1", status={}), {**account("2", status={}), "spec": {"replicas": 0}})
    assert delay_seconds(DEPLOYMENTS, scaled) == 0


def test_a_mirror_gives_what_it_took_and_is_harmed_by_nobody() -> None:
    mirror = Mirror(SERVICEACCOUNTS)
    mirror.put(account("9", note="as it was"))
    edit = mirror.take(change(ChangeType.MODIFIED, account("10", note="as it is")))
    assert edit is not None
    assert edit.before == account("9", note="as it was")
    found = mirror.get("a", "team-a")
    assert found == account("10", note="as it is")
    found["note"] = "changed by a reader"
    assert mirror.in_namespace("team-a") == [account("10", note="as it is")]
    assert mirror.take(change(ChangeType.MODIFIED, account("9"))) is None
    assert mirror.take(change(ChangeType.DELETED, {"metadata": account("11")["metadata"]})) is not None
    assert len(mirror) == 0
