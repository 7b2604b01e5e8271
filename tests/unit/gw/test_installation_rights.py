"""Whether the rights that `gw check --pre` asks for are those that installing and removing take."""

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.installation.monitoring import monitoring_manifests
from actions_gateway.kube import resources as r
from gw.sources.rights import MONITORING_KINDS, NAMESPACE_CONTENT, Right, needed_rights

BARE = set(needed_rights(()))


def test_every_kind_of_an_installation_is_asked_for_with_what_applying_it_takes() -> None:
    for manifest in installation_manifests():
        resource = r.resource_of(manifest["apiVersion"], manifest["kind"])
        assert resource is not None
        namespace = MANAGER_NAMESPACE if resource.namespaced else ""
        for verb in ("get", "list", "create", "patch", "delete"):
            assert Right(verb, resource, namespace) in BARE, (verb, resource.plural)


def test_roles_may_hold_more_than_their_maker() -> None:
    for verb in ("escalate", "bind"):
        assert {Right(verb, r.CLUSTERROLES), Right(verb, r.ROLES, MANAGER_NAMESPACE)} <= BARE


def test_what_is_read_beside_and_what_a_removal_takes_is_asked_for() -> None:
    looks = {Right("list", resource, MANAGER_NAMESPACE) for resource in NAMESPACE_CONTENT}
    looks |= {Right("get", r.VALIDATINGWEBHOOKS), Right("get", r.LEASES, MANAGER_NAMESPACE), Right("list", r.PODS)}
    tenants = {Right(verb, each) for verb in ("list", "delete") for each in (r.ACTIONSGATEWAYS, r.RUNNERGROUPS)}
    assert looks | tenants | {Right("delete", r.LEASES, MANAGER_NAMESPACE)} <= BARE


def test_kinds_of_operators_are_asked_for_where_they_are_served() -> None:
    assert not any(right.resource in MONITORING_KINDS for right in BARE)
    served = set(needed_rights([each.group for each in MONITORING_KINDS]))
    manifests = [each for each in monitoring_manifests() if each["kind"] != r.SERVICES.kind]
    assert {each["kind"] for each in manifests} <= {each.kind for each in MONITORING_KINDS}
    for resource in MONITORING_KINDS:
        assert {Right(verb, resource, MANAGER_NAMESPACE) for verb in ("get", "create", "patch")} <= served
