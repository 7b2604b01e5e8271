"""The production runbook's commands, typed as they stand, on a real control plane with the real manager and agent.

The tenant comes into being by the page's own first section. Every other section is one test, in the page's order of
commands; each leaves the tenant as it needs the others to find it.
"""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.components import has_reconciled
from support.commands import ROOT, Answer, environment, run_command
from support.components import require_control_plane
from support.kubectl import kubectl_folder
from support.patience import HANG_SECONDS
from support.running_sandbox import until
from support.seed import Section, SeedCommand, fill, production_runbook

pytestmark = pytest.mark.e2e

NAMESPACE, GATEWAY, GROUP, QUOTA = "team-a", "ci", "ci-cpu-runners", "tenant-quota"
ONBOARDING, *OTHERS = production_runbook().sections
SECTIONS = (*OTHERS, *production_runbook().plain_kubectl)


@dataclass(frozen=True, slots=True)
class Terminal:
    """A person's shell: kubectl on its path, one cluster, and what the places in the page's commands stand for."""

    sandbox: Any
    folder: Path
    places: dict[str, str]

    def type(self, command: str, *, editor: str = "") -> Answer:
        """Types a command line, pipes and all."""
        variables = environment(KUBECONFIG=str(self.sandbox.folder / "kubeconfig"))
        variables["PATH"] = f"{kubectl_folder(self.folder)}{os.pathsep}{variables['PATH']}"
        if editor:
            variables["KUBE_EDITOR"] = str(self._editor(editor))
        done = subprocess.run(
            ["bash", "-c", command],
            env=variables,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
            cwd=ROOT,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def follow(self, command: SeedCommand) -> Answer:
        """Types one of the page's commands; fails unless it succeeds and shows what the page promises."""
        line = command.filled(self.places)
        answer = self.type(line, editor=command.editor)
        assert answer.code == 0, f"{line}\n{answer}"
        for pattern in command.shows:
            assert re.search(fill(pattern, self.places), answer.out, re.MULTILINE), f"{pattern} in {line}\n{answer}"
        return answer

    def _editor(self, expression: str) -> Path:
        script = self.folder / "editor"
        script.write_text(f"#!/bin/sh\nexec sed -i '{expression}' \"$1\"\n")
        script.chmod(0o755)
        return script


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A sandbox on the real control plane, and a namespace as a platform hands it to a tenant."""
    require_control_plane()
    folder = tmp_path_factory.mktemp("runbook")
    place = folder / "sandbox"
    up = run_command(
        "gw", "sandbox", "up", "--cluster", "real", "--dir", str(place), "-o", "json",
        timeout_seconds=2 * HANG_SECONDS,
    )  # fmt: skip
    assert up.code == 0, up
    try:
        yield prepared(folder, place, json.loads(up.out))
    finally:
        run_command("gw", "sandbox", "down", "--dir", str(place))


def prepared(folder: Path, place: Path, info: dict[str, Any]) -> Terminal:
    key = folder / "app.pem"
    shutil.copy(info["app_key_path"], key)
    (folder / "gateway.yaml").write_text(json.dumps(gateway_manifest(f"{info['github_url']}/octo/demo")))
    (folder / "configmap.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}, data: {a: b}}")
    places = {
        "namespace": NAMESPACE,
        "gateway": GATEWAY,
        "group": GROUP,
        "pod": "stuck",
        "quota-name": QUOTA,
        "priority-class": "runner-urgent",
        "app-id": str(info["app_id"]),
        "installation-id": str(info["installation_id"]),
        "path": str(key),
        "gateway-file": str(folder / "gateway.yaml"),
        "configmap-file": str(folder / "configmap.yaml"),
    }
    terminal = Terminal(Sandbox(place, info), folder, places)
    for line in (
        f"kubectl create namespace {NAMESPACE}",
        f"kubectl create quota {QUOTA} -n {NAMESPACE} --hard=pods=40",
        f"kubectl create configmap github-ca -n {NAMESPACE} --from-file=ca.crt={info['ca_path']}",
    ):
        answer = terminal.type(line)
        assert answer.code == 0, answer
    return terminal


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where it is, and what `gw sandbox up` told."""

    folder: Path
    info: dict[str, Any]


def gateway_manifest(github_url: str) -> dict[str, Any]:
    """The getting-started example, on the sandbox's GitHub."""
    tiers = [
        {"priorityClassName": "runner-critical", "threshold": 5},
        {"priorityClassName": "runner-standard", "threshold": 20},
    ]
    return {
        "apiVersion": "actions-gateway.github.com/v1alpha1",
        "kind": "ActionsGateway",
        "metadata": {"name": GATEWAY},
        "spec": {
            "gitHubAppRef": {"name": "github-app-v1"},
            "gitHubURL": github_url,
            "caBundleRef": {"name": "github-ca", "key": "ca.crt"},
            "runnerGroups": [
                {"name": "cpu-runners", "runnerLabels": ["self-hosted", "linux"], "maxWorkers": 30},
                {"name": "gpu-runners", "runnerLabels": ["self-hosted", "gpu"], "priorityTiers": tiers},
            ],
        },
    }


@pytest.fixture(scope="module")
def onboarded(terminal: Terminal) -> dict[str, Answer]:
    """The page's first section, typed once; what each command answered."""
    return {command.id: terminal.follow(command) for command in ONBOARDING.commands}


@pytest.fixture
def tenant(terminal: Terminal, onboarded: dict[str, Answer]) -> Iterator[Terminal]:
    """The tenant, Ready before and after."""
    until_ready(terminal)
    yield terminal
    until_ready(terminal)


def until_ready(terminal: Terminal) -> None:
    for what in (f"actionsgateway/{GATEWAY}", "runnergroup --all"):
        answer = terminal.type(f"kubectl wait --for=condition=Ready {what} -n {NAMESPACE} --timeout=150s")
        assert answer.code == 0, answer


@pytest.fixture
def pending_pod(tenant: Terminal) -> Iterator[None]:
    """A pod that no node takes."""
    spec = {
        "nodeSelector": {"nowhere": "true"},
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": "none",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
    path = tenant.folder / "pending.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stuck"}, "spec": spec}))
    made = tenant.type(f"kubectl apply -n {NAMESPACE} -f {path}")
    assert made.code == 0, made
    seen = tenant.type(f"kubectl wait pod/stuck -n {NAMESPACE} --for=condition=PodScheduled=False --timeout=150s")
    assert seen.code == 0, seen
    yield
    tenant.type(f"kubectl delete pod stuck -n {NAMESPACE} --grace-period=0 --force")


NEEDS = {"a pending pod": "pending_pod"}
"""What a section needs, and the fixture that makes it so."""


def test_the_first_section_takes_a_tenant_from_nothing_to_ready(onboarded: dict[str, Answer]) -> None:
    assert list(onboarded) == [command.id for command in ONBOARDING.commands]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title.rpartition("> ")[2])
def test_each_command_of_the_section_does_what_the_page_says(
    request: pytest.FixtureRequest, tenant: Terminal, section: Section
) -> None:
    for need in section.needs:
        request.getfixturevalue(NEEDS[need])
    for command in section.commands:
        if command.platform in ("", platform.system()):
            tenant.follow(command)


def test_a_restart_of_the_manager_leaves_every_object_of_the_tenant_the_same(tenant: Terminal) -> None:
    list_uids = (
        f"kubectl get serviceaccount,rolebinding,networkpolicy,deploy,runnergroup -n {NAMESPACE} "
        "-o jsonpath='{range .items[*]}{.kind}/{.metadata.name}={.metadata.uid} {end}'"
    )
    before = tenant.type(list_uids).out
    assert f"RunnerGroup/{GROUP}=" in before
    old = {pod["metadata"]["uid"] for pod in manager_pods(tenant)}
    for command in ("rollout restart", "rollout status --timeout=150s"):
        assert tenant.type(f"kubectl {command} deploy/gmc-controller-manager -n gmc-system").code == 0
    # A manager that has not looked at the tenant yet has left everything the same, too.
    until(lambda: has_reconciled([pod for pod in manager_pods(tenant) if pod["metadata"]["uid"] not in old]))
    assert tenant.type(list_uids).out == before


def manager_pods(terminal: Terminal) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = json.loads(terminal.type("kubectl get pods -n gmc-system -o json").out)["items"]
    return pods


def test_jobs_finish_on_the_tenant_that_the_pages_steps_made(tenant: Terminal) -> None:
    workflow = ROOT / "controller" / "gateway_sandbox" / "examples" / "many-small-jobs.yml"
    answer = run_command(
        "gw", "sandbox", "run", "--dir", str(tenant.sandbox.folder), str(workflow), timeout_seconds=150.0
    )
    assert answer.code == 0, answer
