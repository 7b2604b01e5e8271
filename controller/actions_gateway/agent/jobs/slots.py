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
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.pod import owner_reference
from actions_gateway.agent.writing import delete_own, until_written
from actions_gateway.api import labels
from actions_gateway.api.names import JOB_SLOTS, job_slot_name
from actions_gateway.github.secrets import Secret
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import AlreadyExists, KubeError, NotFound, ServerError, Unreachable
from actions_gateway.kube.resources import SECRETS

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
        self._others: set[int] = set()
        """Numbers that were found taken; looked at again only when no other is left."""
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
            return None
        except (Unreachable, ServerError, TimeoutError, asyncio.CancelledError):
            self._unanswered.setdefault(number, set()).add(_digest(manifest["data"][STATE_KEY]))
            raise
        self._unanswered.pop(number, None)
        return Slot(number, job_slot_name(number), str(created["metadata"]["uid"]))

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
        """Adds the worker's keys to a slot; raises KubeError."""
        # The uid makes the patch fail on a successor of the same name.
        patch = {"metadata": {"uid": slot.uid}, "data": _encoded(keys)}
        await self._client.patch(SECRETS, slot.name, patch, namespace=self._namespace)

    async def release(self, slot: Slot) -> None:
        """Deletes the slot's Secret, however long that takes, and frees its number."""
        await until_written(lambda: self._delete(slot.name, slot.uid), self._basics, what=f"deletion of {slot.name}")
        self._ours.discard(slot.number)
        self._others.discard(slot.number)

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
