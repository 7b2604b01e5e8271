"""`gw incident` on a real API server and Deployment controller; the manager's applies and the agent are played."""

import asyncio
import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.names import AGENT, MANAGER_NAMESPACE, ONCALL_ROLE, PROXY, TENANT_ROLE
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from cli.incidents import NEW, NEW_KEY, OLD, OLD_KEY, secret
from cli.objects import condition, ready
from cli.rig import Answer, AppDouble, Gw, PresentClock
from gateway_sandbox.controlplane.server import ControlPlane
from gw.sources.changes import parse_object
from support.installed import Callers, children_in, gateway_in, user_subject
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

TENANT, GATEWAY, LOOK_SECONDS = "team-incident", "ci", 0.05
SECOND = "oscar"
PLAYED = (r.DEPLOYMENTS.kind, r.NETWORKPOLICIES.kind)
FINGERPRINTS = {OLD_KEY: OLD, NEW_KEY: NEW}


class PlayingClock(PresentClock):
    """Really waits, a little; meanwhile the manager, the kubelets and the agent do their work."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__()
        self._plane = plane

    async def sleep(self, seconds: float) -> None:
        async with connect(self._plane.kubeconfig) as admin:
            await play(admin)
        await asyncio.sleep(LOOK_SECONDS)
        await super().sleep(LOOK_SECONDS)


async def play(admin: KubeClient) -> None:
    """The manager applies what the gateway wants, every pod becomes ready, and the agent reports on its Secret."""
    owner = await admin.get(r.ACTIONSGATEWAYS, GATEWAY, TENANT)
    for manifest in children_in(owner):
        if manifest["kind"] in PLAYED:
            await apply_as_manager(admin, manifest)
    for pod in (await admin.list(r.PODS, TENANT, label_selector=f"{labels.APP} in ({AGENT},{PROXY})")).items:
        await show_ready(admin, pod)
    deployment = await admin.get(r.DEPLOYMENTS, AGENT, TENANT)
    if (deployment.get("status") or {}).get("availableReplicas") == 1:
        name = deployment["spec"]["template"]["metadata"]["annotations"][labels.CREDENTIAL_SECRET]
        await _report_on(admin, owner, await admin.get(r.SECRETS, name, TENANT))


async def _report_on(admin: KubeClient, owner: Manifest, held: Manifest) -> None:
    text = {key: base64.b64decode(value).decode() for key, value in held["data"].items()}
    credential = {"appId": text["appId"], "installationId": text["installationId"]}
    credential["keyFingerprint"] = FINGERPRINTS[text["privateKey"]]
    works = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "False", Reason.CREDENTIAL_AVAILABLE)
    for group in (await admin.list(r.RUNNERGROUPS, TENANT)).items:
        status = {"activeSessions": 1, "credential": credential, "conditions": [ready(), works]}
        await set_status(admin, r.RUNNERGROUPS, group["metadata"]["name"], TENANT, status)
    available = [ready(), condition(ConditionType.AGC_AVAILABLE, "True", Reason.AGC_READY), works]
    status = {"observedGeneration": owner["metadata"]["generation"], "conditions": available, "credential": credential}
    await set_status(admin, r.ACTIONSGATEWAYS, GATEWAY, TENANT, status)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With a tenant that works with the old key, and with roles given to four people."""
    with own_plane(tmp_path_factory.mktemp("incidents"), _prepare) as running:
        yield running


async def _prepare(everybody: Callers) -> None:
    admin = everybody.admin
    await make_namespace(admin, TENANT)
    held = secret(TENANT, "github-app-v1")
    await admin.create(r.SECRETS, held | {"metadata": {"name": "github-app-v1", "namespace": TENANT}})
    await apply_children(everybody, await everybody.gateway(gateway_in(TENANT, gitHubAppRef={"name": "github-app-v1"})))
    while not (await admin.get(r.ACTIONSGATEWAYS, GATEWAY, TENANT)).get("status", {}).get("credential"):
        await play(admin)
        await asyncio.sleep(LOOK_SECONDS)
    for user in (ON_CALL, SECOND):
        await everybody.bind(ONCALL_ROLE, MANAGER_NAMESPACE, user_subject(user), kind="Role")
    # Who changes a tenant's key in an incident has the tenant's role there, too; the other on-call person has not.
    await everybody.bind(TENANT_ROLE, TENANT, user_subject(SECOND))
    await give_roles(everybody, TENANT, on_call=(ON_CALL, SECOND))
    for user, resource, where in (
        (SECOND, r.SECRETS, TENANT),
        (ON_CALL, r.CONFIGMAPS, MANAGER_NAMESPACE),
        (SECOND, r.CONFIGMAPS, MANAGER_NAMESPACE),
    ):
        async with everybody.user(user) as client:
            await everybody.until_allowed(client, "list", resource, where)


class Person:
    """gw with somebody's kubeconfig, and the App as its owner sees it."""

    def __init__(self, plane: ControlPlane, name: str, app: AppDouble | None = None) -> None:
        self.gw = Gw(real_cluster=True, clock=PlayingClock(plane), app=app or AppDouble(keys={OLD, NEW}))
        self._kubeconfig = str(plane.kubeconfig_for(name))

    def __call__(self, *arguments: str) -> Answer:
        answer = self.gw("incident", *arguments, "--kubeconfig", self._kubeconfig)
        assert "PRIVATE KEY" not in answer.out + answer.err
        return answer

    def incidents(self) -> list[Any]:
        answer = self("list", "-o", "json")
        assert answer.code == 0, answer
        found: list[Any] = json.loads(answer.out)["incidents"]
        return found


def live(plane: ControlPlane, resource: r.Resource, name: str) -> Manifest:
    async def read() -> Manifest:
        async with connect(plane.kubeconfig) as admin:
            return await admin.get(resource, name, TENANT)

    return asyncio.run(read())


def test_a_viewer_sees_incidents_and_opens_none_and_a_tenants_person_sees_none(plane: ControlPlane) -> None:
    victor = Person(plane, VIEWER)
    answer = victor("key-compromise", TENANT, "--yes")
    assert answer.code == 2, answer
    assert f"--role={ONCALL_ROLE} --user={VIEWER}" in answer.err
    assert victor.incidents() == []
    tess = Person(plane, TENANTS_OWN)("list")
    assert tess.code == 3
    assert f'User "{TENANTS_OWN}" cannot list resource "configmaps"' in tess.err


def test_one_person_contains_and_another_who_may_change_the_key_goes_on_to_the_end(
    plane: ControlPlane, tmp_path: Path
) -> None:
    app = AppDouble(keys={OLD, NEW})
    olivia, oscar, victor = Person(plane, ON_CALL, app), Person(plane, SECOND, app), Person(plane, VIEWER)
    (tmp_path / "new.pem").write_text(NEW_KEY)
    key = ("--private-key-file", str(tmp_path / "new.pem"))
    answer = olivia("key-compromise", TENANT, "--yes", *key)
    assert answer.code == 2, answer
    assert "the step revoke waits for a person" in answer.err
    assert app.suspended == {5678}
    assert live(plane, r.DEPLOYMENTS, AGENT)["spec"]["replicas"] == 0
    policies = [live(plane, r.NETWORKPOLICIES, name)["spec"] for name in (AGENT, PROXY)]
    assert [(policy.get("ingress"), policy.get("egress")) for policy in policies] == [(None, None)] * 2
    owner = live(plane, r.ACTIONSGATEWAYS, GATEWAY)
    assert [edit.manager for edit in parse_object(owner).edits if edit.below("metadata.annotations")] == ["gw-incident"]

    app.keys.discard(OLD)
    (incident,) = victor.incidents()
    name = str(incident["name"])
    answer = olivia("key-compromise", "--resume", name, "--yes", *key, "--done", "revoke")
    assert answer.code == 2, answer
    assert f"you may not get secrets in {TENANT}" in answer.err
    assert {each["id"]: each["state"] for each in victor.incidents()[0]["steps"]}["rotate"] == "failed"

    answer = oscar("key-compromise", "--resume", name, "--yes", *key, "--confirm", "1234", "--done", "scope")
    assert answer.code == 0, answer
    assert app.suspended == set()
    owner = live(plane, r.ACTIONSGATEWAYS, GATEWAY)
    assert labels.CONTAINED not in (owner["metadata"].get("annotations") or {})
    assert owner["status"]["credential"]["keyFingerprint"] == NEW
    assert live(plane, r.DEPLOYMENTS, AGENT)["spec"]["replicas"] == 1
    (closed,) = victor.incidents()
    assert (closed["open"], closed["closed_by"]) == (False, SECOND)
    by = {each["id"]: each["by"] for each in closed["steps"]}
    assert (by["contain"], by["rotate"], by["delete-old"]) == (ON_CALL, SECOND, SECOND)
    result = next(each["result"] for each in closed["steps"] if each["id"] == "revoke")
    assert result.startswith("confirmed by olivia, not verified: could not read the Secret github-app-v1")
    shown = victor("show", name)
    assert "# " + name in shown.out


def test_notes_of_two_people_at_the_same_time_are_all_kept(plane: ControlPlane) -> None:
    olivia, oscar = Person(plane, ON_CALL), Person(plane, SECOND)
    answer = olivia("agent-failure", TENANT, "--yes", "--skip", "restart", "--done", "lost-jobs")
    assert answer.code == 0, answer
    name = str(olivia.incidents()[0]["name"])
    wanted = [f"{who} {number}" for who in (ON_CALL, SECOND) for number in range(4)]
    people = {ON_CALL: olivia, SECOND: oscar}
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(lambda who=who: [people[who]("note", name, f"{who} {number}") for number in range(4)])
            for who in people
        ]
        assert [answer.code for job in jobs for answer in job.result()] == [0] * len(wanted)
    document = json.loads(olivia("show", name, "-o", "json").out)
    kept = [each["what"] for each in document["timeline"] if each["what"].startswith("note: ")]
    assert sorted(kept) == [f"note: {each}" for each in wanted]
