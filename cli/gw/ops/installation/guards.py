"""Reasons not to install at all, each a sentence and a next step, and all looked at before anything is written."""

from collections.abc import Collection, Iterator
from typing import Any

from actions_gateway.api.names import API_GROUP, MANAGER_NAMESPACE
from actions_gateway.kube import resources as r
from gw.errors import Blind, Refused
from gw.ops.installation.snapshot import Identity, Snapshot, identity_of
from gw.sources.definitions import OWN_VERSION, DefinitionFact
from gw.sources.ownership import is_ours, upstream_marks
from gw.sources.server import MINIMUM, ServerFact

Manifest = dict[str, Any]

MIGRATION_PAGE = "runbooks/procedures/migrate-from-upstream.md"
UPGRADE_PAGE = "runbooks/procedures/upgrade.md"
_SHOWN_FIELDS = 5


def refuse_old_server(server: ServerFact) -> None:
    """Raises Refused for a server without ValidatingAdmissionPolicy v1, which guards tenants and manager, and Blind for
    one whose version says nothing."""
    needed = ".".join(str(part) for part in MINIMUM)
    if server.number is None:
        raise Blind(
            f"{server.host} calls itself {server.version}, which is no version, and an installation needs Kubernetes "
            f"{needed} or newer",
            "See `kubectl version`, or name another cluster with --context.",
        )
    if server.is_too_old:
        raise Refused(
            f"{server.host} is Kubernetes {server.version}, and an installation needs {needed} or newer: "
            "older ones do not serve the admission policies that confine tenants and manager",
            "Upgrade the cluster, or name another one with --context.",
        )


def refuse_unfit(snapshot: Snapshot, wanted: Collection[Manifest]) -> None:
    """Raises Refused for the first reason that stands against this installation."""
    refuse_upstream(snapshot)
    for definition in snapshot.definitions:
        _refuse_definition(definition)
    namespace = snapshot.live.get(Identity(r.NAMESPACES.kind, MANAGER_NAMESPACE))
    if namespace is not None and is_terminating(namespace):
        raise Refused(
            f"the namespace {MANAGER_NAMESPACE} is being deleted",
            f"Wait until `kubectl get namespace {MANAGER_NAMESPACE}` finds nothing; its status names what holds it up.",
        )
    for manifest in wanted:
        _refuse_foreign(manifest, snapshot)


def refuse_upstream(snapshot: Snapshot) -> None:
    """Raises Refused when the upstream Go project is installed: same group and names, other definitions."""
    marks = list(_upstream(snapshot))
    if marks:
        raise Refused(
            f"the upstream Go project of the same name is installed here ({marks[0]}); both use {API_GROUP} and the "
            "same names, and its objects would lose fields",
            f"Move its tenants over and remove it first: {MIGRATION_PAGE} has the steps.",
        )


def is_terminating(namespace: Manifest) -> bool:
    """Whether a namespace is on its way out."""
    deleted = (namespace.get("metadata") or {}).get("deletionTimestamp")
    return bool(deleted) or (namespace.get("status") or {}).get("phase") == "Terminating"


def _upstream(snapshot: Snapshot) -> Iterator[str]:
    for definition in snapshot.definitions:
        for mark in definition.upstream_marks:
            yield f"{definition.name} has the {mark}" if " " in mark else mark
    if snapshot.webhook is not None:
        yield f"{r.VALIDATINGWEBHOOKS.kind} {snapshot.webhook['metadata']['name']}"
    for identity, live in snapshot.live.items():
        if identity.kind != r.CRDS.kind:
            for mark in upstream_marks(live):
                yield f"{identity} has the {mark}"


def _refuse_definition(definition: DefinitionFact) -> None:
    if definition.is_deleting:
        raise Refused(
            f"the definition {definition.name} is being deleted, and every object of its type with it",
            f"Wait until `kubectl get crd {definition.name}` finds nothing; `kubectl describe` names what holds it up.",
        )
    if definition.is_newer:
        fields = ", ".join(definition.unknown_fields[:_SHOWN_FIELDS])
        known = f" (it has {fields}{', …' if len(definition.unknown_fields) > _SHOWN_FIELDS else ''})" if fields else ""
        raise Refused(
            f"the definition {definition.name} is of release {definition.version or '?'}, and this gw, {OWN_VERSION}, "
            f"would take fields away from stored objects{known}",
            f"Install with a gw of that release or a newer one; {UPGRADE_PAGE} says why there is no way back.",
        )


def _refuse_foreign(manifest: Manifest, snapshot: Snapshot) -> None:
    """An object of the same name that somebody else made; a namespace may well be made beforehand."""
    identity = identity_of(manifest)
    live = snapshot.live.get(identity)
    if live is None or identity.kind in (r.NAMESPACES.kind, r.CRDS.kind) or is_ours(live):
        return
    where = f" -n {identity.namespace}" if identity.namespace else ""
    raise Refused(
        f"the {identity} exists and is not part of Actions Gateway",
        f"See whose it is with `kubectl get {identity.kind.lower()} {identity.name}{where} -o yaml`, and ask its owner "
        "before anything else.",
    )
