"""Who may change which labels of a namespace: the manager its own, nobody a tenant's security level by accident."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import (
    MANAGER,
    MANAGER_NAMESPACE,
    MANAGER_NAMESPACE_POLICY,
    RESERVED_NAMESPACES,
    TENANT_NAMESPACE_POLICY,
)
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import NAMESPACES
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import Callers, account_subject, callers, refusal

ENFORCE = labels.POD_SECURITY_ENFORCE
MARKER = {labels.TENANT: "true"}
ALLOWED = {labels.PRIVILEGED_PROFILE: "allowed"}
ON_PURPOSE = {"annotations": {labels.ALLOW_DOWNGRADE: "true"}}

Metadata = dict[str, Any]


def changed(metadata: Metadata) -> Metadata:
    return {"metadata": metadata}


async def apply_labels(client: KubeClient, name: str, wanted: dict[str, str]) -> None:
    """As the manager writes."""
    await client.apply(NAMESPACES, changed({"name": name, "labels": wanted}), field_manager="actions-gateway-gmc")


def as_manager(
    installed: ControlPlane, act: Callable[[KubeClient, str, Callers], Awaitable[None]], **marks: str
) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(**marks) as namespace, as_.manager() as manager:
            await act(manager, namespace, as_)

    run(main())


# -- the manager -----------------------------------------------------------------------------------------------------


def test_the_manager_marks_a_namespace_and_sets_its_pod_security_labels(installed: ControlPlane) -> None:
    levels = {f"{labels.POD_SECURITY}{mode}": "restricted" for mode in labels.POD_SECURITY_MODES}
    versions = {f"{key}-version": "v1.36" for key in levels}

    async def act(manager: KubeClient, namespace: str, as_: Callers) -> None:
        await apply_labels(manager, namespace, MARKER)
        await apply_labels(manager, namespace, {**MARKER, **levels, **versions})
        # It follows the gateway's profile down, too: that change has its own policy.
        await apply_labels(manager, namespace, {**MARKER, **levels, **versions, ENFORCE: "baseline"})
        found = (await as_.admin.get(NAMESPACES, namespace))["metadata"]["labels"]
        assert {**MARKER, **versions, ENFORCE: "baseline"}.items() <= found.items()

    as_manager(installed, act)


def test_the_manager_leaves_what_it_applies_no_more_to_whoever_keeps_it_too(installed: ControlPlane) -> None:
    """A level that is somebody else's as well stays when the manager lets go of it; its own would go, and may not."""

    async def act(manager: KubeClient, namespace: str, as_: Callers) -> None:
        await apply_labels(manager, namespace, {**MARKER, ENFORCE: "restricted"})
        await apply_labels(manager, namespace, MARKER)
        found = (await as_.admin.get(NAMESPACES, namespace))["metadata"]["labels"]
        assert (found[ENFORCE], found[labels.TENANT]) == ("restricted", "true")
        warn = f"{labels.POD_SECURITY}warn"
        await apply_labels(manager, namespace, {**MARKER, warn: "baseline"})
        assert "takes no Pod Security label away" in await refusal(apply_labels(manager, namespace, MARKER))

    as_manager(installed, act, enforce="restricted")


NOT_THE_MANAGERS: dict[str, tuple[dict[str, str], Metadata, str]] = {
    "another label": ({}, {"labels": {"team": "a"}}, "the manager changes only"),
    "the platform's permission": ({}, {"labels": ALLOWED}, "the manager changes only"),
    "taking a label away": ({"privileged": "allowed"}, {"labels": {labels.PRIVILEGED_PROFILE: None}}, "changes only"),
    "another marker": ({}, {"labels": {labels.TENANT: "yes"}}, "is the platform's to change"),
    "taking the marker away": ({"tenant": "true"}, {"labels": {labels.TENANT: None}}, "is the platform's to change"),
    "marking where the platform refuses": (
        {"tenant": "false"},
        {"labels": MARKER},
        "is the platform's to change",
    ),
    "privileged": ({"tenant": "true"}, {"labels": {ENFORCE: "privileged"}}, "needs the platform's label"),
    "privileged warnings": (
        {"tenant": "true"},
        {"labels": {f"{labels.POD_SECURITY}warn": "privileged"}},
        "needs the platform's label",
    ),
    "taking a level away": (
        {"tenant": "true", "enforce": "baseline"},
        {"labels": {ENFORCE: None}},
        "the manager takes no Pod Security label away",
    ),
    "an annotation": ({}, {"annotations": {"a": "b"}}, "does not change a namespace's annotations"),
    "a finalizer": ({}, {"finalizers": ["example.com/hold"]}, "does not change a namespace's finalizers"),
}


@pytest.mark.parametrize("case", NOT_THE_MANAGERS)
def test_of_a_namespace_the_manager_does_not_touch(case: str, installed: ControlPlane) -> None:
    marks, metadata, message = NOT_THE_MANAGERS[case]

    async def act(manager: KubeClient, namespace: str, as_: Callers) -> None:
        said = await refusal(manager.patch(NAMESPACES, namespace, changed(metadata)))
        assert f"'{MANAGER_NAMESPACE_POLICY}'" in said
        assert message in said
        assert namespace in said

    as_manager(installed, act, **marks)


def test_the_manager_may_set_privileged_where_the_platform_allows_it(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, namespace: str, as_: Callers) -> None:
        await apply_labels(manager, namespace, {**MARKER, ENFORCE: "privileged"})
        # The platform takes its permission back; the level that is there does not block the manager's other writes.
        await as_.label(namespace, "privileged", None)
        await apply_labels(manager, namespace, {**MARKER, ENFORCE: "privileged", f"{ENFORCE}-version": "latest"})

    as_manager(installed, act, privileged="allowed")


@pytest.mark.parametrize("name", sorted(RESERVED_NAMESPACES))
def test_the_manager_marks_no_system_namespace(name: str, installed: ControlPlane) -> None:
    async def act(manager: KubeClient, _: str, as_: Callers) -> None:
        said = await refusal(apply_labels(manager, name, MARKER))
        assert "the manager does not change system namespaces" in said
        assert labels.TENANT not in ((await as_.admin.get(NAMESPACES, name))["metadata"].get("labels") or {})

    as_manager(installed, act)


def test_a_manager_that_got_every_right_still_makes_deletes_and_hands_over_no_namespace(
    installed: ControlPlane,
) -> None:
    async def act(manager: KubeClient, namespace: str, as_: Callers) -> None:
        owner = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1"}
        async with as_.bound_everywhere("cluster-admin", account_subject(MANAGER, MANAGER_NAMESPACE)):
            await as_.until_allowed(manager, "create", NAMESPACES, "")
            for request, message in (
                (manager.create(NAMESPACES, changed({"name": "made-by-manager"})), "neither creates nor deletes"),
                (manager.delete(NAMESPACES, namespace), "neither creates nor deletes"),
                (
                    manager.patch(NAMESPACES, namespace, changed({"ownerReferences": [owner]})),
                    "does not change a namespace's ownerReferences",
                ),
            ):
                said = await refusal(request)
                assert f"'{MANAGER_NAMESPACE_POLICY}'" in said
                assert message in said
        await as_.until_allowed(manager, "create", NAMESPACES, "", allowed=False)

    as_manager(installed, act)


# -- everybody else --------------------------------------------------------------------------------------------------


def as_platform(installed: ControlPlane, act: Callable[[KubeClient, str], Awaitable[None]], **marks: str) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(**marks) as namespace:
            await act(as_.admin, namespace)

    run(main())


LOWERED: dict[str, tuple[dict[str, str], dict[str, str | None]]] = {
    "restricted to baseline": ({"enforce": "restricted"}, {ENFORCE: "baseline"}),
    "restricted to nothing": ({"enforce": "restricted"}, {ENFORCE: None}),
    "the marker away": ({"enforce": "baseline"}, {labels.TENANT: None}),
    "another marker": ({"enforce": "baseline"}, {labels.TENANT: "no"}),
    "marker and level in one": ({"enforce": "restricted"}, {labels.TENANT: None, ENFORCE: "baseline"}),
    "privileged where it is allowed": (
        {"enforce": "baseline", "privileged": "allowed"},
        {ENFORCE: "privileged"},
    ),
}


@pytest.mark.parametrize("case", LOWERED)
def test_the_level_of_a_tenants_namespace_falls_only_with_the_annotation(case: str, installed: ControlPlane) -> None:
    marks, lowered = LOWERED[case]

    async def act(admin: KubeClient, namespace: str) -> None:
        said = await refusal(admin.patch(NAMESPACES, namespace, changed({"labels": lowered})))
        assert f"'{TENANT_NAMESPACE_POLICY}'" in said
        assert "lowers the Pod Security level" in said
        assert 'set the annotation actions-gateway.github.com/allow-profile-downgrade: "true" on the namespace' in said
        await admin.patch(NAMESPACES, namespace, changed({"labels": lowered, **ON_PURPOSE}))

    as_platform(installed, act, tenant="true", **marks)


def test_unmarking_first_is_no_way_around(installed: ControlPlane) -> None:
    async def act(admin: KubeClient, namespace: str) -> None:
        said = await refusal(admin.patch(NAMESPACES, namespace, changed({"labels": {labels.TENANT: None}})))
        assert "taking away actions-gateway.github.com/tenant counts as lowering" in said
        lower_first = {"labels": {ENFORCE: "baseline"}}
        assert "lowers the Pod Security level" in await refusal(
            admin.patch(NAMESPACES, namespace, changed(lower_first))
        )
        found = (await admin.get(NAMESPACES, namespace))["metadata"]["labels"]
        assert (found[labels.TENANT], found[ENFORCE]) == ("true", "restricted")

    as_platform(installed, act, tenant="true", enforce="restricted")


def test_privileged_in_a_tenants_namespace_needs_the_label_beside_it(installed: ControlPlane) -> None:
    async def act(admin: KubeClient, namespace: str) -> None:
        privileged = {"labels": {ENFORCE: "privileged"}, **ON_PURPOSE}
        said = await refusal(admin.patch(NAMESPACES, namespace, changed(privileged)))
        assert "needs the label actions-gateway.github.com/privileged-profile=allowed beside it" in said
        privileged["labels"] |= ALLOWED
        await admin.patch(NAMESPACES, namespace, changed(privileged))
        # Taking the permission back is no lowering, and must not wait for the level.
        await admin.patch(NAMESPACES, namespace, changed({"labels": {labels.PRIVILEGED_PROFILE: None}}))

    as_platform(installed, act, tenant="true", enforce="baseline")


@pytest.mark.parametrize(
    ("marks", "step"),
    [
        ({"tenant": "true", "enforce": "baseline"}, {ENFORCE: "restricted"}),
        ({"tenant": "true"}, {ENFORCE: "baseline"}),
        ({"tenant": "true"}, {labels.TENANT: None}),
        ({"tenant": "true", "enforce": "restricted"}, {"team": "a"}),
        ({"enforce": "restricted"}, {ENFORCE: "privileged"}),
        ({"enforce": "baseline"}, {labels.TENANT: "true"}),
    ],
    ids=["raise", "set", "unmark what has no level", "another label", "of no tenant", "mark"],
)
def test_everything_else_is_free(marks: dict[str, str], step: dict[str, str | None], installed: ControlPlane) -> None:
    async def act(admin: KubeClient, namespace: str) -> None:
        await admin.patch(NAMESPACES, namespace, changed({"labels": step}))

    as_platform(installed, act, **marks)


def test_a_tenants_namespace_is_not_born_privileged_without_the_label(installed: ControlPlane) -> None:
    async def act(admin: KubeClient, _: str) -> None:
        born = {"generateName": "team-", "labels": {**MARKER, ENFORCE: "privileged"}}
        said = await refusal(admin.create(NAMESPACES, changed(born), dry_run=True))
        assert "needs the label actions-gateway.github.com/privileged-profile=allowed" in said
        born["labels"] |= ALLOWED
        await admin.create(NAMESPACES, changed(born), dry_run=True)

    as_platform(installed, act)


def test_a_tenants_namespace_can_be_deleted(installed: ControlPlane) -> None:
    async def act(admin: KubeClient, namespace: str) -> None:
        await admin.patch(NAMESPACES, namespace, changed({"finalizers": ["example.com/hold"]}))
        await admin.delete(NAMESPACES, namespace)
        await admin.patch(NAMESPACES, namespace, changed({"finalizers": None, "labels": {ENFORCE: None}}))
        await admin.create(NAMESPACES, changed({"name": f"{namespace}-successor"}), dry_run=True)

    as_platform(installed, act, tenant="true", enforce="restricted")
