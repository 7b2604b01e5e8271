"""How a fault comes and goes when something is in its way: a terminal that closes, another fault, a slow recovery."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from actions_gateway.kube import resources as r
from actions_gateway.kube.errors import NotFound
from gateway_sandbox.drills import injection
from gateway_sandbox.drills.github_steps import Misbehave, Permit, StartRun
from gateway_sandbox.drills.model import Fault, Scope, Snapshot
from gateway_sandbox.drills.site import CannotInject, Site
from gateway_sandbox.drills.steps import Create, Patch, Step, Target

GATEWAY = Target.of(r.ACTIONSGATEWAYS, "ci", "team-a")
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "team-a"}}


class TerminalClosed(Exception):
    pass


class Cluster:
    """Objects by kind and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {
            ("ActionsGateway", "ci"): {"spec": {"runnerGroups": [1]}}
        }

    async def get(self, resource: Any, name: str, namespace: str | None = None) -> Any:
        if (resource.kind, name) not in self.objects:
            raise NotFound(name)
        return self.objects[resource.kind, name]

    async def apply(self, resource: Any, manifest: Any, *, field_manager: str) -> None:
        self.objects[resource.kind, manifest["metadata"]["name"]] = manifest

    async def create(self, resource: Any, manifest: Any, *, namespace: str | None) -> None:
        self.objects[resource.kind, manifest["metadata"]["name"]] = manifest

    async def patch(self, resource: Any, name: str, patch: Any, **_: Any) -> None:
        self.objects[resource.kind, name]["spec"] |= patch["spec"]

    async def delete(self, resource: Any, name: str, *, namespace: str | None) -> None:
        self.objects.pop((resource.kind, name), None)

    async def list(self, resource: Any, namespace: str | None = None, **_: Any) -> Any:
        return SimpleNamespace(items=[one for (kind, _), one in self.objects.items() if kind == resource.kind])


class Hub:
    """The simulator's API, whose caller dies after the first change."""

    def __init__(self) -> None:
        self.permissions = {"administration": "write", "actions": "write"}
        self.faults: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.dies = False

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        if method == "GET":
            return {"permissions": dict(self.permissions), "faults": self.faults, "runs": self.runs}
        if method == "PUT":
            self.permissions = body["permissions"]
        elif method == "DELETE":
            self.faults = [one for one in self.faults if f"/faults?id={one['id']}" != path]
        elif path == "/faults":
            self.faults.append({"id": len(self.faults), "title": body["title"]})
        elif path == "/runs":
            self.runs.append({"id": 7, "path": body["path"], "status": "queued"})
        else:
            self.runs[0]["status"] = "completed"
        if self.dies:
            self.dies = False
            raise TerminalClosed
        return {"id": 7}


class Clock:
    """Time passes by sleep alone."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Stage:
    """One site, where `ready` says which tenants are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster, self.hub = Cluster(), Hub()
        self.site = Site(self.cluster, self.hub, Clock())  # type: ignore[arg-type]
        self.ready: tuple[str, ...] = ("team-a",)
        self.there: tuple[str, ...] = ("team-a",)
        monkeypatch.setattr(injection, "look", self._look)

    async def _look(self, *_: object) -> Any:
        gateways = [{"metadata": {"namespace": name}} for name in self.there]
        return SimpleNamespace(ready_tenants=self.ready, heard_tenants=self.ready, gateways=gateways)

    def inject(self, fault: Fault) -> injection.Result:
        return asyncio.run(injection.inject(self.site, fault, "team-a", timeout_seconds=1.0))

    def undo(self, fault: Fault) -> injection.Result:
        return asyncio.run(injection.undo(self.site, fault, "team-a", timeout_seconds=1.0))

    def in_force(self) -> list[str]:
        return [one.name for one in asyncio.run(injection.in_force(self.site))]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def fault(name: str, *steps: Step) -> Fault:
    def plan(_: Snapshot) -> Sequence[Step]:
        return steps

    return Fault(name, "", "", Scope.TENANT, (), plan, lambda _: False)


@pytest.mark.parametrize(
    "step",
    [
        Permit(1, removed=("administration",)),
        Misbehave("deaf", {"preset": "poll-black-hole"}),
        StartRun(("linux",), "true", "octo/demo"),
    ],
    ids=lambda step: type(step).__name__,
)
def test_what_was_done_when_the_terminal_closed_is_taken_back(stage: Stage, step: Step) -> None:
    before, stage.hub.dies = dict(stage.hub.permissions), True
    broken = fault("broken", step)
    with pytest.raises(TerminalClosed):
        stage.inject(broken)
    assert stage.in_force() == ["broken"]
    assert stage.undo(broken).settled
    assert stage.hub.permissions == before
    assert stage.hub.faults == []
    assert [run["status"] for run in stage.hub.runs] in ([], ["completed"])
    assert stage.in_force() == []


def test_a_fault_stays_in_force_until_nothing_shows_it(stage: Stage) -> None:
    one = fault("one", Create(QUOTA))
    stage.inject(one)
    stage.ready = ()
    assert not stage.undo(one).settled
    again = stage.undo(one)
    assert (again.changed, again.settled) == (True, False)
    stage.ready = ("team-a",)
    assert stage.undo(one).settled
    assert stage.in_force() == []


def test_a_tenant_that_was_removed_is_not_waited_for(stage: Stage) -> None:
    one = fault("one", Create(QUOTA))
    stage.inject(one)
    stage.ready = stage.there = ()
    assert stage.undo(one).settled


def test_two_faults_do_not_change_the_same_field(stage: Stage) -> None:
    one = fault("one", Patch(GATEWAY, {"spec": {"runnerGroups": [2]}}))
    other = replace(one, name="other")
    stage.inject(one)
    with pytest.raises(CannotInject, match="one is in force, which changes the ActionsGateway ci, too") as caught:
        stage.inject(other)
    assert "gw sandbox fault one --undo -n team-a" in caught.value.next_step
    assert stage.undo(one).settled
    assert stage.cluster.objects["ActionsGateway", "ci"] == {"spec": {"runnerGroups": [1]}}
    assert stage.inject(other).changed


def test_an_object_of_somebody_else_is_neither_taken_for_the_faults_own_nor_deleted(stage: Stage) -> None:
    stage.cluster.objects["ResourceQuota", "q"] = QUOTA
    one = fault("one", Permit(1, removed=("administration",)), Create(QUOTA))
    with pytest.raises(CannotInject, match="ResourceQuota team-a/q is there already"):
        stage.inject(one)
    assert "administration" in stage.hub.permissions, "nothing was changed"
    assert stage.in_force() == []
