"""Discovery and OpenAPI: what `kubectl` reads before it does anything.

Only the unaggregated discovery documents are served (clients fall back to them), and OpenAPI v3 with the parts that
kubectl uses: schemas for `explain` and the paths that say which group versions take `fieldValidation`.
Source: Kubernetes documentation, "API Overview" (Discovery API, OpenAPI interface definition).
"""

from typing import Any

from gateway_sandbox.apiserver.builtin import REF, BuiltinTypes
from gateway_sandbox.apiserver.kinds import Json, Kind, Registry
from gateway_sandbox.apiserver.reviews import AUTHENTICATION, AUTHORIZATION, REVIEWS

VERSION: Json = {"major": "1", "minor": "36", "gitVersion": "v1.36.3+gateway-sandbox", "platform": "linux/amd64"}
_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
_SUBRESOURCES: dict[str, tuple[str, tuple[str, ...], Json]] = {
    "status": ("", ("get", "patch", "update"), {}),
    "scale": ("Scale", ("get", "patch", "update"), {"group": "autoscaling", "version": "v1"}),
    "log": ("", ("get",), {}),
    "binding": ("Binding", ("create",), {}),
    "token": ("TokenRequest", ("create",), {"group": "authentication.k8s.io", "version": "v1"}),
}
_TYPE_KEY = "x-kubernetes-group-version-kind"


class Discovery:
    """Builds the documents from the registry, anew each time, so that a CRD shows at once."""

    def __init__(self, registry: Registry, types: BuiltinTypes) -> None:
        self._registry = registry
        self._types = types

    def document(self, path: str) -> Json | None:
        """The document at a path, or None when there is none."""
        parts = path.strip("/").split("/")
        match parts:
            case ["api"]:
                return {"kind": "APIVersions", "versions": ["v1"]}
            case ["apis"]:
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": self._groups()}
            case ["api", version]:
                return self._resources("", version)
            case ["apis", group, version]:
                return self._resources(group, version)
            case ["openapi", "v3"]:
                roots = dict.fromkeys(_root(kind) for kind in self._registry)
                return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}
            case ["openapi", "v3", "api", version]:
                return self._openapi("", version)
            case ["openapi", "v3", "apis", group, version]:
                return self._openapi(group, version)
        return None

    def _groups(self) -> list[Json]:
        """The groups besides the core, each with its versions in the order of registration."""
        served = self._registry.group_versions() | {AUTHENTICATION: ["v1"], AUTHORIZATION: ["v1"]}
        groups = []
        for group, names in served.items():
            versions = [{"groupVersion": f"{group}/{name}", "version": name} for name in names]
            groups.append({"name": group, "versions": versions, "preferredVersion": versions[0]})
        return [group for group in groups if group["name"]]

    def _resources(self, group: str, version: str) -> Json | None:
        kinds = self._registry.in_group_version(group, version)
        resources = [entry for kind in kinds for entry in _resource_entries(kind)]
        resources += [
            {"name": plural, "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
            for (review_group, plural), kind in REVIEWS.items()
            if (review_group, "v1") == (group, version)
        ]
        if not resources:
            return None
        name = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}

    def _openapi(self, group: str, version: str) -> Json | None:
        kinds = self._registry.in_group_version(group, version)
        if not kinds:
            return None
        schemas: dict[str, Any] = dict(self._types.schemas)
        paths: dict[str, Json] = {}
        for kind in kinds:
            name = kind.schema["$ref"].rsplit("/", 1)[-1] if "$ref" in kind.schema else f"{group}.{version}.{kind.kind}"
            schema = schemas.get(name) or _custom_schema(kind)
            schemas[name] = schema | {_TYPE_KEY: [_type_of(kind)]}
            paths[_path(kind)] = _operations(kind)
        info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
        return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _resource_entries(kind: Kind) -> list[Json]:
    entry: Json = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced}
    entry |= {"kind": kind.kind, "verbs": list(_VERBS)}
    entry |= {"shortNames": list(kind.short_names)} if kind.short_names else {}
    entry |= {"categories": list(kind.categories)} if kind.categories else {}
    entries = [entry]
    for name in kind.subresources:
        type_name, verbs, extra = _SUBRESOURCES[name]
        common = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        entries.append(common | extra | {"kind": type_name or kind.kind, "verbs": list(verbs)})
    return entries


def _type_of(kind: Kind) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _root(kind: Kind) -> str:
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"


def _path(kind: Kind) -> str:
    return f"/{_root(kind)}" + ("/namespaces/{namespace}" if kind.namespaced else "") + f"/{kind.plural}/{{name}}"


def _operations(kind: Kind) -> Json:
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    common = {_TYPE_KEY: _type_of(kind), "responses": {}}
    return {"get": dict(common), "patch": common | {"parameters": parameters}}


def _custom_schema(kind: Kind) -> Json:
    typed: Json = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    typed |= {"metadata": {"$ref": f"{REF}ObjectMeta"}}
    return kind.schema | {"type": "object", "properties": (kind.schema.get("properties") or {}) | typed}
