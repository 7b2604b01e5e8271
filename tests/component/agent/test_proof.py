"""Workers of a template before an API server's admission: what it takes, what it refuses and how, and who hears."""

from typing import Any

import pytest

from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.proof import prove
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import WORKER
from actions_gateway.api.runnergroup import GroupSettings
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import CONFIGMAPS, NAMESPACES, PODS, RESOURCEQUOTAS, SERVICEACCOUNTS
from support.admission import until_pod_refused
from support.agent_rig import runner_group, surroundings
from support.aio import run
from support.apiserver import Api, Play

LEVEL = "pod-security.kubernetes.io/enforce"
OTHERS = {"initContainers": [{"name": "prepare", "image": "i"}], "containers": [{"name": "side", "image": "i"}]}


async def proved(
    client: KubeClient, namespace: str, profile: SecurityProfile = SecurityProfile.BASELINE, **fields: Any
) -> str:
    """What the server says of a worker; `fields` are the group's, `spec` the template's."""
    template = {"podTemplate": {"spec": fields.pop("spec", OTHERS)}}
    settings = GroupSettings.model_validate({"runnerLabels": ["linux"], **template, **fields})
    site = WorkerSite(namespace, "controller:1", "runner:1", WORKER, profile, ca_configmap="ca", proxy="http://p:1")
    return await prove(client, settings, site, group="ci-cpu", group_uid="11111111-2222")


async def account(client: KubeClient, namespace: str) -> None:
    await client.create(SERVICEACCOUNTS, {"metadata": {"name": WORKER, "namespace": namespace}})


async def enforce(client: KubeClient, namespace: str, profile: SecurityProfile) -> None:
    """Sets the Pod Security level of the namespace; returns when it is enforced."""
    await client.patch(NAMESPACES, namespace, {"metadata": {"labels": {LEVEL: profile.value}}})
    if profile is not SecurityProfile.PRIVILEGED:
        words = f'violates PodSecurity "{profile.value}:latest"'
        await until_pod_refused(client, namespace, words, hostNetwork=True)


def test_an_admissible_template_is_proved_and_leaves_nothing(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            await account(client, api.namespace)
            assert await proved(client, api.namespace) == ""
            assert (await client.list(PODS, api.namespace)).items == []

    play(scenario)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a mount without a volume": (
        {"spec": {"containers": [{"name": "side", "image": "i", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}]}},
        'spec.containers[side].volumeMounts[0].name: Not found: "x"',
    ),
    "two containers of one name": (
        {"spec": {"initContainers": [{"name": "side", "image": "i"}], "containers": [{"name": "side", "image": "i"}]}},
        '[side].name: Duplicate value: "side"',
    ),
    "a class that does not exist": (
        {"priorityTiers": [{"priorityClassName": "no-such-class", "threshold": 1}]},
        "no PriorityClass with name no-such-class was found",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_template_is_told_with_its_field(play: Play, case: str) -> None:
    fields, said = REFUSED[case]

    async def scenario(api: Api) -> None:
        async with api.client() as client:
            await account(client, api.namespace)
            found = await proved(client, api.namespace, **fields)
            assert said in found
            assert "runner-ci-cpu" not in found

    play(scenario)


def test_a_quota_that_is_used_up_is_no_template_s_fault_and_one_that_misses_a_field_is(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            await account(client, api.namespace)
            await api.limit("q", {"pods": "0"})
            assert await proved(client, api.namespace) == ""
            await client.patch(
                RESOURCEQUOTAS, "q", {"spec": {"hard": {"pods": None, "limits.cpu": "9"}}}, namespace=api.namespace
            )
            await until_pod_refused(client, api.namespace, "must specify limits.cpu")
            assert "must specify limits.cpu" in await proved(client, api.namespace)

    play(scenario)


def test_a_namespace_on_its_way_out_refuses_no_template(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            held = {"name": "held", "namespace": api.namespace, "finalizers": ["example.com/hold"]}
            await client.create(CONFIGMAPS, {"metadata": held})
            await client.delete(NAMESPACES, api.namespace)
            try:
                assert await proved(client, api.namespace) == ""
            finally:
                await client.patch(CONFIGMAPS, "held", {"metadata": {"finalizers": None}}, namespace=api.namespace)

    play(scenario)


@pytest.mark.real_only("the embedded server has no Pod Security admission")
@pytest.mark.parametrize("profile", SecurityProfile)
def test_what_we_add_to_a_worker_fits_the_level_of_each_profile(play: Play, profile: SecurityProfile) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            await account(client, api.namespace)
            await enforce(client, api.namespace, profile)
            assert await proved(client, api.namespace, profile) == ""

    play(scenario)


@pytest.mark.real_only("the embedded server has no Pod Security admission")
def test_a_template_that_breaks_its_profile_is_told_with_the_field(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            await account(client, api.namespace)
            await enforce(client, api.namespace, SecurityProfile.RESTRICTED)
            context = {"allowPrivilegeEscalation": True}
            spec = {"containers": [{"name": "side", "image": "i", "securityContext": context}]}
            found = await proved(client, api.namespace, SecurityProfile.RESTRICTED, spec=spec)
            assert found.startswith('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false')
            assert 'container "side" must set securityContext.allowPrivilegeEscalation=false' in found

    play(scenario)


def test_a_template_that_would_be_refused_shows_before_a_job_depends_on_it_and_until_it_is_corrected() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            tiers = [{"priorityClassName": "gone", "threshold": 1}]
            await rig.create(runner_group("ci-cpu", "linux", priorityTiers=tiers))
            async with rig.agent() as agent:
                refused = await agent.until_condition(
                    "ci-cpu", ConditionType.DEGRADED, "True", Reason.POD_TEMPLATE_REFUSED
                )
                assert "no PriorityClass with name gone was found" in refused["message"]
                await agent.until_condition("ci-cpu", ConditionType.READY, "True", Reason.LISTENER_ACTIVE)
                await rig.change("ci-cpu", priorityTiers=[{"priorityClassName": "low", "threshold": 1}])
                await agent.until_condition("ci-cpu", ConditionType.DEGRADED, "False", Reason.WORKERS_ADMITTED)
                assert await rig.pods() == []

    run(main())
