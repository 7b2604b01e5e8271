"""The real etcd, kube-apiserver, kube-controller-manager and kube-scheduler, and `metrics.k8s.io` beside them."""

import asyncio
from pathlib import Path
from typing import Any

from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever
from actions_gateway.installation.metadata import rule
from actions_gateway.kube.client import KubeClient
from gateway_sandbox.backends.backend import NodeAccess
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.identities import grant
from gateway_sandbox.controlplane.server import KUBELET_CLIENT, ControlPlane, Options
from gateway_sandbox.kubeconfigs import write_kubeconfig
from gateway_sandbox.launcher import ClusterKind
from gateway_sandbox.metricsapi.serving import serve_metrics
from gateway_sandbox.nodes.node import Node
from gateway_sandbox.nodes.ports import ANNOTATION

LEFT_OUT: tuple[str, ...] = (
    "containers: pods run as processes of yours, without isolation, limits or images",
    "enforcement of NetworkPolicies: they are stored, and nothing is kept apart",
    "cluster DNS, and routes to pods: a Service's name and port in a pod spec lead to a relay on 127.0.0.1",
    f"a pod's own ports: its annotation {ANNOTATION} names those on 127.0.0.1 that it listens on",
    "exec, attach, port-forward and cp",
    "persistent volumes, sidecar containers, hooks but a preStop sleep, gRPC probes and resourceFieldRef",
    "the Node authorizer: the node's rights come from a role of its own",
    "high availability and backups: one etcd whose data end with the sandbox",
)
"""What a cluster of the user's has and this one lacks."""

NODE_RULES = (
    rule("", ["nodes"], ["create", "get", "patch"]),
    rule("", ["nodes/status"], ["patch"]),
    rule("coordination.k8s.io", ["leases"], ["create", "patch"]),
    # The ports that a pod really has are told by an annotation.
    rule("", ["pods"], ["get", "list", "watch", "patch", "delete"]),
    rule("", ["pods/status"], ["patch"]),
    rule("", ["secrets", "configmaps"], ["get", "list", "watch"]),
    rule("", ["services"], ["list", "watch"]),
    rule("", ["serviceaccounts"], ["get"]),
    rule("", ["serviceaccounts/token"], ["create"]),
    rule("events.k8s.io", ["events"], ["create", "patch"]),
)
"""What the node loop asks for. It watches Secrets as a whole, which the Node authorizer would refuse."""

OPTIONS = Options(
    # The log of who did what is for looking at, not for keeping.
    extra_flags=("--audit-log-maxsize=100", "--audit-log-maxbackup=1")
)


class RealBackend:
    """Child processes on loopback; they and their data end with this process."""

    kind = ClusterKind.REAL
    left_out = LEFT_OUT
    # As in production: one leads, the other waits for the lease.
    manager_replicas = 2

    def __init__(
        self, folder: Path, certificates: SandboxCertificates, clock: Clock, options: Options = OPTIONS
    ) -> None:
        """`folder` takes the control plane's files."""
        self._certificates = certificates
        self._clock = clock
        self._plane = ControlPlane(folder, certificates, options)

    @property
    def url(self) -> str:
        return self._plane.url

    async def start(self, kubeconfig: Path) -> None:
        await self._plane.start()
        token = {"token": self._plane.admin_token}
        write_kubeconfig(kubeconfig, url=self.url, ca_path=self._certificates.ca_path, user=token)

    async def stop(self) -> None:
        await asyncio.to_thread(self._plane.stop)

    def serves(self, manifest: dict[str, Any]) -> bool:
        return True

    async def admit_node(self, client: KubeClient, name: str) -> NodeAccess:
        user = f"system:node:{name}"
        # It watches itself: a selector of its name is what lets RBAC grant that by name.
        await grant(client, user, (*NODE_RULES, rule("", ["nodes"], ["list", "watch"], names=[name])))
        context = self._certificates.server_context(clients=self._certificates.ca_path)
        return NodeAccess(self._plane.kubeconfig_for(user, ("system:nodes",)), context, api_client=KUBELET_CLIENT)

    async def work(self, client: KubeClient, node: Node) -> None:
        async with asyncio.TaskGroup() as tasks:
            run_forever(tasks, self._plane.watch(), name="control plane")
            run_forever(tasks, self._serve_metrics(client, node), name="metrics API")

    async def _serve_metrics(self, client: KubeClient, node: Node) -> None:
        await serve_metrics(client, node, self._certificates, self._plane.front_proxy_ca, self._clock)
