"""The sandbox's own API: its token, looking inside, faults by name."""

from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from .driver import APP_ID, APP_KEY, INSTALLATION_ID, World, public_pem, scenario


async def control(
    world: World, method: str, path: str, body: Any = None, *, token: str = "let-me-in"
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await world.http.request(method, "/sandbox" + path, json=body, headers=headers)


def test_the_control_api_asks_for_its_token() -> None:
    async def play(world: World) -> None:
        assert (await control(world, "GET", "/state", token="wrong")).status_code == 401
        assert (await world.http.get("/sandbox/state")).status_code == 401
        assert (await control(world, "GET", "/state")).status_code == 200
        installation_token = await world.token()
        assert (await control(world, "GET", "/state", token=installation_token)).status_code == 401

    scenario(play, control_token="let-me-in")


def test_the_state_shows_runners_sessions_polls_violations_and_requests() -> None:
    async def play(world: World) -> None:
        runner = await world.listening("watched")
        await world.http.get("/nowhere")
        async with world.open_poll(runner):
            state = (await control(world, "GET", "/state")).json()
        assert [(r["name"], r["status"], r["state"], r["job_id"]) for r in state["runners"]] == [
            ("watched", "online", "idle", None)
        ]
        assert [(s["runner"], s["has_open_poll"]) for s in state["sessions"]] == [("watched", True)]
        assert state["open_polls"] == 1
        assert state["violations"] == [
            {"at": "2026-01-05T09:00:00Z", "what": "unserved path", "detail": "GET /nowhere"}
        ]
        assert state["requests"]["rest.generate_jitconfig"] == {"201": 1}

    scenario(play)


def test_runs_show_how_often_each_job_was_delivered_claimed_and_completed() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        await claim.runner.poll(status="Busy", sessionId="none")
        await claim.complete()
        [run] = (await control(world, "GET", "/runs")).json()["runs"]
        assert (await control(world, "GET", f"/runs/{run['id']}")).json() == run
        [job] = run["jobs"]
        assert (job["status"], job["conclusion"], job["runner_name"]) == ("completed", "success", "r-1")
        assert (job["deliveries"], job["acquired"], job["completions"], job["waiting"]) == (1, 1, 1, None)
        assert (await control(world, "GET", f"/runs/{run['id']}/jobs/{job['id']}/log")).text == ""
        assert (await control(world, "GET", f"/runs/{run['id']}/jobs/1/log")).status_code == 404
        assert (await control(world, "GET", "/runs/1")).status_code == 404
        assert (await control(world, "POST", f"/runs/{run['id']}/cancel")).status_code == 409

    scenario(play)


def test_faults_are_injected_by_name_narrowed_listed_and_cleared() -> None:
    async def play(world: World) -> None:
        wish = {"preset": "poll-429-seconds", "match": {"runner": "bad*", "times": 1}}
        fault_id = (await control(world, "POST", "/faults", wish)).json()["id"]
        bad, good = await world.listening("bad"), await world.listening("good")
        world.core.enqueue(["self-hosted"])
        assert (await good.poll()).status_code == 200
        assert (await bad.poll()).headers["retry-after"] == "30"
        [fault] = (await control(world, "GET", "/state")).json()["faults"]
        assert (fault["id"], fault["hits"]) == (fault_id, 1)
        assert (await control(world, "DELETE", f"/faults?id={fault_id}")).status_code == 204
        assert (await control(world, "GET", "/state")).json()["faults"] == []
        own = {"title": "mine", "action": "answer", "status": 418, "match": {"endpoint": "rest.meta"}}
        assert (await control(world, "POST", "/faults", own)).status_code == 201
        assert (await world.http.get("/meta")).status_code == 418
        assert (await control(world, "DELETE", "/faults")).status_code == 204
        assert (await world.http.get("/meta")).status_code == 200

    scenario(play)


def test_a_fault_that_does_not_exist_or_makes_no_sense_is_refused() -> None:
    async def play(world: World) -> None:
        unknown = await control(world, "POST", "/faults", {"preset": "poll-42"})
        assert (unknown.status_code, "poll-429" in unknown.json()["presets"]) == (422, True)
        for wish in (
            {"action": "explode"},
            {"action": "answer", "colour": "red"},
            {"preset": "poll-429", "match": {"endpont": "x"}},
            {"action": "tune", "settings": {"nope": 1}},
            {},
        ):
            assert (await control(world, "POST", "/faults", wish)).status_code == 422
        assert world.core.faults.active == []

    scenario(play)


def test_a_run_request_with_wrong_fields_is_refused() -> None:
    async def play(world: World) -> None:
        for wish in ({}, {"workflow": 1}, {"workflow": "x", "repository": "nope"}, {"workflow": "x", "source": 5}):
            assert (await control(world, "POST", "/runs", wish)).status_code == 422
        broken = await world.http.post("/sandbox/runs", content=b"{")
        assert broken.status_code == 400
        assert world.core.runs() == []

    scenario(play)


def test_a_reset_forgets_everything_but_the_app() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        world.core.enqueue(["nobody-serves-this"])
        async with world.open_poll(runner) as poll:
            world.core.reset()
            assert (await poll).status_code == 503
        assert (world.core.runners(), world.core.sessions(), world.core.runs()) == ([], [], [])
        assert (await world.acquired("fresh")).job.status == "in_progress"

    scenario(play)


def test_a_key_joins_the_others_of_its_app_and_is_refused_once_it_is_deleted_but_the_last_one_stays() -> None:
    second = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys, tokens = f"/apps/{APP_ID}/keys", f"/api/v3/app/installations/{INSTALLATION_ID}/access_tokens"

    async def play(world: World) -> None:
        async def mint(key: rsa.RSAPrivateKey) -> int:
            return (await world.app_call("POST", tokens, key=key)).status_code

        (first_print,) = (await control(world, "GET", keys)).json()["keys"]
        assert (await control(world, "POST", keys, body={"public_key": "no key"})).status_code == 422
        assert (await control(world, "GET", "/apps/7/keys")).status_code == 404
        assert await mint(second) == 401
        added = await control(world, "POST", keys, body={"public_key": public_pem(second)})
        assert (added.status_code, len(added.json()["keys"])) == (201, 2)
        assert (await mint(APP_KEY), await mint(second)) == (201, 201)
        deletion = f"{keys}?{urlencode({'fingerprint': first_print})}"
        assert (await control(world, "DELETE", deletion)).status_code == 200
        assert (await mint(APP_KEY), await mint(second)) == (401, 201)
        assert (await control(world, "DELETE", deletion)).status_code == 404
        (second_print,) = (await control(world, "GET", keys)).json()["keys"]
        last = f"{keys}?{urlencode({'fingerprint': second_print})}"
        assert (await control(world, "DELETE", last)).status_code == 422

    scenario(play)
