"""`gw key` where the real Deployment controller rolls; the manager's applies, kubelets and the agent are played."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.github.secrets import Secret
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from cli.key_rotation import fingerprint
from cli.objects import condition, ready
from cli.onboarding import KEY, OTHER_KEY, SECRET_LINES
from cli.rig import Answer, Gw, PresentClock
from gateway_sandbox.controlplane.server import ControlPlane
from gw.ops.keys.manifests import build_app_secret
from gw.sources.changes import parse_object
from support.installed import Callers, children_in, gateway_in
from support.people import (
    ON_CALL,
    TENANTS_OWN,
    VIEWER,
    apply_as_manager,
    apply_children,
    give_roles,
    make_namespace,
    own_plane,
    set_status,
)
from support.played_agents import show_ready

Manifest = dict[str, Any]

TENANT, GATEWAY, LOOK_SECONDS = "team-keys", "ci", 0.05
OURS = f"{labels.APP} in ({AGENT},{PROXY})"


class PlayingClock(PresentClock):
    """Really waits, a little; meanwhile the manager, the kubelets and the agent do their work."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__()
        self._plane = plane
        self.on_look: Callable[[], None] = lambda: None

    async def sleep(self, seconds: float) -> None:
        async with connect(self._plane.kubeconfig) as admin:
            await play(admin)
        self.on_look()
        await asyncio.sleep(LOOK_SECONDS)
        await super().sleep(LOOK_SECONDS)


async def play(admin: KubeClient) -> None:
    """The manager applies what the gateway wants, every pod becomes ready, and the agent reports on its Secret."""
    owner = await admin.get(r.ACTIONSGATEWAYS, GATEWAY, TENANT)
    for manifest in children_in(owner):
        if manifest["kind"] == r.DEPLOYMENTS.kind:
            await apply_as_manager(admin, manifest)
    for pod in (await admin.list(r.PODS, TENANT, label_selector=OURS)).items:
        await show_ready(admin, pod)
    deployment = await admin.get(r.DEPLOYMENTS, AGENT, TENANT)
    name = deployment["spec"]["template"]["metadata"]["annotations"][labels.CREDENTIAL_SECRET]
    if (deployment.get("status") or {}).get("availableReplicas") == 1:
        await _report_on(admin, owner, await admin.get(r.SECRETS, name, TENANT))


async def _report_on(admin: KubeClient, owner: Manifest, secret: Manifest) -> None:
    text = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    credential = {"appId": text["appId"], "installationId": text["installationId"], "tokenExpiresAt": ends_at}
    credential["keyFingerprint"] = fingerprint(text["privateKey"])
    works = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "False", Reason.CREDENTIAL_AVAILABLE)
    available = [ready(), condition(ConditionType.AGC_AVAILABLE, "True", Reason.AGC_READY), works]
    for group in (await admin.list(r.RUNNERGROUPS, TENANT)).items:
        status = {"activeSessions": 1, "credential": credential, "conditions": [ready(), works]}
        await set_status(admin, r.RUNNERGROUPS, group["metadata"]["name"], TENANT, status)
    seen = {"observedGeneration": owner["metadata"]["generation"], "conditions": available, "credential": credential}
    await set_status(admin, r.ACTIONSGATEWAYS, GATEWAY, TENANT, seen)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With a tenant that works with KEY, and with roles given to three people."""
    with own_plane(tmp_path_factory.mktemp("keys"), _prepare) as running:
        yield running


async def _prepare(everybody: Callers) -> None:
    admin = everybody.admin
    await make_namespace(admin, TENANT)
    old = build_app_secret(TENANT, "github-app-v1", app_id="7", installation_id="8", private_key=Secret(KEY))
    await admin.create(r.SECRETS, old)
    await apply_children(everybody, await everybody.gateway(gateway_in(TENANT)))
    while not (await admin.get(r.ACTIONSGATEWAYS, GATEWAY, TENANT)).get("status", {}).get("credential"):
        await play(admin)
        await asyncio.sleep(LOOK_SECONDS)
    await give_roles(everybody, TENANT)


class Person:
    """gw with somebody's kubeconfig, a GitHub that accepts every key, and a file with the new one."""

    def __init__(self, plane: ControlPlane, name: str, folder: Path) -> None:
        self.clock = PlayingClock(plane)
        self.gw = Gw(real_cluster=True, clock=self.clock)
        self._kubeconfig = str(plane.kubeconfig_for(name))
        self._key_file = folder / "new.pem"
        self._key_file.write_text(OTHER_KEY)

    def __call__(self, *arguments: str) -> Answer:
        answer = self.gw("key", *arguments, "--kubeconfig", self._kubeconfig)
        assert [line for line in SECRET_LINES if line in answer.out + answer.err] == []
        return answer

    def rotate(self, *arguments: str) -> Answer:
        return self("rotate", TENANT, "--private-key-file", str(self._key_file), "--yes", *arguments)


def test_on_call_and_a_viewer_see_the_keys_and_are_told_which_right_a_rotation_takes(
    plane: ControlPlane, tmp_path: Path
) -> None:
    for name in (ON_CALL, VIEWER):
        person = Person(plane, name, tmp_path)
        (key,) = json.loads(person("status", TENANT, "-o", "json").out)["items"]
        assert (key["key_fingerprint"], key["app_id"]) == (fingerprint(KEY), "7")
        assert key["since_from"] == "reference"
        refused = person.rotate()
        assert refused.code == 2, refused
        assert f"you may not get secrets in {TENANT} and not create secrets in {TENANT}" in refused.err
        assert "gw-tenant" in refused.err
        assert person.gw.github.queries == []
    assert asyncio.run(_secrets(plane)) == ["github-app-v1"]


def test_a_tenants_person_rotates_through_interrupts_to_the_one_end(plane: ControlPlane, tmp_path: Path) -> None:
    tess = Person(plane, TENANTS_OWN, tmp_path)
    (key,) = json.loads(tess("status", "-n", TENANT, "-o", "json").out)["items"]
    assert key["since_from"] == "secret"
    assert tess("verify", TENANT, "--private-key-file", str(tmp_path / "new.pem")).code == 0
    dry = tess.rotate("--dry-run")
    assert dry.code == 0, dry
    assert asyncio.run(_secrets(plane)) == ["github-app-v1"]

    def interrupt() -> None:
        raise KeyboardInterrupt

    tess.clock.on_look = interrupt
    cut = tess.rotate("--delete-old", "--confirm", TENANT)
    assert cut.code == 130, cut
    assert "written so far: Secret github-app-v2, ActionsGateway ci" in cut.err
    tess.clock.on_look = lambda: None
    answer = tess.rotate("--delete-old", "--confirm", TENANT)
    assert answer.code == 0, answer
    assert "and the Secret github-app-v1 is deleted" in answer.out
    assert asyncio.run(_secrets(plane)) == ["github-app-v2"]
    assert asyncio.run(_reference_owner(plane)) == ("github-app-v2", "gw-key-rotate")
    (key,) = json.loads(tess("status", "-n", TENANT, "-o", "json").out)["items"]
    assert key["key_fingerprint"] == fingerprint(OTHER_KEY)


async def _secrets(plane: ControlPlane) -> list[str]:
    async with connect(plane.kubeconfig) as admin:
        found = (await admin.list(r.SECRETS, TENANT)).items
    return sorted(item["metadata"]["name"] for item in found if item["metadata"]["name"].startswith("github-app"))


async def _reference_owner(plane: ControlPlane) -> tuple[str, str]:
    async with connect(plane.kubeconfig) as admin:
        live = await admin.get(r.ACTIONSGATEWAYS, GATEWAY, TENANT)
    edits = parse_object(live).edits
    (owner,) = (edit.manager for edit in edits if edit.below("spec.gitHubAppRef.name"))
    return live["spec"]["gitHubAppRef"]["name"], owner
