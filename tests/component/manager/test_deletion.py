"""The deletion of a gateway on both API servers; agents are played by what they report."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actions_gateway.agent.jobs.pod import owner_reference
from actions_gateway.api.labels import CONTAINED
from actions_gateway.api.names import AGENT, API_GROUP, GATEWAY_FINALIZER, PROXY, WORKLOAD_POLICY
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import KubeError, NotFound
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    CONFIGMAPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    NETWORKPOLICIES,
    PODS,
    RUNNERGROUPS,
    Resource,
)
from actions_gateway.manager.gateway.apply import Writer
from actions_gateway.manager.gateway.children import CHILD_KINDS
from actions_gateway.manager.gateway.controller import CONTROLLER, GatewayController
from actions_gateway.manager.gateway.mirror import Mirror
from actions_gateway.manager.gateway.snapshot import Failure, Plan, RemoveFinalizer, SetFinalizer, Step, SuspendGroup
from actions_gateway.metrics.catalog import RECONCILE_TOTAL, Component
from actions_gateway.metrics.registry import Metrics
from support.aio import Looks
from support.apiserver import Api, Play
from support.clock import LeapingClock
from support.manager_objects import SETTINGS, condition, gateway, group_conditions
from support.manager_rig import released

Manifest = dict[str, Any]

_LOOK_SECONDS = 0.02
GROUP = "ci-cpu"


class Place:
    """One tenant's namespace, seen by somebody who may do everything."""

    def __init__(self, user: KubeClient, namespace: str) -> None:
        self.user = user
        self.namespace = namespace
        self.clock = LeapingClock()
        self.metrics = Metrics(Component.MANAGER, "test")

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[None]:
        """The controller at work; one that dies ends the test with its reason."""
        controller = GatewayController(
            SETTINGS,
            client=self.user,
            clock=self.clock,
            rng=random.Random(7),
            metrics=self.metrics,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(controller.run(), name="manager")
            yield
            task.cancel()

    async def create(self, name: str = "ci", **changes: Any) -> Manifest:
        manifest = gateway(name, **changes)
        manifest["metadata"] = {"name": name, "namespace": self.namespace}
        return await self.user.create(ACTIONSGATEWAYS, manifest)

    async def serve(self, *, registrations: int | None = 2, is_up: bool = True) -> None:
        """A gateway `ci` with all its children and an agent that has reported."""
        await self.create()
        await self.until(RUNNERGROUPS, GROUP)
        if is_up:
            await self.start_agent()
        if registrations is not None:
            await self.report(registrations)
        wanted = str(is_up)
        await self.until(ACTIONSGATEWAYS, "ci", lambda found: status_of(found, "AGCAvailable") == wanted)

    async def start_agent(self) -> None:
        """Plays kubelet and, where there is none, the Deployment controller."""
        deployment = await self.until(DEPLOYMENTS, AGENT)
        if not self.is_real:
            seen = {"observedGeneration": deployment["metadata"]["generation"], "replicas": 1}
            await self.set_status(DEPLOYMENTS, AGENT, seen | {"updatedReplicas": 1, "availableReplicas": 1})
            return
        pods: list[Manifest] = []
        looks = Looks()
        while not pods:
            await looks.pause()
            pods = (await self.user.list(PODS, self.namespace, label_selector=f"app={AGENT}")).items
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await self.set_status(PODS, pods[0]["metadata"]["name"], ready)

    is_real = False

    async def report(self, registrations: int, group: str = GROUP, conditions: Sequence[Manifest] = ()) -> None:
        """What an agent says of a group that it has seen as it is now."""
        found = await self.until(RUNNERGROUPS, group)
        status = {"observedGeneration": found["metadata"]["generation"], "registrations": registrations}
        status |= {"activeSessions": registrations, "conditions": list(conditions) or group_conditions()}
        await self.set_status(RUNNERGROUPS, group, status)

    async def set_status(self, resource: Resource, name: str, status: Manifest) -> None:
        await self.user.patch(resource, name, {"status": status}, namespace=self.namespace, subresource="status")

    async def add_worker(self) -> None:
        """What a worker is to the garbage collector: it goes in its own time."""
        group = await self.until(RUNNERGROUPS, GROUP)
        reference = owner_reference(GROUP, group["metadata"]["uid"])
        metadata = {"name": "worker", "finalizers": ["example.com/still-ending"], "ownerReferences": [reference]}
        await self.user.create(CONFIGMAPS, {"metadata": metadata}, namespace=self.namespace)

    async def end_worker(self) -> None:
        await self.user.patch(CONFIGMAPS, "worker", {"metadata": {"finalizers": None}}, namespace=self.namespace)

    async def contain(self) -> None:
        contained = {"metadata": {"annotations": {CONTAINED: "an incident"}}}
        await self.user.patch(ACTIONSGATEWAYS, "ci", contained, namespace=self.namespace)

    async def delete(self, name: str = "ci") -> None:
        await self.user.delete(ACTIONSGATEWAYS, name, namespace=self.namespace)

    async def pass_time(self, seconds: float, name: str = "ci") -> None:
        """Sets the clock ahead once the manager has looked at the gateway, so that it waits for nothing but time."""
        before = self.passes
        note = {"metadata": {"annotations": {"note": f"look at {before}"}}}
        await self.user.patch(ACTIONSGATEWAYS, name, note, namespace=self.namespace)
        while self.passes == before:  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
        self.clock.leap(seconds)

    @property
    def passes(self) -> float:
        return self.metrics.value(RECONCILE_TOTAL, controller=CONTROLLER, result="success") or 0

    async def until(
        self, resource: Resource, name: str, holds: Callable[[Manifest], bool] = lambda _: True
    ) -> Manifest:
        namespace = self.namespace if resource.namespaced else None
        looks = Looks()
        while True:
            try:
                if holds(found := await self.user.get(resource, name, namespace)):
                    return found
            except NotFound:
                pass
            await looks.pause()

    async def until_gone(self, resource: Resource, name: str) -> None:
        namespace = self.namespace if resource.namespaced else None
        looks = Looks()
        while True:
            try:
                await self.user.get(resource, name, namespace)
            except NotFound:
                return
            await looks.pause()

    async def until_deleting(self, reason: str, *words: str) -> Manifest:
        """The gateway, once its condition Deleting has that reason and these words."""

        def holds(found: Manifest) -> bool:
            entry = condition_of(found, "Deleting") or {}
            return entry.get("reason") == reason and all(word in entry["message"] for word in words)

        return await self.until(ACTIONSGATEWAYS, "ci", holds)

    async def children(self) -> set[tuple[str, str]]:
        """What the manager has made here and is still there."""
        found = set()
        for resource in CHILD_KINDS:
            for entry in (await self.user.list(resource, self.namespace)).items:
                if entry["metadata"].get("ownerReferences"):
                    found.add((resource.kind, entry["metadata"]["name"]))
        return found

    async def events(self, reason: str, namespace: str | None = None) -> list[Manifest]:
        found = (await self.user.list(EVENTS, namespace or self.namespace)).items
        return [entry for entry in found if entry["reason"] == reason]


@asynccontextmanager
async def place_on(api: Api) -> AsyncIterator[Place]:
    for manifest in crd_manifests():
        await api.serve(manifest)
    async with api.client() as user, released(user, api.namespace):
        place = Place(user, api.namespace)
        place.is_real = api.is_real
        yield place


def condition_of(manifest: Manifest, kind: str) -> Manifest | None:
    entries = (manifest.get("status") or {}).get("conditions") or []
    return next((entry for entry in entries if entry["type"] == kind), None)


def status_of(manifest: Manifest, kind: str) -> str | None:
    return (condition_of(manifest, kind) or {}).get("status")


def finalizers_of(manifest: Manifest) -> list[str]:
    return list(manifest["metadata"].get("finalizers") or [])


# -- the ordinary way ------------------------------------------------------------------------------------------------


def test_runners_go_first_then_objects_and_nothing_is_left(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            served = await place.until(ACTIONSGATEWAYS, "ci", lambda found: bool(finalizers_of(found)))
            assert finalizers_of(served) == [GATEWAY_FINALIZER]
            before = await place.children()
            await place.delete()
            leaving = await place.until_deleting("RemovingRegistrations", GROUP)
            assert status_of(leaving, "Ready") == "False"
            await place.until(RUNNERGROUPS, GROUP, lambda found: found["spec"].get("suspended") is True)
            assert await place.children() == before
            await place.report(0)
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await place.children() == set()
            trail = [(await place.events(reason))[0]["type"] for reason in ("RemovingRegistrations", "RemovingObjects")]
            assert trail == ["Normal", "Normal"]
            assert await place.events("RunnersLeftAtGitHub") == []

    play(scenario)


@pytest.mark.embedded_only("what the manager makes of its agent and its clock")
def test_a_manager_that_was_away_goes_on_where_things_stand(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place:
            async with place.manager():
                await place.serve()
                await place.delete()
                await place.until(RUNNERGROUPS, GROUP, lambda found: found["spec"].get("suspended") is True)
                await place.until_deleting("RemovingRegistrations")
            await place.report(0)
            assert await place.children() != set()
            async with place.manager():
                await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await place.children() == set()

    play(scenario)


@pytest.mark.embedded_only("what the manager makes of its agent and its clock")
def test_a_gateway_whose_spec_became_invalid_is_cleaned_up_like_any_other(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            unusable = {"spec": {"gitHubURL": "https://github.com:8443/octo"}}
            await place.user.patch(ACTIONSGATEWAYS, "ci", unusable, namespace=place.namespace)
            await place.until(
                ACTIONSGATEWAYS, "ci", lambda found: (condition_of(found, "Ready") or {})["reason"] == "InvalidSpec"
            )
            await place.delete()
            await place.until(RUNNERGROUPS, GROUP, lambda found: found["spec"].get("suspended") is True)
            await place.report(0)
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await place.children() == set()

    play(scenario)


# -- without the agent -----------------------------------------------------------------------------------------------


@pytest.mark.embedded_only("what the manager makes of its agent and its clock")
@pytest.mark.parametrize(("is_up", "seconds"), [(False, 31), (True, 301)], ids=["dead", "silent"])
def test_an_agent_that_does_not_answer_is_not_waited_for_longer(play: Play, is_up: bool, seconds: float) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve(is_up=is_up)
            await place.delete()
            await place.until_deleting("RemovingRegistrations")
            await place.pass_time(seconds)
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await place.children() == set()
            (left,) = await place.events("RunnersLeftAtGitHub")
            assert left["type"] == "Warning"
            assert "may leave 2 runners named ci-cpu-" in left["note"]
            assert "/orgs/octo/actions/runners" in left["note"]

    play(scenario)


@pytest.mark.embedded_only("what the manager makes of its agent and its clock")
@pytest.mark.parametrize("reason", ["SecretNotFound", "KeyRejected"])
def test_an_agent_without_a_credential_is_waited_for_half_a_minute(play: Play, reason: str) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            lost = condition("CredentialUnavailable", "True", reason, message="what the agent saw")
            await place.report(2, conditions=[condition("Ready", "False", "NoActiveSessions"), lost])
            await place.until(ACTIONSGATEWAYS, "ci", lambda found: status_of(found, "CredentialUnavailable") == "True")
            await place.delete()
            await place.until_deleting("RemovingRegistrations", GROUP)
            agent = await place.until(DEPLOYMENTS, AGENT)
            assert "deletionTimestamp" not in agent["metadata"]
            await place.pass_time(31)
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await place.children() == set()
            (left,) = await place.events("RunnersLeftAtGitHub")
            assert "may leave 2 runners named ci-cpu-" in left["note"]

    play(scenario)


@pytest.mark.parametrize("is_deleted_first", [False, True], ids=["before", "meanwhile"])
def test_a_contained_gateway_goes_without_a_word_to_anybody(play: Play, is_deleted_first: bool) -> None:
    """Its agent does not run, so that nobody is waited for, and what still ends has no traffic."""

    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            await place.add_worker()
            steps = [place.contain, place.delete]
            for step in reversed(steps) if is_deleted_first else steps:
                await step()
            await place.until(DEPLOYMENTS, AGENT, lambda found: found["spec"]["replicas"] == 0)
            await place.until_deleting("RemovingObjects", "RunnerGroup ci-cpu")
            for policy in (await place.user.list(NETWORKPOLICIES, place.namespace)).items:
                assert not policy["spec"].get("ingress")
                assert not policy["spec"].get("egress")
            assert await place.children() >= {("NetworkPolicy", name) for name in (AGENT, PROXY, WORKLOAD_POLICY)}
            await place.end_worker()
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await place.children() == set()
            (left,) = await place.events("RunnersLeftAtGitHub")
            assert "may leave 2 runners named ci-cpu-" in left["note"]

    play(scenario)


@pytest.mark.embedded_only("what the manager makes of its agent and its clock")
def test_an_agent_that_somebody_stopped_is_not_waited_for_at_all(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place:
            async with place.manager():
                await place.serve(registrations=None, is_up=False)
            await place.user.patch(DEPLOYMENTS, AGENT, {"spec": {"replicas": 0}}, namespace=place.namespace)
            await place.delete()
            async with place.manager():
                await place.until_gone(ACTIONSGATEWAYS, "ci")
            (left,) = await place.events("RunnersLeftAtGitHub")
            assert "an unknown number of runners" in left["note"]

    play(scenario)


# -- held up ---------------------------------------------------------------------------------------------------------


def test_a_finalizer_of_others_holds_the_end_back_for_ten_minutes(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            held = {"metadata": {"finalizers": ["example.com/hold"]}}
            await place.user.patch(RUNNERGROUPS, GROUP, held, namespace=place.namespace)
            await place.delete()
            await place.until(RUNNERGROUPS, GROUP, lambda found: found["spec"].get("suspended") is True)
            await place.report(0)
            await place.until_deleting("RemovingObjects", "finalizer example.com/hold).")
            assert await place.children() == {("RunnerGroup", GROUP)}
            await place.pass_time(601)
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            (left,) = await place.events("ObjectsLeftInCluster")
            assert "RunnerGroup ci-cpu (held by the finalizer example.com/hold)" in left["note"]
            await place.user.patch(RUNNERGROUPS, GROUP, {"metadata": {"finalizers": None}}, namespace=place.namespace)
            await place.until_gone(RUNNERGROUPS, GROUP)

    play(scenario)


def test_policies_stay_until_the_last_worker_is_gone(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            await place.add_worker()
            policies = {one for one in await place.children() if one[0] == NETWORKPOLICIES.kind}
            assert policies
            await place.delete()
            await place.until(RUNNERGROUPS, GROUP, lambda found: found["spec"].get("suspended") is True)
            await place.report(0)
            await place.until(CONFIGMAPS, "worker", lambda found: "deletionTimestamp" in found["metadata"])
            await place.until_deleting("RemovingObjects", "RunnerGroup ci-cpu")
            assert {("Deployment", AGENT), ("RunnerGroup", GROUP), *policies} <= await place.children()
            await place.end_worker()
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await place.children() == set()

    play(scenario)


def test_a_namespace_that_is_deleted_first_goes_with_an_agent_that_never_answers(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            await place.user.delete(NAMESPACES, place.namespace)
            await place.until_gone(NAMESPACES, place.namespace)
            left = [
                event
                for event in await place.events("RunnersLeftAtGitHub", "default")
                if event["regarding"]["name"] == place.namespace
            ]
            assert [event["regarding"]["kind"] for event in left] == ["Namespace"]
            assert f"ActionsGateway ci in {place.namespace} may leave" in left[0]["note"]

    play(scenario)


# -- neighbours and successors ---------------------------------------------------------------------------------------


def test_the_next_gateway_of_the_namespace_takes_over_when_the_first_is_gone(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place, place.manager():
            await place.serve()
            # Ages count in seconds; the name decides among equals.
            second = await place.create("second")
            await place.until(ACTIONSGATEWAYS, "second", is_refused_as_another)
            await place.delete()
            await place.until_deleting("RemovingRegistrations")
            assert is_refused_as_another(await place.until(ACTIONSGATEWAYS, "second"))
            await place.until(RUNNERGROUPS, GROUP, lambda found: found["spec"].get("suspended") is True)
            await place.report(0)
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            await place.until(RUNNERGROUPS, "second-cpu")
            agent = await place.until(DEPLOYMENTS, AGENT)
            (owner,) = agent["metadata"]["ownerReferences"]
            assert owner["uid"] == second["metadata"]["uid"]
            await place.delete("second")
            await place.pass_time(301, "second")
            await place.until_gone(ACTIONSGATEWAYS, "second")

    play(scenario)


def is_refused_as_another(found: Manifest) -> bool:
    return (condition_of(found, "Ready") or {}).get("reason") == "AnotherGateway" and not finalizers_of(found)


async def carry_out(place: Place, step: Step) -> tuple[Failure, ...]:
    mirrors = {resource: Mirror(resource) for resource in (ACTIONSGATEWAYS, RUNNERGROUPS)}
    writer = Writer(place.user, mirrors, on_news=lambda *_: None)
    return await writer.apply_plan(Plan(None, None, ((step,),)), place.namespace)


def test_no_step_of_a_deletion_meets_a_successor_or_brings_one_into_being(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place:
            first = await place.create()
            uid, version = first["metadata"]["uid"], first["metadata"]["resourceVersion"]
            await place.delete()
            assert refused(await carry_out(place, SetFinalizer("ci", uid)))
            await place.until_gone(ACTIONSGATEWAYS, "ci")
            assert await carry_out(place, RemoveFinalizer("ci", (), version)) == ()
            successor = await place.create()
            group: Manifest = {
                "apiVersion": RUNNERGROUPS.api_version,
                "kind": RUNNERGROUPS.kind,
                "metadata": {"name": GROUP},
            }
            group["spec"] = {"runnerLabels": ["linux"]}
            await place.user.create(RUNNERGROUPS, group, namespace=place.namespace)
            for step in (SetFinalizer("ci", uid), RemoveFinalizer("ci", (), version), SuspendGroup(GROUP, uid)):
                assert refused(await carry_out(place, step)), step
            assert (await place.until(ACTIONSGATEWAYS, "ci"))["metadata"] == successor["metadata"]
            assert not (await place.until(RUNNERGROUPS, GROUP))["spec"].get("suspended")

    play(scenario)


def refused(failures: tuple[Failure, ...]) -> bool:
    return [isinstance(failure.error, KubeError) and failure.error.status in (409, 422) for failure in failures] == [
        True
    ]


def test_the_finalizer_is_one_of_a_set_and_goes_whoever_else_owns_it(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with place_on(api) as place:
            created = await place.create()
            theirs = {"metadata": {"name": "ci", "namespace": place.namespace, "finalizers": ["example.com/hold"]}}
            await place.user.apply(ACTIONSGATEWAYS, theirs, field_manager="others")
            assert await carry_out(place, SetFinalizer("ci", created["metadata"]["uid"])) == ()
            kept = await place.until(ACTIONSGATEWAYS, "ci")
            assert sorted(finalizers_of(kept)) == sorted([GATEWAY_FINALIZER, "example.com/hold"])
            # As it comes from an export that is applied again.
            theirs["metadata"]["finalizers"] = finalizers_of(kept)
            exported = await place.user.apply(ACTIONSGATEWAYS, theirs, field_manager="others")
            step = RemoveFinalizer("ci", ("example.com/hold",), exported["metadata"]["resourceVersion"])
            assert await carry_out(place, step) == ()
            assert finalizers_of(await place.until(ACTIONSGATEWAYS, "ci")) == ["example.com/hold"]
            await place.user.patch(ACTIONSGATEWAYS, "ci", {"metadata": {"finalizers": None}}, namespace=place.namespace)

    play(scenario)
    assert GATEWAY_FINALIZER.startswith(API_GROUP)
