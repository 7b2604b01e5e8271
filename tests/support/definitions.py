"""Custom resource definitions: those of another release, and the wait until a server serves their types."""

import copy
from collections.abc import Sequence
from typing import Any

from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import NotFound, TooManyRequests
from actions_gateway.kube.resources import CRDS
from support.aio import Looks


async def install_definitions(client: KubeClient, manifests: Sequence[dict[str, Any]]) -> None:
    """Applies definitions and returns when their types are served."""
    for manifest in manifests:
        await client.apply(CRDS, manifest, field_manager="test")
    for spec in [manifest["spec"] for manifest in manifests]:
        await until_served(client, f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")


async def until_served(client: KubeClient, *paths: str) -> None:
    """Returns when the API server serves all collections."""
    for path in paths:
        looks = Looks()
        while True:
            try:
                await client.request("GET", path)
            except (NotFound, TooManyRequests):  # not served yet; its storage is being made
                await looks.pause()
            else:
                break


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
