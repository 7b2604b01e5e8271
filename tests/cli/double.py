"""A cluster in memory that answers what gw asks.

Behaviour after the Kubernetes API conventions ("Verbs on resources", "Dry run"): POST of a taken name is a 409
AlreadyExists, into a namespace that does not exist a 404; a dry run answers as the write would and keeps nothing; a
delete whose precondition names another uid is a 409, and one of an object with finalizers only marks it. Server-side
apply is played as a merge that notes the field manager and never finds a conflict; what it really does is the component
tests' business.
"""

import copy
import itertools
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import ObjectList, WatchEvent
from actions_gateway.kube.resources import Resource, resource_of
from gateway_sandbox.apiserver.patches import merge_patch
from gw.sources.events import EVENTS
from support.alertmanager import AlertmanagerDouble
from support.clock import START
from support.monitoring import PrometheusDouble

Manifest = dict[str, Any]
Key = tuple[str, str, str]
HOST = "https://cluster.example:6443"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
DISCOVERY: dict[str, Manifest] = {
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
    "/apis": {"groups": [{"name": "apps"}]},
    "/apis/authentication.k8s.io/v1/selfsubjectreviews": {"metadata": {"creationTimestamp": START.isoformat()}},
    ACCESS_REVIEWS: {"status": {"allowed": True}},
}


class ClusterDouble:
    """Implements `gw.sources.cluster.Cluster`."""

    host = HOST

    def __init__(self, *objects: Manifest, served: tuple[str, ...] = ("actionsgateways", "runnergroups")) -> None:
        self.objects: dict[Key, Manifest] = {}
        self.served = served
        self.refusals: dict[tuple[str, str], errors.KubeError] = {}
        """By verb (get, list, create, delete) and plural."""
        self.denied: set[tuple[str, str]] = set()
        """Verb and plural that an access review denies; a write that is tried all the same is no business of it."""
        self.rehearsed: list[str] = []
        """Kind and name of what was created in a dry run."""
        self.created: list[str] = []
        self.applied: list[str] = []
        self.answers: dict[str, Manifest] = dict(DISCOVERY)
        """By path: what a plain request is answered with."""
        self.prometheus = PrometheusDouble(lambda: self.objects.values())
        self.alertmanager = AlertmanagerDouble()
        self.behind: dict[str, Callable[[str, dict[str, str]], tuple[int, bytes]]] = {
            "prometheus:9090": self.prometheus.answer,
            "alertmanager:9093": self.alertmanager.answer,
        }
        """By [SCHEME:]NAME:PORT of a Service: what answers behind the API server's proxy, with status and body."""
        self.changed_behind: dict[str, Callable[[str, str, Any], tuple[int, bytes]]] = {
            "alertmanager:9093": lambda method, path, body: self.alertmanager.change(method, path, body),
        }
        """The same for requests that change something."""
        self.logs: dict[tuple[str, str, str], list[bytes | errors.KubeError]] = {}
        """By namespace, pod and container: lines with their times and ends, and where the connection breaks."""
        self.logs_before: dict[tuple[str, str, str], list[bytes | errors.KubeError]] = {}
        """Of the containers' runs before this one."""
        self.log_queries: list[dict[str, str]] = []
        self.to_come: list[WatchEvent | errors.KubeError] = []
        """What watches tell."""
        self.deleted: list[str] = []
        self.patched: list[str] = []
        self.deleted_at = "2026-01-05T08:00:00Z"
        """When a deletion begins that finalizers hold up."""
        self.on_create: Callable[[Manifest], None] = lambda _: None
        self._uids = itertools.count(1)
        for manifest in objects:
            self.put(manifest)

    def put(self, manifest: Manifest) -> None:
        """Stores an object as it is."""
        is_event = manifest["kind"] == EVENTS.kind
        resource = EVENTS if is_event else resource_of(manifest["apiVersion"], manifest["kind"])
        assert resource is not None, manifest["kind"]
        self.objects[self._key(resource, manifest)] = manifest

    def names(self, resource: Resource) -> list[str]:
        return sorted(key[2] for key in self.objects if key[0] == resource.plural)

    # -- the protocol

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Manifest:
        self._refuse("get", resource)
        found = self.objects.get((resource.plural, namespace or "", name))
        if found is None:
            raise errors.NotFound(f'{resource.plural} "{name}" not found', status=404)
        return copy.deepcopy(found)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> ObjectList:
        self._refuse("list", resource)
        if resource in (r.ACTIONSGATEWAYS, r.RUNNERGROUPS) and resource.plural not in self.served:
            raise errors.NotFound("404 page not found", status=404)
        items = [
            copy.deepcopy(manifest)
            for (plural, where, _), manifest in sorted(self.objects.items())
            if plural == resource.plural and namespace in (None, where) and _selected(manifest, label_selector)
        ]
        return ObjectList(items, "1")

    async def create(
        self, resource: Resource, manifest: Manifest, *, namespace: str | None = None, dry_run: bool = False
    ) -> Manifest:
        self._refuse("create", resource)
        where = manifest["metadata"].get("namespace")
        if where and (r.NAMESPACES.plural, "", where) not in self.objects:
            raise errors.NotFound(f'namespaces "{where}" not found', status=404)
        key = self._key(resource, manifest)
        if key in self.objects:
            raise errors.AlreadyExists(f'{resource.plural} "{key[2]}" already exists', status=409)
        stored = copy.deepcopy(manifest)
        stored["metadata"] |= {"uid": f"uid-{next(self._uids)}", "generation": 1}
        (self.rehearsed if dry_run else self.created).append(f"{resource.kind} {key[2]}")
        if not dry_run:
            self.objects[key] = stored
            self.on_create(stored)
        return copy.deepcopy(stored)

    async def apply(
        self, resource: Resource, manifest: Manifest, *, field_manager: str, force: bool = True, dry_run: bool = False
    ) -> Manifest:
        self._refuse("apply", resource)
        key = self._key(resource, manifest)
        merged = _merged(self.objects.get(key, {}), manifest)
        merged["metadata"]["managedFields"] = [{"manager": field_manager, "operation": "Apply"}]
        merged["metadata"].setdefault("uid", f"uid-{next(self._uids)}")
        (self.rehearsed if dry_run else self.applied).append(f"{resource.kind} {key[2]}")
        if not dry_run:
            self.objects[key] = merged
            self.on_create(merged)
        return copy.deepcopy(merged)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Manifest,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Manifest:
        """As RFC 7396 has it; an object on its way out goes with its last finalizer."""
        self._refuse("patch", resource)
        found = await self.get(resource, name, namespace)
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in (None, found["metadata"].get("resourceVersion")):
            raise errors.Conflict("the object has been modified", status=409)
        merged = merge_patch(found, patch)
        key = (resource.plural, namespace or "", name)
        if dry_run:
            self.rehearsed.append(f"{resource.kind} {name}")
            return merged
        self.objects[key] = merged
        self.patched.append(f"{resource.kind} {name}")
        if merged["metadata"].get("deletionTimestamp") and not merged["metadata"].get("finalizers"):
            del self.objects[key]
        return copy.deepcopy(merged)

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None
    ) -> None:
        self._refuse("delete", resource)
        found = self.objects.get((resource.plural, namespace or "", name))
        if found is None:
            raise errors.NotFound(f'{resource.plural} "{name}" not found', status=404)
        if uid and found["metadata"].get("uid") != uid:
            raise errors.Conflict("the uid in the precondition does not match", status=409)
        if found["metadata"].get("finalizers"):
            found["metadata"].setdefault("deletionTimestamp", self.deleted_at)
            return
        del self.objects[(resource.plural, namespace or "", name)]
        self.deleted.append(f"{resource.kind} {name}")

    async def request(
        self, method: str, path: str, *, body: Any = None, query: dict[str, str] | None = None
    ) -> Manifest:
        if refusal := self.refusals.get(("request", path)) or self.refusals.get(("*", "*")):
            raise refusal
        if "/proxy/" in path:
            return self._change_behind(method, path, body)
        if path == ACCESS_REVIEWS and path in self.answers and self.denied:
            asked = body["spec"]["resourceAttributes"]
            return {"status": {"allowed": (asked["verb"], asked["resource"]) not in self.denied}}
        if path in self.answers:
            return copy.deepcopy(self.answers[path])
        if not self.served:
            raise errors.NotFound("404 page not found", status=404)
        return {"kind": "APIResourceList", "resources": [{"name": plural} for plural in self.served]}

    async def read(self, path: str, *, query: dict[str, str] | None = None) -> bytes:
        """The API server's proxy for Services (Kubernetes docs, "Access Services Running on Clusters")."""
        if refusal := self.refusals.get(("read", "services/proxy")) or self.refusals.get(("*", "*")):
            raise refusal
        _, _, behind = path.partition("/services/")
        service, _, rest = behind.partition("/proxy")
        status, body = self.behind[service](rest, query or {})
        if status >= 300:
            raise errors.error_from_response(status, body.decode())
        return body

    def _change_behind(self, method: str, path: str, body: Any) -> Manifest:
        verb = "delete" if method == "DELETE" else "create"
        if refusal := self.refusals.get((verb, "services/proxy")):
            raise refusal
        _, _, behind = path.partition("/services/")
        service, _, rest = behind.partition("/proxy")
        status, answer = self.changed_behind[service](method, rest, body)
        if status >= 300:
            raise errors.error_from_response(status, answer.decode())
        return dict(json.loads(answer or b"{}"))

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        size: int | None,
    ) -> AsyncIterator[ObjectList]:
        items = (await self.list(resource, namespace, label_selector=label_selector)).items
        size = size or max(1, len(items))
        for first in range(0, max(1, len(items)), size):
            yield ObjectList(items[first : first + size], "1")

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, resource_version: str
    ) -> AsyncIterator[WatchEvent]:
        """Whatever stands in `to_come`, an error included; then the watch ends, as a server's does after a while."""
        self._refuse("watch", resource)
        while self.to_come:
            event = self.to_come.pop(0)
            if isinstance(event, errors.KubeError):
                raise event
            yield event

    async def stream(self, path: str, *, query: dict[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        """Logs as the kubelet tells them (pkg/kubelet/kubelet_pods.go); anything else as `read` does."""
        query = query or {}
        found = re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/log", path)
        if found is None:
            yield await self.read(path, query=query)
            return
        if refusal := self.refusals.get(("get", "pods/log")) or self.refusals.get(("*", "*")):
            raise refusal
        name = query["container"]
        self.log_queries.append({"pod": found[2], **query})
        log = (self.logs_before if query.get("previous") else self.logs).get((found[1], found[2], name))
        if log is None:
            text = f'container "{name}" in pod "{found[2]}" is waiting to start: ContainerCreating'
            raise errors.error_from_response(400, {"kind": "Status", "reason": "BadRequest", "message": text})
        tail = int(query.get("tailLines", len(log) or 1))
        for line in log[-tail:]:
            if isinstance(line, errors.KubeError):
                raise line
            yield line

    def _refuse(self, verb: str, resource: Resource) -> None:
        if refusal := self.refusals.get((verb, resource.plural)) or self.refusals.get(("*", "*")):
            raise refusal

    @staticmethod
    def _key(resource: Resource, manifest: Manifest) -> Key:
        metadata = manifest["metadata"]
        return resource.plural, metadata.get("namespace") or "", metadata.get("name") or f"{metadata['generateName']}1"


def _merged(live: Manifest, applied: Manifest) -> Manifest:
    merged = copy.deepcopy(live)
    for key, value in applied.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _selected(manifest: Manifest, selector: str | None) -> bool:
    """Equality and existence, the two forms that gw uses (Kubernetes docs, "Labels and Selectors")."""
    if selector is None:
        return True
    labels = manifest["metadata"].get("labels") or {}
    terms = (term.partition("=") for term in selector.split(","))
    return all(labels.get(key) == value if equals else key in labels for key, equals, value in terms)
