"""The tenant's egress through its two real Envoys: all of it, and what becomes of jobs when one or both are gone."""

import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from actions_gateway.api.names import PROXY
from e2e.held_jobs import HELD, concluded, jobs_of, requests_to, start_jobs, until_started
from gateway_sandbox.nodes.ports import ANNOTATION
from support.commands import ROOT
from support.running_sandbox import until
from support.sandbox_processes import PodProcess, clients_of, pod_processes, sockets_of

pytestmark = pytest.mark.e2e

WORKFLOW = ROOT / "controller/gateway_sandbox/examples/many-small-jobs.yml"
NAMESPACE = "team-a"
PROXIES = f"deployment/{PROXY}"
_LOOK_SECONDS = 0.02


def proxy_pods(sandbox: Any, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    return [pod for pod in sandbox.objects("pods", namespace) if pod["metadata"]["labels"].get("app") == PROXY]


def ready_proxies(sandbox: Any, namespace: str = NAMESPACE) -> int:
    found = sandbox.objects("deployments", namespace)
    (proxies,) = [entry for entry in found if entry["metadata"]["name"] == PROXY]
    return int(proxies["status"].get("readyReplicas", 0))


def stats(pod: dict[str, Any]) -> Counter[str]:
    """An Envoy's own figures, by name, over all labels."""
    port = json.loads(pod["metadata"]["annotations"][ANNOTATION])["metrics"]
    with urlopen(f"http://127.0.0.1:{port}/stats/prometheus") as answer:
        lines = answer.read().decode().splitlines()
    figures: Counter[str] = Counter()
    for line in lines:
        if match := re.fullmatch(r"(\w+)(?:\{[^}]*\})? (\d+)", line):
            figures[match[1]] += int(match[2])
    return figures


class Connections:
    """Which containers were seen connected to the simulated GitHub."""

    def __init__(self, sandbox: Any) -> None:
        self._folder: Path = sandbox.folder
        url = urlsplit(sandbox.info["github_url"])
        self._place = (str(url.hostname), int(url.port or 443))
        self.seen: set[str] = set()

    def look(self) -> None:
        sockets = clients_of(*self._place)
        for process in pod_processes(self._folder):
            if sockets & sockets_of(process.pid):
                self.seen.add(process.container)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks over and over while the block runs."""
        ended = threading.Event()

        def keep_looking() -> None:
            while not ended.wait(_LOOK_SECONDS):
                self.look()

        watcher = threading.Thread(target=keep_looking)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def test_a_tenant_has_two_ready_envoys_that_each_serve_their_own_figures(sandbox: Any) -> None:
    until(lambda: ready_proxies(sandbox) >= 2)
    pods = proxy_pods(sandbox)
    processes = [process for process in pod_processes(sandbox.folder) if process.container == "proxy"]
    assert {pod["metadata"]["uid"] for pod in pods} <= {process.pod_uid for process in processes}
    assert all("--config-yaml" in process.command for process in processes)
    for pod in pods:
        assert stats(pod)["envoy_server_live"] == 1


def test_the_autoscaler_has_a_reading_of_the_proxies(sandbox: Any) -> None:
    """Its target is a share of the pods' requests, so that it has one only where they state some."""

    def reading() -> Any:
        (scaler,) = sandbox.objects("horizontalpodautoscalers", NAMESPACE)
        active = [
            entry["status"] for entry in scaler["status"].get("conditions", []) if entry["type"] == "ScalingActive"
        ]
        status = scaler["status"]
        # It counts replicas at a pace of its own.
        is_settled = status.get("desiredReplicas") == status.get("currentReplicas") == ready_proxies(sandbox)
        return active == ["True"] and is_settled and status

    status = until(reading)
    (measured,) = status["currentMetrics"]
    assert measured["resource"]["name"] == "cpu"
    assert measured["resource"]["current"]["averageUtilization"] >= 0


@pytest.mark.real_only("the embedded cluster has no EndpointSlices")
def test_the_service_leads_to_every_ready_proxy(sandbox: Any) -> None:
    def addresses() -> Any:
        slices = sandbox.objects("endpointslices", NAMESPACE)
        found = [entry for entry in slices if entry["metadata"]["labels"]["kubernetes.io/service-name"] == PROXY]
        return {
            address
            for entry in found
            for endpoint in entry.get("endpoints") or []
            if endpoint["conditions"]["ready"]
            for address in endpoint["addresses"]
        }

    until(lambda: addresses() == {pod["status"]["podIP"] for pod in proxy_pods(sandbox)} and len(addresses()) == 2)


def test_whatever_agent_and_workers_ask_of_github_goes_through_an_envoy(sandbox: Any) -> None:
    until(lambda: ready_proxies(sandbox) >= 2)
    before = sum((stats(pod) for pod in proxy_pods(sandbox)), Counter[str]())
    connections = Connections(sandbox)
    with connections.watched():
        answer = sandbox.gw("sandbox", "run", str(WORKFLOW))
    assert answer.code == 0, answer
    assert connections.seen == {"proxy"}
    after = sum((stats(pod) for pod in proxy_pods(sandbox)), Counter[str]())
    tunnels = "envoy_http_downstream_cx_upgrades_total"
    # Each of the twenty jobs' workers opens one of its own.
    assert after[tunnels] - before[tunnels] > 20


def test_a_proxy_that_dies_in_the_middle_loses_no_job(sandbox: Any, tmp_path: Path) -> None:
    until(lambda: ready_proxies(sandbox) >= 2)
    run_id = start_jobs(sandbox, tmp_path, count=6, script=HELD)
    until_started(tmp_path, 6)
    first, second = [process for process in pod_processes(sandbox.folder) if process.container == "proxy"][:2]
    os.kill(first.pid, signal.SIGKILL)
    later = start_jobs(sandbox, tmp_path, count=2, script="true")
    assert concluded(sandbox, later) == [("success", 1, 1)] * 2
    deleted = sandbox.kubectl("delete", "pod", "-n", NAMESPACE, name_of(sandbox, second), "--wait=false")
    assert deleted.code == 0, deleted
    (tmp_path / "go").touch()
    assert concluded(sandbox, run_id) == [("success", 1, 1)] * 6
    until(lambda: ready_proxies(sandbox) >= 2)


def name_of(sandbox: Any, process: PodProcess) -> str:
    (name,) = [pod["metadata"]["name"] for pod in proxy_pods(sandbox) if pod["metadata"]["uid"] == process.pod_uid]
    return str(name)


@pytest.mark.once("the proxies are the same on both, and failures of the agent are half a minute apart")
def test_without_a_proxy_nothing_reaches_github_and_with_it_everything_goes_on(sandbox: Any, tmp_path: Path) -> None:
    until(lambda: ready_proxies(sandbox) >= 2)
    run_id = start_jobs(sandbox, tmp_path, count=1, script=f"{HELD}; echo the end")
    until_started(tmp_path, 1)
    with without_manager(sandbox):
        # It would bring them back at once.
        scaled = sandbox.kubectl("scale", PROXIES, "-n", NAMESPACE, "--replicas=0")
        assert scaled.code == 0, scaled
        until(lambda: not proxy_pods(sandbox))
        until(lambda: sandbox.github("GET", "/state")["open_polls"] == 0)
        asked = requests_to(sandbox)
        waiting = start_jobs(sandbox, tmp_path, count=1, script="true")
        (tmp_path / "go").touch()
        failures = failures_of_the_agent(sandbox)
        until(lambda: failures_of_the_agent(sandbox) >= failures + 3)
        assert [job["status"] for job in jobs_of(sandbox, waiting)] == ["queued"]
        assert [job["status"] for job in jobs_of(sandbox, run_id)] == ["in_progress"]
        assert requests_to(sandbox) == asked
    until(lambda: ready_proxies(sandbox) >= 2)
    assert concluded(sandbox, run_id) == [("success", 1, 1)]
    assert concluded(sandbox, waiting) == [("success", 1, 1)]


def test_a_deleted_gateway_leaves_no_runner_at_github_and_no_envoy(sandbox: Any) -> None:
    added = sandbox.gw("tenant", "add", "team-gone", "--yes", *sandbox.tenant_arguments("gone labels=self-hosted,gone"))
    assert added.code == 0, added
    assert runners_of(sandbox, "team-gone")
    uids = {pod["metadata"]["uid"] for pod in proxy_pods(sandbox, "team-gone")}
    assert uids
    deleted = sandbox.kubectl("delete", "actionsgateway", "--all", "-n", "team-gone")
    assert deleted.code == 0, deleted
    assert runners_of(sandbox, "team-gone") == []
    until(lambda: not [process for process in pod_processes(sandbox.folder) if process.pod_uid in uids])


def runners_of(sandbox: Any, prefix: str) -> list[str]:
    return [one["name"] for one in sandbox.github("GET", "/state")["runners"] if one["name"].startswith(prefix)]


def failures_of_the_agent(sandbox: Any) -> int:
    """How often it has told of a request that did not reach GitHub."""
    log = sandbox.kubectl("logs", "-n", NAMESPACE, "deploy/actions-gateway-controller")
    return int(log.out.count('"problem"'))


@contextmanager
def without_manager(sandbox: Any) -> Iterator[None]:
    manager = ("deployment/gmc-controller-manager", "-n", "gmc-system")
    replicas = sandbox.kubectl("get", *manager, "-o", "jsonpath={.spec.replicas}").out
    sandbox.kubectl("scale", *manager, "--replicas=0")
    try:
        until(lambda: not sandbox.objects("pods", "gmc-system"))
        yield
    finally:
        sandbox.kubectl("scale", *manager, f"--replicas={replicas}")
