"""Carries out the faults of `github.faults`: picks the one that a request meets, and what each action does to it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Any

from gateway_sandbox.github.faults import Action, Fault
from gateway_sandbox.github.runners import Runners
from gateway_sandbox.github.state import FIRST_MESSAGE_ID, State
from gateway_sandbox.github.wire import Call, Reply

BEFORE = frozenset({Action.ANSWER, Action.DELAY, Action.HANG, Action.RESET, Action.REPEAT})
AFTER = frozenset({Action.LOSE_ANSWER, Action.HANG_ANSWER, Action.TRUNCATE, Action.EDIT})


@dataclass(slots=True, eq=False)
class ActiveFault:
    id: int
    fault: Fault
    seen: int = 0
    hits: int = 0
    cleared: asyncio.Event = field(default_factory=asyncio.Event)


class FaultBook:
    """The faults in place, tried in the order of their injection; a request meets at most one before and one after."""

    def __init__(self, state: State, runners: Runners) -> None:
        self._state = state
        self._runners = runners
        self._active: dict[int, ActiveFault] = {}
        self._last_messages: dict[str, dict[str, Any]] = {}

    @property
    def active(self) -> list[ActiveFault]:
        return list(self._active.values())

    def inject(self, fault: Fault) -> int:
        """Puts a fault in place, or makes a one-time one happen now; the number is for `clear`."""
        entry = ActiveFault(self._state.next_id("fault"), fault)
        concerned = [r for r in list(self._state.runners.values()) if fnmatchcase(r.name, fault.match.runner)]
        match fault.action:
            case Action.DROP_SESSIONS:
                for runner in concerned:
                    if runner.session is not None:
                        self._runners.end_session(runner.session)
            case Action.DELETE_RUNNERS:
                for runner in concerned:
                    self._runners.remove(runner)
            case _:
                self._active[entry.id] = entry
                self._tune()
        self._state.changed()
        return entry.id

    def clear(self, fault_id: int | None = None) -> None:
        """Takes one fault away, or all; requests that hang on it are dropped."""
        for entry in self.active:
            if fault_id in (None, entry.id):
                entry.cleared.set()
                del self._active[entry.id]
        self._tune()

    def _tune(self) -> None:
        self._state.override(entry.fault.settings for entry in self.active if entry.fault.action is Action.TUNE)

    async def apply(self, call: Call, runner: str | None, handle: Callable[[Call], Awaitable[Reply]]) -> Reply:
        """The answer to a call, through whatever faults it meets."""
        entry = self._pick(BEFORE, call, runner)
        if entry is not None:
            early = await self._before(entry, runner)
            if early is not None:
                return early
        reply = await handle(call)
        if (
            call.endpoint == "broker.poll"
            and runner is not None
            and isinstance(reply.body, dict)
            and reply.status == 200
        ):
            self._last_messages[runner] = reply.body
        entry = self._pick(AFTER, call, runner, reply.status)
        return reply if entry is None else await self._after(entry, reply)

    def _pick(
        self, actions: frozenset[Action], call: Call, runner: str | None, status: int | None = None
    ) -> ActiveFault | None:
        for entry in self._active.values():
            match = entry.fault.match
            fits = fnmatchcase(call.endpoint, match.endpoint) and fnmatchcase(runner or "", match.runner)
            if not fits or entry.fault.action not in actions or match.answer_status not in (None, status):
                continue
            if entry.fault.action is Action.REPEAT and runner not in self._last_messages:
                continue
            entry.seen += 1
            is_spent = match.times is not None and entry.hits >= match.times
            if entry.seen <= match.skip or is_spent or self._state.rng.random() >= match.probability:
                continue
            entry.hits += 1
            self._state.changed()
            return entry
        return None

    async def _before(self, entry: ActiveFault, runner: str | None) -> Reply | None:
        fault = entry.fault
        match fault.action:
            case Action.ANSWER:
                return self._answer(fault)
            case Action.REPEAT:
                return Reply(200, self._last_messages[runner or ""] | {"messageId": self._message_id()})
            case Action.HANG:
                await entry.cleared.wait()
                return Reply(is_dropped=True)
            case Action.RESET:
                await self._state.clock.sleep(fault.seconds)
                return Reply(is_dropped=True)
            case _:
                await self._state.clock.sleep(fault.seconds)
                return None

    async def _after(self, entry: ActiveFault, reply: Reply) -> Reply:
        reply.on_written = None
        match entry.fault.action:
            case Action.TRUNCATE:
                text = reply.encoded().decode()
                return Reply(reply.status, text[: len(text) // 2], reply.headers)
            case Action.EDIT:
                return Reply(reply.status, _edited(reply.body, entry.fault), reply.headers | dict(entry.fault.headers))
            case Action.HANG_ANSWER:
                await entry.cleared.wait()
        return Reply(is_dropped=True)

    def _answer(self, fault: Fault) -> Reply:
        headers, body = dict(fault.headers), fault.body
        if fault.retry_date_seconds is not None:
            until = self._state.clock.now() + timedelta(seconds=fault.retry_date_seconds)
            headers["Retry-After"] = format_datetime(until, usegmt=True)
        if isinstance(body, dict) and "messageId" in body:
            body = body | {"messageId": self._message_id()}
        return Reply(fault.status, body, headers)

    def _message_id(self) -> int:
        return self._state.next_id("message", FIRST_MESSAGE_ID)


def _edited(body: Any, fault: Fault) -> Any:
    """A changed copy of a JSON document; paths that are not there are left alone."""
    document = json.loads(json.dumps(body))
    for path in fault.removed:
        parent, key = _parent(document, path)
        if isinstance(parent, dict):
            parent.pop(key, None)
    for path, name in fault.renamed.items():
        parent, key = _parent(document, path)
        if isinstance(parent, dict) and key in parent:
            parent[name] = parent.pop(key)
    for path, value in fault.edits.items():
        parent, key = _parent(document, path)
        if isinstance(parent, dict):
            parent[key] = value
    return document


def _parent(document: Any, path: str) -> tuple[Any, str]:
    *steps, key = path.split(".")
    for step in steps:
        if isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            document = document.get(step) if isinstance(document, dict) else None
    return document, key
