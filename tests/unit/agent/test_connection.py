"""Opening a registration's session: what a conflict with another session is taken for."""

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.sessions.connection import Connection
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.tunables import Tunables
from actions_gateway.github.broker import Session
from actions_gateway.github.errors import GitHubError, SessionConflict
from actions_gateway.github.runnertoken import RunnerToken
from actions_gateway.github.secrets import Secret
from support.aio import run
from support.clock import START, ManualClock

AGENT = "actions-gateway-controller-7d8f9c6b5-abcde"
CONFLICT = "GitHub did not open a session (HTTP 409): the runner already has an active session for owner {}."


class Broker:
    """Creations end with the given problems first."""

    def __init__(self, *problems: GitHubError) -> None:
        self._problems = list(problems)
        self.calls: list[str] = []

    async def create_session(self, _jit: object, _token: Secret, owner_name: str) -> Session:
        self.calls.append(f"create {owner_name}")
        if self._problems:
            raise self._problems.pop(0)
        return Session("s-1", "https://broker.example.test")

    async def delete_session(self, session: Session, _token: Secret) -> bool:
        self.calls.append(f"delete {session.id or 'the unknown one'}")
        return True


def connection(broker: Broker) -> Connection:
    basics = Basics("team-a", AGENT, ManualClock(), random.Random(1), cast("Any", None), Tunables())
    jit = SimpleNamespace(broker_url="https://broker.example.test")
    registration = SimpleNamespace(name="ci-cpu-1", jit=jit)
    made = Connection(cast("Any", registration), cast("SessionParts", SimpleNamespace(basics=basics, broker=broker)))
    made._token = RunnerToken(Secret("eyJ"), START.replace(hour=23), START.replace(hour=22))
    return made


@pytest.mark.parametrize("text", [CONFLICT.format(AGENT), "GitHub did not open a session (HTTP 409)"])
def test_a_session_of_our_own_whose_answer_was_lost_is_deleted_once(text: str) -> None:
    async def main() -> None:
        broker = Broker(SessionConflict(text, status=409))
        await connection(broker).open()
        assert broker.calls == [f"create {AGENT}", "delete the unknown one", f"create {AGENT}"]

    run(main())


def test_a_conflict_that_the_deletion_did_not_end_is_not_fought() -> None:
    async def main() -> None:
        broker = Broker(*[SessionConflict(CONFLICT.format(AGENT), status=409)] * 2)
        with pytest.raises(SessionConflict):
            await connection(broker).open()
        assert broker.calls == [f"create {AGENT}", "delete the unknown one", f"create {AGENT}"]

    run(main())


def test_a_session_of_somebody_else_is_left_alone_also_when_ours_closes() -> None:
    async def main() -> None:
        broker = Broker(SessionConflict(CONFLICT.format("laptop-of-alice"), status=409))
        rejected = connection(broker)
        with pytest.raises(SessionConflict, match="laptop-of-alice"):
            await rejected.open()
        await rejected.close()
        assert broker.calls == [f"create {AGENT}"]

    run(main())
