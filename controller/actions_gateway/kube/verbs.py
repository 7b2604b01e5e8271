"""The verb of a request, as RBAC and audit logs name it.

Source: Kubernetes docs, "Authorization overview", determining the request verb.
"""

from collections.abc import Mapping

_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of(method: str, path: str, query: Mapping[str, str] | None = None) -> str:
    """get, list, watch, create, update, patch or delete."""
    if method != "GET":
        return _WRITES.get(method, "get")
    if query and query.get("watch") == "true":
        return "watch"
    parts = path.strip("/").split("/")
    below = parts[2 if parts[0] == "api" else 3 :]
    if below[:1] == ["namespaces"] and len(below) > 2 and below[2] not in ("status", "finalize"):
        below = below[2:]
    return "list" if len(below) == 1 else "get"
