"""A tenant that breaks its own namespace: it is told what is wrong, and it is alone with it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actions_gateway.api.names import AGENT, PROXY, WORKER, WORKLOAD_POLICY
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    HPAS,
    NAMESPACES,
    NETWORKPOLICIES,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from support.admission import limit
from support.aio import run
from support.apiserver import Play
from support.manager_objects import gateway
from support.manager_rig import Rig, RunningManager, tenant_of

Manifest = dict[str, Any]

TEMPLATE = {
    "metadata": {"labels": {"app": "theirs"}},
    "spec": {"containers": [{"name": "theirs", "image": "theirs:1"}]},
}
FOREIGN: tuple[tuple[Resource, str, Manifest], ...] = (
    (SERVICEACCOUNTS, WORKER, {}),
    (NETWORKPOLICIES, WORKLOAD_POLICY, {"spec": {"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}}),
    (SERVICES, PROXY, {"spec": {"selector": {"app": "theirs"}, "ports": [{"name": "http", "port": 80}]}}),
    (
        DEPLOYMENTS,
        PROXY,
        {"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}}, "template": TEMPLATE}},
    ),
    (RUNNERGROUPS, "ci-cpu", {"spec": {"runnerLabels": ["theirs"], "maxWorkers": 3}}),
)


@pytest.mark.parametrize(("resource", "name", "content"), FOREIGN, ids=lambda value: getattr(value, "kind", None))
def test_a_foreign_object_with_a_childs_name_stays_and_is_named_until_it_is_gone(
    play: Play, resource: Resource, name: str, content: Manifest
) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        metadata = {"name": name, "namespace": rig.space, "labels": {"app": "theirs"}}
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        theirs = await rig.user.create(resource, {**kind, **content, "metadata": metadata})
        await rig.create(gateway(namespace=rig.space))
        degraded = await rig.until_condition("ci", "Degraded", "True", "ProvisioningFailed")
        assert f"{resource.kind} {name}: " in degraded["message"]
        assert f"'kubectl delete {resource.plural} -n {rig.space} {name}'" in degraded["message"]
        await rig.until_condition("ci", "Ready", "False", "ProvisioningFailed")
        live = await rig.user.get(resource, name, rig.space)
        assert live["metadata"]["labels"] == {"app": "theirs"}
        assert "ownerReferences" not in live["metadata"]
        assert live.get("spec") == theirs.get("spec")
        await rig.user.delete(resource, name, namespace=rig.space)
        await rig.until(resource, name, lambda found: bool(found["metadata"].get("ownerReferences")))
        await rig.until_condition("ci", "Degraded", "False")

    in_a_namespace(play, scenario)


def test_what_limits_pods_is_restored_whatever_else_is_refused(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        metadata = {"name": PROXY, "namespace": rig.space}
        await rig.user.create(SERVICES, {"metadata": metadata, "spec": {"ports": [{"port": 80}]}})
        await rig.create(gateway(namespace=rig.space))
        # A step that fails hides no other one of its stage.
        for resource, name in ((HPAS, PROXY), (DEPLOYMENTS, PROXY), (DEPLOYMENTS, AGENT), (RUNNERGROUPS, "ci-cpu")):
            await rig.until(resource, name, lambda _: True)
        uid = (await rig.user.get(NETWORKPOLICIES, WORKLOAD_POLICY, rig.space))["metadata"]["uid"]
        await rig.user.delete(NETWORKPOLICIES, WORKLOAD_POLICY, namespace=rig.space)
        await rig.until(NETWORKPOLICIES, WORKLOAD_POLICY, lambda found: found["metadata"]["uid"] != uid)

    in_a_namespace(play, scenario)


@pytest.mark.real_only("the embedded server counts only pods against a quota")
def test_a_quota_that_admits_no_deployment_is_named_and_the_neighbour_gets_everything(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        await limit(rig.user, rig.space, "nothing", {"count/deployments.apps": "0"})
        await rig.create(gateway(namespace=rig.space))
        degraded = await rig.until_condition("ci", "Degraded", "True")
        assert f"Deployment {PROXY}: " in degraded["message"]
        assert "exceeded quota: nothing" in degraded["message"]
        neighbour = Rig(rig.user, space=f"{rig.space}-next")
        await neighbour.namespace(neighbour.space)
        try:
            await neighbour.create(gateway(namespace=neighbour.space))
            await neighbour.until(RUNNERGROUPS, "ci-cpu", lambda _: True)
            await neighbour.until_condition("ci", "Degraded", "False")
        finally:
            await rig.user.delete(NAMESPACES, neighbour.space)

    in_a_namespace(play, scenario)


def test_a_spec_that_cannot_be_served_is_named_and_heals(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        await rig.create(gateway(namespace=rig.space, gitHubURL="https://ghes.example.com:8443/octo"))
        refused = await rig.until_condition("ci", "Ready", "False", "InvalidSpec")
        assert refused["message"].startswith("spec.gitHubURL: https://ghes.example.com:8443/octo names port 8443")
        await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"gitHubURL": "https://ghes.example.com/octo"}})
        await rig.until(RUNNERGROUPS, "ci-cpu", lambda _: True)

    in_a_namespace(play, scenario)


def test_the_privileged_profile_waits_for_the_platforms_label(play: Play) -> None:
    async def scenario(rig: Rig, _: RunningManager) -> None:
        await rig.create(gateway(namespace=rig.space, securityProfile="privileged"))
        refused = await rig.until_condition("ci", "Ready", "False", "InvalidSpec")
        label = "actions-gateway.github.com/privileged-profile"
        assert f"'kubectl label namespace {rig.space} {label}=allowed'" in refused["message"]
        await rig.user.patch(NAMESPACES, rig.space, {"metadata": {"labels": {label: "allowed"}}})
        enforced = "pod-security.kubernetes.io/enforce"
        await rig.until(NAMESPACES, rig.space, lambda found: found["metadata"]["labels"].get(enforced) == "privileged")
        await rig.until(RUNNERGROUPS, "ci-cpu", lambda _: True)

    in_a_namespace(play, scenario)


def in_a_namespace(play: Play, scenario: Callable[[Rig, RunningManager], Awaitable[None]]) -> None:
    """Runs the scenario with a manager at work."""

    async def main() -> None:
        async with tenant_of(play) as rig, rig.manager() as manager:
            await scenario(rig, manager)

    run(main())
