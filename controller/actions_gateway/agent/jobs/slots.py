"""Job Secrets: the numbered slots in which a job's resume state, payload and runner files live.

Slots have fixed names so that the agent's rights can name each of them; a slot is taken by creating its Secret, never
by applying it, so that two agents cannot take the same one. The state key is written before the claim and never
mounted; the worker's keys follow after it. Secrets are neither listed, watched nor cached; one is read back only to
recognise our own after its creation was not answered.
"""

import asyncio
import base64
import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.pod import owner_reference
from actions_gateway.agent.writing import delete_own, until_written
from actions_gateway.api import labels
from actions_gateway.api.names import JOB_SLOTS, job_slot_name
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import secure_url
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import AlreadyExists, KubeError, NotFound, ServerError, Unreachable
from actions_gateway.kube.resources import SECRETS

log = structlog.get_logger(__name__)

STATE_KEY = "state"
STATE_VERSION = 1


class NoFreeSlot(KubeError):
    """Every slot of the namespace is taken."""


@dataclass(frozen=True, slots=True)
class ResumeState:
    """What an agent that starts anew needs to take a job over, beside the worker's own keys."""

    request_id: str
    run_service_url: str
    billing_owner_id: str | None
    runner_id: int
    runner_name: str
    group: str
    group_uid: str
    jit_config: Secret
    """The registration's raw blob: its credentials and key."""
    delivered_at: datetime
    agent: str
    """The pod of the agent that claims the job."""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """The state in a state key; raises ValueError when this release cannot read it."""
        try:
            document = json.loads(content)
            if document["version"] != STATE_VERSION:
                raise ValueError("its version is another one")
            delivered_at = datetime.fromisoformat(document["deliveredAt"])
            if delivered_at.tzinfo is None:
                raise ValueError("its moment has no zone")
            return cls(
                request_id=str(document["requestId"]),
                run_service_url=secure_url(str(document["runServiceUrl"]), "the run service's URL"),
                billing_owner_id=document["billingOwnerId"],
                runner_id=int(document["runner"]["id"]),
                runner_name=str(document["runner"]["name"]),
                group=str(document["runnerGroup"]["name"]),
                group_uid=str(document["runnerGroup"]["uid"]),
                jit_config=Secret(str(document["jitConfig"])),
                delivered_at=delivered_at,
                agent=str(document["agent"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError, ValueError):
            # Without the cause: its text may quote the credentials.
            pass
        raise ValueError("the slot's state cannot be read")

    def render(self) -> bytes:
        """The value of the state key."""
        document = {
            "version": STATE_VERSION,
            "requestId": self.request_id,
            "runServiceUrl": self.run_service_url,
            "billingOwnerId": self.billing_owner_id,
            "runner": {"id": self.runner_id, "name": self.runner_name},
            "runnerGroup": {"name": self.group, "uid": self.group_uid},
            "jitConfig": self.jit_config.reveal(),
            "deliveredAt": self.delivered_at.isoformat(),
            "agent": self.agent,
        }
        return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Slot:
    """A taken slot."""

    number: int
    name: str
    uid: str


class Slots:
    """The slots of one namespace, as this agent takes and frees them."""

    def __init__(self, client: KubeClient, basics: Basics) -> None:
        self._client = client
        self._basics = basics
        self._namespace = basics.namespace
        self._ours: set[int] = set()
        self._uids: dict[str, str] = {}
        """Of the Secrets of slots that jobs of this agent have, by name."""
        self._freed: deque[str] = deque(maxlen=JOB_SLOTS)
        """The uids of Secrets that were released."""
        self._others: set[int] = set()
        """Numbers that were found taken; looked at again only when no other is left."""
        self.on_taken: Callable[[int], None] = lambda _: None
        """Hears of numbers that were found taken."""
        self._unanswered: dict[int, set[str]] = {}
        """Digests of the states of slots whose creation was not answered: one may exist all the same."""

    async def take(self, state: ResumeState) -> Slot:
        """Takes the lowest free slot; raises NoFreeSlot or another KubeError."""
        while True:
            number = self._next_number()
            self._ours.add(number)
            try:
                slot = await self._create(number, state)
            except BaseException:
                self._ours.discard(number)
                raise
            if slot is not None:
                return slot
            self._ours.discard(number)

    async def _create(self, number: int, state: ResumeState) -> Slot | None:
        """The slot; None when its Secret existed, whether it stays another one's or was freed just now."""
        manifest = self._manifest(number, state)
        try:
            created = await self._client.create(SECRETS, manifest)
        except AlreadyExists:
            if not await self._reclaim(number):
                self._others.add(number)
                self.on_taken(number)
            return None
        except (Unreachable, ServerError, TimeoutError, asyncio.CancelledError):
            self._unanswered.setdefault(number, set()).add(_digest(manifest["data"][STATE_KEY]))
            raise
        self._unanswered.pop(number, None)
        slot = Slot(number, job_slot_name(number), str(created["metadata"]["uid"]))
        self._uids[slot.name] = slot.uid
        return slot

    async def _reclaim(self, number: int) -> bool:
        """Whether the slot is free now: it was made by an earlier request of ours whose answer was lost."""
        name, sent = job_slot_name(number), self._unanswered.get(number)
        if not sent:
            return False
        try:
            found = await self._client.get(SECRETS, name, self._namespace)
        except NotFound:
            return True
        is_ours = _digest((found.get("data") or {}).get(STATE_KEY) or "") in sent
        if is_ours:
            await self._delete(name, str(found["metadata"]["uid"]))
        # Only now: a deletion that fails is tried again with the next job.
        del self._unanswered[number]
        return is_ours

    async def fill(self, slot: Slot, keys: Mapping[str, bytes]) -> None:
        """Adds the worker's keys to a slot, whose pod is requested from now on; raises KubeError."""
        await self._patch(slot, labels.WORKER_REQUESTED, {"data": _encoded(keys)})

    async def keep_duplicate(self, slot: Slot, keys: Mapping[str, bytes]) -> None:
        """Notes what an agent that finds the slot needs to complete its delivery with the job; best effort."""
        try:
            await self._patch(slot, labels.WORKER_DUPLICATE, {"data": _encoded(keys)})
        except KubeError as problem:
            log.warning("duplicate delivery not noted", slot=slot.name, problem=problem.message)

    async def mark(self, slot: Slot, request: str) -> None:
        """Notes how far the worker's creation has got; raises KubeError."""
        await self._patch(slot, request, {})

    async def _patch(self, slot: Slot, request: str, patch: dict[str, Any]) -> None:
        # The uid makes the patch fail on a successor of the same name.
        metadata = {"uid": slot.uid, "annotations": {labels.WORKER_REQUEST: request}}
        await self._client.patch(SECRETS, slot.name, {"metadata": metadata, **patch}, namespace=self._namespace)

    def holds(self, name: str, uid: str) -> bool:
        """Whether a job of this agent has the slot's Secret."""
        return self._uids.get(name) == uid

    def has_freed(self, uid: str) -> bool:
        """Whether a job of this agent had the slot's Secret and let it go, not long ago."""
        return uid in self._freed

    async def read(self, number: int) -> dict[str, Any] | None:
        """The Secret of a slot that is taken and is no job's of this agent, which keeps it; raises KubeError."""
        if number in self._ours:
            return None
        try:
            found = await self._client.get(SECRETS, job_slot_name(number), self._namespace)
        except NotFound:
            self._others.discard(number)
            return None
        self._others.add(number)
        return found

    async def exists(self, name: str, uid: str) -> bool:
        """Whether the slot's Secret is there; raises KubeError."""
        try:
            found = await self._client.get(SECRETS, name, self._namespace)
        except NotFound:
            return False
        return str(found["metadata"]["uid"]) == uid

    def adopt(self, slot: Slot) -> None:
        """A job of this agent has the slot from now on."""
        self._others.discard(slot.number)
        self._ours.add(slot.number)
        self._uids[slot.name] = slot.uid

    def disown(self, slot: Slot) -> None:
        """No job of this agent has the slot any more, and its Secret stays: it is looked at as one that was found."""
        self._ours.discard(slot.number)
        self._uids.pop(slot.name, None)
        self._others.add(slot.number)
        self.on_taken(slot.number)

    async def release(self, slot: Slot) -> None:
        """Deletes the slot's Secret, however long that takes, and frees its number."""
        await until_written(lambda: self._delete(slot.name, slot.uid), self._basics, what=f"deletion of {slot.name}")
        self._ours.discard(slot.number)
        self._others.discard(slot.number)
        self._uids.pop(slot.name, None)
        self._freed.append(slot.uid)

    async def release_inherited(self, name: str, uid: str) -> None:
        """Deletes the Secret of a job that an earlier agent ran; raises KubeError when that is to be tried again."""
        await self._delete(name, uid)
        self._others = {number for number in self._others if job_slot_name(number) != name}

    async def _delete(self, name: str, uid: str) -> None:
        await delete_own(self._client, SECRETS, name, namespace=self._namespace, uid=uid)

    def _next_number(self) -> int:
        for number in range(1, JOB_SLOTS + 1):
            if number not in self._ours and number not in self._others:
                return number
        if self._others:
            self._others.clear()
            raise NoFreeSlot("every job slot is taken; slots of other agents are tried again")
        raise NoFreeSlot(f"all {JOB_SLOTS} job slots are in use")

    def _manifest(self, number: int, state: ResumeState) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": job_slot_name(number),
                "namespace": self._namespace,
                "labels": {labels.MANAGED_BY: labels.BY_AGENT, labels.RUNNER_GROUP: state.group},
                "ownerReferences": [owner_reference(state.group, state.group_uid)],
            },
            "data": _encoded({STATE_KEY: state.render()}),
        }


def _encoded(keys: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in keys.items()}


def _digest(stored_state: str) -> str:
    """Tells a state again without keeping the credentials in it."""
    return hashlib.sha256(stored_state.encode()).hexdigest()
