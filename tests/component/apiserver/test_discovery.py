"""Discovery and OpenAPI: what clients read before they do anything."""

import pytest

from support.apiserver import Api, Play
from support.manifests import WIDGET_GROUP, Json, widget_crd

OURS = {
    "v1": {
        "namespaces",
        "pods",
        "pods/log",
        "pods/status",
        "secrets",
        "configmaps",
        "events",
        "resourcequotas",
        "nodes",
    },
    "apps/v1": {"deployments", "deployments/scale", "deployments/status", "replicasets"},
    "autoscaling/v2": {"horizontalpodautoscalers"},
    "networking.k8s.io/v1": {"networkpolicies"},
    "policy/v1": {"poddisruptionbudgets"},
    "rbac.authorization.k8s.io/v1": {"roles", "rolebindings", "clusterroles", "clusterrolebindings"},
    "coordination.k8s.io/v1": {"leases"},
    "events.k8s.io/v1": {"events"},
    "scheduling.k8s.io/v1": {"priorityclasses"},
    "apiextensions.k8s.io/v1": {"customresourcedefinitions", "customresourcedefinitions/status"},
    "authentication.k8s.io/v1": {"tokenreviews", "selfsubjectreviews"},
    "authorization.k8s.io/v1": {"selfsubjectaccessreviews"},
}


def root(version: str) -> str:
    return f"/api/{version}" if "/" not in version else f"/apis/{version}"


@pytest.mark.parametrize("version", OURS)
def test_what_we_use_is_discovered_with_its_names_and_verbs(play: Play, version: str) -> None:
    async def scenario(api: Api) -> None:
        document = (await api.get(root(version))).body
        assert (document["kind"], document["groupVersion"]) == ("APIResourceList", version)
        found = {one["name"]: one for one in document["resources"]}
        assert OURS[version] <= found.keys()
        for name in OURS[version] - {"pods/log"}:
            verbs = set(found[name]["verbs"])
            if version.startswith(("authentication", "authorization")):
                assert verbs == {"create"}
            elif "/" in name:
                assert verbs == {"get", "patch", "update"}
            else:
                assert {"create", "delete", "get", "list", "patch", "update", "watch"} <= verbs

    play(scenario)


@pytest.mark.parametrize(
    ("version", "plural", "expected"),
    [
        ("v1", "pods", {"kind": "Pod", "singularName": "pod", "namespaced": True, "shortNames": ["po"]}),
        ("v1", "namespaces", {"kind": "Namespace", "namespaced": False, "shortNames": ["ns"]}),
        ("v1", "resourcequotas", {"kind": "ResourceQuota", "shortNames": ["quota"]}),
        ("apps/v1", "deployments", {"kind": "Deployment", "shortNames": ["deploy"], "categories": ["all"]}),
        ("apps/v1", "deployments/scale", {"kind": "Scale", "group": "autoscaling", "version": "v1"}),
        ("networking.k8s.io/v1", "networkpolicies", {"shortNames": ["netpol"]}),
        ("policy/v1", "poddisruptionbudgets", {"shortNames": ["pdb"], "singularName": "poddisruptionbudget"}),
    ],
    ids=lambda value: value.replace("/", " ") if isinstance(value, str) else "",
)
def test_a_resource_is_described_as_kubectl_needs_it(play: Play, version: str, plural: str, expected: Json) -> None:
    async def scenario(api: Api) -> None:
        document = (await api.get(root(version))).body
        found = next(one for one in document["resources"] if one["name"] == plural)
        assert {name: found.get(name) for name in expected} == expected

    play(scenario)


def test_groups_name_their_versions(play: Play) -> None:
    async def scenario(api: Api) -> None:
        assert (await api.get("/api")).body["versions"] == ["v1"]
        groups = {one["name"]: one for one in (await api.get("/apis")).body["groups"]}
        for version in OURS.keys() - {"v1"}:
            group, _, name = version.partition("/")
            assert {"groupVersion": version, "version": name} in groups[group]["versions"]
            assert groups[group]["preferredVersion"]["version"] == name

    play(scenario)


def test_a_custom_group_comes_with_its_definition_and_goes_with_it(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async def versions() -> list[str]:
            groups = (await api.get("/apis")).body["groups"]
            return [one["version"] for group in groups if group["name"] == api.group for one in group["versions"]]

        assert await versions() == []
        await api.serve(widget_crd(group=api.group), is_shared=False)
        await api.until("/apis", lambda found: any(one["name"] == api.group for one in found["groups"]))
        assert await versions() == ["v1"]
        await api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{api.group}")
        await api.until("/apis", lambda found: all(one["name"] != api.group for one in found["groups"]))

    play(scenario)


def test_the_schema_of_a_custom_kind_is_published(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        path = f"apis/{WIDGET_GROUP}/v1"
        await api.until("/openapi/v3", lambda found: path in found["paths"])
        document = (await api.get(f"/openapi/v3/{path}")).body
        schemas = document["components"]["schemas"].values()
        kinds = [one["kind"] for schema in schemas for one in schema.get("x-kubernetes-group-version-kind", [])]
        assert "Widget" in kinds
        widget = next(
            one for one in schemas if "size" in one.get("properties", {}).get("spec", {}).get("properties", {})
        )
        size = widget["properties"]["spec"]["properties"]["size"]
        assert (size["type"], size["minimum"], size["maximum"]) == ("integer", 1, 10)

    play(scenario)
