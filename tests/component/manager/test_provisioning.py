"""The manager against an API server: one gateway's life, seen from outside."""

from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY, WORKER, WORKLOAD_POLICY
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    NAMESPACES,
    ROLEBINDINGS,
    RUNNERGROUPS,
)
from support.aio import run
from support.manager_rig import cluster, condition_of

Manifest = dict[str, Any]

CHILDREN = {
    ("ServiceAccount", AGENT),
    ("ServiceAccount", WORKER),
    ("ServiceAccount", PROXY),
    ("RoleBinding", AGENT),
    ("NetworkPolicy", PROXY),
    ("NetworkPolicy", WORKLOAD_POLICY),
    ("NetworkPolicy", AGENT),
    ("Service", PROXY),
    ("PodDisruptionBudget", PROXY),
    ("HorizontalPodAutoscaler", PROXY),
    ("Deployment", PROXY),
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


def test_a_tenant_from_nothing_to_ready_costs_few_requests() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            await rig.provision()
            ours = [request for request in manager.client.requests if request[2] != "watch" and "/team-a" in request[1]]
            writes = [request for request in ours if request[0] != "GET"]
            assert len(writes) <= 26
            assert len(ours) <= 32

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
