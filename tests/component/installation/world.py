"""A real control plane with nothing on it, `gw` in this process, and somebody who plays kubelet and manager.

Between two looks of gw, the world moves on: pods of the manager become ready and one of them takes the lease.
"""

import asyncio
import contextlib
import copy
import json
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import yaml

from actions_gateway.api import names
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from gateway_sandbox.controlplane.server import ControlPlane
from gw.ops.installation.snapshot import REMOVABLE, Identity, identity_of
from support.aio import Looks
from support.definitions import install_definitions
from support.patience import HANG_SECONDS

T = TypeVar("T")
Manifest = dict[str, Any]

IMAGE = f"registry.example.com/actions-gateway/controller@sha256:{'a' * 64}"
OTHER_IMAGE = f"registry.example.com/actions-gateway/controller@sha256:{'b' * 64}"
PROXY_IMAGE = f"registry.example.com/envoy@sha256:{'e' * 64}"
INSTALL = ("install", "--controller-image", IMAGE, "--proxy-image", PROXY_IMAGE, "--yes")
GATEWAY_CRD = f"actionsgateways.{names.API_GROUP}"
OPERATORS = frozenset({"monitoring.coreos.com", "grafana.integreatly.org"})
"""The groups of operators that a test puts there."""
_BY_TEST = "test"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_OURS = "app.kubernetes.io/part-of=actions-gateway"


@dataclass
class LiveClock:
    """The time of day; a sleep ends at once, after the rest of the world has had its turn."""

    on_sleep: Callable[[], None]

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        # Its own thread has its own loop.
        await asyncio.to_thread(self.on_sleep)


@dataclass
class World:
    """One control plane and its administrator."""

    plane: ControlPlane
    between_looks: list[Callable[["World"], None]] = field(default_factory=list)

    def call(self, scenario: Callable[[KubeClient], Coroutine[Any, Any, T]]) -> T:
        """Runs a scenario as the administrator; also from inside of a running loop."""

        async def run() -> T:
            async with connect(self.plane.kubeconfig) as client, asyncio.timeout(HANG_SECONDS):
                return await scenario(client)

        with ThreadPoolExecutor(1) as executor:
            return executor.submit(lambda: asyncio.run(run())).result()

    def move_on(self) -> None:
        """What happens between two looks of gw."""
        for turn in self.between_looks:
            turn(self)

    # -- looking

    def get(self, resource: r.Resource, name: str, namespace: str | None = None) -> Manifest | None:
        async def scenario(client: KubeClient) -> Manifest | None:
            try:
                return await client.get(resource, name, namespace)
            except errors.NotFound:
                return None

        return self.call(scenario)

    def ours(self) -> dict[Identity, Manifest]:
        """Everything of the installation that is there."""

        async def scenario(client: KubeClient) -> dict[Identity, Manifest]:
            found: dict[Identity, Manifest] = {}
            for resource in (*REMOVABLE, r.NAMESPACES, r.CRDS):
                try:
                    items = (await client.list(resource, label_selector=_OURS)).items
                except errors.NotFound:
                    continue
                found |= {identity_of(item): item for item in items}
            return found

        return self.call(scenario)

    def versions(self) -> dict[Identity, Manifest]:
        """What each is like but for its status, which controllers write in their own time, and gw never."""
        return {identity: _without_status(each) for identity, each in self.ours().items()}

    def until_allowed(self, user: str, verb: str, resource: r.Resource) -> None:
        """Returns once a new role and its binding give the user the right: the API server follows them by watches."""
        asked = {"verb": verb, "group": resource.group, "resource": resource.plural}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        review |= {"spec": {"user": user, "resourceAttributes": asked}}

        async def scenario(client: KubeClient) -> None:
            looks = Looks()
            while not (await client.request("POST", _ACCESS_REVIEWS, body=review))["status"]["allowed"]:
                await looks.pause()

        self.call(scenario)

    # -- changing

    def put(self, manifest: Manifest, *, field_manager: str = _BY_TEST) -> Manifest:
        """Applies an object as somebody else."""
        resource = r.resource_of(manifest["apiVersion"], manifest["kind"])
        assert resource is not None, manifest["kind"]
        return self.call(lambda client: client.apply(resource, manifest, field_manager=field_manager))

    def patch(self, resource: r.Resource, name: str, patch: Manifest, namespace: str | None = None) -> None:
        self.call(lambda client: client.patch(resource, name, patch, namespace=namespace))

    def remove(self, resource: r.Resource, name: str, namespace: str | None = None) -> None:
        async def scenario(client: KubeClient) -> None:
            try:
                await client.delete(resource, name, namespace=namespace)
            except errors.NotFound:
                return

        self.call(scenario)

    def put_definitions(self) -> None:
        """This release's definitions, in force."""

        self.call(lambda client: install_definitions(client, crd_manifests()))


def manager_starts(world: World) -> None:
    """What kubelet and manager do with the Deployment: every pod becomes ready, one of them leads."""

    async def scenario(client: KubeClient) -> None:
        selector = ",".join(f"{key}={value}" for key, value in SELECTOR.items())
        pods = (await client.list(r.PODS, names.MANAGER_NAMESPACE, label_selector=selector)).items
        for pod in pods:
            # One of a rollout may be gone by now.
            with contextlib.suppress(errors.NotFound):
                await client.patch(
                    r.PODS, pod["metadata"]["name"], READY_POD, namespace=names.MANAGER_NAMESPACE, subresource="status"
                )
        if pods:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            lease = {
                "metadata": {"name": names.MANAGER_LEASE, "namespace": names.MANAGER_NAMESPACE},
                "spec": {
                    "holderIdentity": f"{pods[0]['metadata']['name']}_1",
                    "renewTime": now,
                    "leaseDurationSeconds": 15,
                },
            }
            await client.apply(r.LEASES, lease, field_manager=_BY_TEST)

    world.call(scenario)


READY_POD: Manifest = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


@contextlib.contextmanager
def empty_again(plane: ControlPlane) -> Iterator[World]:
    """A world in which nothing is installed, and which is left so."""
    world = World(plane)
    try:
        yield world
    finally:
        world.call(_wipe)


async def _wipe(client: KubeClient) -> None:
    for resource in (r.VALIDATINGWEBHOOKS, *REMOVABLE):
        try:
            items = (await client.list(resource)).items
        except errors.NotFound:
            continue
        for item in items:
            if _is_test_data(item):
                await _delete(client, resource, item)
    for resource in (r.ACTIONSGATEWAYS, r.RUNNERGROUPS):
        await _strip(client, resource, None)
    for manifest in crd_manifests():
        await _gone(client, r.CRDS, manifest["metadata"]["name"])
    await _finalize_namespace(client)
    for item in (await client.list(r.CRDS)).items:
        if item["spec"]["group"] in OPERATORS:
            await _gone(client, r.CRDS, item["metadata"]["name"])
    await until_groups(client, lambda found: found.isdisjoint(OPERATORS))


async def until_groups(client: KubeClient, holds: Callable[[set[str]], bool]) -> None:
    """Returns once `holds` is true of the groups that the API server names, which follow the definitions later."""
    looks = Looks()
    while not holds({group["name"] for group in (await client.request("GET", "/apis"))["groups"]}):
        await looks.pause()


def _without_status(manifest: Manifest) -> Manifest:
    fields = [entry for entry in manifest["metadata"]["managedFields"] if entry.get("subresource") != "status"]
    metadata = manifest["metadata"] | {"managedFields": fields, "resourceVersion": None}
    return {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata}


async def _finalize_namespace(client: KubeClient) -> None:
    """Empties the namespace and takes its finalizer: its controller would need five seconds for each test."""
    for resource in (r.REPLICASETS, r.PODS, r.LEASES, r.CONFIGMAPS, r.SERVICEACCOUNTS):
        await _strip(client, resource, names.MANAGER_NAMESPACE)
    try:
        await client.delete(r.NAMESPACES, names.MANAGER_NAMESPACE)
    except (errors.NotFound, errors.Conflict):
        pass
    while True:
        try:
            namespace = await client.get(r.NAMESPACES, names.MANAGER_NAMESPACE)
            namespace["spec"]["finalizers"] = []
            await client.update(r.NAMESPACES, namespace, subresource="finalize")
        except errors.NotFound:
            return
        except errors.Conflict:
            continue


def _is_test_data(item: Manifest) -> bool:
    """Whatever the API server did not make itself."""
    bootstrapped = (item["metadata"].get("labels") or {}).get("kubernetes.io/bootstrapping")
    return (
        not bootstrapped
        and not item["metadata"]["name"].startswith(("system:", "kubernetes"))
        and (
            item["metadata"]["name"] not in ("cluster-admin", "default")
            and item["metadata"].get("namespace") not in ("kube-system", "kube-public")
        )
    )


async def _delete(client: KubeClient, resource: r.Resource, item: Manifest) -> None:
    try:
        await client.delete(resource, item["metadata"]["name"], namespace=item["metadata"].get("namespace"))
    except errors.NotFound:
        return


async def _strip(client: KubeClient, resource: r.Resource, namespace: str | None) -> None:
    """Deletes the objects of a type, whatever finalizers they have."""
    try:
        items = (await client.list(resource, namespace)).items
    except errors.NotFound:
        return
    for item in items:
        metadata = item["metadata"]
        try:
            if metadata.get("finalizers"):
                await client.patch(
                    resource,
                    metadata["name"],
                    {"metadata": {"finalizers": None}},
                    namespace=metadata.get("namespace"),
                )
        except errors.NotFound:
            continue
        await _delete(client, resource, item)


async def _gone(client: KubeClient, resource: r.Resource, name: str) -> None:
    """Deletes an object and waits until it is gone."""
    while True:
        try:
            await client.delete(resource, name)
        except errors.NotFound:
            return
        except errors.Conflict:
            continue


def gateway(namespace: str, name: str = "ci", **metadata: Any) -> Manifest:
    """An ActionsGateway that the API server takes."""
    return {
        "apiVersion": r.ACTIONSGATEWAYS.api_version,
        "kind": r.ACTIONSGATEWAYS.kind,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "gitHubURL": "https://github.com/octo/demo",
            "gitHubAppRef": {"name": "github-app-v1"},
            "runnerGroups": [{"name": "cpu", "runnerLabels": ["self-hosted"]}],
        },
    }


def crd(group: str, plural: str, kind: str, version: str = "v1") -> Manifest:
    """A definition that takes anything, in the place of an operator's."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": r.CRDS.api_version,
        "kind": r.CRDS.kind,
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def kubeconfig_with_token(plane: ControlPlane, folder: Path, token: str) -> Path:
    """A kubeconfig with a token that may or may not be good."""
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def without(manifest: dict[str, object], *path: str) -> dict[str, object]:
    """A copy of a manifest that lacks one field."""
    found = copy.deepcopy(manifest)
    place: object = found
    for key in path[:-1]:
        place = place[int(key) if key.isdigit() else key]  # type: ignore[index]
    del place[path[-1]]  # type: ignore[attr-defined]
    return found
