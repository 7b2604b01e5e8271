"""What the manager may write on ActionsGateways: its finalizer and the status, and nothing that is a person's."""

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import (
    GATEWAY_FINALIZER,
    MANAGER,
    MANAGER_FIELDS,
    MANAGER_GATEWAY_POLICY,
    MANAGER_NAMESPACE,
    MANAGER_STATUS_FIELDS,
    ONCALL_ROLE,
    POD_TEMPLATE_POLICY,
)
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.resources import ACTIONSGATEWAYS, ADMISSIONPOLICYBINDINGS, CRDS
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import Callers, account_subject, callers, gateway_in, refusal, until_refused, user_subject

Act = Callable[[KubeClient, Manifest, Callers], Awaitable[None]]
DEFINITION = f"{ACTIONSGATEWAYS.plural}.{ACTIONSGATEWAYS.group}"
HOLD = "example.com/hold"


def as_manager(installed: ControlPlane, act: Act, *, finalizers: tuple[str, ...] = (), **marks: str) -> None:
    """As the manager, with a stored gateway that has these finalizers."""

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true", **marks) as namespace:
            manifest = gateway_in(namespace, annotations={"team": "a"})
            manifest["metadata"]["finalizers"] = list(finalizers)
            stored = await as_.gateway(manifest)
            try:
                async with as_.manager() as manager:
                    await act(manager, stored, as_)
            finally:
                await release(as_, namespace)

    run(main())


async def release(as_: Callers, namespace: str) -> None:
    """Lets the gateways of a test go with its namespace."""
    for found in (await as_.admin.list(ACTIONSGATEWAYS, namespace)).items:
        if found["metadata"].get("finalizers"):
            name = found["metadata"]["name"]
            await as_.admin.patch(ACTIONSGATEWAYS, name, {"metadata": {"finalizers": None}}, namespace=namespace)


async def apply_finalizers(manager: KubeClient, stored: Manifest, *finalizers: str) -> Manifest:
    """As the manager writes: under the uid that it has seen, so that no successor of the same name is meant."""
    about = {key: stored["metadata"][key] for key in ("name", "namespace", "uid")}
    manifest = {"metadata": about | ({"finalizers": list(finalizers)} if finalizers else {})}
    return await manager.apply(ACTIONSGATEWAYS, manifest, field_manager=MANAGER_FIELDS)


async def patch(manager: KubeClient, stored: Manifest, change: Manifest) -> Manifest:
    about = stored["metadata"]
    return await manager.patch(ACTIONSGATEWAYS, about["name"], change, namespace=about["namespace"])


def test_the_manager_sets_its_finalizer_and_takes_it_away(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, stored: Manifest, _: Callers) -> None:
        held = await apply_finalizers(manager, stored, GATEWAY_FINALIZER)
        assert held["metadata"]["finalizers"] == [HOLD, GATEWAY_FINALIZER]
        again = await apply_finalizers(manager, stored, GATEWAY_FINALIZER)
        assert again["metadata"]["resourceVersion"] == held["metadata"]["resourceVersion"]
        freed = await apply_finalizers(manager, stored)
        assert freed["metadata"]["finalizers"] == [HOLD]
        assert freed["spec"] == stored["spec"]

    as_manager(installed, act, finalizers=(HOLD,))


def test_the_status_is_a_resource_of_its_own(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, stored: Manifest, _: Callers) -> None:
        about = {key: stored["metadata"][key] for key in ("name", "namespace")}
        manifest = {"metadata": about, "status": {"activeSessions": 3}}
        written = await manager.apply(
            ACTIONSGATEWAYS, manifest, field_manager=MANAGER_STATUS_FIELDS, subresource="status"
        )
        assert written["status"]["activeSessions"] == 3

    as_manager(installed, act)


NOT_THE_MANAGERS: dict[str, Manifest] = {
    "the spec": {"spec": {"paused": True}},
    "the GitHub to which it belongs": {"spec": {"gitHubURL": "https://github.com/elsewhere"}},
    "a label": {"metadata": {"labels": {"team": "b"}}},
    "the permission to lower a profile": {"metadata": {"annotations": {labels.ALLOW_DOWNGRADE: "true"}}},
    "the containment": {"metadata": {"annotations": {labels.CONTAINED: "true"}}},
    "an annotation away": {"metadata": {"annotations": None}},
    "another finalizer": {"metadata": {"finalizers": [HOLD, "example.com/more"]}},
    "another's finalizer away": {"metadata": {"finalizers": [GATEWAY_FINALIZER]}},
    "everybody's finalizers away": {"metadata": {"finalizers": None}},
}


@pytest.mark.parametrize("case", NOT_THE_MANAGERS)
def test_of_a_gateway_the_manager_does_not_touch(case: str, installed: ControlPlane) -> None:
    async def act(manager: KubeClient, stored: Manifest, _: Callers) -> None:
        said = await refusal(patch(manager, stored, NOT_THE_MANAGERS[case]))
        assert f"'{MANAGER_GATEWAY_POLICY}'" in said
        assert f"of a gateway the manager changes the finalizer {GATEWAY_FINALIZER} alone, and the status" in said
        assert stored["metadata"]["namespace"] in said

    as_manager(installed, act, finalizers=(HOLD, GATEWAY_FINALIZER))


def test_a_manager_that_got_every_right_still_makes_deletes_and_hands_over_no_gateway(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, stored: Manifest, as_: Callers) -> None:
        name, namespace = stored["metadata"]["name"], stored["metadata"]["namespace"]
        async with as_.bound_everywhere("cluster-admin", account_subject(MANAGER, MANAGER_NAMESPACE)):
            await as_.until_allowed(manager, "delete", ACTIONSGATEWAYS, namespace)
            another = gateway_in(namespace, name="another")
            for request in (
                manager.create(ACTIONSGATEWAYS, another),
                manager.apply(ACTIONSGATEWAYS, another, field_manager=MANAGER_FIELDS),
                manager.delete(ACTIONSGATEWAYS, name, namespace=namespace),
            ):
                said = await refusal(request)
                assert f"'{MANAGER_GATEWAY_POLICY}'" in said
                assert "the manager neither creates nor deletes gateways" in said
            owner = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1"}
            said = await refusal(patch(manager, stored, {"metadata": {"ownerReferences": [owner]}}))
            assert f"'{MANAGER_GATEWAY_POLICY}'" in said
        await as_.until_allowed(manager, "delete", ACTIONSGATEWAYS, namespace, allowed=False)

    as_manager(installed, act)


def test_others_are_not_confined_by_it(installed: ControlPlane) -> None:
    async def act(_: KubeClient, stored: Manifest, as_: Callers) -> None:
        await patch(as_.admin, stored, {"metadata": {"labels": {"team": "b"}}, "spec": {"paused": True}})

    as_manager(installed, act)


def test_oncall_people_contain_a_gateway_and_let_it_go_again(installed: ControlPlane) -> None:
    async def act(_: KubeClient, stored: Manifest, as_: Callers) -> None:
        async with as_.user("olga") as olga, as_.bound_everywhere(ONCALL_ROLE, user_subject("olga")):
            await as_.until_allowed(olga, "patch", ACTIONSGATEWAYS, stored["metadata"]["namespace"])
            for value in ("2026-01-05T08:00:00Z by olga", None):
                found = await patch(olga, stored, {"metadata": {"annotations": {labels.CONTAINED: value}}})
                assert found["metadata"]["annotations"].get(labels.CONTAINED) == value

    as_manager(installed, act)


# -- a gateway on its way out ----------------------------------------------------------------------------------------


async def goes(manager: KubeClient, stored: Manifest, as_: Callers) -> None:
    """Deletes the gateway; it goes with the manager's finalizer, and not before."""
    name, namespace = stored["metadata"]["name"], stored["metadata"]["namespace"]
    await as_.admin.delete(ACTIONSGATEWAYS, name, namespace=namespace)
    assert (await as_.admin.get(ACTIONSGATEWAYS, name, namespace))["metadata"]["finalizers"] == [GATEWAY_FINALIZER]
    await apply_finalizers(manager, stored)
    await as_.until_gone(ACTIONSGATEWAYS, name, namespace)


def test_a_deleted_gateway_goes_with_the_managers_finalizer(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, stored: Manifest, as_: Callers) -> None:
        await apply_finalizers(manager, stored, GATEWAY_FINALIZER)
        await goes(manager, stored, as_)

    as_manager(installed, act)


def test_a_profile_that_is_allowed_no_more_holds_nobody_up(installed: ControlPlane) -> None:
    async def act(manager: KubeClient, stored: Manifest, as_: Callers) -> None:
        await patch(as_.admin, stored, {"metadata": {"annotations": {labels.ALLOW_DOWNGRADE: "true"}}})
        await patch(as_.admin, stored, {"spec": {"securityProfile": "privileged"}})
        namespace = stored["metadata"]["namespace"]
        await as_.label(namespace, "privileged", None)
        probe = gateway_in(namespace, name="probe", securityProfile="privileged")
        await until_refused(lambda: as_.admin.create(ACTIONSGATEWAYS, probe, dry_run=True))
        await apply_finalizers(manager, stored, GATEWAY_FINALIZER)
        await goes(manager, stored, as_)

    as_manager(installed, act, privileged="allowed")


@asynccontextmanager
async def stricter_definition(as_: Callers, namespace: str) -> AsyncIterator[None]:
    """A release whose schema asks for what no stored gateway has."""
    versions = (await as_.admin.get(CRDS, DEFINITION))["spec"]["versions"]
    stricter = copy.deepcopy(versions)
    spec = stricter[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["required"] = [*spec.get("required", []), "caBundleRef"]
    spec["properties"]["gitHubURL"]["pattern"] = "^https://of-tomorrow/"
    spec["x-kubernetes-validations"] = [{"rule": "self.gitHubURL.startsWith('https://of-tomorrow/')"}]
    try:
        await as_.admin.patch(CRDS, DEFINITION, {"spec": {"versions": stricter}})
        probe = gateway_in(namespace, name="probe")
        await until_refused(lambda: as_.admin.create(ACTIONSGATEWAYS, probe, dry_run=True))
        yield
    finally:
        await as_.admin.patch(CRDS, DEFINITION, {"spec": {"versions": versions}})
        await as_.until_admitted(lambda: as_.admin.create(ACTIONSGATEWAYS, probe, dry_run=True))


def test_a_gateway_that_todays_schema_would_refuse_goes_all_the_same(installed: ControlPlane) -> None:
    """The API server holds nobody to a schema for what he leaves as it is (Kubernetes documentation, "Validation
    ratcheting"; on by default since 1.30)."""

    async def act(manager: KubeClient, stored: Manifest, as_: Callers) -> None:
        await apply_finalizers(manager, stored, GATEWAY_FINALIZER)
        async with stricter_definition(as_, stored["metadata"]["namespace"]):
            await goes(manager, stored, as_)

    as_manager(installed, act)


def test_a_gateway_that_todays_policies_would_refuse_goes_all_the_same(installed: ControlPlane) -> None:
    """It was stored while the policy on pod templates was not there."""

    async def act(manager: KubeClient, stored: Manifest, as_: Callers) -> None:
        group = stored["spec"]["runnerGroups"][0] | {"podTemplate": {"spec": {"hostNetwork": True}}}
        change = {"spec": {"runnerGroups": [group]}}
        policy = await as_.admin.get(ADMISSIONPOLICYBINDINGS, POD_TEMPLATE_POLICY)
        assert "hostNetwork" in await refusal(patch(as_.admin, stored, change))
        await as_.admin.delete(ADMISSIONPOLICYBINDINGS, POD_TEMPLATE_POLICY)
        try:
            await as_.until_admitted(lambda: patch(as_.admin, stored, change))
        finally:
            kept = {"metadata": {"name": POD_TEMPLATE_POLICY, "labels": policy["metadata"]["labels"]}}
            await as_.admin.create(ADMISSIONPOLICYBINDINGS, kept | {"spec": policy["spec"]})
            probe = gateway_in(stored["metadata"]["namespace"], name="probe", runnerGroups=[group])
            await until_refused(lambda: as_.admin.create(ACTIONSGATEWAYS, probe, dry_run=True))
        await apply_finalizers(manager, stored, GATEWAY_FINALIZER)
        await goes(manager, stored, as_)

    as_manager(installed, act)
