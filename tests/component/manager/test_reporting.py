"""The manager against an API server: conditions, events and metrics for gateways that are served, and for those not."""

from dataclasses import replace
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, API_GROUP, WORKLOAD_POLICY
from actions_gateway.kube.resources import ACTIONSGATEWAYS, CRDS, DEPLOYMENTS, NAMESPACES, NETWORKPOLICIES, RUNNERGROUPS
from actions_gateway.manager.gateway.controller import CONTROLLER
from actions_gateway.metrics.catalog import (
    CONDITION,
    EXPECTED_AGENTS,
    EXPECTED_SESSIONS,
    MANAGED_GATEWAYS,
    RECONCILE_ERRORS,
    RECONCILE_FAILING_OBJECTS,
)
from actions_gateway.settings import TenantNamespaces
from support.aio import run
from support.manager_objects import SETTINGS, condition, gateway, group_conditions
from support.manager_rig import cluster, condition_of

Manifest = dict[str, Any]

MARKED = replace(SETTINGS, tenant_namespaces=TenantNamespaces.MARKED)


def report_on_credential(status: str, reason: str, message: str = "what the agent saw") -> list[Manifest]:
    return [
        condition("Ready", "False", "NoActiveSessions"),
        condition("CredentialUnavailable", status, reason, message=message),
    ]


def test_a_gateway_becomes_ready_step_by_step_and_each_step_is_named() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.namespace("team-a")
            await rig.create(gateway())
            await rig.until_condition("ci", "Ready", "False", "AGCNotReady")
            await rig.start_agent()
            await rig.until_condition("ci", "Ready", "False", "ProxyNotReady")
            await rig.start_proxies(ready=1)
            await rig.until_condition("ci", "Ready", "False", "CredentialNotYetChecked")
            await rig.report(conditions=group_conditions(ready=False), activeSessions=0)
            await rig.until_condition("ci", "Ready", "False", "NoActiveSessions")
            await rig.report()
            await rig.until_condition("ci", "Ready", "True", "AllAvailable")

    run(main())


def test_a_credential_problem_is_folded_up_and_heals_by_itself() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            await rig.report(conditions=report_on_credential("True", "SecretNotFound", "the Secret is missing"))
            folded = await rig.until_condition("ci", "CredentialUnavailable", "True", "SecretNotFound")
            assert folded["message"] == "the Secret is missing"
            await rig.until_condition("ci", "Ready", "False", "SecretNotFound")
            await rig.report(credential={"appId": "1", "installationId": "7"})
            await rig.until_condition("ci", "Ready", "True")
            live = await rig.user.get(ACTIONSGATEWAYS, "ci", "team-a")
            assert live["status"]["credential"] == {"appId": "1", "installationId": "7"}

    run(main())


def test_counters_of_the_groups_are_summed_up() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            entries = [{"name": name, "runnerLabels": ["linux"]} for name in ("cpu", "gpu")]
            await rig.provision(runnerGroups=entries)
            await rig.report("ci-cpu", activeSessions=2, activeJobs=5)
            await rig.report("ci-gpu", activeSessions=1, activeJobs=4)
            live = await rig.until(ACTIONSGATEWAYS, "ci", lambda found: found["status"]["activeJobs"] == 9)
            assert live["status"]["activeSessions"] == 3

    run(main())


def test_a_second_gateway_waits_until_the_first_is_gone() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager():
            await rig.provision()
            await rig.create(gateway("late"))
            refused = await rig.until_condition("late", "Ready", "False", "AnotherGateway")
            assert "the older ActionsGateway ci" in refused["message"]
            await rig.user.delete(ACTIONSGATEWAYS, "ci", namespace="team-a")
            await rig.let_go()
            await rig.until(RUNNERGROUPS, "late-cpu", lambda _: True)
            await rig.until_gone(RUNNERGROUPS, "ci-cpu")
            late = await rig.user.get(ACTIONSGATEWAYS, "late", "team-a")
            await rig.until(
                DEPLOYMENTS,
                AGENT,
                lambda found: (
                    [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [late["metadata"]["uid"]]
                ),
            )

    run(main())


def test_a_gateway_in_a_system_namespace_gets_nothing_but_a_reason() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            await rig.user.create(ACTIONSGATEWAYS, {**gateway(), "metadata": {"name": "ci", "namespace": "default"}})
            await rig.until(
                ACTIONSGATEWAYS,
                "ci",
                lambda found: (condition_of(found, "Ready") or {}).get("reason") == "ReservedNamespace",
                namespace="default",
            )
            assert (await rig.user.list(DEPLOYMENTS, "default")).items == []
            marks = (await rig.user.get(NAMESPACES, "default"))["metadata"].get("labels") or {}
            assert labels.TENANT not in marks
            # A pass shows its numbers last.
            await manager.until(lambda: manager.passes >= 1)
            assert manager.metrics.value(MANAGED_GATEWAYS) == 0

    run(main())


def test_where_a_platform_owner_marks_namespaces_the_manager_waits_for_the_mark() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager(MARKED):
            await rig.namespace("team-a")
            await rig.create(gateway())
            await rig.until_condition("ci", "Ready", "False", "NamespaceNotMarked")
            assert (await rig.user.list(DEPLOYMENTS, "team-a")).items == []
            await rig.user.patch(NAMESPACES, "team-a", {"metadata": {"labels": {labels.TENANT: "true"}}})
            await rig.until(DEPLOYMENTS, AGENT, lambda _: True)

    run(main())


def test_a_refused_policy_degrades_the_gateway_keeps_pods_away_and_heals() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            manager.client.forbidden = f"networkpolicies/{WORKLOAD_POLICY}"
            await rig.namespace("team-a")
            await rig.create(gateway())
            degraded = await rig.until_condition("ci", "Degraded", "True", "ProvisioningFailed")
            assert degraded["message"].startswith(f"NetworkPolicy {WORKLOAD_POLICY}: a policy says no")
            # The other policy does not wait for it, a pod does.
            await rig.user.get(NETWORKPOLICIES, AGENT, "team-a")
            assert (await rig.user.list(DEPLOYMENTS, "team-a")).items == []
            assert (await rig.user.list(RUNNERGROUPS, "team-a")).items == []
            failed = {"controller": CONTROLLER, "resource": "networkpolicies"}
            # Counted after the status and its event are written.
            await manager.until(lambda: (manager.metrics.value(RECONCILE_ERRORS, **failed) or 0) >= 1)
            manager.client.forbidden = ""
            await rig.until_condition("ci", "Degraded", "False", "ReconcileSucceeded")
            await rig.until(DEPLOYMENTS, AGENT, lambda _: True)
            await manager.until(lambda: manager.metrics.value(RECONCILE_FAILING_OBJECTS, controller=CONTROLLER) == 0)

    run(main())


def test_one_tenants_trouble_does_not_hold_up_another() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            manager.client.forbidden = "namespaces/team-b/"
            for name in ("team-b", "team-a"):
                await rig.namespace(name)
                await rig.create(gateway(namespace=name))
            await rig.until(DEPLOYMENTS, AGENT, lambda _: True)

    run(main())


def test_transitions_are_told_as_events_and_only_they() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            await rig.provision()
            await rig.report(conditions=report_on_credential("True", "KeyRejected"))
            await rig.until_condition("ci", "Ready", "False", "KeyRejected")
            await rig.report()
            await rig.until_condition("ci", "Ready", "True")
            await rig.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"annotations": {"note": "look again"}}})
            await manager.until_next_pass()
            # The way back is the same news within ten minutes: a second one of the same series.
            (ready,) = await rig.events("Ready")
            assert ready["series"]["count"] == 2
            (rejected,) = await rig.events("KeyRejected")
            assert (rejected["type"], rejected["regarding"]["name"]) == ("Warning", "ci")
            assert await rig.events("AGCNotReady") == []

    run(main())


def test_expectations_and_conditions_are_exported_and_end_with_the_gateway() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            await rig.provision()
            metrics = manager.metrics
            await manager.until(
                lambda: (
                    metrics.value(
                        CONDITION, namespace="team-a", kind="ActionsGateway", name="ci", type="Ready", status="True"
                    )
                    == 1
                )
            )
            assert metrics.value(EXPECTED_AGENTS, namespace="team-a", name="ci") == 1
            assert metrics.value(EXPECTED_SESSIONS, namespace="team-a", runner_group="ci-cpu") == 1
            assert metrics.value(MANAGED_GATEWAYS) == 1
            await rig.user.delete(ACTIONSGATEWAYS, "ci", namespace="team-a")
            await rig.let_go()
            await manager.until(lambda: b'namespace="team-a"' not in metrics.render())
            assert metrics.value(MANAGED_GATEWAYS) == 0

    run(main())


def test_errors_are_counted_from_zero() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            for kind in ("actionsgateways", "namespaces", "networkpolicies", "deployments", "runnergroups"):
                assert manager.metrics.value(RECONCILE_ERRORS, controller=CONTROLLER, resource=kind) == 0

    run(main())


def test_a_spec_that_became_invalid_keeps_the_agent_running_and_says_so() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.manager() as manager:
            await rig.provision()
            # As when an older schema admitted what today's refuses.
            crd = await rig.user.get(CRDS, f"actionsgateways.{API_GROUP}")
            schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            del schema["properties"]["spec"]["properties"]["gitHubURL"]["pattern"]
            await rig.user.update(CRDS, crd)
            await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"gitHubURL": "http://github.com/octo"}})
            refused = await rig.until_condition("ci", "Ready", "False", "InvalidSpec")
            assert "spec.gitHubURL" in refused["message"]
            await rig.look_again(manager, "invalid")
            await rig.user.get(DEPLOYMENTS, AGENT, "team-a")
            assert manager.metrics.value(EXPECTED_AGENTS, namespace="team-a", name="ci") == 1

    run(main())
