"""The manager against an API server: one gateway's life, seen from outside."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, WORKER, WORKLOAD_POLICY
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    NAMESPACES,
    NETWORKPOLICIES,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    Resource,
)
from support.aio import run
from support.manager_rig import cluster, condition_of

Manifest = dict[str, Any]

CHILDREN = {
    ("ServiceAccount", AGENT),
    ("ServiceAccount", WORKER),
    ("RoleBinding", AGENT),
    ("NetworkPolicy", WORKLOAD_POLICY),
    ("NetworkPolicy", AGENT),
    ("Deployment", AGENT),
    ("RunnerGroup", "ci-cpu"),
}


def test_a_gateway_gets_all_its_children_with_owner_references_and_its_namespace_the_mark() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            owner = await rig.user.get(ACTIONSGATEWAYS, "ci", "team-a")
            children = {(child["kind"], child["metadata"]["name"]): child for child in await rig.children()}
            assert children.keys() - {("ServiceAccount", "default")} == CHILDREN
            for key in CHILDREN:
                (reference,) = children[key]["metadata"]["ownerReferences"]
                assert (reference["uid"], reference["controller"]) == (owner["metadata"]["uid"], True)
            place = await rig.user.get(NAMESPACES, "team-a")
            assert place["metadata"]["labels"][labels.TENANT] == labels.TENANT_MARK
            assert owner["status"]["observedGeneration"] == owner["metadata"]["generation"]
            assert owner["status"]["activeSessions"] == 1

    run(main())


def test_another_look_and_a_restart_write_nothing() -> None:
    async def main() -> None:
        async with cluster() as rig:
            async with rig.manager() as first:
                await rig.provision()
                await rig.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"annotations": {"note": "look again"}}})
                await first.until_next_pass()
                before = await rig.versions()
                writes = len(first.client.writes)
                await rig.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"annotations": {"note": "and again"}}})
                await first.until_next_pass()
                assert len(first.client.writes) == writes
            async with rig.manager() as second:
                await second.until(lambda: second.passes >= 1)
                assert second.client.writes == []
            after = await rig.versions()
            assert {key for key in after if after[key] != before[key]} == {("ActionsGateway", "ci")}

    run(main())


def test_a_restart_costs_no_request_per_tenant() -> None:
    async def main() -> None:
        async with cluster() as rig:
            async with rig.manager():
                await rig.provision()
            async with rig.manager() as second:
                await second.until(lambda: second.passes >= 1)
                # One list and one watch per kind, however many tenants there are.
                assert all("/team-a" not in path for _, path, _ in second.client.requests)

    run(main())


@pytest.mark.parametrize(
    ("resource", "name", "edit"),
    [
        pytest.param(SERVICEACCOUNTS, WORKER, {"automountServiceAccountToken": True}, id="a token for workers"),
        pytest.param(NETWORKPOLICIES, WORKLOAD_POLICY, {"spec": {"ingress": [{}]}}, id="ingress opened"),
        pytest.param(NETWORKPOLICIES, AGENT, {"spec": {"egress": None}}, id="egress closed"),
        pytest.param(ROLEBINDINGS, AGENT, {"subjects": None}, id="the agent without rights"),
        pytest.param(DEPLOYMENTS, AGENT, {"spec": {"replicas": 0}}, id="the agent scaled to zero"),
        pytest.param(
            DEPLOYMENTS,
            AGENT,
            {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
            id="overlapping agents",
        ),
        pytest.param(RUNNERGROUPS, "ci-cpu", {"spec": {"maxListeners": 50}}, id="another bound"),
        pytest.param(RUNNERGROUPS, "ci-cpu", {"spec": {"maxWorkers": 50}}, id="a bound that the entry does not set"),
        pytest.param(RUNNERGROUPS, "ci-cpu", {"metadata": {"labels": None}}, id="our labels removed"),
        pytest.param(RUNNERGROUPS, "ci-cpu", {"metadata": {"ownerReferences": None}}, id="the owner removed"),
    ],
)
def test_an_edited_child_is_restored(resource: Resource, name: str, edit: Manifest) -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            before = await rig.user.get(resource, name, "team-a")
            await rig.patch(resource, name, edit)
            await rig.until(resource, name, lambda live: essence(live) == essence(before))

    run(main())


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        (SERVICEACCOUNTS, AGENT),
        (ROLEBINDINGS, AGENT),
        (NETWORKPOLICIES, WORKLOAD_POLICY),
        (DEPLOYMENTS, AGENT),
        (RUNNERGROUPS, "ci-cpu"),
    ],
    ids=lambda value: value.kind if isinstance(value, Resource) else "",
)
def test_a_deleted_child_comes_back(resource: Resource, name: str) -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            before = await rig.user.get(resource, name, "team-a")
            await rig.user.delete(resource, name, namespace="team-a")
            await rig.until(resource, name, lambda live: live["metadata"]["uid"] != before["metadata"]["uid"])

    run(main())


def test_a_binding_that_was_replaced_by_one_to_another_role_is_replaced_back() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            binding = await rig.user.get(ROLEBINDINGS, AGENT, "team-a")
            await rig.user.delete(ROLEBINDINGS, AGENT, namespace="team-a")
            metadata = {"name": AGENT, "namespace": "team-a", "labels": binding["metadata"]["labels"]}
            forged = {**binding, "metadata": metadata, "roleRef": {**binding["roleRef"], "name": "edit"}}
            await rig.user.apply(ROLEBINDINGS, forged, field_manager="kubectl")
            await rig.until(ROLEBINDINGS, AGENT, lambda live: live["roleRef"] == binding["roleRef"])

    run(main())


def test_a_rollout_restart_survives() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            await rig.provision()
            restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-05T09:00:00Z"}
            patch = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
            await rig.patch(DEPLOYMENTS, AGENT, patch)
            await manager.until_next_pass()
            # And a change of ours on top of it.
            await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"logLevel": "debug"}})
            live = await rig.until(DEPLOYMENTS, AGENT, lambda found: "debug" in str(found["spec"]))
            assert live["spec"]["template"]["metadata"]["annotations"].items() >= restarted.items()

    run(main())


def test_a_changed_reference_rolls_the_agent_and_is_not_ready_before_it_rolled() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"gitHubAppRef": {"name": "github-app-v2"}}})
            await rig.until(
                ACTIONSGATEWAYS,
                "ci",
                lambda live: live["status"]["observedGeneration"] == live["metadata"]["generation"],
            )
            live = await rig.user.get(ACTIONSGATEWAYS, "ci", "team-a")
            ready = condition_of(live, "Ready")
            assert ready is not None
            assert (ready["status"], ready["reason"]) == ("False", "AGCNotReady")
            deployment = await rig.user.get(DEPLOYMENTS, AGENT, "team-a")
            template = deployment["spec"]["template"]
            assert template["metadata"]["annotations"][labels.CREDENTIAL_SECRET] == "github-app-v2"
            assert template["spec"]["volumes"][0]["secret"]["secretName"] == "github-app-v2"
            await rig.start_agent()
            await rig.until_condition("ci", "Ready", "True")

    run(main())


def test_entries_come_and_go_as_groups() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            entries = [{"name": name, "runnerLabels": ["linux"]} for name in ("gpu", "arm")]
            await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"runnerGroups": entries}})
            await rig.until(RUNNERGROUPS, "ci-gpu", lambda _: True)
            await rig.until(RUNNERGROUPS, "ci-arm", lambda _: True)
            await rig.until_gone(RUNNERGROUPS, "ci-cpu")

    run(main())


def test_a_paused_gateway_suspends_its_groups() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"paused": True}})
            await rig.until(RUNNERGROUPS, "ci-cpu", lambda live: live["spec"]["suspended"] is True)
            await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"paused": False}})
            await rig.until(RUNNERGROUPS, "ci-cpu", lambda live: live["spec"]["suspended"] is False)

    run(main())


def test_a_deleted_gateway_leaves_nothing_behind_and_nothing_is_made_again() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            await rig.user.delete(ACTIONSGATEWAYS, "ci", namespace="team-a")
            for child in [child for child in await rig.children() if child["metadata"].get("ownerReferences")]:
                resource = next(
                    kind
                    for kind in (SERVICEACCOUNTS, ROLEBINDINGS, NETWORKPOLICIES, DEPLOYMENTS, RUNNERGROUPS)
                    if kind.kind == child["kind"]
                )
                await rig.until_gone(resource, child["metadata"]["name"])

    run(main())


def essence(manifest: Manifest) -> Manifest:
    """What somebody wants of an object, without what the server and other people keep on it."""
    kept = ("labels", "ownerReferences", "annotations")
    metadata = {name: manifest["metadata"].get(name) for name in kept}
    return {**{name: value for name, value in manifest.items() if name not in ("status", "metadata")}, **metadata}
