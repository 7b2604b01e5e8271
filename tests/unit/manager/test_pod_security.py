"""Whose Pod Security labels a namespace has, and which of them the manager writes."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Condition
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import MANAGER_FIELDS
from actions_gateway.manager.gateway.pod_security import decide_namespace_labels, pod_security_conditions
from support import manager_objects as make

ENFORCE, WARN = labels.POD_SECURITY_ENFORCE, f"{labels.POD_SECURITY}warn"


def place(found: dict[str, str], *owners: str) -> dict[str, Any]:
    """A marked namespace that has these labels, each of them set by all `owners`."""
    return make.namespace(
        managedFields=[entry for owner in owners for entry in make.label_owner(owner, found)],
        labels={labels.TENANT: labels.TENANT_MARK, **found},
    )


@pytest.mark.parametrize(
    ("level", "profile", "owners", "is_kept", "is_taken_over"),
    [
        ("restricted", "baseline", ["kubectl-label"], True, False),
        ("restricted", "privileged", ["kubectl-label"], True, False),
        ("baseline", "privileged", ["argocd"], True, False),
        ("restricted", "baseline", [], True, False),
        ("restricted", "baseline", ["kubectl-label", MANAGER_FIELDS], True, False),
        ("restricted", "baseline", [MANAGER_FIELDS], False, False),
        ("privileged", "baseline", ["kubectl-label"], False, True),
        ("baseline", "restricted", ["kubectl-label"], False, True),
        ("baseline", "restricted", [MANAGER_FIELDS], False, False),
        ("baseline", "baseline", ["kubectl-label"], False, False),
        ("nonsense", "baseline", ["kubectl-label"], False, True),
    ],
)
def test_a_stricter_level_of_others_stays_and_a_laxer_one_is_taken_over(
    level: str, profile: str, owners: list[str], is_kept: bool, is_taken_over: bool
) -> None:
    found = decide_namespace_labels(place({ENFORCE: level}, *owners), SecurityProfile(profile))
    assert (found.kept, found.taken_over) == (
        {ENFORCE: level} if is_kept else {},
        {ENFORCE: level} if is_taken_over else {},
    )
    assert found.wanted.get(ENFORCE) == (None if is_kept else profile)
    assert (f"{ENFORCE}-version" in found.wanted) == (not is_kept)
    assert found.wanted[WARN] == profile


def test_the_version_that_we_set_stays_beside_a_stricter_level_that_somebody_put_over_ours() -> None:
    """Applied no longer it would be taken away, which our own admission policy refuses for good."""
    version = f"{ENFORCE}-version"
    namespace = place({ENFORCE: "restricted"}, "kubectl-label")
    namespace["metadata"]["labels"][version] = "v1.35"
    namespace["metadata"]["managedFields"] += make.label_owner(MANAGER_FIELDS, {version: "v1.35"})
    found = decide_namespace_labels(namespace, SecurityProfile.BASELINE)
    assert found.kept == {ENFORCE: "restricted"}
    assert found.wanted[version] == "v1.35"


def test_levels_are_of_a_pinned_version() -> None:
    found = decide_namespace_labels(make.namespace(mark=None), SecurityProfile.RESTRICTED)
    assert found.wanted == {labels.TENANT: labels.TENANT_MARK, **make.pod_security("restricted")}


def test_a_namespace_that_has_them_is_settled_and_one_that_lost_one_is_not() -> None:
    namespace = make.namespace()
    assert decide_namespace_labels(namespace, SecurityProfile.BASELINE).is_settled
    del namespace["metadata"]["labels"][WARN]
    assert not decide_namespace_labels(namespace, SecurityProfile.BASELINE).is_settled


@pytest.mark.parametrize(("owner", "is_ours"), [(MANAGER_FIELDS, True), ("kubectl-label", False)])
def test_a_marker_that_the_platform_set_stays_the_platforms(owner: str, is_ours: bool) -> None:
    marker = {labels.TENANT: labels.TENANT_MARK}
    found = decide_namespace_labels(place(marker, owner), SecurityProfile.BASELINE)
    assert (labels.TENANT in found.wanted) == is_ours


# -- condition


def conditions(gateway: dict[str, Any], kept: dict[str, str] | None) -> list[tuple[str, str]]:
    found: tuple[Condition, ...] = pod_security_conditions(gateway, kept)
    return [(one.status, one.reason) for one in found]


def test_the_condition_appears_with_the_first_level_that_is_kept_and_tells_of_its_end() -> None:
    plain = make.gateway()
    told = make.gateway(status={"conditions": [make.condition("PodSecurityOverridden", "True", "StricterLevelKept")]})
    assert conditions(plain, {}) == []
    assert conditions(plain, None) == []
    assert conditions(plain, {ENFORCE: "restricted"}) == [("True", "StricterLevelKept")]
    assert conditions(told, {ENFORCE: "restricted"}) == [("True", "StricterLevelKept")]
    assert conditions(told, {}) == [("False", "LevelApplied")]


def test_the_condition_names_label_level_and_way_out() -> None:
    (found,) = pod_security_conditions(make.gateway(), {ENFORCE: "restricted"})
    assert f"{ENFORCE}=restricted" in found.message
    assert "spec.securityProfile" in found.message
