"""A manager that is gone is missed by nobody: its tenants go on, and when it is back it finds nothing to do."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api.names import MANAGER, MANAGER_FIELDS, MANAGER_NAMESPACE, PROXY
from e2e.components import has_reconciled
from e2e.held_jobs import HELD, concluded, requests_to, start_jobs, until_started
from support.audit import ACCOUNT, Request, requests_of
from support.running_sandbox import until
from support.sandbox_processes import pod_processes

pytestmark = pytest.mark.e2e

NAMESPACE = "team-a"
CHILDREN = (
    "serviceaccounts,rolebindings,networkpolicies,services,deployments,horizontalpodautoscalers,poddisruptionbudgets,"
    "runnergroups"
)
DEPLOYMENT = (f"deployment/{MANAGER}", "-n", MANAGER_NAMESPACE)
REPORTS = {("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")}
"""What a manager writes although nothing is to be changed."""
JOBS = 3


def children(sandbox: Any) -> dict[tuple[str, str], Any]:
    """What the manager wrote of each object, and when; others' writes leave this alone (status, the autoscaler's)."""
    return {
        (one["kind"], one["metadata"]["name"]): (
            one["metadata"]["uid"],
            one["metadata"].get("generation") if one["metadata"]["name"] != PROXY else None,
            [entry for entry in one["metadata"]["managedFields"] if entry["manager"] == MANAGER_FIELDS],
        )
        for one in sandbox.objects(CHILDREN, NAMESPACE)
        if one["metadata"].get("ownerReferences") and one["metadata"]["ownerReferences"][0]["kind"] == "ActionsGateway"
    }


def kill_the_manager(sandbox: Any) -> None:
    """SIGKILL to every manager, and no replica any more."""
    killed = [process for process in pod_processes(sandbox.folder) if process.container == "manager"]
    assert killed
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)
    assert sandbox.kubectl("scale", *DEPLOYMENT, "--replicas=0").code == 0
    until(lambda: not [process for process in pod_processes(sandbox.folder) if process.container == "manager"])
    until(lambda: not sandbox.objects("pods", MANAGER_NAMESPACE))


def manager_requests(sandbox: Any) -> list[Request]:
    """From the audit log, which only the real API server has."""
    log: Path = sandbox.folder / "state" / "controlplane" / "audit.log"
    return requests_of(log, f"{ACCOUNT}{MANAGER_NAMESPACE}:{MANAGER}") if log.exists() else []


def changes(requests: list[Request]) -> list[Request]:
    writes = ("create", "update", "patch", "delete", "deletecollection")
    return [
        one
        for one in requests
        if one.right.verb in writes
        and (one.right.group, one.right.resource) not in REPORTS
        and not one.right.resource.endswith("reviews")
    ]


@pytest.mark.once("the manager and its tenant are the same on both, and it takes a minute")
def test_without_a_manager_a_tenant_goes_on_and_its_return_changes_nothing(sandbox: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    replicas = sandbox.kubectl("get", *DEPLOYMENT, "-o", "jsonpath={.spec.replicas}").out
    # A short lock is renewed often.
    sandbox.github("POST", "/faults", {"action": "tune", "title": "short locks", "settings": {"lock_seconds": 24.0}})
    throughout = start_jobs(sandbox, first, count=JOBS, script=HELD)
    until_started(first, JOBS)
    before = children(sandbox)
    assert ("Deployment", PROXY) in before
    try:
        kill_the_manager(sandbox)
        renewals = requests_to(sandbox, "run.renew")
        meanwhile = start_jobs(sandbox, second, count=JOBS, script=HELD)
        until_started(second, JOBS)
        until(lambda: requests_to(sandbox, "run.renew") >= renewals + 6 * JOBS)
        (second / "go").touch()
        assert concluded(sandbox, meanwhile) == [("success", 1, 1)] * JOBS
        earlier = len(manager_requests(sandbox))
    finally:
        sandbox.kubectl("scale", *DEPLOYMENT, f"--replicas={replicas}")
        sandbox.github("DELETE", "/faults")
    until(lambda: has_reconciled(sandbox.objects("pods", MANAGER_NAMESPACE)))
    assert children(sandbox) == before
    (first / "go").touch()
    assert concluded(sandbox, throughout) == [("success", 1, 1)] * JOBS
    assert children(sandbox) == before
    written = {one.right.resource for one in changes(manager_requests(sandbox)[earlier:])}
    assert written <= {"actionsgateways/status"}
