"""Discovery and OpenAPI: what `kubectl` reads before it does anything.

Only the unaggregated discovery documents are served (clients fall back to them), and OpenAPI v3 with the parts that
kubectl uses: schemas for `explain` and the paths that say which group versions take `fieldValidation`.
Source: Kubernetes documentation, "API Overview" (Discovery API, OpenAPI interface definition).
"""

from typing import Any

from gateway_sandbox.apiserver.builtin import BuiltinTypes
from gateway_sandbox.apiserver.kinds import Json, Kind, Registry
from gateway_sandbox.apiserver.reviews import AUTHENTICATION, AUTHORIZATION, REVIEWS

VERSION: Json = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+gateway-sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUBRESOURCES: dict[str, tuple[str, tuple[str, ...], Json]] = {
    "status": ("", ("get", "patch", "update"), {}),
    "finalize": ("", ("update",), {}),
    "scale": ("Scale", ("get", "patch", "update"), {"group": "autoscaling", "version": "v1"}),
    "log": ("", ("get",), {}),
    "binding": ("Binding", ("create",), {}),
    "eviction": ("Eviction", ("create",), {"group": "policy", "version": "v1"}),
    "token": ("TokenRequest", ("create",), {"group": "authentication.k8s.io", "version": "v1"}),
}
_TYPE_KEY = "x-kubernetes-group-version-kind"


class Discovery:
    """Builds the documents from the registry, anew each time, so that a CRD shows at once."""

    def __init__(self, registry: Registry, types: BuiltinTypes, address: str) -> None:
        self._registry = registry
        self._types = types
        self._address = address

    def document(self, path: str) -> Json | None:
        """The document at a path, or None when there is none."""
        parts = path.strip("/").split("/")
        match parts:
            case ["api"]:
                return self._core_versions()
            case ["apis"]:
                groups = [self._group(group) for group in self._groups() if group]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["api", version]:
                return self._resources("", version)
            case ["apis", group]:
                known = group in self._groups()
                return {"kind": "APIGroup", "apiVersion": "v1"} | self._group(group) if known and group else None
            case ["apis", group, version]:
                return self._resources(group, version)
            case ["openapi", "v3"]:
                return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in self._roots()}}
            case ["openapi", "v3", "api", version]:
                return self._openapi("", version)
            case ["openapi", "v3", "apis", group, version]:
                return self._openapi(group, version)
        return None

    def _groups(self) -> dict[str, list[str]]:
        return self._registry.group_versions() | {AUTHENTICATION: ["v1"], AUTHORIZATION: ["v1"]}

    def _roots(self) -> list[str]:
        pairs = (
            (group, version) for group, versions in self._registry.group_versions().items() for version in versions
        )
        return [f"apis/{group}/{version}" if group else f"api/{version}" for group, version in pairs]

    def _core_versions(self) -> Json:
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}

    def _group(self, group: str) -> Json:
        versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in self._groups()[group]]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _resources(self, group: str, version: str) -> Json | None:
        kinds = self._registry.in_group_version(group, version)
        resources = [entry for kind in kinds for entry in _resource_entries(kind)]
        resources += [
            {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": ["create"]}
            for (review_group, plural), (kind, namespaced) in REVIEWS.items()
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
    entry: Json = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_VERBS),
        "storageVersionHash": "",
    }
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


def _path(kind: Kind) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return root + ("/namespaces/{namespace}" if kind.namespaced else "") + f"/{kind.plural}/{{name}}"


def _operations(kind: Kind) -> Json:
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    common = {_TYPE_KEY: _type_of(kind), "responses": {}}
    return {"get": dict(common), "patch": common | {"parameters": parameters}}


def _custom_schema(kind: Kind) -> Json:
    typed = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": "#/components/schemas/ObjectMeta"},
    }
    return kind.schema | {"type": "object", "properties": (kind.schema.get("properties") or {}) | typed}
