"""The metrics API of one node, from its first sample to its registration; runs until cancelled."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever
from actions_gateway.kube.client import KubeClient
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.metricsapi.documents import PodKey
from gateway_sandbox.metricsapi.registration import SERVER_NAME, SERVICE_NAME, register
from gateway_sandbox.metricsapi.sampler import RunningContainer, Sampler
from gateway_sandbox.metricsapi.server import MetricsApi, Subject
from gateway_sandbox.nodes.node import Node


async def serve_metrics(
    client: KubeClient, node: Node, certificates: SandboxCertificates, front_proxy_ca: Path, clock: Clock
) -> None:
    """Serves what the pods of `node` use; only holders of a certificate of `front_proxy_ca` may ask. Raises KubeError.

    `client` registers the API.
    """
    sampler = Sampler(lambda: running_containers(node), clock)
    api = MetricsApi(sampler, Subject(node.name, lambda: node.labels, lambda: _labels_of_pods(node)), clock)
    pair = certificates.authority.issue_server(SERVICE_NAME, SERVER_NAME, names=(SERVER_NAME,))
    context = certificates.server_context(pair, clients=front_proxy_ca)
    async with asyncio.TaskGroup() as tasks:
        run_forever(tasks, sampler.run(), name="metrics sampler")
        async with api.serve(context) as port:
            await register(client, port=port, ca_pem=certificates.ca_pem)
            await asyncio.Event().wait()


def running_containers(node: Node) -> Iterable[RunningContainer]:
    """The containers of the node that run now."""
    for worker in node.pods:
        namespace, name = worker.key
        for container in worker.containers:
            if container.pid is not None:
                yield RunningContainer(namespace, name, worker.uid, container.record.name, container.pid)


def _labels_of_pods(node: Node) -> Mapping[PodKey, Mapping[str, str]]:
    return {worker.key: worker.pod["metadata"].get("labels") or {} for worker in node.pods}
