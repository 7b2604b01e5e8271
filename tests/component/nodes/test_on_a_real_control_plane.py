"""The node under the real API server, scheduler and controllers: what a kubelet's node would do there, ours does."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address, ip_network
from typing import Any

import aiohttp
import pytest

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.errors import Forbidden, KubeError, Unauthorized
from gateway_sandbox.controllers.conditions import find_condition, is_ready
from gateway_sandbox.kubeconfigs import write_kubeconfig
from gateway_sandbox.nodes.addresses import POD_NETWORK
from gateway_sandbox.nodes.admission import SERVICE_ACCOUNT_PATH
from gateway_sandbox.nodes.registration import Room
from support.admission import limit
from support.aio import Looks, run, until

from .real_world import LOST_NODE, RealCluster, RealNode, play
from .test_pods import processes_of
from .test_workloads import OBEDIENT, deployment
from .world import Manifest, World, until_node

SELF_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def in_namespace(world: World, manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": world.namespace}}


def test_the_node_registers_and_stays_ready_by_its_lease(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        found = await until_node(node.world.client, node.world.node.name, is_ready)
        assert found["status"]["addresses"][0] == {"type": "InternalIP", "address": "127.0.0.1"}
        lease = await node.world.client.get(r.LEASES, found["metadata"]["name"], "kube-node-lease")
        assert lease["spec"]["holderIdentity"] == found["metadata"]["name"]

    play(real_cluster, scenario)


def test_the_node_has_its_own_rights_and_no_more(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        refused: list[Any] = [
            node.own.create(r.SECRETS, {"metadata": {"name": "s"}}, namespace=node.world.namespace),
            node.own.list(r.NODES),
            node.own.delete(r.NODES, node.world.node.name),
            node.own.list(r.CLUSTERROLES),
        ]
        for request in refused:
            with pytest.raises(Forbidden):
                await request

    play(real_cluster, scenario)


def test_a_pods_token_is_its_accounts_and_ends_with_the_pod(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        world = node.world
        script = f"cat {SERVICE_ACCOUNT_PATH}/token; echo; exec sleep 600"
        tokens = {}
        for name in ("stays", "goes"):
            await world.create_pod(name, script, terminationGracePeriodSeconds=0)
            tokens[name] = (await world.until_logged(name, "\n")).strip()
        async with bearer(node, tokens["stays"]) as client:
            user = (await client.request("POST", SELF_REVIEW, body=REVIEW))["status"]["userInfo"]
            assert user["username"] == f"system:serviceaccount:{world.namespace}:default"
            assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["stays"]
        await world.client.delete(r.PODS, "goes", namespace=world.namespace)
        await world.until_gone(r.PODS, "goes")
        # Not asked about before: the API server remembers for ten seconds that a token was good.
        async with bearer(node, tokens["goes"]) as client:
            await until_unauthorized(client)

    play(real_cluster, scenario)


async def until_unauthorized(client: KubeClient) -> None:
    """Returns once the API server takes the token no more: it looks for the pod in a copy that follows by a watch."""
    looks = Looks()
    while True:
        try:
            await client.request("POST", SELF_REVIEW, body=REVIEW)
        except Unauthorized:
            return
        await looks.pause()


def bearer(node: RealNode, token: str) -> AbstractAsyncContextManager[KubeClient]:
    path = node.cluster.folder / f"{node.world.namespace}.kubeconfig"
    ca_path = node.cluster.certificates.ca_path
    return connect(write_kubeconfig(path, url=node.cluster.backend.url, ca_path=ca_path, user={"token": token}))


def test_the_root_certificates_that_a_pod_mounts_are_the_clusters(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        await node.world.create_pod("p", f"cat {SERVICE_ACCOUNT_PATH}/ca.crt")
        await node.world.until_phase("p", "Succeeded")
        mounted = await node.world.client.get(r.CONFIGMAPS, "kube-root-ca.crt", node.world.namespace)
        assert (await node.world.logs("p")).strip() == mounted["data"]["ca.crt"].strip()

    play(real_cluster, scenario)


def test_a_service_publishes_the_pods_address_while_the_process_listens_on_loopback(
    real_cluster: RealCluster,
) -> None:
    variable = {"name": "BIND_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}

    async def scenario(node: RealNode) -> None:
        world = node.world
        service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
        await world.create(r.SERVICES, service)
        script = f"echo listening on $BIND_ADDRESS; {OBEDIENT}"
        await world.create(r.DEPLOYMENTS, in_namespace(world, deployment(script=script, container={"env": [variable]})))
        found = await world.until_any(
            r.ENDPOINTSLICES, lambda one: any(ready(entry) for entry in one["endpoints"] or ())
        )
        (endpoint,) = found["endpoints"]
        pod = await world.client.get(r.PODS, endpoint["targetRef"]["name"], world.namespace)
        assert endpoint["addresses"] == [pod["status"]["podIP"]]
        assert ip_address(pod["status"]["podIP"]) in ip_network(POD_NETWORK)
        await world.until_logged(pod["metadata"]["name"], "listening on 127.0.0.1")

    play(real_cluster, scenario)


def ready(endpoint: Manifest) -> bool:
    return bool(endpoint["conditions"].get("ready"))


def test_logs_come_through_the_api_server_and_from_nobody_else(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        world = node.world
        await world.create_pod("p", "echo one; echo two; exec sleep 600", terminationGracePeriodSeconds=0)
        await world.until_logged("p", "two")
        assert await world.logs("p", tailLines="1") == "two\n"
        found = await world.client.get(r.NODES, world.node.name)
        port = found["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        url = f"https://127.0.0.1:{port}/containerLogs/{world.namespace}/p/main"
        stranger = node.cluster.certificates.authority.issue_client("stranger", "somebody", ("system:masters",))
        context = node.cluster.certificates.client_context()
        async with aiohttp.ClientSession() as http:
            with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
                await http.get(url, ssl=context)
            context.load_cert_chain(stranger.certificate_path, stranger.key_path)
            async with http.get(url, ssl=context) as answer:
                assert (answer.status, await answer.text()) == (
                    403,
                    "Forbidden: only the API server may ask this kubelet\n",
                )

    play(real_cluster, scenario)


def test_an_eviction_obeys_the_budget_and_gives_the_grace(real_cluster: RealCluster) -> None:
    script = "trap 'echo told to stop; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}

    async def scenario(node: RealNode) -> None:
        world = node.world
        await world.create_pod("p", script, labels={"app": "guarded"})
        budget = {
            "metadata": {"name": "b"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
        }
        await world.create(r.PDBS, budget)
        await world.until_logged("p", "up")
        said = world.followed("p")
        await until_said(said, "up")
        await world.until(r.PDBS, "b", lambda one: (one.get("status") or {}).get("currentHealthy") == 1)
        path = r.PODS.path(world.namespace, "p", "eviction")
        with pytest.raises(KubeError, match="disruption budget"):
            await world.client.request("POST", path, body=eviction)
        await world.client.delete(r.PDBS, "b", namespace=world.namespace)
        await world.client.request("POST", path, body=eviction)
        # Followed from before: the pod goes with its last word.
        await until_said(said, "told to stop")
        await world.until_gone(r.PODS, "p")

    play(real_cluster, scenario)


async def until_said(log: AsyncIterator[str], text: str) -> None:
    """Reads on in a log until the text has come."""
    seen = ""
    while text not in seen:
        seen += await anext(log)


def test_an_important_pod_takes_the_place_of_a_lesser_one(real_cluster: RealCluster) -> None:
    room = Room(cpu="1", memory="1Gi", pods=10)
    wants = {"resources": {"requests": {"cpu": "800m"}}}

    async def scenario(node: RealNode) -> None:
        world = node.world
        urgent = f"{world.namespace}-urgent"
        await world.client.create(r.PRIORITYCLASSES, {"metadata": {"name": urgent}, "value": 1000})
        try:
            on_it = {"kubernetes.io/hostname": world.node.name}
            await world.create_pod("lesser", OBEDIENT, container=wants, nodeSelector=on_it)
            await world.until_logged("lesser", "up")
            await world.create_pod("important", OBEDIENT, container=wants, nodeSelector=on_it, priorityClassName=urgent)
            await world.until_gone(r.PODS, "lesser")
            await world.until_logged("important", "up")
        finally:
            await world.client.delete(r.PRIORITYCLASSES, urgent)

    play(real_cluster, scenario, room=room)


def test_a_quota_admits_one_pod_and_the_deployment_says_why_not_two(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        world = node.world
        await limit(world.client, world.namespace, "one", {"pods": "1"})
        await world.create(r.DEPLOYMENTS, in_namespace(world, deployment(replicas=2)))
        failed = await world.until(
            r.DEPLOYMENTS,
            "web",
            lambda one: find_condition(one, "ReplicaFailure") and one["status"].get("readyReplicas"),
        )
        condition = find_condition(failed, "ReplicaFailure")
        assert condition is not None
        assert "exceeded quota: one" in condition["message"]
        assert failed["status"]["readyReplicas"] == 1

    play(real_cluster, scenario)


def test_a_deleted_deployment_takes_its_pods_and_their_processes(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        world = node.world
        await world.create(r.DEPLOYMENTS, in_namespace(world, deployment(replicas=2)))
        await world.until(r.DEPLOYMENTS, "web", lambda one: one["status"].get("readyReplicas") == 2)
        pods = (await world.client.list(r.PODS, world.namespace)).items
        assert all(processes_of(pod["metadata"]["uid"]) for pod in pods)
        await world.client.delete(r.DEPLOYMENTS, "web", namespace=world.namespace)
        for pod in pods:
            await world.until_gone(r.PODS, pod["metadata"]["name"])
        await until(lambda: not any(processes_of(pod["metadata"]["uid"]) for pod in pods))

    play(real_cluster, scenario)


# The last, so that the others use the time that the controller takes to notice.
def test_a_node_that_falls_silent_is_marked_and_takes_no_more_pods(real_cluster: RealCluster) -> None:
    async def scenario() -> None:
        async with connect(real_cluster.kubeconfig) as admin:
            lost = await until_node(admin, LOST_NODE, lambda node: "node.kubernetes.io/unreachable" in taints(node))
            ready = find_condition(lost, "Ready")
            assert ready is not None
            assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")

    run(scenario())


def taints(node: Manifest) -> set[str]:
    return {taint["key"] for taint in (node.get("spec") or {}).get("taints") or []}
