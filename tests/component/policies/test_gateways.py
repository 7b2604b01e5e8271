"""Where a gateway may be, which security profile it may have, and what its schema refuses, as a tenant reads it."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import (
    GATEWAY_PLACE_POLICY,
    MAX_NAME_LENGTH,
    RESERVED_NAMESPACES,
    SECURITY_PROFILE_POLICY,
)
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import ACTIONSGATEWAYS, CRDS, RUNNERGROUPS
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import callers, gateway_in, group_in, refusal, until_refused

ON_PURPOSE = {labels.ALLOW_DOWNGRADE: "true"}


# -- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", sorted(RESERVED_NAMESPACES))
def test_system_namespaces_get_no_gateway_and_no_group(namespace: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_:
            for resource, manifest in (
                (ACTIONSGATEWAYS, gateway_in(namespace)),
                (RUNNERGROUPS, group_in(namespace)),
            ):
                said = await refusal(as_.admin.create(resource, manifest, dry_run=True))
                assert f"'{GATEWAY_PLACE_POLICY}'" in said
                assert f"metadata.namespace: {namespace} is a system namespace" in said
                assert "create it in a namespace of the tenant" in said

    run(main())


def test_any_other_namespace_gets_one(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            await as_.admin.create(ACTIONSGATEWAYS, gateway_in(namespace), dry_run=True)

    run(main())


# -- profiles --------------------------------------------------------------------------------------------------------


async def change_profile(
    client: KubeClient, namespace: str, old: str | None, new: str | None, annotations: dict[str, str] | None = None
) -> None:
    """A gateway with the profile `old` that gets `new`; None leaves the field out."""
    before = {} if old is None else {"securityProfile": old}
    await client.create(ACTIONSGATEWAYS, gateway_in(namespace, **before))
    patch = {"metadata": {"annotations": annotations}, "spec": {"securityProfile": new}}
    await client.patch(ACTIONSGATEWAYS, "ci", patch, namespace=namespace)


@pytest.mark.parametrize(("old", "new"), [("restricted", "baseline"), ("restricted", None)])
def test_a_profile_does_not_fall_by_accident(old: str, new: str | None, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            said = await refusal(change_profile(as_.admin, namespace, old, new))
            assert f"'{SECURITY_PROFILE_POLICY}'" in said
            assert f"spec.securityProfile: changing {old} to baseline lowers it" in said
            assert 'actions-gateway.github.com/allow-profile-downgrade: "true"' in said

    run(main())


def test_to_privileged_it_falls_only_with_the_annotation_though_the_platform_allows_it(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(privileged="allowed") as namespace:
            assert "changing baseline to privileged lowers it" in await refusal(
                change_profile(as_.admin, namespace, None, "privileged")
            )
            patch = {"metadata": {"annotations": ON_PURPOSE}, "spec": {"securityProfile": "privileged"}}
            await as_.admin.patch(ACTIONSGATEWAYS, "ci", patch, namespace=namespace)

    run(main())


@pytest.mark.parametrize(
    ("old", "new", "annotations"),
    [
        ("restricted", "baseline", ON_PURPOSE),
        ("restricted", None, ON_PURPOSE),
        ("baseline", "restricted", None),
        (None, "restricted", None),
        (None, "baseline", None),
    ],
)
def test_a_profile_rises_freely_and_falls_on_purpose(
    old: str | None, new: str | None, annotations: dict[str, str] | None, installed: ControlPlane
) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            await change_profile(as_.admin, namespace, old, new, annotations)

    run(main())


def test_privileged_needs_the_platforms_label_on_creation_too(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            gateway = gateway_in(namespace, securityProfile="privileged", annotations=ON_PURPOSE)
            said = await refusal(as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True))
            assert f"spec.securityProfile: privileged is not allowed in namespace {namespace}" in said
            label = f"kubectl label namespace {namespace} actions-gateway.github.com/privileged-profile=allowed"
            assert label in said
        async with callers(installed) as as_, as_.namespace(privileged="allowed") as namespace:
            await as_.admin.create(ACTIONSGATEWAYS, gateway_in(namespace, securityProfile="privileged"), dry_run=True)

    run(main())


def test_a_privileged_gateway_of_a_namespace_that_lost_the_label_keeps_its_metadata_editable_and_can_go(
    installed: ControlPlane,
) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(privileged="allowed") as namespace:
            gateway = gateway_in(namespace, securityProfile="privileged")
            gateway["metadata"]["finalizers"] = ["example.com/hold"]
            await as_.admin.create(ACTIONSGATEWAYS, gateway)
            await as_.label(namespace, "privileged", None)

            async def patch(change: dict[str, Any], *, dry_run: bool = False) -> None:
                await as_.admin.patch(ACTIONSGATEWAYS, "ci", change, namespace=namespace, dry_run=dry_run)

            debug = {"spec": {"logLevel": "debug"}}
            assert "privileged is not allowed" in await until_refused(lambda: patch(debug, dry_run=True))
            await patch({"metadata": {"annotations": {"a": "b"}}})
            await as_.admin.delete(ACTIONSGATEWAYS, "ci", namespace=namespace)
            await patch({"metadata": {"finalizers": None}})

    run(main())


# -- schema ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/octo",
        "https://github.com",
        "https://github.com/",
        "https://user@github.com/octo",
        "https://user:password@github.com/octo",
        "https://github.com/octo?tab=repositories",
        "https://github.com/octo#top",
        "https://github.com//octo",
        "https://github.com:port/octo",
        "https://git hub.com/octo",
        "github.com/octo",
        "",
    ],
)
def test_a_github_url_is_https_with_a_path_and_nothing_else(url: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            said = await refusal(as_.admin.create(ACTIONSGATEWAYS, gateway_in(namespace, gitHubURL=url), dry_run=True))
            assert "spec.gitHubURL" in said

    run(main())


@pytest.mark.parametrize(
    "url", ["https://github.com/octo", "https://ghe.example.com:8443/enterprises/big", "https://github.com/octo/demo/"]
)
def test_organizations_enterprises_and_repositories_are_github_urls(url: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            await as_.admin.create(ACTIONSGATEWAYS, gateway_in(namespace, gitHubURL=url), dry_run=True)

    run(main())


def tiers(*thresholds: int) -> list[dict[str, Any]]:
    return [{"priorityClassName": f"class-{number}", "threshold": number} for number in thresholds]


GROUPS: dict[str, tuple[dict[str, Any], str]] = {
    "tiers in descending order": ({"priorityTiers": tiers(9, 5)}, "priorityTiers must have strictly ascending"),
    "tiers of one threshold": ({"priorityTiers": tiers(5, 5)}, "priorityTiers must have strictly ascending"),
    "workers beside the tiers": (
        {"priorityTiers": tiers(5, 9), "maxWorkers": 8},
        "maxWorkers must equal the threshold of the last priority tier",
    ),
    "no labels": ({"runnerLabels": []}, "runnerLabels"),
    "a label with a comma": ({"runnerLabels": ["a,b"]}, "runnerLabels"),
    "a deadline of nothing": ({"pendingPodDeadline": "0s"}, "must be at least 1s"),
}


@pytest.mark.parametrize("case", GROUPS)
def test_neither_a_gateway_nor_a_group_has(case: str, installed: ControlPlane) -> None:
    fields, message = GROUPS[case]

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            gateway = gateway_in(namespace, runnerGroups=[{"name": "cpu", "runnerLabels": ["x"], **fields}])
            said = await refusal(as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True))
            assert "spec.runnerGroups[0]" in said
            assert message in said
            said = await refusal(as_.admin.create(RUNNERGROUPS, group_in(namespace, **fields), dry_run=True))
            assert message in said

    run(main())


def test_tiers_that_ascend_and_agree_with_the_workers_are_accepted(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            fields = {"priorityTiers": tiers(5, 9), "maxWorkers": 9}
            gateway = gateway_in(namespace, runnerGroups=[{"name": "cpu", "runnerLabels": ["x"], **fields}])
            await as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True)
            await as_.admin.create(RUNNERGROUPS, group_in(namespace, **fields), dry_run=True)

    run(main())


@pytest.mark.parametrize(("gateway_length", "group_length"), [(22, 40), (61, 1)])
def test_gateway_and_group_names_share_the_room_of_a_label_value(
    gateway_length: int, group_length: int, installed: ControlPlane
) -> None:
    assert gateway_length + group_length == MAX_NAME_LENGTH

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            groups = [{"name": "g" * group_length, "runnerLabels": ["x"]}]
            fitting = gateway_in(namespace, name="c" * gateway_length, runnerGroups=groups)
            await as_.admin.create(ACTIONSGATEWAYS, fitting, dry_run=True)
            longer = gateway_in(namespace, name="c" * (gateway_length + 1), runnerGroups=groups)
            said = await refusal(as_.admin.create(ACTIONSGATEWAYS, longer, dry_run=True))
            assert f"together have at most {MAX_NAME_LENGTH} characters" in said

    run(main())


def test_names_of_gateways_without_groups_and_of_groups_without_gateways_have_their_bound(
    installed: ControlPlane,
) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            for resource, manifest, limit in (
                (ACTIONSGATEWAYS, gateway_in(namespace, name="c" * 63, runnerGroups=[]), 62),
                (RUNNERGROUPS, group_in(namespace, name="g" * 64), 63),
            ):
                said = await refusal(as_.admin.create(resource, manifest, dry_run=True))
                assert f"has at most {limit} characters" in said
                manifest["metadata"]["name"] = manifest["metadata"]["name"][1:]
                await as_.admin.create(resource, manifest, dry_run=True)

    run(main())


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0", "*", "github.com", "10.0.0.1"])
def test_nothing_that_would_switch_the_proxy_off_is_a_range_that_bypasses_it(
    cidr: str, installed: ControlPlane
) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            gateway = gateway_in(namespace, proxy={"noProxyCIDRs": ["10.0.0.0/8", "fd00::/8", cidr]})
            said = await refusal(as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True))
            assert "spec.proxy.noProxyCIDRs[2]" in said
            gateway["spec"]["proxy"]["noProxyCIDRs"].pop()
            await as_.admin.create(ACTIONSGATEWAYS, gateway, dry_run=True)

    run(main())


def test_the_real_server_takes_the_definitions_without_a_complaint(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_:
            for resource in (ACTIONSGATEWAYS, RUNNERGROUPS):
                crd = await as_.admin.get(CRDS, f"{resource.plural}.{resource.group}")
                conditions = {entry["type"]: entry["status"] for entry in crd["status"]["conditions"]}
                assert conditions == {"NamesAccepted": "True", "Established": "True"}

    run(main())
