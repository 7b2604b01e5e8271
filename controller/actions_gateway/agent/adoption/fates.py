"""What is to become of a job slot that was found taken: one pure decision over its Secret and its pod."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from actions_gateway.agent.jobs.outcome import PodView
from actions_gateway.agent.jobs.slots import STATE_KEY, ResumeState, Slot
from actions_gateway.api import labels


class Fate(Enum):
    """What to do with a job that no task of ours stands behind."""

    CLAIM = auto()
    """Its claim was under way: whether the job is ours is open."""
    START = auto()
    """It is ours, and its pod was refused so far."""
    FOLLOW = auto()
    """Its worker runs, or has ended."""
    VANISHED = auto()
    """Its worker was asked for and is not there: it may have run."""
    DUPLICATE = auto()
    """Its job runs, or ran, under another delivery."""
    UNREADABLE = auto()


@dataclass(frozen=True, slots=True)
class FoundSlot:
    """A slot's Secret, decoded."""

    slot: Slot
    state: ResumeState | None
    """None when this release cannot read it."""
    payload: bytes
    plan_id: str
    request: str
    """How far the creation of the worker has got (`labels.WORKER_REQUEST`)."""
    made_at: datetime


def decoded(number: int, secret: dict[str, Any]) -> FoundSlot:
    """The content of a slot's Secret; what cannot be decoded is as if it were not there."""
    metadata, data = secret["metadata"], secret.get("data") or {}
    try:
        state = ResumeState.parse(_bytes(data, STATE_KEY))
    except ValueError:
        state = None
    return FoundSlot(
        slot=Slot(number, str(metadata["name"]), str(metadata["uid"])),
        state=state,
        payload=_bytes(data, "payload"),
        plan_id=_bytes(data, "plan-id").decode(errors="replace"),
        request=(metadata.get("annotations") or {}).get(labels.WORKER_REQUEST, ""),
        made_at=datetime.fromisoformat(str(metadata["creationTimestamp"]).replace("Z", "+00:00")),
    )


def decide_fate(found: FoundSlot, pod: PodView | None) -> Fate:
    """What to do; `pod` is the slot's pod or one of the same job that runs it or has, None when there is none."""
    if found.state is None:
        return Fate.UNREADABLE
    if found.request == labels.WORKER_DUPLICATE or (pod is not None and pod.slot_uid != found.slot.uid):
        return Fate.DUPLICATE
    if pod is not None:
        return Fate.FOLLOW
    if not found.payload:
        return Fate.CLAIM
    return Fate.START if found.request == labels.WORKER_REFUSED else Fate.VANISHED


def _bytes(data: dict[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(str(data.get(key) or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""
