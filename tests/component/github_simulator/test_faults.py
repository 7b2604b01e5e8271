"""Faults: the mechanism, and that each kind does on the wire what its name says."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest

from gateway_sandbox.github.faults import PRESETS, Action, Fault, Match

from .driver import POOL, World, scenario

REPOSITORY = "/repos/octo/demo"


@pytest.mark.parametrize(
    ("preset", "status"),
    [("poll-instant-202", 202), ("poll-429", 429), ("poll-500", 500), ("poll-410", 410), ("poll-empty-200", 200)],
)
def test_an_answer_fault_answers_in_githubs_place(preset: str, status: int) -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        world.core.inject(PRESETS[preset])
        reply = await runner.poll()
        assert (reply.status_code, reply.content, "retry-after" in reply.headers) == (status, b"", False)

    scenario(play)


def test_retry_after_comes_in_seconds_or_as_a_date() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        fault = world.core.inject(PRESETS["poll-429-seconds"])
        assert (await runner.poll()).headers["retry-after"] == "30"
        world.core.clear_faults(fault)
        world.core.inject(PRESETS["poll-429-date"])
        assert (await runner.poll()).headers["retry-after"] == "Mon, 05 Jan 2026 09:00:30 GMT"

    scenario(play)


def test_a_fault_hits_only_matching_runners_after_those_it_skips_and_so_many_times() -> None:
    async def play(world: World) -> None:
        match = Match("broker.create_session", runner="bad-*", skip=1, times=2)
        world.core.inject(Fault("unwell", Action.ANSWER, match, status=503))
        good, bad = await world.runner("good"), await world.runner("bad-1")
        assert (await good.create_session()).status_code == 200
        statuses = [(await bad.create_session()).status_code for _ in range(4)]
        assert statuses == [200, 503, 503, 409]

    scenario(play)


def test_a_probable_fault_hits_some_requests() -> None:
    async def play(world: World) -> None:
        token = await world.token()
        world.core.inject(Fault("sometimes", Action.ANSWER, Match("rest.repository", probability=0.5), status=503))
        statuses = {(await world.rest("GET", REPOSITORY, token=token)).status_code for _ in range(60)}
        assert statuses == {200, 503}

    scenario(play)


def test_a_hanging_poll_is_not_seen_by_github_and_ends_when_the_fault_is_cleared() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        world.core.inject(PRESETS["poll-black-hole"])
        poll = asyncio.create_task(runner.poll())
        await world.until(lambda: world.core.faults.active[0].hits == 1)
        await world.clock.advance(3600)
        assert not poll.done()
        assert world.core.open_poll_count == 0
        world.core.clear_faults()
        with pytest.raises(httpx.TransportError):
            await poll

    scenario(play)


def test_a_reset_can_come_in_the_middle_of_a_poll() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        world.core.inject(PRESETS["poll-reset-mid-hold"])
        poll = asyncio.create_task(runner.poll())
        await world.until(lambda: world.core.faults.active[0].hits == 1)
        await world.clock.advance(10)
        with pytest.raises(httpx.TransportError):
            await poll

    scenario(play)


def test_a_lost_registration_has_been_made() -> None:
    async def play(world: World) -> None:
        world.core.inject(PRESETS["register-lost"])
        with pytest.raises(httpx.TransportError):
            await world.register("lost")
        assert [runner.name for runner in world.core.runners()] == ["lost"]
        assert (await world.register("lost")).status_code == 409

    scenario(play)


def test_a_lost_poll_reply_is_offered_again_and_a_lost_cancellation_sent_again() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        job = world.core.enqueue(["self-hosted"])
        world.core.inject(PRESETS["poll-lost"])
        with pytest.raises(httpx.TransportError):
            await runner.poll()
        claim = await runner.acquire(await runner.message())
        assert (claim.message["runner_request_id"], len(job.deliveries)) == (job.uuid, 1)
        world.core.cancel(job.run)
        world.core.clear_faults()
        world.core.inject(PRESETS["poll-lost"])
        with pytest.raises(httpx.TransportError):
            await runner.poll(status="Busy")
        assert (await runner.poll(status="Busy")).json()["messageType"] == "JobCancellation"

    scenario(play)


def test_a_duplicate_delivery_repeats_the_message_after_the_claim() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        world.core.inject(PRESETS["delivery-duplicate"])
        again = await claim.runner.message()
        assert again["runner_request_id"] == claim.message["runner_request_id"]
        assert (await claim.runner.ask_for_job(again)).status_code == 409

    scenario(play)


def test_a_claim_whose_answer_is_lost_has_been_made() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        job = world.core.enqueue(["self-hosted"])
        message = await runner.message()
        world.core.inject(PRESETS["acquire-lost"])
        claim = asyncio.create_task(runner.ask_for_job(message))
        await world.until(lambda: job.status == "in_progress")
        claim.cancel()
        assert (await runner.ask_for_job(message)).status_code == 409

    scenario(play)


def test_edits_change_the_answer_and_nothing_else() -> None:
    async def play(world: World) -> None:
        world.core.inject(PRESETS["acquire-other-plan"])
        world.core.inject(PRESETS["register-corrupt-blob"])
        corrupt = (await world.register("corrupt")).json()
        assert (corrupt["runner"]["name"], corrupt["encoded_jit_config"]) == ("corrupt", "bm90IGpzb24=")
        runner = await world.listening()
        job = world.core.enqueue(["self-hosted"])
        reply = await runner.ask_for_job(await runner.message())
        assert reply.headers["x-plan-id"] == job.plan_id != reply.json()["plan"]["planId"]
        assert reply.json()["plan"]["planType"] == "actions"

    scenario(play)


def test_a_key_can_be_renamed_and_a_message_truncated() -> None:
    async def play(world: World) -> None:
        world.core.inject(PRESETS["acquire-token-case"])
        world.core.inject(PRESETS["poll-truncated"])
        runner = await world.listening()
        world.core.enqueue(["self-hosted"])
        with pytest.raises(json.JSONDecodeError):
            (await runner.poll()).json()
        payload = (await runner.ask_for_job(await runner.message())).json()
        parameters = payload["resources"]["endpoints"][0]["authorization"]["parameters"]
        assert list(parameters) == ["accesstoken"]

    scenario(play)


def test_settings_are_tuned_while_the_fault_is_in_place() -> None:
    async def play(world: World) -> None:
        fault = world.core.inject(PRESETS["lock-short"])
        claim = await world.acquired(started=True)
        await world.clock.advance(29)
        assert (await claim.renew()).json()["lockedUntil"] == "2026-01-05T09:00:59Z"
        world.core.clear_faults(fault)
        assert (await claim.renew()).json()["lockedUntil"] == "2026-01-05T09:10:29Z"
        world.core.inject(PRESETS["lock-short"])
        await claim.renew()
        await world.clock.advance(30)
        assert claim.job.conclusion == "failure"

    scenario(play)


def test_a_restart_of_github_drops_all_sessions_and_a_deleted_record_takes_its_session_along() -> None:
    async def play(world: World) -> None:
        first, second = await world.listening("first"), await world.listening("second")
        async with world.open_poll(first) as poll:
            world.core.inject(PRESETS["sessions-dropped"])
            assert (await poll).json()["errorKind"] == "RunnerSessionInvalid"
        assert world.core.sessions() == []
        await second.open_session()
        world.core.inject(replace(PRESETS["record-deleted"], match=Match(runner="second")))
        assert [runner.name for runner in world.core.runners()] == ["first"]
        assert (await second.poll()).status_code == 401

    scenario(play)


def test_messages_other_than_jobs_can_be_sent() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        world.core.inject(PRESETS["poll-foreign-cancellation"])
        reply = (await runner.poll()).json()
        assert reply["messageType"] == "JobCancellation"
        assert reply["messageId"] > 2**53
        assert json.loads(reply["body"])["timeout"] == "00:05:00"

    scenario(play)


def test_a_slow_answer_waits_on_the_simulators_clock() -> None:
    async def play(world: World) -> None:
        runner = await world.runner()
        world.core.inject(PRESETS["session-slow"])
        session = asyncio.create_task(runner.create_session())
        await world.until(lambda: world.core.faults.active[0].hits == 1)
        await world.clock.advance(9.9)
        assert world.core.sessions() == []
        await world.clock.advance(0.1)
        assert (await session).status_code == 200

    scenario(play)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_can_be_put_in_place_and_taken_away(name: str) -> None:
    from fnmatch import fnmatchcase

    from actions_gateway.engine.clock import SystemClock
    from gateway_sandbox.github.core import GitHub
    from gateway_sandbox.github.planes import routes as plane_routes
    from gateway_sandbox.github.rest import routes as rest_routes

    github = GitHub(clock=SystemClock(), keys=POOL)
    before = github.state.settings
    fault = PRESETS[name]
    github.inject(fault)
    assert (github.state.settings != before) == (fault.action is Action.TUNE)
    endpoints = [route.name for route in (*rest_routes(github), *plane_routes(github))]
    assert any(fnmatchcase(endpoint, fault.match.endpoint) for endpoint in endpoints)
    github.clear_faults()
    assert github.state.settings == before
