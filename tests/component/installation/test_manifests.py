"""The manifests against the API server's own words: kubeconform in strict mode, and kubectl's server-side dry run."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions_gateway.installation.generate import FOLDER
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.client import KubeClient
from gateway_sandbox.controlplane.assets import require_programs
from gateway_sandbox.controlplane.programs import KUBECONFORM
from support.commands import Answer, environment
from support.components import require_control_plane, require_kubectl
from support.kube_schemas import described_kinds, write_schemas
from support.patience import HANG_SECONDS

from .conftest import Gw
from .world import INSTALL, World, gateway

Manifest = dict[str, Any]
EXPORT = (*INSTALL[:-1], "--export")


def run(*arguments: str, given: str) -> Answer:
    result = subprocess.run(
        arguments, input=given, env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    return Answer(result.returncode, result.stdout, result.stderr)


async def _published(client: KubeClient) -> Manifest:
    """The server's description of its types, once ours are among them.

    A server describes a type up to a second after it serves it (kube-aggregator, successfulUpdateDelayLocal).
    """
    while True:
        openapi: Manifest = await client.request("GET", "/openapi/v2")
        if {each["spec"]["names"]["kind"] for each in crd_manifests()} <= described_kinds(openapi):
            return openapi


class Conformance:
    """kubeconform on the schemas of one API server."""

    def __init__(self, world: World, folder: Path) -> None:
        require_control_plane(KUBECONFORM)
        self._program = str(require_programs(KUBECONFORM)[KUBECONFORM])
        self._location = write_schemas(world.call(_published), folder)

    def check(self, *manifests: Manifest) -> list[dict[str, str]]:
        """What is wrong; raises AssertionError when an object was not looked at."""
        answer = run(
            self._program, "-strict", "-schema-location", str(self._location), "-output", "json", "-summary", "-",
            given=yaml.safe_dump_all(manifests),
        )  # fmt: skip
        report = json.loads(answer.out)
        summary = report["summary"]
        assert summary["skipped"] == 0
        assert summary["valid"] + summary["invalid"] + summary["errors"] == len(manifests)
        wrong: list[dict[str, str]] = report["resources"]
        assert (answer.code == 0) is (wrong == [])
        return wrong


@pytest.fixture
def conformance(world: World, tmp_path: Path) -> Conformance:
    world.put_definitions()
    return Conformance(world, tmp_path)


def test_every_committed_and_every_exported_manifest_conforms(gw: Gw, conformance: Conformance) -> None:
    committed = [
        manifest for path in sorted(FOLDER.glob("*.yaml")) for manifest in yaml.safe_load_all(path.read_text())
    ]
    exported = list(yaml.safe_load_all(gw(*EXPORT).out))
    assert len(exported) >= len(committed) > 10
    for manifests in (committed, exported, [gateway("team-a")]):
        assert conformance.check(*manifests) == []


def test_a_manifest_that_the_server_would_not_take_is_found(gw: Gw, conformance: Conformance) -> None:
    (deployment,) = [each for each in yaml.safe_load_all(gw(*EXPORT).out) if each["kind"] == "Deployment"]
    misspelt, mistyped = copy.deepcopy(deployment), copy.deepcopy(deployment)
    misspelt["spec"]["template"]["spec"]["containers"][0]["imagePullPolcy"] = "Always"
    mistyped["spec"]["replicas"] = "two"
    unknown = gateway("team-a")
    unknown["spec"]["gitHubUrl"] = "https://github.com/octo/demo"
    for manifest, words in ((misspelt, "imagePullPolcy"), (mistyped, "replicas"), (unknown, "gitHubUrl")):
        (wrong,) = conformance.check(manifest)
        assert words in json.dumps(wrong)


def test_kubectl_applies_the_export_on_the_server_without_a_word(world: World, gw: Gw) -> None:
    assert gw(*INSTALL).code == 0
    export = gw(*EXPORT)
    kubectl = [require_kubectl(), "--kubeconfig", str(world.plane.kubeconfig)]
    answer = run(
        *kubectl, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", given=export.out
    )
    assert answer.code == 0, answer
    assert answer.err == ""
    assert len(answer.out.splitlines()) == len(list(yaml.safe_load_all(export.out)))
