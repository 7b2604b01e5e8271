"""The arithmetic of rollouts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_sandbox.controllers.rollout import (
    Share,
    Strategy,
    plan_recreate,
    plan_rolling,
    same_template,
    strategy_of,
    template_hash,
)


def deployment(**strategy: Any) -> dict[str, Any]:
    return {"spec": {"strategy": strategy}}


@pytest.mark.parametrize(
    ("rolling", "desired", "surge", "unavailable"),
    [
        pytest.param({}, 10, 3, 2, id="a quarter by default, surge rounded up"),
        pytest.param({}, 1, 1, 0, id="a single pod is never missing by default"),
        pytest.param({"maxSurge": 0, "maxUnavailable": 0}, 3, 0, 1, id="something has to give"),
        pytest.param({"maxSurge": "50%", "maxUnavailable": 1}, 3, 2, 1, id="percentages and numbers"),
        pytest.param({"maxSurge": 1, "maxUnavailable": 5}, 3, 1, 3, id="never more than all"),
    ],
)
def test_fenceposts(rolling: dict[str, Any], desired: int, surge: int, unavailable: int) -> None:
    found = strategy_of(deployment(type="RollingUpdate", rollingUpdate=rolling), desired)
    assert found == Strategy(False, surge, unavailable)


def test_recreate_has_no_fenceposts() -> None:
    assert strategy_of(deployment(type="Recreate"), 3) == Strategy(True, 0, 0)


def test_recreate_first_ends_the_old_pods() -> None:
    new, old = Share("new", 0, 0), Share("old", 1, 1)
    assert plan_recreate(1, new, [old], old_pods_remain=True) == {"old": 0}


def test_recreate_waits_for_the_last_old_pod() -> None:
    new, old = Share("new", 0, 0), Share("old", 0, 0)
    assert plan_recreate(1, new, [old], old_pods_remain=True) == {}
    assert plan_recreate(1, new, [old], old_pods_remain=False) == {"new": 1}


def test_recreate_without_a_past_starts_at_once_and_then_rests() -> None:
    assert plan_recreate(2, Share("new", 0, 0), [], old_pods_remain=False) == {"new": 2}
    assert plan_recreate(2, Share("new", 2, 0), [], old_pods_remain=False) == {}


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        pytest.param((0, 0), (3, 3), {"new": 1}, id="grows by the surge"),
        pytest.param((1, 0), (3, 3), {}, id="waits for the new pod"),
        pytest.param((1, 1), (3, 3), {"old": 2}, id="shrinks when the new pod serves"),
        pytest.param((1, 1), (2, 2), {"new": 2}, id="grows again"),
        pytest.param((3, 3), (1, 1), {"old": 0}, id="ends"),
        pytest.param((3, 3), (0, 0), {}, id="rests"),
        pytest.param((5, 5), (0, 0), {"new": 3}, id="scales down"),
        pytest.param((1, 0), (3, 2), {}, id="keeps what serves while too few do"),
    ],
)
def test_rolling_steps_with_surge_one_and_none_unavailable(
    new: tuple[int, int], old: tuple[int, int], expected: dict[str, int]
) -> None:
    assert plan_rolling(3, Strategy(False, 1, 0), Share("new", *new), [Share("old", *old)]) == expected


def test_unavailable_old_pods_go_first() -> None:
    olds = [Share("oldest", 2, 2), Share("broken", 2, 0)]
    assert plan_rolling(3, Strategy(False, 1, 0), Share("new", 0, 0), olds) == {"broken": 1}


@given(
    desired=st.integers(1, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    old=st.integers(0, 12),
)
def test_a_rollout_ends_and_never_breaks_its_bounds(desired: int, surge: int, unavailable: int, old: int) -> None:
    strategy = strategy_of(deployment(rollingUpdate={"maxSurge": surge, "maxUnavailable": unavailable}), desired)
    counts = {"new": 0, "old": max(old, desired)}
    serving = dict(counts)
    for _ in range(200):
        shares = {name: Share(name, counts[name], min(serving[name], counts[name])) for name in counts}
        plan = plan_rolling(desired, strategy, shares["new"], [shares["old"]])
        if not plan and serving == counts:
            break
        grows = plan.get("new", 0) > counts["new"]
        counts |= plan
        assert sum(min(serving[name], counts[name]) for name in counts) >= desired - strategy.max_unavailable
        assert not grows or sum(counts.values()) <= desired + strategy.max_surge
        serving = dict(counts)
    assert counts == {"new": desired, "old": 0}


def test_a_templates_hash_ignores_order_and_is_safe_in_names() -> None:
    one, other = {"spec": {"a": 1, "b": 2}}, {"spec": {"b": 2, "a": 1}}
    assert template_hash(one) == template_hash(other)
    assert template_hash(one) != template_hash({"spec": {"a": 1, "b": 3}})
    assert len(template_hash(one)) == 10
    assert template_hash(one).isalnum()


def test_templates_are_compared_without_the_hash_label() -> None:
    plain = {"metadata": {"labels": {"app": "x"}}, "spec": {}}
    labelled = {"metadata": {"labels": {"app": "x", "pod-template-hash": "h"}}, "spec": {}}
    annotated = {"metadata": {"labels": {"app": "x"}, "annotations": {"restartedAt": "now"}}, "spec": {}}
    assert same_template(plain, labelled)
    assert not same_template(plain, annotated)
