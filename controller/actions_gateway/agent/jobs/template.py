"""Whether a tenant's pod template has the shape that building a worker needs; the API server judges the rest."""

_RESOURCES: dict[str, object] = {"requests": {}, "limits": {}}
_CONTAINER = {
    "name": "",
    "image": "",
    "env": [{"name": ""}],
    "volumeMounts": [{"name": "", "mountPath": ""}],
    "resources": _RESOURCES,
    "restartPolicy": "",
    "securityContext": {"capabilities": {}},
}
_CLAIM = {"spec": {"resources": _RESOURCES, "storageClassName": ""}}
_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": [""]}],
    "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {"namespaces": [""]}}],
}
_TEMPLATE = {
    "metadata": {"annotations": {}},
    "spec": {
        "containers": [_CONTAINER],
        "initContainers": [_CONTAINER],
        "volumes": [{"name": "", "ephemeral": {"volumeClaimTemplate": _CLAIM}}],
        "affinity": {"podAffinity": _AFFINITY, "podAntiAffinity": _AFFINITY},
        "resources": _RESOURCES,
        "overhead": {},
        "priorityClassName": "",
        "securityContext": {},
        "terminationGracePeriodSeconds": 0,
    },
}
"""An example of each field that is read; a list's first item stands for all of them."""

_KINDS = {dict: "an object", list: "a list", int: "a whole number", str: "text"}


def template_problem(value: object, example: object = _TEMPLATE, path: str = "spec.podTemplate") -> str:
    """The first field of another type than a pod's, with its path; empty when there is none. Null fields are absent."""
    children: list[tuple[object, object, str]] = []
    if not isinstance(value, type(example)):
        return f"{path}: must be {_KINDS[type(example)]}"
    if isinstance(value, dict) and isinstance(example, dict):
        known = ((name, inner) for name, inner in example.items() if value.get(name) is not None)
        children = [(value[name], inner, f"{path}.{name}") for name, inner in known]
    elif isinstance(value, list) and isinstance(example, list):
        children = [(item, example[0], f"{path}[{number}]") for number, item in enumerate(value)]
    return next(filter(None, (template_problem(*child) for child in children)), "")
