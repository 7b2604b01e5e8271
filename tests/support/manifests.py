"""Objects that scenarios create: a base each, and the small changes that a test is about.

A real control plane has controllers and a scheduler that react to what is created. The bases are such that nothing
reacts: a pod names a scheduler that nobody runs, a Deployment is paused.
"""

from typing import Any

Json = dict[str, Any]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGET_GROUP = "demo.example.com"
WIDGETS = f"~{WIDGET_GROUP}/v1/widgets"
NO_SCHEDULER = "nobody"


def pod(name: str = "p", **spec: Any) -> Json:
    """A pod with one container."""
    container = {"name": "main", "image": "busybox:1.36"} | spec.pop("container", {})
    return {"metadata": {"name": name}, "spec": {"containers": [container], "schedulerName": NO_SCHEDULER} | spec}


def deployment(name: str = "web", **spec: Any) -> Json:
    """A Deployment with one container."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "nginx:1.25"}]},
    }
    body: Json = {"selector": {"matchLabels": {"app": name}}, "template": template, "paused": True} | spec
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


def config_map(name: str = "settings", **data: str) -> Json:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def widget_crd(schema: Json | None = None, *, group: str = WIDGET_GROUP, **version: Any) -> Json:
    """The CRD of a custom kind `Widget` (v1), with status and a few typed fields.

    The one of the default group is shared and has the short name; a test that changes it takes a group of its own.
    """
    spec_schema = schema or {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10},
            "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "url": {"type": "string", "pattern": "^https://"},
            "port": {"x-kubernetes-int-or-string": True},
            "code": {"type": "string", "minLength": 2, "maxLength": 3},
            "pair": {"type": "array", "minItems": 2, "items": {"type": "string"}},
            "since": {"type": "string", "format": "date-time"},
            "notes": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "parts": {
                "type": "array",
                "maxItems": 3,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
                },
            },
        },
    }
    status = {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "selector": {"type": "string"},
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status"],
                    "properties": {name: {"type": "string"} for name in ("type", "status", "reason", "message")},
                },
            },
        },
    }
    ready = {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'}
    size = {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    served = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec_schema, "status": status}}},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [size, ready, age],
    } | version
    names: Json = {"kind": "Widget", "plural": "widgets"}
    if group == WIDGET_GROUP:
        names |= {"shortNames": ["wd"], "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


def widget(name: str = "w", *, group: str = WIDGET_GROUP, **spec: Any) -> Json:
    """A Widget."""
    typed = {"apiVersion": f"{group}/v1", "kind": "Widget"}
    return typed | {"metadata": {"name": name}, "spec": {"size": 3} | spec}
