"""Writes a plan: server-side apply under one field manager, in stages, each step safe to repeat."""

from collections.abc import Callable
from typing import assert_never

import structlog

from actions_gateway.api.names import GATEWAY_FINALIZER, MANAGER_FIELDS, MANAGER_STATUS_FIELDS
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import SERVER_WIDE, Conflict, KubeError, NamespaceTerminating, NotFound
from actions_gateway.kube.resources import ACTIONSGATEWAYS, Resource
from actions_gateway.manager.gateway.additions import CLEARING_FIELDS
from actions_gateway.manager.gateway.agreement import replicas_of, surplus_patch
from actions_gateway.manager.gateway.mirror import Edit, Mirrors
from actions_gateway.manager.gateway.ownership import is_child
from actions_gateway.manager.gateway.snapshot import (
    ApplyChild,
    DeleteChild,
    Failure,
    MarkNamespace,
    Plan,
    RemoveFinalizer,
    SetFinalizer,
    SetReplicas,
    Step,
    SuspendGroup,
)
from actions_gateway.manager.gateway.triggers import says_more

log = structlog.get_logger(__name__)

REPLICAS_FIELDS = f"{MANAGER_FIELDS}-replicas"
"""Holds the replicas of a new Deployment for its autoscaler (Kubernetes docs, "Server-Side Apply", "Transferring
ownership")."""

_OF_A_DELETION: Manifest = {"metadata": {"deletionTimestamp": "", "deletionGracePeriodSeconds": 0, "finalizers": []}}
"""The fields that a deletion sets on what stays for a while."""

_Known = dict[Resource, dict[str, Manifest]]
"""What a namespace holds by kind and name, as far as one stage had to ask."""


class Writer:
    """Carries out plans; what the API server answers enters the mirrors at once.

    `on_news` hears of an answer that tells of somebody else's change as well.
    """

    def __init__(self, client: KubeClient, mirrors: Mirrors, *, on_news: Callable[[Resource, Edit], None]) -> None:
        self._client = client
        self._mirrors = mirrors
        self._on_news = on_news

    async def apply_plan(self, plan: Plan, namespace: str) -> tuple[Failure, ...]:
        """Works the stages to the first one that has failures; returns those."""
        for stage in plan.stages:
            if failures := await self._work(stage, namespace):
                return tuple(failures)
        return ()

    async def _work(self, stage: tuple[Step, ...], namespace: str) -> list[Failure]:
        """Tries every step, so that one bad object does not hide the others; ends where the others would fail, too."""
        failures: list[Failure] = []
        known: _Known = {}
        for step in stage:
            if failure := await self._try(step, namespace, known):
                failures.append(failure)
                if isinstance(failure.error, (*SERVER_WIDE, NamespaceTerminating)):
                    break
        return failures

    async def apply_status(self, status: Manifest) -> None:
        """Writes a gateway's status; one that is gone needs none. Raises KubeError."""
        try:
            answer = await self._client.apply(
                ACTIONSGATEWAYS, status, field_manager=MANAGER_STATUS_FIELDS, subresource="status"
            )
        except NotFound:
            return
        self._refresh(ACTIONSGATEWAYS, answer, status, str(answer["metadata"]["namespace"]))

    async def _try(self, step: Step, namespace: str, known: _Known) -> Failure | None:
        action = type(step).__name__
        try:
            await self._carry_out(step, namespace, known)
        except KubeError as problem:
            if isinstance(step, MarkNamespace) and isinstance(problem, Conflict):
                # It has changed since it was looked at, which is an event: the next pass decides anew.
                log.debug("namespace changed meanwhile", namespace=namespace)
                return None
            return Failure(step.resource, step.name, problem)
        log.info("step done", action=action, kind=step.resource.kind, namespace=namespace, child=step.name)
        return None

    async def _carry_out(self, step: Step, namespace: str, known: _Known) -> None:
        match step:
            case MarkNamespace():
                metadata = {"name": namespace, "labels": dict(step.labels), "resourceVersion": step.resource_version}
                manifest = {"metadata": metadata}
                live = await self._client.apply(step.resource, manifest, field_manager=MANAGER_FIELDS)
                if not step.is_first:
                    # Of a new marker the mirror learns by the watch alone: that is what the next pass waits for.
                    self._remember(step.resource, live, manifest)
            case ApplyChild():
                await self._apply(step, namespace, known)
            case DeleteChild():
                await self._delete(step.resource, step.name, namespace, step.uid, is_foreground=step.is_foreground)
            case SetFinalizer() | RemoveFinalizer() | SuspendGroup() | SetReplicas():
                await self._edit(step, namespace)
            case _:
                assert_never(step)

    async def _apply(self, step: ApplyChild, namespace: str, known: _Known) -> None:
        is_made = step.is_new and not await self._is_there(step, namespace, known)
        if step.replaces_uid:
            await self._delete(step.resource, step.name, namespace, step.replaces_uid)
        if step.clears:
            await self._client.patch(
                step.resource, step.name, step.clears, namespace=namespace, field_manager=CLEARING_FIELDS
            )
        made_with = {"replicas": step.least_replicas} if is_made and step.least_replicas else {}
        manifest = {**step.manifest, "spec": {**step.manifest["spec"], **made_with}} if made_with else step.manifest
        live = await self._client.apply(step.resource, manifest, field_manager=MANAGER_FIELDS)
        if made_with:
            # Handed over, or the next apply, which has none, would set the API server's default of one.
            handed = {"metadata": {"name": step.name, "namespace": namespace}, "spec": made_with}
            live = await self._client.apply(step.resource, handed, field_manager=REPLICAS_FIELDS)
        if surplus := surplus_patch(step.manifest, live):
            live = await self._client.patch(
                step.resource, step.name, surplus, namespace=namespace, field_manager=MANAGER_FIELDS
            )
        if step.least_replicas and replicas_of(live) < step.least_replicas:
            raised = {"spec": {"replicas": step.least_replicas}}
            live = await self._client.patch(
                step.resource, step.name, raised, namespace=namespace, field_manager=MANAGER_FIELDS
            )
        self._remember(step.resource, live, step.manifest, is_found=step.is_new and not is_made)

    async def _is_there(self, step: ApplyChild, namespace: str, known: _Known) -> bool:
        """Whether it exists already; raises Conflict when it is somebody else's, which forced apply would take over.

        One list per kind and stage, where something is made for the first time. A child whose label was taken away
        still has a gateway as its owner.
        """
        if step.resource not in known:
            found = (await self._client.list(step.resource, namespace)).items
            known[step.resource] = {str(live["metadata"]["name"]): live for live in found}
        live = known[step.resource].get(step.name)
        if live is not None and not is_child(live):
            plural, name = step.resource.plural, step.name
            raise Conflict(
                f"an object of that name exists in namespace {namespace} and is no part of a gateway, so it is left "
                f"alone; delete it with 'kubectl delete {plural} -n {namespace} {name}', and the gateway makes its own"
            )
        return live is not None

    async def _edit(self, step: SetFinalizer | RemoveFinalizer | SuspendGroup | SetReplicas, namespace: str) -> None:
        """Changes what somebody else made, or has in hand; its uid or version keeps the change off any successor."""
        resource, name, patch = step.resource, step.name, self._client.patch
        written: Manifest
        match step:
            case SetFinalizer():
                # By apply, finalizers are a set of which each writer owns its own. The uid keeps it from creating.
                metadata = {"name": name, "namespace": namespace, "uid": step.uid, "finalizers": [GATEWAY_FINALIZER]}
                written = {"metadata": metadata}
                live = await self._client.apply(resource, written, field_manager=MANAGER_FIELDS)
            case SuspendGroup():
                written = {"metadata": {"uid": step.uid}, "spec": {"suspended": True}}
                live = await patch(resource, name, written, namespace=namespace, field_manager=MANAGER_FIELDS)
            case SetReplicas():
                written = {"metadata": {"uid": step.uid}, "spec": {"replicas": step.replicas}}
                live = await patch(resource, name, written, namespace=namespace, field_manager=MANAGER_FIELDS)
            case RemoveFinalizer():
                # By apply it would stay where another writer owns it as well, as after an export that was applied.
                written = {"metadata": {"resourceVersion": step.resource_version, "finalizers": list(step.kept)}}
                try:
                    live = await patch(resource, name, written, namespace=namespace, field_manager=MANAGER_FIELDS)
                except NotFound:
                    return
                if before := self._known(resource, live, namespace):
                    # An object that goes with its last finalizer is answered in its last version, which we know.
                    known = {**before, "metadata": {**before["metadata"], "finalizers": list(step.kept)}}
                    self._mirrors[resource].overwrite(known)
                    # The namespace's next gateway waits for this, and another's finalizer may keep the object there.
                    self._on_news(resource, Edit(before, known))
        self._refresh(resource, live, written, namespace)

    async def _delete(
        self, resource: Resource, name: str, namespace: str, uid: str, *, is_foreground: bool = False
    ) -> None:
        """Deletes that very object; gone already, or replaced by a successor, is as good."""
        propagation = "Foreground" if is_foreground else "Background"
        try:
            answer = await self._client.delete(resource, name, namespace=namespace, uid=uid, propagation=propagation)
        except (NotFound, Conflict):
            log.debug("nothing to delete", kind=resource.kind, namespace=namespace, child=name)
            return
        if answer.get("kind") == resource.kind:
            self._refresh(resource, answer, _OF_A_DELETION, namespace)

    def _remember(self, resource: Resource, manifest: Manifest, written: Manifest, *, is_found: bool = False) -> None:
        """Takes an answer in; `is_found` says that the object was there before, and nothing known of it."""
        edit = self._mirrors[resource].put(manifest)
        if edit and (is_found or says_more(resource, edit, written)):
            self._on_news(resource, edit)

    def _refresh(self, resource: Resource, manifest: Manifest, written: Manifest, namespace: str) -> None:
        """Takes in a version of what is known; of what is gone, the watch may have told before the answer came."""
        if self._known(resource, manifest, namespace):
            self._remember(resource, manifest, written)

    def _known(self, resource: Resource, manifest: Manifest, namespace: str) -> Manifest | None:
        known = self._mirrors[resource].get(str(manifest["metadata"]["name"]), namespace)
        return known if known and known["metadata"]["uid"] == manifest["metadata"]["uid"] else None
