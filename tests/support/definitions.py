"""Custom resource definitions of another release."""

import copy
from typing import Any


def without(crd: dict[str, Any], *paths: str) -> dict[str, Any]:
    """The definition as it was before these fields were added."""
    older = copy.deepcopy(crd)
    for path in paths:
        *parents, name = path.split(".")
        node = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for parent in parents:
            node = node["properties"][parent.removesuffix("[]")]
            node = node["items"] if parent.endswith("[]") else node
        del node["properties"][name]
    return older
