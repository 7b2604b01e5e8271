"""Every child, edited or deleted by somebody, on both API servers; and that what agrees costs no write."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CONTAINER, PROXY, WORKER, WORKLOAD_POLICY
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    HPAS,
    NAMESPACES,
    NETWORKPOLICIES,
    PDBS,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from support.aio import Looks, run
from support.apiserver import Play
from support.manager_objects import gateway
from support.manager_rig import Rig, RunningManager, tenant_of
from support.patience import HANG_SECONDS

Manifest = dict[str, Any]
Child = tuple[Resource, str]

CHILDREN: tuple[Child, ...] = (
    *((SERVICEACCOUNTS, name) for name in (AGENT, WORKER, PROXY)),
    (ROLEBINDINGS, AGENT),
    *((NETWORKPOLICIES, name) for name in (PROXY, WORKLOAD_POLICY, AGENT)),
    *((kind, PROXY) for kind in (SERVICES, PDBS, HPAS)),
    *((DEPLOYMENTS, name) for name in (PROXY, AGENT)),
    (RUNNERGROUPS, "ci-cpu"),
)
ANYWHERE = {"ipBlock": {"cidr": "0.0.0.0/0"}}
OTHER = {
    "name": "other",
    "image": "other",
    "args": ["--leak"],
    "env": [{"name": "HTTPS_PROXY", "value": "http://192.0.2.1"}],
}
ALLOCATED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
"""Of a Service, what the API server gives it: once it had none, it gets others."""
RECREATE = {"type": "Recreate", "rollingUpdate": None}
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}

EDITS: tuple[tuple[Child, Manifest], ...] = (
    ((SERVICEACCOUNTS, WORKER), {"automountServiceAccountToken": True}),
    ((SERVICEACCOUNTS, PROXY), {"automountServiceAccountToken": True}),
    ((ROLEBINDINGS, AGENT), {"subjects": None}),
    ((NETWORKPOLICIES, PROXY), {"spec": {"ingress": [{}]}}),
    ((NETWORKPOLICIES, PROXY), {"spec": {"egress": [{"to": [ANYWHERE]}]}}),
    ((NETWORKPOLICIES, WORKLOAD_POLICY), {"spec": {"egress": [{}]}}),
    ((NETWORKPOLICIES, WORKLOAD_POLICY), {"spec": {"podSelector": {"matchLabels": {"never": "matches"}}}}),
    ((NETWORKPOLICIES, AGENT), {"spec": {"egress": None}}),
    ((SERVICES, PROXY), {"spec": {"selector": {"app": "somebody-else"}}}),
    ((SERVICES, PROXY), {"spec": {"selector": {"more": "narrow"}}}),
    ((SERVICES, PROXY), {"spec": {"ports": [{"name": "other", "port": 9, "targetPort": 9}]}}),
    ((SERVICES, PROXY), {"spec": {"type": "NodePort"}}),
    ((SERVICES, PROXY), {"spec": {"type": "ExternalName", "externalName": "proxy.example.com"}}),
    ((PDBS, PROXY), {"spec": {"maxUnavailable": 0}}),
    ((PDBS, PROXY), {"spec": {"maxUnavailable": None, "minAvailable": 2}}),
    ((PDBS, PROXY), {"spec": {"unhealthyPodEvictionPolicy": "IfHealthyBudget"}}),
    ((HPAS, PROXY), {"spec": {"minReplicas": 1, "maxReplicas": 1}}),
    ((HPAS, PROXY), {"spec": {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}}),
    ((HPAS, PROXY), {"spec": {"metrics": None}}),
    ((DEPLOYMENTS, PROXY), {"spec": {"replicas": 0}}),
    ((DEPLOYMENTS, PROXY), {"spec": {"strategy": RECREATE}}),
    ((DEPLOYMENTS, PROXY), {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 90}}}}),
    ((DEPLOYMENTS, AGENT), {"spec": {"replicas": 0}}),
    ((DEPLOYMENTS, AGENT), {"spec": {"strategy": ROLLING}}),
    # What is added beside ours.
    ((SERVICES, PROXY), {"spec": {"externalIPs": ["192.0.2.1"]}}),
    ((SERVICES, PROXY), {"spec": {"internalTrafficPolicy": "Local"}}),
    ((SERVICES, PROXY), {"spec": {"sessionAffinity": "ClientIP", "publishNotReadyAddresses": True}}),
    ((HPAS, PROXY), {"spec": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 600}}}}),
    ((DEPLOYMENTS, PROXY), {"spec": {"paused": True, "minReadySeconds": 9}}),
    ((DEPLOYMENTS, PROXY), {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}),
    ((DEPLOYMENTS, PROXY), {"spec": {"template": {"spec": {"containers": [OTHER]}}}}),
    ((DEPLOYMENTS, AGENT), {"spec": {"template": {"spec": {"hostNetwork": True}}}}),
    ((DEPLOYMENTS, AGENT), {"spec": {"template": {"spec": {"initContainers": [OTHER]}}}}),
    ((DEPLOYMENTS, AGENT), {"spec": {"template": {"spec": {"containers": [{**OTHER, "name": AGENT_CONTAINER}]}}}}),
    ((RUNNERGROUPS, "ci-cpu"), {"spec": {"maxListeners": 50}}),
    ((RUNNERGROUPS, "ci-cpu"), {"spec": {"maxWorkers": 50}}),
    *((child, {"metadata": {"labels": None}}) for child in CHILDREN),
    *((child, {"metadata": {"ownerReferences": None}}) for child in CHILDREN),
)


def test_every_child_that_is_edited_is_restored(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        for (resource, name), edit in EDITS:
            before = await rig.user.get(resource, name, rig.space)
            wanted = essence(before)
            assert essence(await rig.patch(resource, name, edit)) != wanted, (resource.kind, edit)
            try:
                async with asyncio.timeout(HANG_SECONDS):
                    await rig.until(resource, name, lambda live, wanted=wanted: essence(live) == wanted)  # type: ignore[misc]
            except TimeoutError:
                live = await rig.user.get(resource, name, rig.space)
                raise AssertionError(f"{resource.kind} {name} after {edit}: {essence(live)} is not {wanted}") from None

    on_a_provisioned_tenant(play, scenario)


def test_every_child_that_is_deleted_comes_back(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        for resource, name in CHILDREN:
            uid = (await rig.user.get(resource, name, rig.space))["metadata"]["uid"]
            await rig.user.delete(resource, name, namespace=rig.space)
            await rig.until(resource, name, lambda live, uid=uid: live["metadata"]["uid"] != uid)  # type: ignore[misc]

    on_a_provisioned_tenant(play, scenario)


def test_what_agrees_costs_no_write_and_a_restart_none_either(play: Play) -> None:
    async def scenario(rig: Rig, first: RunningManager) -> None:
        for number in range(3):
            before = len(children_writes(rig, first))
            await rig.look_again(first, str(number))
            assert children_writes(rig, first)[before:] == []
        versions = await rig.versions()
        async with rig.manager() as second:
            await second.until(lambda: second.passes >= 1)
            assert children_writes(rig, second) == []
        changed = {key for key, version in (await rig.versions()).items() if versions[key] != version}
        # Whose status a controller writes.
        with_status = {"Deployment", "ActionsGateway", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
        assert {kind for kind, _ in changed} <= with_status

    on_a_provisioned_tenant(play, scenario)


def test_what_the_autoscaler_chose_survives_a_change_and_its_minimum_is_raised_by_the_spec(play: Play) -> None:
    async def scenario(rig: Rig, manager: RunningManager) -> None:
        live = await rig.user.get(DEPLOYMENTS, PROXY, rig.space)
        assert (live["spec"]["replicas"], live["metadata"]["generation"]) == (2, 1)
        # The field is the autoscaler's before that has ever scaled: a change leaves it alone, and comes as one.
        await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"proxy": {"allowedHosts": ["one.example.com"]}}})
        await rig.until(DEPLOYMENTS, PROXY, lambda found: "one.example.com" in str(found["spec"]["template"]))
        await rig.look_again(manager, "before")
        live = await rig.user.get(DEPLOYMENTS, PROXY, rig.space)
        assert (live["spec"]["replicas"], live["metadata"]["generation"]) == (2, 2)
        await rig.user.patch(
            DEPLOYMENTS, PROXY, {"spec": {"replicas": 5}}, namespace=rig.space, subresource="scale", field_manager="hpa"
        )
        await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"proxy": {"accessLog": True, "minReplicas": 4}}})
        await rig.until(DEPLOYMENTS, PROXY, lambda found: found["spec"]["template"] != live["spec"]["template"])
        await rig.until(HPAS, PROXY, lambda found: found["spec"]["minReplicas"] == 4)
        await rig.look_again(manager, "after")
        assert (await rig.user.get(DEPLOYMENTS, PROXY, rig.space))["spec"]["replicas"] == 5
        await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"proxy": {"minReplicas": 7}}})
        await rig.until(DEPLOYMENTS, PROXY, lambda found: found["spec"]["replicas"] == 7)

    on_a_provisioned_tenant(play, scenario)


def test_a_rollout_restart_of_the_proxies_survives(play: Play) -> None:
    async def scenario(rig: Rig, manager: RunningManager) -> None:
        restarted = {labels.RESTARTED_AT: "2026-01-05T09:00:00Z"}
        await rig.patch(DEPLOYMENTS, PROXY, {"spec": {"template": {"metadata": {"annotations": restarted}}}})
        await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"proxy": {"accessLog": True}}})
        await rig.until(DEPLOYMENTS, PROXY, lambda found: "stdout" in str(found["spec"]["template"]))
        await rig.look_again(manager, "after")
        live = await rig.user.get(DEPLOYMENTS, PROXY, rig.space)
        assert live["spec"]["template"]["metadata"]["annotations"].items() >= restarted.items()

    on_a_provisioned_tenant(play, scenario)


@pytest.mark.embedded_only("what the manager decides; that its writes hold is shown beside it")
def test_containment_takes_the_agent_and_every_rule_and_gives_them_back(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        await rig.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"annotations": {labels.CONTAINED: "key leaked"}}})
        for name in (PROXY, WORKLOAD_POLICY, AGENT):
            await rig.until(NETWORKPOLICIES, name, lambda live: not rules(live))
        await rig.until(DEPLOYMENTS, AGENT, lambda live: live["spec"]["replicas"] == 0)
        await rig.until_condition("ci", "Paused", "True", "Contained")
        await rig.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"annotations": {labels.CONTAINED: None}}})
        for name in (PROXY, WORKLOAD_POLICY, AGENT):
            await rig.until(NETWORKPOLICIES, name, lambda live: bool(rules(live)))
        await rig.until(DEPLOYMENTS, AGENT, lambda live: live["spec"]["replicas"] == 1)

    on_a_provisioned_tenant(play, scenario)


@pytest.mark.embedded_only("what the manager decides; that its writes hold is shown beside it")
def test_a_gateway_that_became_invalid_is_contained_all_the_same(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"gitHubURL": "https://ghes.example.com:8443/octo"}})
        await rig.until_condition("ci", "Ready", "False", "InvalidSpec")
        await rig.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"annotations": {labels.CONTAINED: "key leaked"}}})
        for name in (PROXY, WORKLOAD_POLICY, AGENT):
            await rig.until(NETWORKPOLICIES, name, lambda live: not rules(live))
        await rig.until(DEPLOYMENTS, AGENT, lambda live: live["spec"]["replicas"] == 0)

    on_a_provisioned_tenant(play, scenario)


def test_levels_follow_the_profile_both_ways_and_a_stricter_one_of_somebody_else_stays(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        def has(level: str, mode: str = "enforce") -> Callable[[Manifest], bool]:
            key = f"{labels.POD_SECURITY}{mode}"
            return lambda live: live["metadata"]["labels"].get(key) == level

        async def label(level: str) -> None:
            patch = {"metadata": {"labels": {labels.POD_SECURITY_ENFORCE: level}}}
            await rig.user.patch(NAMESPACES, rig.space, patch, field_manager="kubectl-label")

        await rig.until(NAMESPACES, rig.space, has("baseline"))
        for profile in ("restricted", "baseline"):
            await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"securityProfile": profile}})
            for mode in labels.POD_SECURITY_MODES:
                await rig.until(NAMESPACES, rig.space, has(profile, mode))
        await label("privileged")
        await rig.until(NAMESPACES, rig.space, has("baseline"))
        await until_event(rig, "PodSecurityLevelTakenOver")
        await label("restricted")
        kept = await rig.until_condition("ci", "PodSecurityOverridden", "True", "StricterLevelKept")
        assert "pod-security.kubernetes.io/enforce=restricted" in kept["message"]
        assert has("restricted")(await rig.user.get(NAMESPACES, rig.space))
        await rig.user.patch(NAMESPACES, rig.space, {"metadata": {"labels": {labels.POD_SECURITY_ENFORCE: None}}})
        await rig.until(NAMESPACES, rig.space, has("baseline"))
        await rig.until_condition("ci", "PodSecurityOverridden", "False", "LevelApplied")

    on_a_provisioned_tenant(play, scenario)


def on_a_provisioned_tenant(play: Play, scenario: Callable[[Rig, RunningManager], Awaitable[None]]) -> None:
    """Runs the scenario once every child is there and nothing is left to write."""

    async def main() -> None:
        async with tenant_of(play) as rig, rig.manager() as manager:
            await rig.create(gateway(namespace=rig.space))
            for resource, name in CHILDREN:
                await rig.until(resource, name, lambda _: True)
            await rig.until(DEPLOYMENTS, PROXY, lambda live: live["spec"]["replicas"] == 2)
            await scenario(rig, manager)

    run(main())


def children_writes(rig: Rig, manager: RunningManager) -> list[tuple[str, str, str]]:
    """What it wrote of this tenant, beside status and events; on a shared server there may be others."""
    ours = [entry for entry in manager.client.writes if f"/namespaces/{rig.space}" in entry[1]]
    return [entry for entry in ours if not entry[1].endswith("/status") and "/events" not in entry[1]]


async def until_event(rig: Rig, reason: str) -> None:
    looks = Looks()
    while reason not in {entry["reason"] for entry in await rig.events(reason)}:
        await looks.pause()


def rules(policy: Manifest) -> list[Manifest]:
    return [*(policy["spec"].get("ingress") or []), *(policy["spec"].get("egress") or [])]


def essence(manifest: Manifest) -> Manifest:
    """What somebody wants of an object, without what the server, its controllers and a change's history leave on it."""
    metadata = manifest["metadata"]
    annotations = {
        key: value for key, value in metadata["annotations"].items() if not key.startswith("deployment.kubernetes.io/")
    }
    kept = {"labels": metadata.get("labels"), "owner": metadata.get("ownerReferences"), "annotations": annotations}
    rest = {name: value for name, value in manifest.items() if name not in ("status", "metadata")}
    if manifest["kind"] == SERVICES.kind:
        rest["spec"] = {name: value for name, value in manifest["spec"].items() if name not in ALLOCATED}
    return rest | kept
