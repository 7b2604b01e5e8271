"""What lives in the manager's namespace beside the installation: nobody may lose it by an uninstallation.

Not counted is what the server makes in every namespace, what belongs to the installation by ownership, and Leases and
Events, which hold nothing that anybody would miss.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.installation.snapshot import Identity, each_of, identity_of
from gw.sources.cluster import Cluster
from gw.sources.ownership import labels_of
from gw.sources.rights import NAMESPACE_CONTENT

Manifest = dict[str, Any]

_SERVERS_OWN = frozenset({(r.CONFIGMAPS.kind, "kube-root-ca.crt"), (r.SERVICEACCOUNTS.kind, "default")})
"""In every namespace (Kubernetes docs, root CA publication and service accounts)."""
_TOKEN_TYPE = "kubernetes.io/service-account-token"


async def gather_strangers(cluster: Cluster, objects: Sequence[Manifest]) -> tuple[Identity, ...]:
    """Everything that is neither of `objects` nor owned by one; raises KubeError."""
    pages = await each_of(_list(cluster, resource) for resource in NAMESPACE_CONTENT)
    return find_strangers([item for page in pages for item in page], objects)


def find_strangers(items: Sequence[Manifest], objects: Sequence[Manifest]) -> tuple[Identity, ...]:
    """The strangers among `items`, in which owners stand before what they own; what a stranger owns goes without
    saying."""
    known = {identity_of(each) for each in objects}
    told = {_uid(each) for each in objects if _uid(each)}
    found: list[Identity] = []
    for item in items:
        owners = {str(owner.get("uid")) for owner in item["metadata"].get("ownerReferences") or []}
        if identity_of(item) not in known and not owners & told and not _is_made_by_others(item):
            found.append(identity_of(item))
        if _uid(item):
            told.add(_uid(item))
    return tuple(found)


def _is_made_by_others(item: Manifest) -> bool:
    """By the server itself, or by the controllers of a manager's Deployment that may be gone already."""
    if item["kind"] in (r.REPLICASETS.kind, r.PODS.kind):
        return SELECTOR.items() <= labels_of(item).items()
    is_token = item["kind"] == r.SECRETS.kind and item.get("type") == _TOKEN_TYPE
    return is_token or (item["kind"], item["metadata"]["name"]) in _SERVERS_OWN


def _uid(item: Mapping[str, Any]) -> str:
    return str(item["metadata"].get("uid") or "")


async def _list(cluster: Cluster, resource: r.Resource) -> list[Manifest]:
    """The objects with their kind, which a list's items may leave out; none when the type is not served."""
    try:
        items = (await cluster.list(resource, MANAGER_NAMESPACE)).items
    except errors.NotFound:
        return []
    return [{**item, "kind": resource.kind} for item in items]
