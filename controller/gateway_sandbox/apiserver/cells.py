"""What stands in the cells of `kubectl get`: JSONPaths, and functions for what a path cannot say.

Which columns a built-in kind has is data in `builtin.types`; a custom resource's come from its CRD. Source: kubernetes
pkg/printers/internalversion/printers.go, and the Kubernetes documentation on "Additional printer columns".
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from gateway_sandbox.apiserver.kinds import Column, Json
from gateway_sandbox.apiserver.paths import read_path
from gateway_sandbox.apiserver.selectors import render_selector

Cell = Callable[[Json], Any]

_NONE = "<none>"
_COLUMN = re.compile(r"^(?P<name>[^=]+)=(?P<cell>\S+)(?: \?(?P<absent>\S*))?(?P<wide> wide)?$")


def custom_columns(definitions: Iterable[Json]) -> tuple[Column, ...]:
    """The columns of a custom resource; without definitions NAME and AGE."""
    return (_NAME, *(_custom(one) for one in definitions or [_CUSTOM_AGE]))


def _custom(definition: Json) -> Column:
    path, priority = definition["jsonPath"], definition.get("priority", 0)
    return Column(definition["name"], definition["type"], lambda obj: read_path(obj, path), priority)


def builtin_columns(text: str) -> tuple[Column, ...]:
    """The columns of one line of `builtin.types`."""
    columns = tuple(_builtin(one.strip()) for one in text.split("|"))
    return columns if any(column.name == "Name" for column in columns) else (_NAME, *columns)


def _builtin(text: str) -> Column:
    match = _COLUMN.match(text)
    if match is None:
        return _AGE
    name, absent = match["name"], _NONE if match["absent"] is None else match["absent"]
    kind = "name" if name == "Name" else "age" if name.endswith(" Seen") else "string"
    cell = _CELLS.get(match["cell"]) or _path(match["cell"], absent)
    return Column(name, kind, cell, 1 if match["wide"] else 0)


def _path(path: str, absent: str) -> Cell:
    def cell(obj: Json) -> Any:
        value = read_path(obj, path)
        return absent if value is None else value

    return cell


_NAME = Column("Name", "name", lambda obj: obj["metadata"]["name"])
_AGE = Column("Age", "age", lambda obj: obj["metadata"].get("creationTimestamp"))
_CUSTOM_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
NAME_AND_CREATION = (_NAME, Column("Created At", "created", _AGE.cell))


# -- the functions that builtin.types names --------------------------------------------------------------------------


def _statuses(pod: Json) -> list[Json]:
    return pod["status"].get("containerStatuses") or []


def _pod_ready(pod: Json) -> str:
    ready = sum(1 for one in _statuses(pod) if one["ready"] and "running" in one["state"])
    return f"{ready}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Json) -> str:
    """The word that tells most: a waiting or ended container's reason before the phase."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    word: str = pod["status"].get("reason") or pod["status"].get("phase", "Unknown")
    for one in reversed(_statuses(pod)):
        waiting, ended = one["state"].get("waiting") or {}, one["state"].get("terminated")
        if waiting.get("reason"):
            word = waiting["reason"]
        elif ended is not None:
            by_signal = f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended['exitCode']}"
            word = ended.get("reason") or by_signal
    is_running = any("running" in one["state"] and one["ready"] for one in _statuses(pod))
    return "Running" if word == "Completed" and is_running else word


def _node_status(node: Json) -> str:
    ready = read_path(node, '.status.conditions[?(@.type=="Ready")].status')
    word = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return word + (",SchedulingDisabled" if node["spec"].get("unschedulable") else "")


def _node_roles(node: Json) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or _NONE


def _service_ports(service: Json) -> str:
    ports = service["spec"].get("ports") or ()
    return ",".join(f"{port['port']}:{port.get('nodePort', '')}".rstrip(":") + f"/{port['protocol']}" for port in ports)


def _selector(path: str) -> Cell:
    return lambda obj: render_selector(read_path(obj, path) or {}) or _NONE


def _of_template(field: str) -> Cell:
    return lambda obj: ",".join(one[field] for one in obj["spec"]["template"]["spec"]["containers"])


def _subjects(kind: str) -> Cell:
    def cell(binding: Json) -> str:
        found = [one for one in binding.get("subjects") or () if one["kind"] == kind]
        return ", ".join(f"{one.get('namespace', '')}/{one['name']}".lstrip("/") for one in found)

    return cell


def _targets(hpa: Json) -> str:
    """Reading and goal of each metric; the readings are in the order of the goals, as far as there are any."""
    shown = []
    for index, metric in enumerate(hpa["spec"].get("metrics") or ()):
        now = read_path(hpa, f"status.currentMetrics[{index}].resource.current.averageUtilization")
        goal = read_path(metric, "resource.target.averageUtilization")
        name = read_path(metric, "resource.name") or metric["type"]
        shown.append(f"{name}: {'<unknown>' if now is None else f'{now}%'}/{'<auto>' if goal is None else f'{goal}%'}")
    return ", ".join(shown) or _NONE


def _used(*, is_limit: bool) -> Cell:
    def cell(quota: Json) -> str:
        hard, used = quota["status"].get("hard") or {}, quota["status"].get("used") or {}
        names = [name for name in sorted(hard) if name.startswith("limits.") is is_limit]
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)

    return cell


def _first_of(*paths: str) -> Cell:
    return lambda obj: next((value for path in paths if (value := read_path(obj, path)) is not None), None)


_BORN = (".firstTimestamp", ".eventTime", ".metadata.creationTimestamp")
_CELLS: dict[str, Cell] = {
    "pod_ready": _pod_ready,
    "pod_status": _pod_status,
    "pod_restarts": lambda pod: str(sum(one.get("restartCount", 0) for one in _statuses(pod))),
    "service_ports": _service_ports,
    "service_selector": lambda service: render_selector({"matchLabels": service["spec"].get("selector")}) or _NONE,
    "data_count": lambda obj: len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
    "slice_ports": lambda obj: ",".join(str(one["port"]) for one in obj.get("ports") or ()) or "<unset>",
    "slice_endpoints": lambda obj: ",".join(one["addresses"][0] for one in obj["endpoints"] or ()) or "<unset>",
    "last_seen": _first_of(".series.lastObservedTime", ".lastTimestamp", *_BORN[1:]),
    "first_seen": _first_of(*_BORN),
    "event_object": lambda event: f"{(of := event['involvedObject']).get('kind', '').lower()}/{of.get('name')}",
    "event_source": _first_of(".source.component", ".reportingComponent"),
    "event_count": _first_of(".series.count", ".count"),
    "quota_requests": _used(is_limit=False),
    "quota_limits": _used(is_limit=True),
    "node_status": _node_status,
    "node_roles": _node_roles,
    "deployment_ready": lambda obj: f"{obj['status'].get('readyReplicas', 0)}/{obj['spec']['replicas']}",
    "template_names": _of_template("name"),
    "template_images": _of_template("image"),
    "selector": _selector(".spec.selector"),
    "pod_selector": _selector(".spec.podSelector"),
    "scale_target": lambda hpa: "{kind}/{name}".format(**hpa["spec"]["scaleTargetRef"]),
    "targets": _targets,
    "role": lambda binding: "{kind}/{name}".format(**binding["roleRef"]),
    "users": _subjects("User"),
    "groups": _subjects("Group"),
    "accounts": _subjects("ServiceAccount"),
}
