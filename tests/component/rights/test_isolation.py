"""What components cannot reach, whoever holds their tokens: other tenants, other Secrets, quotas, more rights."""

from collections.abc import Awaitable, Callable

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, JOB_SLOTS, job_slot_name
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import Forbidden, NotFound
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    CLUSTERROLEBINDINGS,
    CONFIGMAPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    RESOURCEQUOTAS,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SECRETS,
    SERVICEACCOUNTS,
    Resource,
)
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import callers

Attempt = Callable[[KubeClient, str], Awaitable[object]]


async def refused(request: Awaitable[object]) -> None:
    """By RBAC, before any policy is asked: it says what the caller cannot do."""
    with pytest.raises(Forbidden, match=r" cannot (get|list|watch|create|update|patch|delete) resource "):
        await request


def named(namespace: str, name: str = "x", **parts: object) -> Manifest:
    return {"metadata": {"name": name, "namespace": namespace}, **parts}


# -- agents ----------------------------------------------------------------------------------------------------------

READS: tuple[Resource, ...] = (PODS, SECRETS, RUNNERGROUPS, EVENTS, CONFIGMAPS, ACTIONSGATEWAYS, SERVICEACCOUNTS)


def test_an_agent_reads_nothing_of_another_tenant(installed: ControlPlane) -> None:
    async def main() -> None:
        async with (
            callers(installed) as as_,
            as_.namespace() as ours,
            as_.namespace() as theirs,
            as_.agent(ours) as agent,
        ):
            await as_.admin.create(SECRETS, named(theirs, job_slot_name(1)))
            for resource in READS:
                await refused(agent.list(resource, theirs))
                await refused(agent.list(resource))
                await refused(agent.get(resource, job_slot_name(1), theirs))
            await refused(agent.get(NAMESPACES, theirs))

    run(main())


def test_an_agent_writes_nothing_into_another_tenants_namespace(installed: ControlPlane) -> None:
    async def main() -> None:
        async with (
            callers(installed) as as_,
            as_.namespace() as ours,
            as_.namespace() as theirs,
            as_.agent(ours) as agent,
        ):
            await refused(agent.create(SECRETS, named(theirs, job_slot_name(1))))
            await refused(agent.create(PODS, named(theirs)))
            await refused(agent.create(EVENTS, named(theirs)))
            await refused(agent.delete(PODS, "x", namespace=theirs))
            patch = {"status": {"activeJobs": 1}}
            await refused(agent.patch(RUNNERGROUPS, "ci-cpu", patch, namespace=theirs, subresource="status"))

    run(main())


def test_of_its_own_namespaces_secrets_an_agent_reads_the_job_slots_alone(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as ours, as_.agent(ours) as agent:
            await as_.admin.create(SECRETS, named(ours, "github-app-v1", stringData={"privateKey": "planted"}))
            await refused(agent.get(SECRETS, "github-app-v1", ours))
            await refused(agent.get(SECRETS, "job-0000", ours))
            await refused(agent.list(SECRETS, ours))
            await refused(agent.patch(SECRETS, "github-app-v1", {"data": {}}, namespace=ours))
            await refused(agent.delete(SECRETS, "github-app-v1", namespace=ours))
            for slot in (1, JOB_SLOTS):
                with pytest.raises(NotFound):
                    await agent.get(SECRETS, job_slot_name(slot), ours)

    run(main())


AGENT_ATTEMPTS: dict[str, Attempt] = {
    "a token of another account": lambda agent, ours: agent.create_token("default", ours),
    "a token of its own account": lambda agent, ours: agent.create_token(AGENT, ours),
    "its own gateway": lambda agent, ours: agent.patch(ACTIONSGATEWAYS, "ci", {"spec": {}}, namespace=ours),
    "a group's spec": lambda agent, ours: agent.patch(RUNNERGROUPS, "ci-cpu", {"spec": {}}, namespace=ours),
    "a binding": lambda agent, ours: agent.create(ROLEBINDINGS, named(ours)),
    "a Deployment": lambda agent, ours: agent.create(DEPLOYMENTS, named(ours)),
    "a shell in a pod": lambda agent, ours: agent.request("POST", PODS.path(ours, "x", "exec")),
    "a pod's log": lambda agent, ours: agent.request("GET", PODS.path(ours, "x", "log")),
    "an ephemeral container": lambda agent, ours: agent.patch(
        PODS, "x", {}, namespace=ours, subresource="ephemeralcontainers"
    ),
    "a quota": lambda agent, ours: agent.patch(RESOURCEQUOTAS, "team", {"spec": {}}, namespace=ours),
    "another ConfigMap": lambda agent, ours: agent.get(CONFIGMAPS, "kube-root-ca.crt", ours),
    "its namespace": lambda agent, ours: agent.patch(NAMESPACES, ours, {"metadata": {"labels": {"a": "b"}}}),
}


@pytest.mark.parametrize("attempt", AGENT_ATTEMPTS)
def test_an_agent_gets_no_hold_of(attempt: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as ours, as_.agent(ours) as agent:
            await refused(AGENT_ATTEMPTS[attempt](agent, ours))

    run(main())


# -- the manager -----------------------------------------------------------------------------------------------------

MANAGER_ATTEMPTS: dict[str, Attempt] = {
    "a Secret": lambda manager, theirs: manager.get(SECRETS, "github-app-v1", theirs),
    "the Secrets of a namespace": lambda manager, theirs: manager.list(SECRETS, theirs),
    "the Secrets of all": lambda manager, _: manager.list(SECRETS),
    "a Secret of its own": lambda manager, theirs: manager.create(SECRETS, named(theirs)),
    "a pod": lambda manager, theirs: manager.create(PODS, named(theirs)),
    "the agent's token": lambda manager, theirs: manager.create_token(AGENT, theirs),
    "a binding for the whole cluster": lambda manager, _: manager.create(CLUSTERROLEBINDINGS, {"metadata": {}}),
    "an ActionsGateway's deletion": lambda manager, theirs: manager.delete(ACTIONSGATEWAYS, "ci", namespace=theirs),
    "another definition": lambda manager, _: manager.request(
        "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    ),
}


@pytest.mark.parametrize("attempt", MANAGER_ATTEMPTS)
def test_the_manager_gets_no_hold_of(attempt: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as theirs, as_.manager() as manager:
            await refused(MANAGER_ATTEMPTS[attempt](manager, theirs))

    run(main())


@pytest.mark.parametrize("role", ["cluster-admin", "admin", "gw-oncall"])
def test_the_manager_binds_no_role_but_the_agents(role: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as theirs, as_.manager() as manager:
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
            subject = {"kind": "ServiceAccount", "name": AGENT, "namespace": theirs}
            binding = named(theirs, AGENT, roleRef=reference, subjects=[subject])
            # As the manager's own policy wants it; what is tried here is RBAC.
            binding["metadata"]["labels"] = {labels.MANAGED_BY: labels.BY_MANAGER}
            with pytest.raises(Forbidden, match="attempting to grant RBAC permissions not currently held"):
                await manager.create(ROLEBINDINGS, binding)
            reference["name"] = "agc-tenant-role"
            await manager.create(ROLEBINDINGS, binding)

    run(main())


# -- quotas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", ["agent", "manager"])
def test_no_component_writes_a_resource_quota(component: str, installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as ours:
            quota = named(ours, "tenant-quota", spec={"hard": {"pods": "5"}})
            stored = await as_.admin.create(RESOURCEQUOTAS, quota)
            async with as_.agent(ours) if component == "agent" else as_.manager() as client:
                more = {"spec": {"hard": {"pods": "50"}}}
                await refused(client.create(RESOURCEQUOTAS, named(ours, "mine", **more)))
                await refused(client.update(RESOURCEQUOTAS, {**stored, **more}))
                await refused(client.patch(RESOURCEQUOTAS, "tenant-quota", more, namespace=ours))
                await refused(client.apply(RESOURCEQUOTAS, {**quota, **more}, field_manager="x"))
                await refused(client.delete(RESOURCEQUOTAS, "tenant-quota", namespace=ours))
                await refused(client.patch(RESOURCEQUOTAS, "tenant-quota", more, namespace=ours, subresource="status"))
            found = await as_.admin.get(RESOURCEQUOTAS, "tenant-quota", ours)
            assert found["spec"]["hard"] == {"pods": "5"}

    run(main())
