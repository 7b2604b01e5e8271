"""`metrics.k8s.io` from the node's own processes, through the real aggregation layer."""

import contextlib
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from actions_gateway.api.quantities import parse_quantity
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import KubeError
from gateway_sandbox.certificates import CertificateAuthority, KeyPair, SandboxCertificates
from gateway_sandbox.controllers.conditions import find_condition
from gateway_sandbox.metricsapi.sampler import Sampler
from gateway_sandbox.metricsapi.server import MetricsApi, Subject
from support.aio import Looks, run

from .real_world import RealCluster, RealNode, play
from .test_kubectl import kubectl
from .test_workloads import deployment
from .world import Manifest

ROOT = "/apis/metrics.k8s.io/v1beta1"
BUSY = "trap 'exit 0' TERM; while :; do :; done"
QUIET = "trap 'exit 0' TERM; while :; do sleep 0.2; done"


async def until_measured(client: KubeClient, path: str, **query: str) -> list[Manifest]:
    """The items of a list, once there are any."""
    looks = Looks()
    while True:
        # The aggregation layer may not have found the API yet.
        with contextlib.suppress(KubeError):
            items: list[Manifest] = (await client.request("GET", ROOT + path, query=query or None))["items"]
            if items:
                return items
        await looks.pause()


def cores(metrics: Manifest) -> float:
    return sum(float(parse_quantity(container["usage"]["cpu"])) for container in metrics["containers"])


def test_a_busy_pod_uses_more_than_a_quiet_one_and_selectors_tell_them_apart(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        world = node.world
        for name, script in (("busy", BUSY), ("quiet", QUIET)):
            await world.create_pod(name, script, labels={"load": name}, terminationGracePeriodSeconds=0)
        path = f"/namespaces/{world.namespace}/pods"
        (busy,) = await until_measured(world.client, path, labelSelector="load=busy")
        (quiet,) = await until_measured(world.client, path, labelSelector="load notin (busy)")
        assert (busy["metadata"]["name"], quiet["metadata"]["name"]) == ("busy", "quiet")
        assert cores(busy) > 2 * cores(quiet)
        assert parse_quantity(busy["containers"][0]["usage"]["memory"]) > 100_000
        assert float(busy["window"].removesuffix("s")) > 1
        one = await world.client.request("GET", f"{ROOT}{path}/quiet")
        assert (one["kind"], one["metadata"]["labels"]) == ("PodMetrics", {"load": "quiet"})
        with pytest.raises(KubeError, match=r'pods\.metrics\.k8s\.io "missing" not found'):
            await world.client.request("GET", f"{ROOT}{path}/missing")
        (whole,) = await until_measured(world.client, "/nodes")
        assert whole["metadata"]["name"] == world.node.name
        assert float(parse_quantity(whole["usage"]["cpu"])) > 0

    play(real_cluster, scenario)


def test_kubectl_top_shows_pods_and_the_node(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        world = node.world
        await world.create_pod("p", QUIET, terminationGracePeriodSeconds=0)
        await until_measured(world.client, f"/namespaces/{world.namespace}/pods")
        header, row = (await kubectl(world, "top", "pod", "-n", world.namespace)).splitlines()
        assert header.split() == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
        assert row.split()[0] == "p"
        assert world.node.name in await kubectl(world, "top", "node")

    play(real_cluster, scenario)


def test_an_autoscaler_has_a_target_and_scales_by_it(real_cluster: RealCluster) -> None:
    target = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    scaler = {
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 2,
            "metrics": [target],
        },
    }

    async def scenario(node: RealNode) -> None:
        world = node.world
        web = deployment(script=BUSY, container={"resources": {"requests": {"cpu": "10m"}}})
        web["metadata"]["namespace"] = world.namespace
        await world.create(r.DEPLOYMENTS, web)
        await world.create(r.HPAS, scaler)
        measured = await world.until(r.HPAS, "web", utilization)
        active = find_condition(measured, "ScalingActive")
        assert active is not None
        assert active["status"] == "True"
        await world.until(r.DEPLOYMENTS, "web", lambda one: one["spec"]["replicas"] == 2)
        shown = await kubectl(world, "get", "hpa", "web", "-n", world.namespace)
        assert "<unknown>" not in shown
        assert "%/50%" in shown

    play(real_cluster, scenario)


def utilization(scaler: Manifest) -> Any:
    """The measured share of the request, None where it is unknown."""
    metrics = (scaler.get("status") or {}).get("currentMetrics") or []
    return next((one["resource"]["current"].get("averageUtilization") for one in metrics if "resource" in one), None)


def test_only_a_holder_of_the_front_proxy_certificate_may_ask(tmp_path: Path) -> None:
    certificates = SandboxCertificates.create(tmp_path / "pki")
    front_proxy = CertificateAuthority(tmp_path / "pki", stem="front-proxy-ca", common_name="front proxy")
    context = certificates.server_context(clients=front_proxy.path)
    clock = SystemClock()
    api = MetricsApi(Sampler(tuple, clock), Subject("n", dict, dict), clock)

    async def ask(url: str, pair: KeyPair | None) -> int:
        own = certificates.client_context()
        if pair is not None:
            own.load_cert_chain(pair.certificate_path, pair.key_path)
        async with aiohttp.ClientSession() as http, http.get(url, ssl=own) as answer:
            await answer.read()
            return answer.status

    async def scenario() -> None:
        async with api.serve(context) as port:
            url = f"https://127.0.0.1:{port}{ROOT}/nodes"
            assert await ask(url, front_proxy.issue_client("api-server", "front-proxy-client")) == 200
            stranger = certificates.authority.issue_client("stranger", "somebody", ("system:masters",))
            for pair in (None, stranger):
                with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
                    await ask(url, pair)

    run(scenario())
