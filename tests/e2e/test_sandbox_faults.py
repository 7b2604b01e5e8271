"""What the embedded cluster does of a fault comes, is seen by plain kubectl, and goes without a trace; so Prometheus.

The sandbox is one of its own: a fault is no company for other tests.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.components import require_kubectl, require_monitoring
from support.running_sandbox import Sandbox, start_sandbox, stop_sandbox, until

Items = list[dict[str, Any]]


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    require_kubectl()
    folder = tmp_path_factory.mktemp("drilled") / "cluster"
    try:
        running = start_sandbox(folder)
        answer = running.gw("tenant", "add", "team-a", "--yes", *running.tenant_arguments("cpu labels=linux"))
        assert answer.code == 0, answer
        yield running
    finally:
        stop_sandbox(folder)
    assert not folder.exists()


@contextmanager
def in_force(drilled: Sandbox, name: str) -> Iterator[None]:
    """The fault is there within; taken back whatever comes, or the cases after it would meet it."""
    try:
        brought = drilled.gw("sandbox", "fault", name)
        assert brought.code == 0, brought
        yield
    finally:
        taken = drilled.gw("sandbox", "fault", name, "--undo")
    assert taken.code == 0, taken


def conditions(items: Items, kind: str) -> set[tuple[str, str]]:
    found = [one for item in items for one in (item.get("status") or {}).get("conditions") or [] if one["type"] == kind]
    return {(one["status"], one.get("reason", "")) for one in found}


def containers(items: Items, state: str) -> set[str]:
    statuses = [one for pod in items for one in pod["status"].get("containerStatuses") or []]
    return {one["state"][state]["reason"] for one in statuses if state in one["state"]}


WORKERS = "pods -l actions-gateway/runner-group"
SEEN: dict[str, tuple[str, Callable[[Items], bool]]] = {
    "quota-full": (
        "resourcequotas",
        lambda found: any(one["status"]["used"] == one["status"]["hard"] for one in found),
    ),
    "unschedulable": (WORKERS, lambda pods: ("False", "Unschedulable") in conditions(pods, "PodScheduled")),
    "missing-image": (WORKERS, lambda pods: bool(containers(pods, "waiting") & {"ErrImagePull", "ImagePullBackOff"})),
    "eviction-loop": (WORKERS, lambda pods: sum(pod["status"].get("reason") == "Evicted" for pod in pods) > 1),
    "worker-oom": (WORKERS, lambda pods: "OOMKilled" in containers(pods, "terminated")),
}


def comes_and_goes(drilled: Sandbox, name: str, what: str, is_seen: Callable[[Items], bool]) -> None:
    def look() -> bool:
        answer = drilled.kubectl("get", *what.split(), "-n", "team-a", "-o", "json")
        assert answer.code == 0, answer
        return is_seen(json.loads(answer.out)["items"])

    assert not look()
    with in_force(drilled, name):
        # Its cause goes on, and pods that show it come and go.
        until(look)
    assert not look()
    gateways = drilled.objects("actionsgateways", "team-a")
    assert conditions(gateways, "Ready") == {("True", "AllAvailable")}
    records = drilled.kubectl("get", "secrets", "-n", "kube-system", "-l", "sandbox.actions-gateway.github.com/fault")
    assert "sandbox-fault-" not in records.out


@pytest.mark.parametrize("name", SEEN)
def test_a_fault_of_a_tenant_is_there_for_kubectl_and_goes_without_a_trace(drilled: Sandbox, name: str) -> None:
    comes_and_goes(drilled, name, *SEEN[name])


@pytest.mark.parametrize(
    ("name", "is_seen"),
    [
        ("deaf-listener", lambda state: any(one["hits"] for one in state["faults"])),
        ("label-unserved", lambda state: ["self-hosted", "no-such-label"] in state["queued_labels"]),
    ],
)
def test_a_fault_that_only_github_sees(drilled: Sandbox, name: str, is_seen: Callable[[dict[str, Any]], bool]) -> None:
    with in_force(drilled, name):
        assert is_seen(drilled.github("GET", "/state"))
    assert not is_seen(drilled.github("GET", "/state"))


def test_an_autoscaler_reads_its_pods_until_nobody_serves_their_metrics(drilled: Sandbox) -> None:
    def finding() -> str:
        answer = drilled.gw("health", "team-a", "--check", "proxy.autoscaler", "-o", "json")
        (check,) = json.loads(answer.out)["checks"]
        (found,) = check["findings"]
        return str(found["outcome"])

    until(lambda: finding() == "ok")
    assert re.search(r"cpu: \d+%/\d+%", drilled.kubectl("get", "hpa", "-n", "team-a").out)
    with in_force(drilled, "hpa-unknown"):
        found = conditions(drilled.objects("hpa", "team-a"), "ScalingActive")
        assert found == {("False", "FailedGetResourceMetric")}
        assert re.search(r"cpu: <unknown>/\d+%", drilled.kubectl("get", "hpa", "-n", "team-a").out)
        # Of one that is new it is said that a first reading is still due.
        until(lambda: finding() == "problem")
    until(lambda: finding() == "ok")


def test_prometheus_scrapes_manager_agent_and_proxies(drilled: Sandbox) -> None:
    require_monitoring()

    def up() -> set[tuple[str, str]]:
        found = drilled.ask_prometheus("query", query="up == 1")
        series = found["result"] if found else []
        return {(one["metric"]["job"], one["metric"].get("namespace", "")) for one in series}

    wanted = {
        ("actions-gateway-manager", "gmc-system"),
        ("actions-gateway-agent", "team-a"),
        ("actions-gateway-proxy", "team-a"),
    }
    assert until(lambda: wanted <= up())


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_a_monitoring_program_stops_and_answers_again(drilled: Sandbox, name: str) -> None:
    require_monitoring()
    with in_force(drilled, f"{name}-down"):
        assert f"{name.capitalize()} is not ready" in drilled.gw("sandbox", "status").out
    assert until(lambda: drilled.gw("sandbox", "status").code == 0)


def test_a_deletion_that_is_held_is_there_for_kubectl_and_the_tenant_comes_back(drilled: Sandbox) -> None:
    """Last, since all of the tenant's objects are new afterwards."""

    def is_seen(gateways: Items) -> bool:
        return any("finalizer" in str(one["status"]["conditions"]) for one in gateways)

    comes_and_goes(drilled, "stuck-deletion", "actionsgateways", is_seen)
