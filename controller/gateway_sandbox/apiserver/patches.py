"""The three patch forms of Kubernetes besides apply: JSON patch, merge patch and strategic merge patch.

Source: RFC 6902, RFC 7386 and Kubernetes' "Strategic Merge Patch" design document. Which lists merge by which key is
read from the kind's schema (`x-kubernetes-list-map-keys`, whose first key is the patch merge key of built-in kinds).
"""

import json
from typing import Any

import jsonpatch

from gateway_sandbox.apiserver.schema import ANY, Node
from gateway_sandbox.apiserver.statuses import ApiError, bad_request

Json = dict[str, Any]

_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"


def json_patch(document: Json, patch: Any) -> Any:
    """Applies RFC 6902 to a private `document`; raises ApiError 400 (malformed) or 422 (does not apply)."""
    try:
        return jsonpatch.JsonPatch(patch).apply(document, in_place=True)
    except (jsonpatch.InvalidJsonPatch, TypeError) as problem:
        raise bad_request(f"error decoding patch: {problem}") from problem
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as problem:
        details = {"causes": [{"reason": "UnexpectedServerResponse", "message": str(problem)}]}
        text = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", text, details=details) from problem


def merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386; changed objects are new ones."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_merge_patch(node: Node, document: Json, patch: Any) -> Json:
    """A strategic merge patch laid over an object; changed objects are new ones. Raises ApiError 400 or 500."""
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    directive = patch.get("$patch", "merge")
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if directive != "merge":
        raise bad_request(f"unknown patch type {directive} in a strategic merge patch")
    retained = patch.get("$retainKeys")
    merged = {name: value for name, value in document.items() if retained is None or name in retained}
    for name, value in patch.items():
        if not name.startswith("$"):
            _merge_field(node.child(name) or ANY, merged, name, value)
        elif name.startswith(_DELETE_PRIMITIVES):
            field = name.removeprefix(_DELETE_PRIMITIVES)
            merged[field] = [item for item in merged.get(field, []) if item not in value]
    for name, order in patch.items():
        field = name.removeprefix(_ORDER)
        if name.startswith(_ORDER) and isinstance(merged.get(field), list):
            live = document.get(field) or []
            merged[field] = _ordered(_identity(node.child(field) or ANY), live, merged[field], order)
    return merged


def _merge_field(child: Node, merged: Json, name: str, value: Any) -> None:
    if value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
        merged.pop(name, None)
    elif isinstance(value, dict):
        live = merged.get(name)
        merged[name] = strategic_merge_patch(child, live if isinstance(live, dict) else {}, value)
    elif isinstance(value, list):
        merged[name] = _merge_list(child, merged.get(name) or [], value)
    else:
        merged[name] = value


def _merge_list(node: Node, live: list[Any], patch: list[Any]) -> list[Any]:
    plain = [item for item in patch if item != {"$patch": "replace"}]
    if len(plain) < len(patch) or not (node.keys or node.is_set):
        return plain
    identity = _identity(node)
    merged = {identity(item): item for item in live}
    for item in patch:
        key = identity(item)
        if not isinstance(item, dict):
            merged.setdefault(key, item)
        elif item.get("$patch") == "delete":
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge_patch(node.element, merged.get(key, {}), item)
    return _ordered(identity, live, list(merged.values()), patch)


def _identity(node: Node) -> Any:
    """How items of a list are told apart: by their merge key, or by their value."""
    if not node.keys:
        return json.dumps
    merge_key = node.keys[0]

    def key_of(item: Any) -> str:
        if not isinstance(item, dict) or merge_key not in item:
            raise ApiError(500, "", f"map: {json.dumps(item)} does not contain declared merge key: {merge_key}")
        return json.dumps(item[merge_key])

    return key_of


def _ordered(identity: Any, live: list[Any], merged: list[Any], order: list[Any]) -> list[Any]:
    """The merged items in the client's order. An item that the client does not name comes before one that it names
    only when it stood before that one already (k8s.io/apimachinery pkg/util/strategicpatch, mergeSortedSlice)."""
    wanted, old = [identity(item) for item in order], [identity(item) for item in live]
    named = sorted((item for item in merged if identity(item) in wanted), key=lambda item: wanted.index(identity(item)))
    others = [item for item in merged if identity(item) not in wanted]
    result: list[Any] = []
    while named and others:
        first, rival = identity(named[0]), identity(others[0])
        is_kept = first in old and rival in old and old.index(rival) < old.index(first)
        result.append((others if is_kept else named).pop(0))
    return result + named + others
