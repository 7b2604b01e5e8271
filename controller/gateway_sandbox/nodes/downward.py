"""The downward API: what a pod may learn about itself by field path.

Source: Kubernetes "Downward API" (available fields) and kubernetes pkg/fieldpath (the text of whole maps).
"""

import json
import re
from typing import Any

from gateway_sandbox.nodes.problems import ConfigProblem

_SUBSCRIPT = re.compile(r"^metadata\.(annotations|labels)\['(.+)'\]$")
_METADATA = {"metadata.name": "name", "metadata.namespace": "namespace", "metadata.uid": "uid"}
_SPEC = {"spec.nodeName": "nodeName", "spec.serviceAccountName": "serviceAccountName"}
_STATUS = {"status.podIP": "podIP", "status.podIPs": "podIP", "status.hostIP": "hostIP", "status.hostIPs": "hostIP"}


def field_value(pod: dict[str, Any], path: str) -> str:
    """The text at `path`; raises ConfigProblem when the downward API has no such field."""
    metadata = pod["metadata"]
    if match := _SUBSCRIPT.match(path):
        return str((metadata.get(match.group(1)) or {}).get(match.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return _map_text(metadata.get(path.partition(".")[2]) or {})
    for fields, source in ((_METADATA, metadata), (_SPEC, pod["spec"]), (_STATUS, pod.get("status") or {})):
        if name := fields.get(path):
            return str(source.get(name, ""))
    raise ConfigProblem(f"unsupported fieldPath: {path}")


def _map_text(entries: dict[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(entries[key], ensure_ascii=False)}" for key in sorted(entries))
