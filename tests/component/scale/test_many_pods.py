"""Hundreds of pods and nodes of the real control plane, played by kwok: the mirror shows them all."""

from ipaddress import ip_address, ip_network

from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.resources import DEPLOYMENTS, NAMESPACES, NODES, PODS
from gateway_sandbox.controllers.conditions import is_ready
from gateway_sandbox.controlplane.kwok import FAKE_NODE, POD_NETWORK
from support.aio import run
from support.manager_rig import RecordingClient

from .fleet import LIMIT_SECONDS, NODE_COUNT, Fleet, any_object, create_all, deployment, until

POD_COUNT = 600
PER_DEPLOYMENT = 100
PAGE = 200


def test_hundreds_of_pods_become_ready_are_mirrored_in_pages_and_go_when_they_are_deleted(fleet: Fleet) -> None:
    async def scenario() -> None:
        async with fleet.client() as admin:
            made = await admin.create(NAMESPACES, {"metadata": {"generateName": "many-"}})
            namespace = str(made["metadata"]["name"])
            names = [f"web-{number}" for number in range(POD_COUNT // PER_DEPLOYMENT)]
            await create_all(admin, DEPLOYMENTS, (deployment(name, namespace, PER_DEPLOYMENT) for name in names))
            await until(admin, PODS, namespace, is_ready, POD_COUNT)

            async with RecordingClient(await load_configuration(fleet.plane.kubeconfig)) as watcher:
                mirror = await until(watcher, PODS, namespace, any_object, POD_COUNT)
                lists = [request for request in watcher.requests if request[2] != "watch"]
            assert len(lists) == POD_COUNT // PAGE
            pods = list(mirror.values())
            assert len({pod["metadata"]["uid"] for pod in pods}) == POD_COUNT
            # The scheduler looks at a sample of the nodes only.
            assert len({pod["spec"]["nodeName"] for pod in pods}) > NODE_COUNT // 2
            assert all(ip_address(pod["status"]["podIP"]) in ip_network(POD_NETWORK) for pod in pods)

            await admin.patch(DEPLOYMENTS, names[0], {"spec": {"replicas": 0}}, namespace=namespace)
            await until(admin, PODS, namespace, any_object, POD_COUNT - PER_DEPLOYMENT)

    run(scenario(), timeout_seconds=LIMIT_SECONDS)


def test_a_node_without_the_annotation_is_left_alone(fleet: Fleet) -> None:
    async def scenario() -> None:
        async with fleet.client() as admin:
            await admin.create(NODES, {"metadata": {"name": "somebody-elses"}})
            try:
                await admin.create(NODES, {"metadata": {"name": "later", "annotations": dict(FAKE_NODE)}})
                # kwok has seen both by the time that it plays the second.
                await until(admin, NODES, None, lambda node: node["metadata"]["name"] == "later" and is_ready(node), 1)
                other = await admin.get(NODES, "somebody-elses")
                assert not is_ready(other)
                assert "addresses" not in other["status"]
            finally:
                for name in ("somebody-elses", "later"):
                    await admin.delete(NODES, name)

    run(scenario(), timeout_seconds=LIMIT_SECONDS)
