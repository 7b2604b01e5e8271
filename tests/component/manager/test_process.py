"""The manager as a whole: its lease, its probes, and that its own role covers all that it asks for, and no more."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp

from actions_gateway.api.names import AGENT, MANAGER_LEASE, WORKLOAD_POLICY
from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.installation.rights import build_leader_role, build_manager_role
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    LEASES,
    NETWORKPOLICIES,
    ROLEBINDINGS,
    RUNNERGROUPS,
)
from actions_gateway.manager.run import run_manager
from support.aio import run
from support.manager_objects import SETTINGS, condition, gateway
from support.manager_rig import Rig, cluster
from support.rights import is_allowed, right_of

QUICK = replace(SETTINGS, retry_seconds=0.05, bind_address="127.0.0.1")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process(client: KubeClient, name: str, health_port: int = 0) -> AsyncIterator[asyncio.Task[None]]:
    settings = replace(QUICK, pod_name=name, health_port=health_port, metrics_port=0)
    # In a group, so that a manager that dies ends the test with its reason.
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            run_manager(settings, client=client, clock=SystemClock(), rng=random.Random(name)), name=name
        )
        yield task
        task.cancel()


async def leader(rig: Rig) -> str:
    """The pod that holds the lease."""
    lease = await rig.until(
        LEASES, MANAGER_LEASE, lambda found: bool(found["spec"]["holderIdentity"]), namespace="gmc-system"
    )
    return str(lease["spec"]["holderIdentity"]).partition("_")[0]


def test_one_replica_works_and_the_other_takes_over_when_it_stops() -> None:
    async def main() -> None:
        async with cluster() as rig:
            await rig.namespace("gmc-system")
            await rig.namespace("team-a")
            async with process(rig.user, "gmc-0") as first:
                assert await leader(rig) == "gmc-0"
                async with process(rig.user, "gmc-1"):
                    await cancel_and_wait(first)
                    await rig.until(
                        LEASES,
                        MANAGER_LEASE,
                        lambda found: found["spec"]["holderIdentity"].startswith("gmc-1_"),
                        namespace="gmc-system",
                    )
                    await rig.create(gateway())
                    await rig.until(DEPLOYMENTS, AGENT, lambda _: True)

    run(main())


def test_a_replica_without_the_lease_writes_nothing_and_is_ready() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.recording_client() as client:
            await rig.namespace("gmc-system")
            port = free_port()
            async with process(rig.user, "gmc-0"):
                assert await leader(rig) == "gmc-0"
                async with process(client, "gmc-1", port):
                    await rig.namespace("team-a")
                    await rig.create(gateway())
                    await rig.until(DEPLOYMENTS, AGENT, lambda _: True)
                    assert await probe(port, "/readyz") == 200
                    assert await probe(port, "/healthz") == 200
                    assert client.writes == []

    run(main())


async def probe(port: int, path: str) -> int:
    """The status of a probe, once something listens."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                    return response.status
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)


def test_the_managers_roles_give_every_right_that_a_gateways_life_needs_and_no_other() -> None:
    async def main() -> None:
        async with cluster() as rig, rig.recording_client() as client:
            await rig.namespace("gmc-system")
            async with process(client, "gmc-0"):
                await live_through(rig)
            used = {right_of(*request) for request in client.requests}
        rules = build_manager_role()["rules"] + build_leader_role()["rules"]
        assert [right for right in sorted(used) if not is_allowed(right, rules)] == []
        assert all(right.resource != "secrets" for right in used)
        assert granted(rules) - {(right.verb, right.group, right.resource) for right in used} == ALLOWED_BUT_NOT_SEEN

    run(main())


ALLOWED_BUT_NOT_SEEN = {
    # An apply that creates: one PATCH on the wire, two rights.
    *(
        ("create", group, resource)
        for group, resource in (
            ("", "serviceaccounts"),
            ("rbac.authorization.k8s.io", "rolebindings"),
            ("networking.k8s.io", "networkpolicies"),
            ("", "services"),
            ("policy", "poddisruptionbudgets"),
            ("autoscaling", "horizontalpodautoscalers"),
            ("apps", "deployments"),
            ("actions-gateway.github.com", "runnergroups"),
        )
    ),
    # Checked by admission, not by a request of ours.
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("update", "actions-gateway.github.com", "actionsgateways/finalizers"),
}


async def live_through(rig: Rig) -> None:
    """Everything that happens to a gateway: provisioning, drift of each sort, pruning, trouble, return and end."""
    await rig.provision()
    await rig.patch(RUNNERGROUPS, "ci-cpu", {"spec": {"maxWorkers": 9}})
    await rig.until(RUNNERGROUPS, "ci-cpu", lambda found: "maxWorkers" not in found["spec"])
    await rig.patch(NETWORKPOLICIES, WORKLOAD_POLICY, {"spec": {"ingress": [{}]}})
    await rig.until(NETWORKPOLICIES, WORKLOAD_POLICY, lambda found: not found["spec"].get("ingress"))
    await replace_binding(rig)
    await rig.patch(DEPLOYMENTS, AGENT, {"spec": {"strategy": {"type": "RollingUpdate"}}})
    await rig.until(DEPLOYMENTS, AGENT, lambda found: found["spec"]["strategy"]["type"] == "Recreate")
    await rig.start_agent()
    # Twice there and back, so that an event becomes a series.
    for _ in range(2):
        await rig.until_condition("ci", "Ready", "True")
        await rig.report(conditions=[condition("CredentialUnavailable", "True", "KeyRejected")])
        await rig.until_condition("ci", "Ready", "False", "KeyRejected")
        await rig.report()
    await rig.until_condition("ci", "Ready", "True")
    await rig.patch(ACTIONSGATEWAYS, "ci", {"spec": {"runnerGroups": []}})
    await rig.until_gone(RUNNERGROUPS, "ci-cpu")
    await rig.user.delete(ACTIONSGATEWAYS, "ci", namespace="team-a")
    await rig.until_gone(ACTIONSGATEWAYS, "ci")


async def replace_binding(rig: Rig) -> None:
    """Someone puts a binding to another role in place of ours."""
    binding = await rig.user.get(ROLEBINDINGS, AGENT, "team-a")
    await rig.user.delete(ROLEBINDINGS, AGENT, namespace="team-a")
    metadata = {"name": AGENT, "namespace": "team-a", "labels": binding["metadata"]["labels"]}
    forged = {**binding, "metadata": metadata, "roleRef": {**binding["roleRef"], "name": "edit"}}
    await rig.user.apply(ROLEBINDINGS, forged, field_manager="kubectl")
    await rig.until(ROLEBINDINGS, AGENT, lambda found: found["roleRef"] == binding["roleRef"])


def granted(rules: list[dict[str, list[str]]]) -> set[tuple[str, str, str]]:
    """Every verb on every resource that the rules name."""
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
