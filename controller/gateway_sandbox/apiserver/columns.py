"""The columns of `kubectl get`, per kind, as data: a name and how an object yields the cell.

Source: kubernetes pkg/printers/internalversion/printers.go for built-in kinds; for custom resources the CRD's
`additionalPrinterColumns`, whose JSONPath is read by `read_path`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gateway_sandbox.apiserver.kinds import Column, Json

_NONE = "<none>"
_STEP = re.compile(
    r"\.(?P<field>[\w-]+(?:\\\.[\w-]+)*)"
    r"|\[(?:'(?P<quoted>[^']+)'|(?P<index>-?\d+)|(?P<all>\*)"
    r"|\?\(@\.(?P<key>[\w.-]+)\s*==\s*['\"](?P<value>[^'\"]*)['\"]\))\]"
)


def read_path(obj: Any, path: str) -> Any:
    """The first value at a JSONPath of fields, indexes, `[*]` and `[?(@.key=="value")]` filters; None when absent."""
    found = [obj]
    for step in _STEP.finditer(path):
        found = [child for value in found for child in _children(value, step)]
    return found[0] if found else None


def _children(value: Any, step: re.Match[str]) -> Iterator[Any]:
    name = step["quoted"] or (step["field"] or "").replace("\\.", ".")
    if isinstance(value, dict) and name in value:
        yield value[name]
    elif isinstance(value, list) and step["all"]:
        yield from value
    elif isinstance(value, list) and step["index"]:
        yield from value[int(step["index"]) :][:1]
    elif isinstance(value, list) and step["key"]:
        yield from (one for one in value if str(read_path(one, f".{step['key']}")) == step["value"])


def custom_columns(definitions: Iterable[Json]) -> tuple[Column, ...]:
    """The columns of a custom resource; without definitions NAME and AGE."""
    columns = tuple(
        Column(one["name"], one["type"], _path(one["jsonPath"]), one.get("priority", 0)) for one in definitions
    )
    return (_NAME, *columns) if columns else NAME_AND_AGE


def _path(path: str) -> Callable[[Json], Any]:
    return lambda obj: read_path(obj, path)


def _or(path: str, default: Any = _NONE) -> Callable[[Json], Any]:
    """The value at a path, or what stands for nothing."""

    def cell(obj: Json) -> Any:
        value = read_path(obj, path)
        return default if value is None else value

    return cell


def _count(field: str) -> Callable[[Json], Any]:
    return lambda obj: len(obj.get(field) or ())


def _pairs(path: str) -> Callable[[Json], Any]:
    return lambda obj: ",".join(f"{key}={value}" for key, value in (read_path(obj, path) or {}).items()) or _NONE


def _selector(path: str) -> Callable[[Json], Any]:
    def cell(obj: Json) -> str:
        selector = read_path(obj, path) or {}
        terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
        for term in selector.get("matchExpressions") or ():
            values = f" {term['operator'].lower()} ({','.join(term['values'])})" if term.get("values") else ""
            terms.append(("!" if term["operator"] == "DoesNotExist" else "") + term["key"] + values)
        return ",".join(terms) or _NONE

    return cell


def _of_template(field: str) -> Callable[[Json], Any]:
    return lambda obj: ",".join(one[field] for one in obj["spec"]["template"]["spec"]["containers"])


# -- pods ------------------------------------------------------------------------------------------------------------


def _statuses(pod: Json) -> list[Json]:
    return pod["status"].get("containerStatuses") or []


def _pod_ready(pod: Json) -> str:
    ready = sum(1 for one in _statuses(pod) if one["ready"] and "running" in one["state"])
    return f"{ready}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Json) -> str:
    """The word that tells most: a waiting or ended container's reason before the phase."""
    status = pod["status"]
    word: str = status.get("reason") or status.get("phase", "Unknown")
    for one in reversed(_statuses(pod)):
        waiting, ended = one["state"].get("waiting") or {}, one["state"].get("terminated")
        if waiting.get("reason"):
            word = waiting["reason"]
        elif ended is not None:
            word = ended.get("reason") or (
                f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended['exitCode']}"
            )
    has_running = any("running" in one["state"] and one["ready"] for one in _statuses(pod))
    if word == "Completed" and has_running:
        word = "Running"
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return word


def _pod_restarts(pod: Json) -> str:
    return str(sum(one.get("restartCount", 0) for one in _statuses(pod)))


def _gates(pod: Json) -> str:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    met = {one["type"] for one in pod["status"].get("conditions") or () if one["status"] == "True"}
    return f"{sum(gate in met for gate in gates)}/{len(gates)}" if gates else _NONE


# -- the other kinds -------------------------------------------------------------------------------------------------


def _node_status(node: Json) -> str:
    ready = read_path(node, '.status.conditions[?(@.type=="Ready")].status')
    words = [{"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")]
    return ",".join(words + (["SchedulingDisabled"] if node["spec"].get("unschedulable") else []))


def _node_roles(node: Json) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or _NONE


def _address(kind: str) -> Callable[[Json], Any]:
    return _or(f'.status.addresses[?(@.type=="{kind}")].address')


def _service_ports(service: Json) -> str:
    return (
        ",".join(
            f"{port['port']}" + (f":{port['nodePort']}" if port.get("nodePort") else "") + f"/{port['protocol']}"
            for port in service["spec"].get("ports") or ()
        )
        or _NONE
    )


def _replicas(deployment: Json) -> str:
    return f"{deployment['status'].get('readyReplicas', 0)}/{deployment['spec']['replicas']}"


def _targets(hpa: Json) -> str:
    current = hpa.get("status", {}).get("currentMetrics") or []
    shown = []
    for index, metric in enumerate(hpa["spec"].get("metrics") or ()):
        source = metric.get("resource") or metric.get("containerResource") or {}
        target = source.get("target", {}).get("averageUtilization")
        wanted = f"{target}%" if target is not None else str(source.get("target", {}).get("averageValue", "<auto>"))
        measured = read_path(current[index : index + 1], "[0].resource.current.averageUtilization")
        now = "<unknown>" if measured is None else f"{measured}%"
        shown.append(f"{source.get('name', metric['type'])}: {now}/{wanted}")
    return ", ".join(shown) or _NONE


def _used(prefix: str, *, matches: bool) -> Callable[[Json], Any]:
    def cell(quota: Json) -> str:
        hard, used = quota["status"].get("hard") or {}, quota["status"].get("used") or {}
        names = [name for name in sorted(hard) if name.startswith(prefix) is matches]
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)

    return cell


def _event_object(event: Json) -> str:
    involved = event["involvedObject"]
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def _event_source(event: Json) -> str:
    source = event.get("source") or {}
    return ", ".join(filter(None, [source.get("component") or event.get("reportingComponent", ""), source.get("host")]))


def _event_count(event: Json) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def _last_seen(event: Json) -> Any:
    series = (event.get("series") or {}).get("lastObservedTime")
    return series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]


def _first_seen(event: Json) -> Any:
    return event.get("firstTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]


def _secret_count(secret: Json) -> int:
    return len(secret.get("data") or ())


def _config_count(config: Json) -> int:
    return len(config.get("data") or ()) + len(config.get("binaryData") or ())


def _role(binding: Json) -> str:
    return f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"


def _column(name: str, cell: str | Callable[[Json], Any], kind: str = "string", priority: int = 0) -> Column:
    return Column(name, kind, _or(cell) if isinstance(cell, str) else cell, priority)


_NAME = Column("Name", "name", lambda obj: obj["metadata"]["name"])
_AGE = Column("Age", "date", _path(".metadata.creationTimestamp"))
NAME_AND_AGE = (_NAME, _AGE)
_WORKLOAD_WIDE = (
    _column("Containers", _of_template("name"), priority=1),
    _column("Images", _of_template("image"), priority=1),
    _column("Selector", _selector(".spec.selector"), priority=1),
)
_BINDING = (_NAME, _column("Role", _role), _AGE)

BUILTIN_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "Pod": (
        _NAME,
        _column("Ready", _pod_ready),
        _column("Status", _pod_status),
        _column("Restarts", _pod_restarts),
        _AGE,
        _column("IP", ".status.podIP", priority=1),
        _column("Node", ".spec.nodeName", priority=1),
        _column("Nominated Node", ".status.nominatedNodeName", priority=1),
        _column("Readiness Gates", _gates, priority=1),
    ),
    "Deployment": (
        _NAME,
        _column("Ready", _replicas),
        _column("Up-to-date", _or(".status.updatedReplicas", 0), "integer"),
        _column("Available", _or(".status.availableReplicas", 0), "integer"),
        _AGE,
        *_WORKLOAD_WIDE,
    ),
    "ReplicaSet": (
        _NAME,
        _column("Desired", ".spec.replicas", "integer"),
        _column("Current", _or(".status.replicas", 0), "integer"),
        _column("Ready", _or(".status.readyReplicas", 0), "integer"),
        _AGE,
        *_WORKLOAD_WIDE,
    ),
    "HorizontalPodAutoscaler": (
        _NAME,
        _column("Reference", lambda hpa: "{kind}/{name}".format(**hpa["spec"]["scaleTargetRef"])),
        _column("Targets", _targets),
        _column("MinPods", ".spec.minReplicas"),
        _column("MaxPods", ".spec.maxReplicas", "integer"),
        _column("Replicas", _or(".status.currentReplicas", 0), "integer"),
        _AGE,
    ),
    "NetworkPolicy": (_NAME, _column("Pod-Selector", _selector(".spec.podSelector")), _AGE),
    "PodDisruptionBudget": (
        _NAME,
        _column("Min Available", _or(".spec.minAvailable", "N/A")),
        _column("Max Unavailable", _or(".spec.maxUnavailable", "N/A")),
        _column("Allowed Disruptions", _or(".status.disruptionsAllowed", 0), "integer"),
        _AGE,
    ),
    "ResourceQuota": (
        _NAME,
        _column("Request", _used("limits.", matches=False)),
        _column("Limit", _used("limits.", matches=True)),
        _AGE,
    ),
    "Secret": (_NAME, _column("Type", ".type"), _column("Data", _secret_count), _AGE),
    "ConfigMap": (_NAME, _column("Data", _config_count), _AGE),
    "ServiceAccount": (_NAME, _column("Secrets", _count("secrets")), _AGE),
    "Service": (
        _NAME,
        _column("Type", ".spec.type"),
        _column("Cluster-IP", ".spec.clusterIP"),
        _column("External-IP", lambda _: _NONE),
        _column("Port(s)", _service_ports),
        _AGE,
        _column("Selector", _pairs(".spec.selector"), priority=1),
    ),
    "Event": (
        _column("Last Seen", _last_seen, "date"),
        _column("Type", ".type"),
        _column("Reason", ".reason"),
        _column("Object", _event_object),
        _column("Subobject", _or(".involvedObject.fieldPath", ""), priority=1),
        _column("Source", _event_source, priority=1),
        _column("Message", lambda event: event.get("message", "").strip()),
        _column("First Seen", _first_seen, "date", priority=1),
        _column("Count", _event_count, "integer", priority=1),
        Column("Name", "name", lambda obj: obj["metadata"]["name"], 1),
    ),
    "Namespace": (_NAME, _column("Status", ".status.phase"), _AGE),
    "Node": (
        _NAME,
        _column("Status", _node_status),
        _column("Roles", _node_roles),
        _AGE,
        _column("Version", ".status.nodeInfo.kubeletVersion"),
        _column("Internal-IP", _address("InternalIP"), priority=1),
        _column("External-IP", _address("ExternalIP"), priority=1),
        _column("OS-Image", _or(".status.nodeInfo.osImage", "<unknown>"), priority=1),
        _column("Kernel-Version", _or(".status.nodeInfo.kernelVersion", "<unknown>"), priority=1),
        _column("Container-Runtime", _or(".status.nodeInfo.containerRuntimeVersion", "<unknown>"), priority=1),
    ),
    "Lease": (_NAME, _column("Holder", _or(".spec.holderIdentity", "")), _AGE),
    "PriorityClass": (
        _NAME,
        _column("Value", ".value", "integer"),
        _column("Global-Default", _or(".globalDefault", False), "boolean"),
        _AGE,
        _column("PreemptionPolicy", ".preemptionPolicy"),
    ),
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "CustomResourceDefinition": (_NAME, Column("Created At", "string", _path(".metadata.creationTimestamp"))),
}
