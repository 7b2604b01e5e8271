"""Rate limits, conditional requests, and what is not served."""

from .driver import World, scenario


def test_every_rest_reply_counts_down_the_installations_budget_until_it_is_used_up() -> None:
    async def play(world: World) -> None:
        token = await world.token()
        replies = [await world.rest("GET", "/repos/octo/demo", token=token) for _ in range(4)]
        remaining = [reply.headers["x-ratelimit-remaining"] for reply in replies]
        assert (remaining, [reply.status_code for reply in replies]) == (["2", "1", "0", "0"], [200, 200, 200, 403])
        assert "API rate limit exceeded" in replies[3].json()["message"]
        reset = int(replies[3].headers["x-ratelimit-reset"])
        assert reset - world.clock.now().timestamp() == 3600
        limits = (await world.rest("GET", "/rate_limit", token=token)).json()
        assert limits["rate"] == {"limit": 3, "remaining": 0, "used": 3, "reset": reset}
        await world.clock.advance(3599)
        assert (await world.rest("GET", "/repos/octo/demo", token=token)).status_code == 403
        await world.clock.advance(1)
        assert (await world.rest("GET", "/repos/octo/demo")).status_code == 200

    scenario(play, primary_budget=3)


def test_points_per_minute_limit_writes_more_than_reads() -> None:
    async def play(world: World) -> None:
        token = await world.token()
        assert (await world.rest("GET", "/repos/octo/demo", token=token)).status_code == 200
        assert (await world.rest("DELETE", "/repos/octo/demo/actions/runners/1", token=token)).status_code == 404
        limited = await world.rest("DELETE", "/repos/octo/demo/actions/runners/1", token=token)
        assert (limited.status_code, limited.headers["retry-after"]) == (403, "60")
        assert "secondary rate limit" in limited.json()["message"]
        await world.clock.advance(60)
        assert (await world.rest("DELETE", "/repos/octo/demo/actions/runners/1", token=token)).status_code == 404

    scenario(play, points_per_minute=10)


def test_an_unchanged_meta_costs_nothing() -> None:
    async def play(world: World) -> None:
        first = await world.http.get("/api/v3/meta")
        assert {"api", "actions", "web"} <= first.json().keys()
        second = await world.http.get("/meta", headers={"If-None-Match": first.headers["etag"]})
        assert (second.status_code, second.content) == (304, b"")
        assert first.headers["x-ratelimit-remaining"] == second.headers["x-ratelimit-remaining"] == "59"

    scenario(play)


def test_an_unserved_path_is_answered_as_such_and_noted() -> None:
    async def play(world: World) -> None:
        for path in ("/broker/sessions", "/api/v3/broker/message", "/api/v3/enterprises/e/actions/runners"):
            reply = await world.http.get(path)
            assert (reply.status_code, reply.headers["x-fake-unserved"]) == (404, "1")
        assert world.core.violations()[0].detail == "GET /broker/sessions"

    scenario(play)


def test_requests_are_recorded_without_their_secrets() -> None:
    async def play(world: World) -> None:
        runner = await world.runner("kept")
        registered = world.core.requests("rest.generate_jitconfig", runner="kept")
        assert [(request.method, request.status) for request in registered] == [("POST", 201)]
        assert '"runner_group_id":1' in registered[0].body.replace(" ", "")
        kept = "".join(f"{request.headers} {request.body}" for request in world.core.requests())
        assert "eyJ" not in kept
        assert "ghs_" not in kept
        assert runner.token not in kept

    scenario(play)
