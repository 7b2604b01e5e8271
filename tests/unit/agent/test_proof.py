"""Whether the API server would admit a group's workers: asked once per change, told in its words, never in a rush."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.proof import TemplateProof, prove
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.runnergroup import GroupSettings
from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.kube.errors import (
    AlreadyExists,
    Forbidden,
    Invalid,
    KubeError,
    NamespaceTerminating,
    QuotaExceeded,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from support.aio import run
from support.clock import ManualClock, settle

SITE = WorkerSite("team-a", "controller:1", "runner:1", "worker", SecurityProfile.BASELINE)
BACKOFF = Backoff(base_seconds=10.0, cap_seconds=100.0)
REFUSAL = 'Pod "runner-ci-1" is invalid: spec.containers[1].image: Required value'


def settings(*tiers: str, **template: Any) -> GroupSettings:
    steps = [{"priorityClassName": name, "threshold": number} for number, name in enumerate(tiers, start=1)]
    fields: dict[str, Any] = {"runnerLabels": ["linux"], "podTemplate": {"spec": template} if template else None}
    return GroupSettings.model_validate(fields | ({"priorityTiers": steps} if steps else {}))


class Server:
    """Answers with what is to go wrong, and remembers what was asked."""

    def __init__(self, *answers: KubeError | None) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    async def create(self, _: object, manifest: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        assert dry_run
        self.asked.append(manifest)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return manifest


class Group:
    name = "ci-cpu"
    uid = "uid-1"
    settings = settings()


async def proved(server: Server, wanted: GroupSettings) -> str:
    return await prove(cast("Any", server), wanted, SITE, group="ci-cpu", group_uid="uid-1")


def test_what_is_asked_about_looks_like_a_worker() -> None:
    server = Server()
    assert run(proved(server, settings())) == ""
    (pod,) = server.asked
    assert pod["metadata"]["name"].startswith("runner-ci-cpu-")
    assert pod["metadata"]["labels"][labels.COMPONENT] == labels.WORKLOAD


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (REFUSAL, "spec.containers[side].image: Required value"),
        (
            'Pod "x" is invalid: spec.initContainers[1].env[0].name: Invalid value: "1a"',
            'spec.initContainers[prepare].env[0].name: Invalid value: "1a"',
        ),
        ('Pod "x" is invalid: spec.containers[7]: no', "spec.containers[7]: no"),
        (
            'pods "x" is forbidden: no PriorityClass with name gone was found',
            "no PriorityClass with name gone was found",
        ),
    ],
)
@pytest.mark.parametrize("kind", [Invalid, Forbidden])
def test_a_refusal_is_told_in_the_servers_words_with_containers_by_name(
    kind: type[KubeError], message: str, said: str
) -> None:
    template = {"containers": [{"name": "runner"}, {"name": "side"}], "initContainers": [{"name": "prepare"}]}
    assert run(proved(Server(kind(message)), settings(**template))) == said


@pytest.mark.parametrize(
    "refusal",
    [
        QuotaExceeded("exceeded quota: q"),
        NamespaceTerminating("it is being terminated"),
        AlreadyExists("there is one"),
        Invalid('admission webhook "w" does not support dry run'),
    ],
)
def test_these_refusals_say_nothing_against_the_template(refusal: KubeError) -> None:
    assert run(proved(Server(refusal), settings())) == ""


@pytest.mark.parametrize("kind", [Unreachable, ServerError, TooManyRequests, Unauthorized])
def test_without_an_answer_nothing_is_known(kind: type[KubeError]) -> None:
    with pytest.raises(kind):
        run(proved(Server(kind("no answer")), settings()))


def test_each_class_of_the_tiers_is_proved_until_one_is_refused() -> None:
    server = Server(QuotaExceeded("exceeded quota: q"), None, Forbidden("no class"))
    assert run(proved(server, settings("low", "low", "mid", "gone", "high"))) == "no class"
    assert [pod["spec"]["priorityClassName"] for pod in server.asked] == ["low", "mid", "gone"]


# -- when it is asked --------------------------------------------------------------------------------------------------


class World:
    def __init__(self, *answers: KubeError | None) -> None:
        self.clock, self.server, self.group = ManualClock(), Server(*answers), Group()
        self.changes: list[str] = []
        tunables = Tunables(proof_backoff=BACKOFF)
        basics = Basics("team-a", "agc", self.clock, random.Random(1), cast("Any", None), tunables)
        self.proof = TemplateProof(
            cast("Any", self.group), cast("Any", self.server), SITE, basics, on_change=self._changed
        )

    def _changed(self) -> None:
        self.changes.append(self.proof.problem)

    async def change(self, wanted: GroupSettings) -> None:
        self.group.settings = wanted
        self.proof.changed()
        await settle()


def play(world: World, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        task = asyncio.create_task(world.proof.run())
        try:
            await settle()
            await scenario(world)
        finally:
            await cancel_and_wait(task)

    run(main())


def test_admitted_settings_are_asked_about_once_and_other_ones_again() -> None:
    async def scenario(world: World) -> None:
        await world.clock.advance(100_000)
        world.proof.changed()
        await settle()
        assert len(world.server.asked) == 1
        await world.change(settings(nodeSelector={"disk": "ssd"}))
        await world.clock.advance(100_000)
        assert len(world.server.asked) == 2
        assert world.changes == []

    play(World(), scenario)


def test_a_change_that_concerns_no_pod_is_not_asked_about() -> None:
    async def scenario(world: World) -> None:
        await world.change(settings().model_copy(update={"max_listeners": 7}))
        assert len(world.server.asked) == 1

    play(World(), scenario)


def test_refused_settings_are_asked_about_again_since_the_cluster_may_change() -> None:
    async def scenario(world: World) -> None:
        assert world.changes == ["no"]
        await world.clock.advance(4)
        assert len(world.server.asked) == 1
        await world.clock.advance(6)
        assert len(world.server.asked) == 2
        await world.clock.advance(1000)
        assert world.changes == ["no", ""]
        assert len(world.server.asked) == 3
        await world.clock.advance(100_000)
        assert len(world.server.asked) == 3

    play(World(Forbidden("no"), Forbidden("no")), scenario)


def test_other_settings_are_asked_about_at_once() -> None:
    async def scenario(world: World) -> None:
        await world.change(settings(nodeSelector={"disk": "ssd"}))
        assert world.changes == ["no", ""]
        assert len(world.server.asked) == 2

    play(World(Forbidden("no")), scenario)


def test_no_answer_changes_nothing_and_is_asked_for_again_with_growing_pauses() -> None:
    async def scenario(world: World) -> None:
        await world.change(settings(nodeSelector={"disk": "ssd"}))
        assert (world.proof.problem, world.changes) == ("no", ["no"])
        for pause, asked in ((11, 3), (20, 4), (40, 5)):
            await world.clock.advance(pause)
            assert len(world.server.asked) == asked
        await world.clock.advance(10_000)
        assert world.changes == ["no", ""]
        assert len(world.server.asked) == 6

    play(World(Forbidden("no"), *[Unreachable("down")] * 4), scenario)


def test_the_server_s_wish_to_be_left_alone_is_obeyed() -> None:
    async def scenario(world: World) -> None:
        await world.clock.advance(199)
        assert len(world.server.asked) == 1
        await world.clock.advance(1)
        assert len(world.server.asked) == 2

    play(World(TooManyRequests("later", retry_after_seconds=200.0)), scenario)
