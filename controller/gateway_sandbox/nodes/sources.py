"""What a pod reads from the API server beside itself: Secrets, ConfigMaps and its service account's token."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import Resource

TOKEN_SECONDS = 86400
"""Tokens outlive a sandbox's day, so none is renewed."""
ROOT_CA_CONFIGMAP = "kube-root-ca.crt"
"""The ConfigMap that kube-controller-manager puts into every namespace; where nobody does, the node knows the CA."""

Reference = tuple[str, str]
"""(kind, name) of a Secret or ConfigMap in the pod's namespace."""


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """How a pod's processes reach the API server."""

    url: str
    ca_path: Path


class Sources:
    """Reads for one pod; each call asks the API server, except for the token, which is made once."""

    def __init__(self, client: KubeClient, api: ApiAccess, pod: dict[str, Any]) -> None:
        self._client = client
        self._api = api
        self._namespace = str(pod["metadata"]["namespace"])
        self._service_account = str(pod["spec"].get("serviceAccountName") or "default")
        self._pod_reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        }
        self._token: bytes | None = None

    async def secret(self, name: str) -> dict[str, bytes] | None:
        """The Secret's keys, or None when it does not exist."""
        found = await self._read(r.SECRETS, name)
        return None if found is None else _decoded(found.get("data"))

    async def config_map(self, name: str) -> dict[str, bytes] | None:
        """The ConfigMap's keys, binary ones included, or None when it does not exist."""
        found = await self._read(r.CONFIGMAPS, name)
        if found is None:
            return {"ca.crt": self._api.ca_path.read_bytes()} if name == ROOT_CA_CONFIGMAP else None
        text = {key: str(value).encode() for key, value in (found.get("data") or {}).items()}
        return text | _decoded(found.get("binaryData"))

    async def token(self) -> bytes:
        """The pod's service account token, which is worth nothing without the pod; raises KubeError."""
        if self._token is None:
            token = await self._client.create_token(
                self._service_account,
                self._namespace,
                expiration_seconds=TOKEN_SECONDS,
                bound_to=self._pod_reference,
            )
            self._token = token.encode()
        return self._token

    async def _read(self, resource: Resource, name: str) -> dict[str, Any] | None:
        try:
            return await self._client.get(resource, name, self._namespace)
        except NotFound:
            return None


def references_of(pod: dict[str, Any]) -> frozenset[Reference]:
    """Every Secret and ConfigMap that the pod's volumes and environments name."""
    spec = pod["spec"]
    found: set[Reference] = set()
    for volume in spec.get("volumes") or []:
        projected = (volume.get("projected") or {}).get("sources") or []
        for source in (volume, *projected):
            if secret := source.get("secret"):
                found.add(("Secret", secret.get("secretName") or secret.get("name", "")))
            if config_map := source.get("configMap"):
                found.add(("ConfigMap", config_map.get("name", "")))
    for container in (spec.get("initContainers") or []) + spec["containers"]:
        found.update(_environment_references(container))
    return frozenset(found)


def _environment_references(container: Mapping[str, Any]) -> Iterator[Reference]:
    for variable in container.get("env") or []:
        origin = variable.get("valueFrom") or {}
        for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if field in origin:
                yield kind, origin[field].get("name", "")
    for origin in container.get("envFrom") or []:
        for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if field in origin:
                yield kind, origin[field].get("name", "")


def _decoded(data: Mapping[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (data or {}).items()}
