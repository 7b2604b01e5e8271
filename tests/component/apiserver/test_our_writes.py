"""What our components write, from their own builders: it is stored as meant, and a repetition changes nothing."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.pod import WorkerOrder, WorkerSite, build_worker_pod
from actions_gateway.agent.jobs.slots import ResumeState, Slots
from actions_gateway.agent.runnergroups.status import GroupFacts, decide_status
from actions_gateway.agent.tokens.verdict import AVAILABLE
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api import labels
from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.api.egress import PUBLIC_ONLY, PlatformEgress, parse_dns_peers, parse_egress_exceptions
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import AGENT, AGENT_STATUS_FIELDS, MANAGER_FIELDS, MANAGER_STATUS_FIELDS, WORKER
from actions_gateway.api.runnergroup import RunnerGroupSpec
from actions_gateway.engine.clock import SystemClock
from actions_gateway.github.secrets import Secret
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import Conflict, NotFound
from actions_gateway.kube.resources import (
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    RESOURCEQUOTAS,
    RUNNERGROUPS,
    SECRETS,
    SERVICEACCOUNTS,
    Resource,
)
from actions_gateway.manager.gateway.agreement import agrees, surplus_patch
from actions_gateway.manager.gateway.conditions import decide_conditions
from actions_gateway.manager.gateway.decide import decide
from actions_gateway.manager.gateway.snapshot import ApplyChild, Plan, Snapshot
from actions_gateway.manager.gateway.status import build_status
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support import manager_objects as make
from support.apiserver import Api, Play
from support.own_crds import GATEWAYS, GROUPS, moved, serve_ours

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TIERS: Manifest = {"priorityTiers": [{"priorityClassName": "low", "threshold": 3}], "maxWorkers": 3}
TIERED: Manifest = {"runnerGroups": [{"name": "cpu", "runnerLabels": ["linux", "x64"], **TIERS}]}
EGRESS = PlatformEgress(
    parse_egress_exceptions("ghes.example.com=20.30.1.0/24:8443,ghes.example.com=[fd00:2::/32]:443"),
    # The widest that there are beside those that a platform has: what is excepted must be less than the whole.
    parse_cidrs("20.30.0.0/16,128.0.0.0/1,2600:1f00::/40,8000::/1,10.0.0.0/8"),
    parse_cidrs("192.0.2.0/28,2001:db8::10"),
    parse_dns_peers("cluster,10.96.0.10,2001:db8::53"),
)
RESOURCES: Manifest = {"requests": {"cpu": "1500m", "memory": "1024Mi"}, "limits": {"memory": "2Gi"}}


async def stored_gateway(api: Api, client: KubeClient, **spec: Any) -> Manifest:
    """A gateway as the API server keeps it, in our own words for its group."""
    manifest = make.gateway(namespace=api.namespace, **spec)
    manifest["metadata"] = {"name": "ci", "namespace": api.namespace}
    created = await client.create(GATEWAYS, moved(manifest))
    return created | {"apiVersion": manifest["apiVersion"]}


def planned(owner: Manifest, egress: PlatformEgress = PUBLIC_ONLY) -> tuple[Snapshot, Plan]:
    """What the manager sees at first and what it makes of it."""
    seen = make.snapshot(owner, children={})
    plan = decide(seen, replace(make.SETTINGS, egress=egress))
    assert plan is not None
    assert plan.refusal is None
    return seen, plan


def children(plan: Plan) -> list[tuple[Resource, Manifest]]:
    """The objects of the plan with their resources."""
    steps = [step for stage in plan.stages for step in stage if isinstance(step, ApplyChild)]
    return [(GROUPS if step.resource == RUNNERGROUPS else step.resource, moved(step.manifest)) for step in steps]


@pytest.mark.parametrize(
    ("change", "egress"),
    [({}, PUBLIC_ONLY), (TIERED | {"agent": {"resources": RESOURCES}}, EGRESS)],
    ids=["plain", "rich"],
)
def test_the_managers_children_are_stored_as_they_are_applied(
    play: Play, change: Manifest, egress: PlatformEgress
) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        async with api.client() as client:
            _, plan = planned(await stored_gateway(api, client, **change), egress)
            applied = children(plan)
            kinds = {resource.kind for resource, _ in applied}
            assert {"Deployment", "NetworkPolicy", "RoleBinding", "RunnerGroup", "ServiceAccount"} <= kinds
            for resource, manifest in applied:
                await client.apply(resource, manifest, field_manager=MANAGER_FIELDS)
            for resource, manifest in applied:
                again = await client.apply(resource, manifest, field_manager=MANAGER_FIELDS)
                assert agrees(manifest, again), (manifest, again)
                assert surplus_patch(manifest, again) is None
                owners = [entry["manager"] for entry in again["metadata"]["managedFields"]]
                assert owners.count(MANAGER_FIELDS) == 1

    play(scenario)


def test_a_field_that_somebody_took_from_the_manager_comes_back_and_their_additions_stay(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        async with api.client() as client:
            _, plan = planned(await stored_gateway(api, client))
            deployments = (one for one in children(plan) if one[0] == DEPLOYMENTS)
            resource, manifest = next(one for one in deployments if one[1]["metadata"]["name"] == AGENT)
            await client.apply(resource, manifest, field_manager=MANAGER_FIELDS)
            change: Manifest = {"spec": {"replicas": 0}, "metadata": {"annotations": {"team": "a"}}}
            live = await client.patch(resource, AGENT, change, namespace=api.namespace, field_manager="someone")
            assert not agrees(manifest, live)
            with pytest.raises(Conflict, match=r"someone.*\.spec\.replicas"):
                await client.apply(resource, manifest, field_manager=MANAGER_FIELDS, force=False)
            repaired = await client.apply(resource, manifest, field_manager=MANAGER_FIELDS)
            assert agrees(manifest, repaired)
            assert repaired["metadata"]["annotations"]["team"] == "a"

    play(scenario)


def test_the_managers_status_of_a_gateway_is_its_own(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        async with api.client() as client:
            seen, plan = planned(await stored_gateway(api, client))
            status = build_status(seen, decide_conditions(seen, plan, (), NOW), NOW)
            assert status is not None
            body = moved(status)
            for _ in range(2):
                live = await client.apply(GATEWAYS, body, field_manager=MANAGER_STATUS_FIELDS, subresource="status")
            assert live["status"] == status["status"]
            assert live["metadata"]["generation"] == 1
            known = replace(seen, gateway=live | {"apiVersion": seen.gateway["apiVersion"]})
            assert build_status(known, decide_conditions(known, plan, (), NOW), NOW) is None

    play(scenario)


def test_the_manager_marks_a_namespace_and_leaves_the_labels_of_others(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            await client.patch(NAMESPACES, api.namespace, {"metadata": {"labels": {"team": "a"}}})
            marked = {"metadata": {"name": api.namespace, "labels": {labels.TENANT: labels.TENANT_MARK}}}
            live = await client.apply(NAMESPACES, marked, field_manager=MANAGER_FIELDS)
            assert (live["metadata"]["labels"]["team"], live["metadata"]["labels"][labels.TENANT]) == ("a", "true")
            freed = await client.apply(NAMESPACES, {"metadata": {"name": api.namespace}}, field_manager=MANAGER_FIELDS)
            assert labels.TENANT not in freed["metadata"]["labels"]
            assert freed["metadata"]["labels"]["team"] == "a"

    play(scenario)


def test_the_agents_status_of_a_group_is_written_and_then_says_the_same(play: Play) -> None:
    facts = GroupFacts(
        is_suspended=False,
        spec_problem="",
        active_sessions=1,
        busy_sessions=0,
        active_jobs=2,
        pending_jobs=0,
        registrations=1,
        is_rate_limited=False,
        session_problem="",
        verdict=AVAILABLE,
        credential={"appId": "12", "keyFingerprint": "SHA256:abc"},
    )

    async def scenario(api: Api) -> None:
        await serve_ours(api)
        async with api.client() as client:
            live = await stored_group(api, client)
            patch = decide_status(live, facts, now=NOW)
            assert patch is not None
            live = await client.patch(
                GROUPS,
                "ci-cpu",
                patch,
                namespace=api.namespace,
                subresource="status",
                field_manager=AGENT_STATUS_FIELDS,
            )
            assert (live["status"]["activeJobs"], live["status"]["credential"]["appId"]) == (2, "12")
            assert decide_status(live, facts, now=NOW) is None

    play(scenario)


def test_job_slots_are_taken_filled_and_freed_once(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        async with api.client() as client:
            moving = cast("KubeClient", Moving(client))
            slots = slots_of(moving, api.namespace, "agent-1")
            # An owner that does not exist would have the garbage collector take the Secret.
            state = resume_state((await stored_group(api, client))["metadata"]["uid"])
            slot = await slots.take(state)
            other = await slots_of(moving, api.namespace, "agent-2").take(state)
            assert (slot.name, other.name) == ("job-0001", "job-0002")
            await slots.fill(slot, {"payload": b"{}"})
            found = await client.get(SECRETS, slot.name, api.namespace)
            assert found["data"]["payload"] == "e30="
            assert found["type"] == "Opaque"
            with pytest.raises(Conflict):
                await client.delete(SECRETS, slot.name, namespace=api.namespace, uid=other.uid)
            await slots.release(slot)
            with pytest.raises(NotFound):
                await client.get(SECRETS, slot.name, api.namespace)

    play(scenario)


class Moving:
    """A client that names owners in the tests' own group: in ours, they are none while another test serves that."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def create(self, resource: Resource, manifest: Manifest, **options: Any) -> Manifest:
        return await self._client.create(resource, moved(manifest), **options)


def slots_of(client: KubeClient, namespace: str, agent: str) -> Slots:
    metrics = Metrics(Component.AGENT, "test")
    return Slots(client, Basics(namespace, agent, SystemClock(), random.Random(1), metrics, Tunables()))


async def stored_group(api: Api, client: KubeClient) -> Manifest:
    manifest: Manifest = {"metadata": {"name": "ci-cpu", "namespace": api.namespace}}
    manifest |= {"apiVersion": GROUPS.api_version, "kind": GROUPS.kind, "spec": {"runnerLabels": ["linux"]}}
    return await client.create(GROUPS, manifest)


def resume_state(group_uid: str) -> ResumeState:
    return ResumeState(
        request_id="job-a",
        run_service_url="https://run.example/1",
        billing_owner_id=None,
        runner_id=7,
        runner_name="ci-cpu-1",
        group="ci-cpu",
        group_uid=group_uid,
        jit_config=Secret("the blob"),
        delivered_at=NOW,
        agent="agent-1",
    )


@pytest.mark.parametrize("profile", list(SecurityProfile))
def test_the_agents_worker_pod_is_admitted_and_counted(play: Play, profile: SecurityProfile) -> None:
    async def scenario(api: Api) -> None:
        if profile is not SecurityProfile.PRIVILEGED:
            levels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": profile.value}}}
            await api.patch(f"/api/v1/namespaces/{api.namespace}", levels)
        await serve_ours(api)
        async with api.client() as client:
            account: Manifest = {"metadata": {"name": WORKER, "namespace": api.namespace}}
            await client.create(SERVICEACCOUNTS, account)
            await api.limit("q", {"requests.cpu": "1", "pods": "5"})
            pod = moved(worker_pod(api.namespace, profile, (await stored_group(api, client))["metadata"]["uid"]))
            await client.create(PODS, pod, namespace=api.namespace, dry_run=True)
            created = await client.create(PODS, pod, namespace=api.namespace)
            assert agrees_in_spec(pod, created)
            used = (await client.get(RESOURCEQUOTAS, "q", api.namespace))["status"]["used"]
            assert used == {"requests.cpu": "500m", "pods": "1"}

    play(scenario)


def worker_pod(namespace: str, profile: SecurityProfile, group_uid: str) -> Manifest:
    """A worker pod that no scheduler takes."""
    template = {"spec": {"schedulerName": "nobody"}}
    group = RunnerGroupSpec.model_validate({"runnerLabels": ["linux"], "podTemplate": template})
    site = WorkerSite(
        namespace=namespace,
        wrapper_image="controller:1",
        worker_image="runner:1",
        service_account=WORKER,
        profile=profile,
    )
    order = WorkerOrder(
        name="runner-ci-abc",
        group="ci-cpu",
        group_uid=group_uid,
        slot="job-0001",
        slot_uid="uid-2",
        priority_class=None,
        annotations={labels.RUN_ID: "42"},
    )
    return build_worker_pod(order, group, site)


def agrees_in_spec(desired: Manifest, live: Manifest) -> bool:
    """Whether every container runs as it was asked to, with its own command, variables and security context."""
    asked, found = ({one["name"]: one for one in pod["spec"]["containers"]} for pod in (desired, live))
    fields = ("image", "command", "env", "securityContext", "resources")
    return all(asked[name].get(field) == found[name].get(field) for name in asked for field in fields)
