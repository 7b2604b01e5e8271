"""Rights that leave no trace of their own in the audit log: without each of them the manager's write is refused."""

from typing import Any
from uuid import uuid4

import pytest

from actions_gateway.agent.jobs.pod import owner_reference
from actions_gateway.api.names import API_GROUP, OVERRIDE_VERB, job_slot_name
from actions_gateway.installation.metadata import cluster_role, rule
from actions_gateway.installation.rights import MANAGER_CHILDREN, build_agent_role, build_manager_role
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import Forbidden
from actions_gateway.kube.resources import CLUSTERROLES, NAMESPACES, RUNNERGROUPS, SECRETS, resource_of
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import Callers, callers, children_in, gateway_in, user_subject

from .hidden import ANSWERED_TO_AGENTS, ANSWERED_WITHOUT_A_REQUEST

Rules = list[dict[str, Any]]

# Policies know the manager by its account; this test's user is another one, and they are not what it is about.
OVERRIDE = rule(API_GROUP, ["actionsgateways"], [OVERRIDE_VERB])


def without(rules: Rules, right: tuple[str, str, str]) -> Rules:
    """The rules less one verb on one resource."""
    verb, group, resource = right
    kept = []
    for entry in rules:
        if entry["apiGroups"] == [group] and entry["resources"] == [resource]:
            entry = entry | {"verbs": [other for other in entry["verbs"] if other != verb]}
        if entry["verbs"]:
            kept.append(entry)
    return kept


def child_that_needs(right: tuple[str, str, str], owner: Manifest) -> Manifest:
    """A child whose creation asks for the right."""
    _, group, resource = right
    kinds = {resource_of(manifest["apiVersion"], manifest["kind"]): manifest for manifest in children_in(owner)}
    by_type = {(found.group, found.plural): manifest for found, manifest in kinds.items() if found is not None}
    if (group, resource) in by_type:
        return by_type[group, resource]
    return by_type["rbac.authorization.k8s.io", "rolebindings"]


async def make(client: KubeClient, manifest: Manifest) -> None:
    resource = resource_of(manifest["apiVersion"], manifest["kind"])
    assert resource is not None
    await client.apply(resource, manifest, field_manager="gmc", dry_run=True)


async def attempt(as_: Callers, rules: Rules, manifest: Manifest) -> str:
    """What the API server says when a user with these rules makes the child; empty when it lets him."""
    namespace = manifest["metadata"]["namespace"]
    # A name of its own: of an earlier role under this one the API server may still know the rules.
    name = f"hidden-{uuid4()}"
    await as_.admin.apply(CLUSTERROLES, cluster_role(name, [*rules, OVERRIDE]), field_manager="test")
    try:
        async with as_.user(name) as user, as_.bound_everywhere(name, user_subject(name)):
            await as_.until_allowed(user, "list", RUNNERGROUPS, namespace)
            await as_.until_allowed(user, "patch", NAMESPACES, namespace)
            try:
                await make(user, manifest)
            except Forbidden as problem:
                return problem.message
            return ""
    finally:
        await as_.admin.delete(CLUSTERROLES, name)


@pytest.mark.parametrize("right", sorted(ANSWERED_WITHOUT_A_REQUEST), ids="-".join)
def test_without_it_a_child_cannot_be_made(right: tuple[str, str, str], installed: ControlPlane) -> None:
    verb, _, resource = right

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace(tenant="true") as namespace:
            manifest = child_that_needs(right, await as_.gateway(gateway_in(namespace)))
            rules = build_manager_role()["rules"]
            assert await attempt(as_, rules, manifest) == ""
            said = await attempt(as_, without(rules, right), manifest)
            assert "is forbidden" in said
            assert REFUSALS.get(verb, f'cannot create resource "{resource}"') in said

    run(main())


@pytest.mark.parametrize("is_held", [True, False], ids=["with", "without"])
def test_without_it_an_agent_makes_nothing_that_its_group_waits_for(is_held: bool, installed: ControlPlane) -> None:
    rules = build_agent_role()["rules"]
    held = rules if is_held else without(rules, ANSWERED_TO_AGENTS)
    slot = {"metadata": {"name": job_slot_name(1), "ownerReferences": [owner_reference("ci-cpu", "uid")]}}

    async def main() -> None:
        async with callers(installed) as as_, as_.namespace() as namespace:
            name = f"agent-{namespace}"
            await as_.admin.apply(CLUSTERROLES, cluster_role(name, held), field_manager="test")
            async with as_.user(name) as user, as_.bound_everywhere(name, user_subject(name)):
                await as_.until_allowed(user, "create", SECRETS, namespace)
                try:
                    await user.create(SECRETS, slot, namespace=namespace, dry_run=True)
                    said = ""
                except Forbidden as problem:
                    said = problem.message
            await as_.admin.delete(CLUSTERROLES, name)
            assert (REFUSALS["update"] in said) is not is_held

    run(main())


REFUSALS = {
    "bind": "is attempting to grant RBAC permissions not currently held",
    "update": "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on",
}


def test_the_list_of_hidden_rights_is_of_rights_that_the_manager_has() -> None:
    creates = {("create", group, plural) for group, plural in MANAGER_CHILDREN}
    assert creates < ANSWERED_WITHOUT_A_REQUEST
    for right in ANSWERED_WITHOUT_A_REQUEST:
        assert without(build_manager_role()["rules"], right) != build_manager_role()["rules"]
