"""Sessions and polls on the wire."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from actions_gateway.github.broker import Broker, RunnerPlatform, RunnerStatus, Session
from actions_gateway.github.errors import (
    AnswerTimeout,
    EmptyAnswer,
    MalformedAnswer,
    RunnerGone,
    ServerError,
    SessionConflict,
    Unreachable,
)
from actions_gateway.github.http import Api
from actions_gateway.github.messages import ForceTokenRefresh, JobRequest, Unanswered
from support.aio import run

from .doubles import PLATFORM, TOKEN, Double, Reply, github, jit_config, reply

SESSION = Session("5f0a", "https://broker.example.test/")
REQUEST = JobRequest("r-1", "https://run.example.test/38/", should_acknowledge=True)


def play(scene: Callable[[Broker, Double], Awaitable[None]], *replies: Reply) -> None:
    async def main() -> None:
        async with github(*replies) as double:
            await scene(Broker(double.http, PLATFORM), double)

    run(main())


def test_a_session_is_created_for_the_runner_of_the_configuration() -> None:
    async def scene(broker: Broker, double: Double) -> None:
        session = await broker.create_session(jit_config(), TOKEN, "team-a-7")
        assert session == Session("5f0a", "https://broker.example.test/")
        assert (double.last.method, str(double.last.url)) == ("POST", "https://broker.example.test/session")
        assert double.last.headers["authorization"] == f"Bearer {TOKEN.reveal()}"
        assert double.last.headers["user-agent"] == "GitHubActionsRunner-linux-x64/2.335.1"
        assert double.body() == {
            "sessionId": "00000000-0000-0000-0000-000000000000",
            "ownerName": "team-a-7",
            "agent": {"id": 28620, "name": "team-a-7", "version": "2.335.1", "osDescription": "Linux"},
            "useFipsEncryption": False,
        }
        assert double.heard == [(Api.BROKER, 201)]

    play(scene, reply(201, {"SessionId": "5f0a", "ownerName": "x"}))


def test_a_session_may_live_on_another_broker() -> None:
    async def scene(broker: Broker, double: Double) -> None:
        session = await broker.create_session(jit_config(), TOKEN, "x")
        assert session.broker_url == "https://other.example.test"
        assert await broker.poll(session, TOKEN) is None
        assert str(double.last.url).startswith("https://other.example.test/message?")

    play(scene, reply(200, {"sessionId": "5f0a", "brokerURL": "https://other.example.test"}), reply(202))


@pytest.mark.parametrize("body", [{}, {"sessionId": "5f0a", "brokerURL": "http://clear.example.test"}, ""])
def test_an_unusable_session_is_malformed(body: Any) -> None:
    async def scene(broker: Broker, _: Double) -> None:
        with pytest.raises(MalformedAnswer):
            await broker.create_session(jit_config(), TOKEN, "x")

    play(scene, reply(200, body))


def test_a_refused_session_is_typed() -> None:
    async def scene(broker: Broker, _: Double) -> None:
        with pytest.raises(SessionConflict, match="active session for owner old"):
            await broker.create_session(jit_config(), TOKEN, "x")

    play(scene, reply(409, "runner already has an active session for owner old"))


def test_a_poll_says_who_and_what_the_runner_is() -> None:
    async def scene(broker: Broker, double: Double) -> None:
        assert await broker.poll(SESSION, TOKEN) is None
        assert str(double.last.url) == (
            "https://broker.example.test/message?sessionId=5f0a&status=Online&runnerVersion=2.335.1"
            "&os=Linux&architecture=X64&disableUpdate=true"
        )
        await broker.poll(SESSION, TOKEN, RunnerStatus.BUSY)
        assert double.last.url.params["status"] == "Busy"

    play(scene, reply(202), reply(202))


def test_a_poll_brings_a_message() -> None:
    async def scene(broker: Broker, _: Double) -> None:
        assert await broker.poll(SESSION, TOKEN) == ForceTokenRefresh()

    play(scene, reply(200, {"messageId": 1, "messageType": "ForceTokenRefresh"}))


def test_empty_answers_are_told_from_quiet_ones() -> None:
    async def scene(broker: Broker, _: Double) -> None:
        with pytest.raises(EmptyAnswer):
            await broker.poll(SESSION, TOKEN)
        assert await broker.poll(SESSION, TOKEN) is None

    play(scene, reply(200), reply(204))


def test_a_read_deadline_that_passes_is_no_message_but_no_sign_of_life_either() -> None:
    async def scene(broker: Broker, double: Double) -> None:
        assert await broker.poll(SESSION, TOKEN) == Unanswered()
        assert double.heard == [(Api.BROKER, None)]

    play(scene, httpx.ReadTimeout("planted"))


def test_a_connection_that_cannot_be_made_is_an_error_of_the_poll() -> None:
    async def scene(broker: Broker, _: Double) -> None:
        for _attempt in range(2):
            with pytest.raises(Unreachable) as caught:
                await broker.poll(SESSION, TOKEN)
            assert not isinstance(caught.value, AnswerTimeout)

    play(scene, httpx.ConnectTimeout("planted"), httpx.ReadError("planted"))


def test_the_deadline_of_a_poll_follows_the_hold() -> None:
    async def scene(_: Broker, double: Double) -> None:
        broker = Broker(double.http, PLATFORM, hold_seconds=20)
        await broker.poll(SESSION, TOKEN)
        assert double.last.extensions["timeout"] == {"connect": 10.0, "read": 25.0, "write": 25.0, "pool": 10.0}

    play(scene, reply(202))


def test_an_acknowledgement_names_the_delivery_and_repeats_the_polls_query() -> None:
    async def scene(broker: Broker, double: Double) -> None:
        await broker.acknowledge(SESSION, TOKEN, REQUEST)
        assert str(double.last.url) == (
            "https://broker.example.test/acknowledge?sessionId=5f0a&status=Online&runnerVersion=2.335.1"
            "&os=Linux&architecture=X64"
        )
        assert double.body() == {"runnerRequestId": "r-1"}
        assert double.last.extensions["timeout"]["read"] == 5.0

    play(scene, reply(204))


@pytest.mark.parametrize(("status", "closed"), [(200, True), (204, True), (401, False), (404, False), (410, False)])
def test_deleting_a_session_tells_whether_there_was_one(status: int, closed: bool) -> None:
    async def scene(broker: Broker, double: Double) -> None:
        assert await broker.delete_session(SESSION, TOKEN) is closed
        assert (double.last.method, str(double.last.url)) == ("DELETE", "https://broker.example.test/session")
        assert double.last.content == b""

    play(scene, reply(status))


def test_other_failures_of_a_deletion_are_errors() -> None:
    async def scene(broker: Broker, _: Double) -> None:
        with pytest.raises(ServerError):
            await broker.delete_session(SESSION, TOKEN)

    play(scene, reply(500))


def test_a_runner_that_is_gone_is_told_by_the_envelope() -> None:
    async def scene(broker: Broker, _: Double) -> None:
        with pytest.raises(RunnerGone, match="it left"):
            await broker.poll(SESSION, TOKEN)

    body = {"source": "actions-broker-listener", "errorKind": "RunnerNotFound", "errorMessage": "it left"}
    play(scene, reply(404, body))


def test_the_platform_is_the_callers() -> None:
    assert RunnerPlatform("2.400.0", "Linux", "ARM64").user_agent == "GitHubActionsRunner-linux-arm64/2.400.0"
