"""An installation on a real control plane, and clients of it for every kind of caller."""

import contextlib
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CLUSTER_ROLE, MANAGER, MANAGER_NAMESPACE
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.installation.parameters import Parameters
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONFIGMAPS,
    CRDS,
    NAMESPACES,
    PODS,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    Resource,
    resource_of,
)
from actions_gateway.manager.gateway.children import build_children
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.settings import TenantNamespaces
from gateway_sandbox.controlplane.server import ControlPlane
from gateway_sandbox.kubeconfigs import write_kubeconfig
from support.aio import Looks
from support.manager_objects import SETTINGS, gateway

Manifest = dict[str, Any]

_FIELD_MANAGER = "test-installation"
_PROBE = "owner-probe"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RBAC = "rbac.authorization.k8s.io"


async def install(plane: ControlPlane, *, tenant_namespaces: TenantNamespaces = TenantNamespaces.ANY) -> None:
    """Applies the whole installation; returns when its kinds are served and its policies refuse."""
    async with connect(plane.kubeconfig) as admin:
        for manifest in installation_manifests(Parameters(tenant_namespaces=tenant_namespaces, replicas=0)):
            resource = resource_of(manifest["apiVersion"], manifest["kind"])
            assert resource is not None, manifest["kind"]
            await admin.apply(resource, manifest, field_manager=_FIELD_MANAGER)
            if resource == CRDS:
                await _until_established(admin, manifest["metadata"]["name"])
        await _until_refused(admin)
        await _until_owners_are_known(plane, admin)


async def _until_established(admin: KubeClient, name: str) -> None:
    def is_established(crd: Manifest) -> bool:
        conditions = (crd.get("status") or {}).get("conditions") or []
        return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)

    looks = Looks()
    while True:
        if is_established(await admin.get(CRDS, name)):
            return
        await looks.pause()


async def _until_refused(admin: KubeClient) -> None:
    """A policy takes a moment to hold; the last one of the catalogue refuses gateways in system namespaces."""
    probe = gateway_in("default", name="policy-probe")
    looks = Looks()
    while True:
        try:
            await admin.create(ACTIONSGATEWAYS, probe, dry_run=True)
        except (Forbidden, Invalid):
            return
        except KubeError:
            pass  # the kind is not served yet
        await looks.pause()


async def _until_owners_are_known(plane: ControlPlane, admin: KubeClient) -> None:
    """The admission of owner references looks at the served kinds anew every few seconds, and refuses until then.

    An account of few rights asks: who may set the finalizers of everything, as an administrator may, is let through.
    """
    group, plural = ACTIONSGATEWAYS.group, ACTIONSGATEWAYS.plural
    finalizers = {"apiGroups": [group], "resources": [f"{plural}/finalizers"], "verbs": ["update"]}
    creation = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    await admin.create(CLUSTERROLES, {"metadata": {"name": _PROBE}, "rules": [finalizers, creation]})
    owner = {"apiVersion": ACTIONSGATEWAYS.api_version, "kind": ACTIONSGATEWAYS.kind, "name": _PROBE, "uid": "1"}
    metadata = {"name": _PROBE, "ownerReferences": [owner | {"blockOwnerDeletion": True}]}
    everybody = Callers(plane, admin)
    async with everybody.bound_everywhere(_PROBE, user_subject(_PROBE)), everybody.user(_PROBE) as account:
        await everybody.until_admitted(
            lambda: account.create(CONFIGMAPS, {"metadata": metadata}, namespace="default", dry_run=True)
        )
    await admin.delete(CLUSTERROLES, _PROBE)


@dataclass(frozen=True, slots=True)
class Callers:
    """Clients of an installed control plane, by who calls."""

    plane: ControlPlane
    admin: KubeClient

    @asynccontextmanager
    async def user(self, name: str, *groups: str) -> AsyncIterator[KubeClient]:
        """A person; without rights until somebody binds a role."""
        async with connect(self.plane.kubeconfig_for(name, groups)) as client:
            yield client

    @asynccontextmanager
    async def account(
        self, name: str, namespace: str, *, client_type: type[KubeClient] = KubeClient
    ) -> AsyncIterator[KubeClient]:
        """A ServiceAccount, by a token that the API server issued."""
        token = await self.admin.create_token(name, namespace)
        path = self.plane.folder / f"account-{namespace}-{name}.kubeconfig"
        write_kubeconfig(path, url=self.plane.url, ca_path=self.plane.certificates.ca_path, user={"token": token})
        async with client_type(await load_configuration(path)) as client:
            yield client

    def manager(self) -> AbstractAsyncContextManager[KubeClient]:
        """The manager."""
        return self.account(MANAGER, MANAGER_NAMESPACE)

    @asynccontextmanager
    async def agent(self, namespace: str) -> AsyncIterator[KubeClient]:
        """The agent of a namespace, with what the manager would give it there."""
        await self.admin.create(SERVICEACCOUNTS, {"metadata": {"name": AGENT, "namespace": namespace}})
        await self.bind(AGENT_CLUSTER_ROLE, namespace, account_subject(AGENT, namespace))
        async with self.account(AGENT, namespace) as client:
            await self.until_allowed(client, "create", PODS, namespace)
            yield client

    @asynccontextmanager
    async def namespace(self, **marks: str) -> AsyncIterator[str]:
        """A namespace of the test's own; `marks` are its labels by short name, see `label_of`."""
        manifest = {"metadata": {"generateName": "team-", "labels": {label_of(key): marks[key] for key in marks}}}
        name = str((await self.admin.create(NAMESPACES, manifest))["metadata"]["name"])
        try:
            yield name
        finally:
            with contextlib.suppress(NotFound, Conflict):
                await self.admin.delete(NAMESPACES, name)

    async def label(self, namespace: str, short: str, value: str | None) -> None:
        """Changes a label of a namespace; admission sees that a moment later."""
        await self.admin.patch(NAMESPACES, namespace, {"metadata": {"labels": {label_of(short): value}}})

    async def gateway(self, manifest: Manifest) -> Manifest:
        """Creates an ActionsGateway."""
        return await self.admin.create(ACTIONSGATEWAYS, manifest)

    async def bind(self, role: str, namespace: str, subject: Manifest, *, kind: str = "ClusterRole") -> None:
        """Gives a role in one namespace."""
        binding = {"metadata": {"generateName": "test-", "namespace": namespace}, **_reference(role, kind, subject)}
        await self.admin.create(ROLEBINDINGS, binding)

    @asynccontextmanager
    async def bound_everywhere(self, role: str, subject: Manifest) -> AsyncIterator[None]:
        """Gives a ClusterRole in all namespaces, and takes it back."""
        binding = {"metadata": {"generateName": "test-"}, **_reference(role, "ClusterRole", subject)}
        created = await self.admin.create(CLUSTERROLEBINDINGS, binding)
        try:
            yield
        finally:
            await self.admin.delete(CLUSTERROLEBINDINGS, created["metadata"]["name"])

    # -- waiting

    async def until_allowed(
        self, client: KubeClient, verb: str, resource: Resource, namespace: str, *, allowed: bool = True
    ) -> None:
        """Returns once a new binding gives the client the right, or one that is gone gives it no more."""
        asked = {"verb": verb, "group": resource.group, "resource": resource.plural, "namespace": namespace}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        review |= {"spec": {"resourceAttributes": asked}}
        looks = Looks()
        while True:
            answer = await client.request("POST", _ACCESS_REVIEWS, body=review)
            if bool(answer["status"]["allowed"]) is allowed:
                return
            await looks.pause()

    async def until_admitted(self, request: Callable[[], Awaitable[object]]) -> None:
        """Returns once the request is carried out: admission knows of a change a moment later."""
        looks = Looks()
        while True:
            try:
                await request()
            except (Forbidden, Invalid):
                await looks.pause()
            else:
                return

    async def until(
        self, resource: Resource, name: str, namespace: str | None, holds: Callable[[Manifest], bool]
    ) -> Manifest:
        """The object, once it exists and `holds` says so."""
        looks = Looks()
        while True:
            with contextlib.suppress(NotFound):
                found = await self.admin.get(resource, name, namespace)
                if holds(found):
                    return found
            await looks.pause()

    async def until_gone(self, resource: Resource, name: str, namespace: str | None) -> None:
        """Returns once the object does not exist."""
        looks = Looks()
        while True:
            try:
                await self.admin.get(resource, name, namespace)
            except NotFound:
                return
            await looks.pause()


@asynccontextmanager
async def callers(plane: ControlPlane) -> AsyncIterator[Callers]:
    """The callers of a control plane on which `install` has run."""
    async with connect(plane.kubeconfig) as admin:
        yield Callers(plane, admin)


def label_of(short: str) -> str:
    """The label that a test names in short."""
    return {
        "tenant": labels.TENANT,
        "privileged": labels.PRIVILEGED_PROFILE,
        "enforce": labels.POD_SECURITY_ENFORCE,
    }[short]


def account_subject(name: str, namespace: str) -> Manifest:
    """A ServiceAccount as the subject of a binding."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def user_subject(name: str) -> Manifest:
    """A person as the subject of a binding."""
    return {"kind": "User", "name": name, "apiGroup": _RBAC}


def gateway_in(namespace: str, *, name: str = "ci", annotations: dict[str, str] | None = None, **spec: Any) -> Manifest:
    """An ActionsGateway as a tenant writes it; `spec` changes the fields of its spec."""
    manifest = gateway(name, namespace=namespace, **spec)
    manifest["metadata"] = {"name": name, "namespace": namespace} | (
        {"annotations": annotations} if annotations else {}
    )
    return manifest


def group_in(namespace: str, *, name: str = "ci-cpu", **spec: Any) -> Manifest:
    """A RunnerGroup that nobody owns."""
    return {
        "apiVersion": RUNNERGROUPS.api_version,
        "kind": RUNNERGROUPS.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"runnerLabels": ["self-hosted"], **spec},
    }


def children_in(owner: Manifest) -> list[Manifest]:
    """Everything that the manager would make for a stored gateway, in its order, each the caller's to change."""
    stages = build_children(owner, parse_gateway(owner), SETTINGS)
    return [copy.deepcopy(manifest) for stage in stages for manifest in stage]


async def refusal(request: Awaitable[object]) -> str:
    """What the API server says against a request; fails when it says nothing."""
    try:
        await request
    except (Forbidden, Invalid) as problem:
        return problem.message
    raise AssertionError("the request was admitted")


async def until_refused(request: Callable[[], Awaitable[object]]) -> str:
    """What the API server says against a request, once its caches know why."""
    looks = Looks()
    while True:
        try:
            await request()
        except (Forbidden, Invalid) as problem:
            return problem.message
        await looks.pause()


def _reference(role: str, kind: str, subject: Manifest) -> Manifest:
    return {"roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role}, "subjects": [subject]}
