"""From nothing to a finished job and back: gw install, a tenant, a workflow, gw uninstall on a real control plane."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import ROOT
from support.components import require_control_plane
from support.running_sandbox import Sandbox, start_sandbox, stop_sandbox, until

pytestmark = pytest.mark.e2e

WORKFLOW = str(ROOT / "controller/gateway_sandbox/examples/many-small-jobs.yml")


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Sandbox]:
    """A real control plane with a node and a GitHub, and nothing of Actions Gateway."""
    require_control_plane()
    folder = tmp_path / "cluster"
    try:
        yield start_sandbox(folder, "--cluster", "real", "--bare")
    finally:
        stop_sandbox(folder)
    assert not folder.exists()


def test_an_installation_from_nothing_finishes_jobs_and_goes_without_a_trace(bare: Sandbox) -> None:
    before = bare.gw("check", "--pre", "-o", "json")
    assert verdicts(before.out) >= {("api.version", "ok"), ("install.place", "ok"), ("network.enforced", "unknown")}
    assert before.code == 3, before

    image = str(bare.info["controller_image"])
    exception = str(bare.info["egress_exception"])
    arguments = ("--yes", "--allow-floating-tags", "--controller-image", image, "--proxy-exception", exception)
    installed = bare.gw("install", *arguments)
    assert installed.code == 0, installed
    again = bare.gw("install", *arguments)
    assert (again.code, "Nothing changed" in again.out) == (0, True), again

    added = bare.gw("tenant", "add", "team-a", "--yes", *bare.tenant_arguments())
    assert added.code == 0, added
    ran = bare.gw("sandbox", "run", WORKFLOW)
    assert ran.code == 0, ran
    assert re.search(r"20 jobs in .*: 19 success, 1 failure", ran.out), ran
    # The groups' statuses tell of a session's successor a moment after GitHub has given its predecessor a job.
    wanted = {("session.open", "ok"), ("manager.leading", "ok")}
    until(lambda: verdicts(bare.gw("health", "-A", "-o", "json").out) >= wanted)

    refused = bare.gw("uninstall", "--yes", "--confirm", host_of(bare))
    assert refused.code == 2, refused
    assert "team-a" in refused.err
    removed = bare.gw("uninstall", "--yes", "--confirm", host_of(bare), "--remove-tenants")
    assert removed.code == 0, removed
    left = bare.kubectl("get", "crd,clusterrole,validatingadmissionpolicy,namespace", "-o", "name").out
    assert not re.search(r"actions-gateway|gmc|agc-|/gw-", left), left


def verdicts(document: str) -> set[tuple[str, str]]:
    """Check ids with their outcomes."""
    return {(str(result["id"]), str(result["outcome"])) for result in json.loads(document)["checks"]}


def host_of(sandbox: Sandbox) -> str:
    return str(sandbox.info["api_url"]).removeprefix("https://")
