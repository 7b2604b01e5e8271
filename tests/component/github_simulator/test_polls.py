"""Sessions and long polls: what is offered, how often, to whom, and that nothing gets lost."""

import json

import pytest

from .driver import VERSION, World, scenario


def test_a_poll_is_held_for_fifty_seconds() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        async with world.open_poll(runner) as poll:
            await world.clock.advance(49.9)
            assert not poll.done()
            await world.clock.advance(0.1)
            reply = await poll
        assert (reply.status_code, reply.content) == (202, b"")

    scenario(play)


def test_an_unacknowledged_delivery_is_offered_again_on_every_poll_and_an_acknowledged_one_is_not() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        job = world.core.enqueue(["self-hosted"])
        replies = [await runner.poll() for _ in range(3)]
        assert len({reply.json()["messageId"] for reply in replies}) == 3
        assert {json.loads(reply.json()["body"])["runner_request_id"] for reply in replies} == {job.uuid}
        assert (len(job.deliveries), job.deliveries[0].offer_count) == (1, 3)
        assert (await runner.acknowledge("something else")).json()["errorKind"] == "AcknowledgeJobNotFound"
        assert (await runner.acknowledge(job.uuid)).status_code == 204
        async with world.open_poll(runner) as poll:
            await world.clock.advance(50)
            assert (await poll).status_code == 202

    scenario(play)


def test_re_offers_can_be_paced() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        world.core.enqueue(["self-hosted"])
        await runner.message()
        async with world.open_poll(runner) as poll:
            await world.clock.advance(0.9)
            assert not poll.done()
            await world.clock.advance(0.1)
            assert (await poll).status_code == 200

    scenario(play, reoffer_min_interval_seconds=1.0)


def test_an_offer_that_is_not_taken_goes_to_another_session_when_its_lease_is_over() -> None:
    async def play(world: World) -> None:
        first, second = await world.listening("first"), await world.listening("second")
        world.core.enqueue(["self-hosted"])
        offered = await first.message()
        async with world.open_poll(second) as poll:
            await world.clock.advance(49)
            assert not poll.done()
        await world.clock.advance(70)
        async with world.open_poll(second) as poll:
            await world.clock.advance(1)
            assert json.loads((await poll).json()["body"])["runner_request_id"] == offered["runner_request_id"]
        assert (await first.ask_for_job(offered)).status_code == 409
        assert (await second.ask_for_job(offered)).status_code == 200

    scenario(play)


def test_an_offer_returns_to_the_queue_at_once_when_its_session_is_deleted() -> None:
    async def play(world: World) -> None:
        first, second = await world.listening("first"), await world.listening("second")
        world.core.enqueue(["self-hosted"])
        await first.message()
        async with world.open_poll(second) as poll:
            assert (await first.delete_session()).status_code == 204
            assert (await poll).status_code == 200
        assert (await first.delete_session()).status_code == 404

    scenario(play)


def test_a_client_that_leaves_a_poll_loses_no_job() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        async with world.open_poll(runner):
            pass
        await world.until(lambda: world.core.open_poll_count == 0)
        job = world.core.enqueue(["self-hosted"])
        assert job.state == "queued"
        assert (await runner.message())["runner_request_id"] == job.uuid
        assert len(world.core.requests("broker.poll", status=0)) == 1

    scenario(play)


def test_a_second_poll_of_a_session_ends_the_first_one_and_is_noted() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        async with world.open_poll(runner) as first, world.open_poll(runner):
            assert (await first).status_code == 202
            assert [violation.what for violation in world.core.violations()] == ["concurrent polls"]
            assert world.core.sessions()[0].poll is not None

    scenario(play)


def test_a_busy_poll_gets_no_job() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        world.core.enqueue(["self-hosted"])
        async with world.open_poll(runner, status="Busy") as poll:
            await world.clock.advance(50)
            assert (await poll).status_code == 202

    scenario(play)


def test_a_runner_has_one_session_of_its_own() -> None:
    async def play(world: World) -> None:
        runner = await world.runner()
        assert (await runner.create_session(agent_id=1)).status_code == 403
        await runner.open_session()
        conflict = await runner.create_session()
        assert conflict.status_code == 409
        assert "already has an active session for owner tests" in conflict.json()["errorMessage"]
        assert (await runner.poll(sessionId="11111111-1111-1111-1111-111111111111")).json()["errorKind"] == (
            "RunnerSessionInvalid"
        )
        query = {name: value for name, value in runner.poll_query.items() if name != "os"}
        bare = await world.http.get("/broker/message", params=query, headers=runner.headers)
        assert bare.status_code == 400

    scenario(play)


def test_a_session_that_stops_polling_ends_after_its_time_to_live() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        for _ in range(5):
            async with world.open_poll(runner) as poll:
                await world.clock.advance(50)
                await poll
        await world.clock.advance(179)
        assert len(world.core.sessions()) == 1
        await world.clock.advance(1)
        assert world.core.sessions() == []
        assert (await runner.poll()).json()["errorKind"] == "RunnerSessionInvalid"
        assert (await runner.create_session()).status_code == 200

    scenario(play)


@pytest.mark.parametrize(("style", "status"), [("403", 403), ("404", 404), ("410", 410)])
def test_a_dead_session_answers_in_the_older_ways_too(style: str, status: int) -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        async with world.open_poll(runner) as poll:
            await runner.delete_session()
            reply = await poll
        assert (reply.status_code, reply.content) == (status, b"")

    scenario(play, dead_session_reply=style)


def test_a_deleted_record_ends_its_session_and_its_open_poll() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        async with world.open_poll(runner) as poll:
            deleted = await world.rest("DELETE", f"/repos/octo/demo/actions/runners/{runner.id}")
            assert deleted.status_code == 204
            assert (await poll).json()["errorKind"] == "RunnerNotFound"
        assert (await runner.ask_for_token()).json()["error"] == "invalid_client"

    scenario(play, deleted_runner_reply="not_found", deleted_client_error="invalid_client")


def test_a_runner_that_is_too_old_gets_no_session_and_no_messages() -> None:
    async def play(world: World) -> None:
        runner = await world.runner()
        refused = await runner.create_session(version="2.328.9")
        assert (refused.status_code, "minimum version" in refused.text) == (400, True)
        assert (await runner.create_session(version="")).status_code == 200
        old = await runner.poll(sessionId=world.core.sessions()[0].id, runnerVersion="2.100.0")
        assert old.json()["errorKind"] == "RunnerVersionTooOld"
        assert VERSION > "2.329.0"

    scenario(play)
