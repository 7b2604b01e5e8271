"""What the server does to pods and pod templates beyond the field table: computed defaults and their validation.

Source: kubernetes pkg/apis/core/v1/defaults.go, pkg/apis/core/validation and pkg/apis/core/helper/qos.
"""

import operator
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from actions_gateway.api.quantities import parse_quantity
from gateway_sandbox.apiserver.statuses import Cause, duplicate, forbidden_field

Json = dict[str, Any]

_MUTABLE_SPEC = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "schedulingGates")
_UPDATE_REFUSED = f"pod updates may not change fields other than images, more tolerations, {', '.join(_MUTABLE_SPEC)}"


def containers(spec: Json) -> Iterator[tuple[str, Json]]:
    """All containers of a pod spec with their field paths."""
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{field}[{index}]", container


def default_pod_spec(spec: Json) -> None:
    """Computed defaults of a pod spec, in templates too."""
    for _, container in containers(spec):
        container.setdefault("imagePullPolicy", "Always" if _is_latest(container["image"]) else "IfNotPresent")
    for volume in spec.get("volumes") or ():
        if set(volume) == {"name"}:
            volume["emptyDir"] = {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def default_pod(pod: Json) -> None:
    """Computed defaults of a pod; requests follow limits here, not in templates."""
    spec = pod["spec"]
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for _, container in containers(spec):
        limits = container["resources"].get("limits") or {}
        if limits:
            container["resources"]["requests"] = limits | (container["resources"].get("requests") or {})


def _is_latest(image: str) -> bool:
    return "@" not in image and image.rsplit("/", 1)[-1].partition(":")[2] in ("", "latest")


def qos_class(spec: Json) -> str:
    """Guaranteed, Burstable or BestEffort."""
    each = [container["resources"] for _, container in containers(spec)]
    if not any(resources.get("requests") or resources.get("limits") for resources in each):
        return "BestEffort"
    for resources in each:
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        if any(name not in limits or requests.get(name) != limits[name] for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"


def pod_resources(spec: Json, part: str) -> dict[str, Fraction]:
    """What a pod takes: the sum of its containers or its largest init container, whichever is more."""
    totals: dict[str, Fraction] = {}
    for field, combine in (("containers", operator.add), ("initContainers", max)):
        for container in spec.get(field) or ():
            for name, value in (container["resources"].get(part) or {}).items():
                totals[name] = combine(totals.get(name, Fraction(0)), parse_quantity(value))
    return totals


def pod_spec_faults(spec: Json, where: str) -> list[Cause]:
    """References inside a pod spec: names are unique and mounts name a volume."""
    causes: list[Cause] = []
    names: set[str] = set()
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    for path, container in containers(spec):
        if container["name"] in names:
            causes.append(duplicate(f"{where}.{path}.name", container["name"]))
        names.add(container["name"])
        for index, mount in enumerate(container.get("volumeMounts") or ()):
            if mount["name"] not in volumes:
                field = f"{where}.{path}.volumeMounts[{index}].name"
                causes.append(Cause(field, "FieldValueNotFound", f'Not found: "{mount["name"]}"'))
    return causes


def pod_update_faults(new: Json, old: Json) -> list[Cause]:
    """A pod's spec is fixed but for images, deadlines and added tolerations."""
    kept = old["spec"].get("tolerations") or []
    has_lost = any(toleration not in (new["spec"].get("tolerations") or []) for toleration in kept)
    if has_lost or _fixed_part(new["spec"]) != _fixed_part(old["spec"]):
        return [forbidden_field("spec", _UPDATE_REFUSED)]
    return []


def _fixed_part(spec: Json) -> Json:
    fixed = {name: value for name, value in spec.items() if name not in (*_MUTABLE_SPEC, "tolerations")}
    for field in ("containers", "initContainers"):
        fixed[field] = [container | {"image": ""} for container in spec.get(field) or ()]
    return fixed
