"""JIT registrations: validation, names, listing, single use."""

from typing import Any

import pytest

from .driver import World, scenario

RUNNERS = "/repos/octo/demo/actions/runners"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"runner_group_id": None}, 422, id="no group"),
        pytest.param({"labels": []}, 422, id="no labels"),
        pytest.param({"labels": ["x"] * 101}, 422, id="too many labels"),
        pytest.param({"name": ""}, 422, id="no name"),
        pytest.param({"runner_group_id": 2}, 403, id="a group that takes no self-hosted runners"),
        pytest.param({"runner_group_id": 9}, 404, id="an unknown group"),
        pytest.param({"scope": "/repos/stranger/demo"}, 404, id="a repository of somebody else"),
    ],
)
def test_a_registration_is_refused_for(fields: dict[str, object], status: int) -> None:
    async def play(world: World) -> None:
        wish: dict[str, Any] = {"name": "r"} | fields
        assert (await world.register(**wish)).status_code == status
        assert world.core.runners() == []

    scenario(play)


def test_a_taken_name_conflicts_until_its_record_is_deleted() -> None:
    async def play(world: World) -> None:
        first = (await world.register("same")).json()["runner"]
        assert (await world.register("same")).status_code == 409
        assert (await world.register("same", scope="/orgs/octo")).status_code == 201
        assert (await world.rest("DELETE", f"{RUNNERS}/{first['id']}")).status_code == 204
        assert (await world.rest("DELETE", f"{RUNNERS}/{first['id']}")).status_code == 404
        assert (await world.register("same")).status_code == 201

    scenario(play)


def test_runners_are_listed_by_part_of_their_name_in_pages() -> None:
    async def play(world: World) -> None:
        for number in range(5):
            await world.register(f"team-{number}")
        await world.register("other")
        token = await world.token()
        page = await world.rest("GET", f"{RUNNERS}?name=team&per_page=2&page=2", token=token)
        assert page.json()["total_count"] == 5
        assert [runner["name"] for runner in page.json()["runners"]] == ["team-2", "team-3"]
        assert 'page=3>; rel="next"' in page.headers["link"]
        following = await world.http.get(page.links["next"]["url"], headers={"Authorization": f"token {token}"})
        assert [runner["name"] for runner in following.json()["runners"]] == ["team-4"]

    scenario(play)


def test_a_runner_is_online_while_it_polls_and_for_a_minute_after() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()

        async def status() -> str:
            return str((await world.rest("GET", f"{RUNNERS}/{runner.id}")).json()["status"])

        assert await status() == "offline"
        async with world.open_poll(runner) as poll:
            assert await status() == "online"
            await world.clock.advance(50)
            assert (await poll).status_code == 202
        await world.clock.advance(60)
        assert await status() == "online"
        await world.clock.advance(1)
        assert await status() == "offline"

    scenario(play)


def test_a_registration_serves_one_job_and_disappears_soon_after_it() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        runner, path = claim.runner, f"{RUNNERS}/{claim.runner.id}"
        assert (await world.rest("GET", path)).json()["busy"] is True
        busy = await world.rest("DELETE", path)
        assert (busy.status_code, "currently running" in busy.text) == (422, True)
        assert (await claim.complete()).status_code == 204

        world.core.enqueue(["self-hosted"])
        empty = [await runner.poll() for _ in range(4)]
        assert [(reply.status_code, reply.content) for reply in empty[:3]] == [(200, b"")] * 3
        assert empty[3].status_code == 401
        assert (await runner.ask_for_token()).status_code == 400
        assert (await runner.create_session()).status_code == 401
        assert (await world.rest("DELETE", path)).status_code == 422
        await world.clock.advance(5)
        assert (await world.rest("GET", path)).status_code == 404
        assert (await runner.ask_for_token()).json()["error"] == "not_found"
        assert (await runner.poll()).status_code == 401

    scenario(play)


def test_the_blob_comes_in_the_variants_that_clients_must_read() -> None:
    async def play(world: World) -> None:
        runner = await world.runner()
        config = runner.files[".runner"]
        assert (config["agentId"], config["useV2Flow"]) == (runner.id, True)
        assert "serverUrlV2" not in config
        assert runner.token

    scenario(play, blob_style="camel", blob_bom=True, blob_omit=("ServerUrlV2",))


def test_every_runner_has_its_own_client_and_keys_are_made_before_they_are_needed() -> None:
    async def play(world: World) -> None:
        runners = [await world.runner(f"r-{number}") for number in range(3)]
        assert len({runner.files[".credentials"]["Data"]["clientId"] for runner in runners}) == 3
        moduli = {runner.files[".credentials_rsaparams"]["modulus"] for runner in runners}
        assert len(moduli) == 2
        assert all(runner.private_key.key_size == 2048 for runner in runners)

    from gateway_sandbox.github.credentials import KeyPool

    scenario(play, keys=KeyPool(), key_pool_size=2)
