"""Fragments of CEL (Common Expression Language) that several policies use.

An unset field, a null and a value of another type are all read as empty: free-form parts of our objects may hold
anything, and an expression that fails shows its own text to the tenant in place of our sentence.
"""

from collections.abc import Iterable

from actions_gateway.api.names import API_GROUP, MANAGER, MANAGER_NAMESPACE

MANAGER_USER = f"system:serviceaccount:{MANAGER_NAMESPACE}:{MANAGER}"

IS_MANAGER = f"request.userInfo.username == '{MANAGER_USER}'"
IS_STAYING = "object == null || !has(object.metadata.deletionTimestamp)"
"""An object on its way out may always lose its finalizers."""
HAS_NEW_SPEC = "oldObject == null || object.spec != oldObject.spec"
"""What was admitted once stays editable in its metadata."""

OUR_KEY = "(k.startsWith('actions-gateway/') || " + f"k.startsWith('{API_GROUP}/'))"
"""Of a label's or annotation's key `k`."""


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def texts(values: Iterable[str]) -> str:
    """A list of text literals."""
    return "[" + ", ".join(text(value) for value in values) + "]"


def labels_of(subject: str) -> str:
    """The labels of `object`, `oldObject` (also where there is none) or `namespaceObject`."""
    return _metadata(subject, "labels")


def annotations_of(subject: str) -> str:
    """The annotations of `object`, `oldObject` (also where there is none) or `namespaceObject`."""
    return _metadata(subject, "annotations")


def text_at(parent: str, field: str) -> str:
    """The text in a field."""
    return f"(type({parent}.?{field}.orValue('')) == string ? {parent}.?{field}.orValue('') : '')"


def list_at(parent: str, field: str) -> str:
    """The list in a field."""
    return f"(type({parent}.?{field}.orValue([])) == list ? {parent}.?{field}.orValue([]) : [])"


def map_at(parent: str, field: str) -> str:
    """The object in a field."""
    return f"(type({parent}.?{field}.orValue({{}})) == map ? {parent}.?{field}.orValue({{}}) : {{}})"


def maps_at(parent: str, field: str) -> str:
    """The objects of the list in a field."""
    return f"{list_at(parent, field)}.filter(i, type(i) == map)"


def _metadata(subject: str, field: str) -> str:
    return f"({subject} == null ? {{}} : dyn({subject}).metadata.?{field}.orValue({{}}))"
